"""The figures of the reports: against rows made by hand, in the reader's days, of one tenant."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import Tenant
from accounts.roles import Role
from routing.demo.history import load_history
from routing.desk.reports.measures import percentile
from routing.desk.reports.ranges import Days
from routing.desk.reports.report import By, Report, report
from routing.models import Entrance, Intent
from tests.builders import Api, fields_of, json_of, make_tenant
from tests.routing.assignment.builders import make_agent, make_group
from tests.routing.builders import make_entrance
from tests.routing.calendars.builders import make_calendar
from tests.routing.desk.figure_builders import make_answered, make_clock, make_leader, make_rating, make_turn

pytestmark = [pytest.mark.django_db, pytest.mark.both_stacks]

SHANGHAI = ZoneInfo("Asia/Shanghai")
#: A quarter past one in Shanghai is still the day before in UTC.
NIGHT = datetime(2026, 5, 4, 17, 15, tzinfo=UTC)
WEEK = Days(date(2026, 5, 4), date(2026, 5, 5), SHANGHAI)


def of(found: Report, key: str) -> dict[str, Any]:
    return next(row for row in found.rows if row.key == key).figures()


def test_percentiles_are_values_that_occurred() -> None:
    assert percentile([], 0.5) is None
    assert [percentile([4, 1, 3, 2], share) for share in (0.25, 0.5, 0.9)] == [1, 2, 4]
    assert percentile(list(range(1, 101)), 0.9) == 90


def test_the_figures_of_a_day_are_those_of_the_rows(tenant: Tenant) -> None:
    at, entrance = NIGHT, make_entrance(tenant)
    rows = [make_answered(tenant, at=at, after_seconds=seconds, entrance=entrance) for seconds in (10, 20, 30, 400)]
    make_answered(tenant, at=at - timedelta(days=1), after_seconds=None, resolved_after=90_000, entrance=entrance)
    make_answered(tenant, at=at, status="spam", entrance=entrance)
    make_answered(make_tenant("Other"), at=at)
    solved, asked = (make_answered(tenant, at=at, after_seconds=None, status=status, entrance=entrance) for status in ("closed", "bot"))
    for row in (solved, asked):
        make_turn(row, at=at)
    for row, is_met in zip(rows, (True, True, False, True), strict=True):
        make_clock(row, at=at, is_met=is_met)
    make_clock(rows[0], at=at, is_met=True, state="cancelled", metric="resolution")
    for row, score in zip(rows, (5, 4, 3, 1), strict=True):
        make_rating(row, score, at=at)
    found = report(tenant.pk, by=By.DAY, days=WEEK)
    assert [row.key for row in found.rows] == ["2026-05-04", "2026-05-05"]
    assert of(found, "2026-05-05") == {
        "received": 6, "resolved": 1, "first_response_median_seconds": 20.0, "first_response_p90_seconds": 400.0,
        "resolution_median_seconds": 90_000.0, "sla_met_percent": 75.0, "csat_percent": 50.0, "ratings": 4, "deflection_percent": 50.0,
    }  # fmt: skip
    assert (of(found, "2026-05-04")["received"], found.total.measures.received) == (1, 7)


@pytest.mark.parametrize("by", [By.AGENT, By.GROUP, By.INTENT, By.ENTRANCE])
def test_figures_are_grouped_by_what_has_a_name_and_the_rest_comes_last(by: By, tenant: Tenant) -> None:
    group, entrance = make_group(tenant, at=NIGHT), make_entrance(tenant, name="Shop")
    agent = make_agent(tenant, group, at=NIGHT, name="Alex")
    Intent.objects.create(tenant=tenant, name="refund", title="Refund", created_at=NIGHT)
    for _number in range(2):
        make_answered(tenant, at=NIGHT, agent=agent, group=group, intent="refund", entrance=entrance)
    make_answered(tenant, at=NIGHT, entrance=make_entrance(tenant, name="Mail"))
    found = report(tenant.pk, by=by, days=WEEK)
    names = {By.AGENT: "Alex", By.GROUP: "General", By.INTENT: "Refund", By.ENTRANCE: "Shop"}
    last = {By.AGENT: "No agent", By.GROUP: "No group", By.INTENT: "No intent", By.ENTRANCE: "Mail"}
    assert [(row.label, row.measures.received) for row in found.rows] == [(names[by], 2), (last[by], 1)]
    if by == By.AGENT:
        assert report(tenant.pk, by=by, days=WEEK, group_id=group.pk).total.measures.received == 2


@pytest.mark.parametrize("number", [1, 12])
def test_a_report_takes_as_many_queries_for_many_conversations_as_for_one(
    number: int, tenant: Tenant, django_assert_num_queries: Any
) -> None:
    agent = make_agent(tenant, at=NIGHT)
    for _number in range(number):
        make_rating(make_answered(tenant, at=NIGHT, agent=agent), 5, at=NIGHT)
    with django_assert_num_queries(5):
        report(tenant.pk, by=By.AGENT, days=WEEK)


def test_the_api_returns_the_figures_of_its_own_tenant(api: Api, tenant: Tenant) -> None:
    make_answered(tenant, at=NIGHT)
    make_answered(make_tenant("Other"), at=NIGHT)
    answer = json_of(api.get("/api/desk/figures/", **{"from": "2026-05-05", "to": "2026-05-05", "zone": "Asia/Shanghai"}))
    assert (answer["by"], answer["total"]["received"], answer["results"][0]["key"]) == ("day", 1, "2026-05-05")
    assert answer["total"]["csat_percent"] is None
    wrong = {"by": "moon", "from": "2026-13-01", "to": "soon", "zone": "Mars", "group": "nowhere"}
    for name, value in wrong.items():
        assert fields_of(api.get("/api/desk/figures/", **{name: value})) == [name]
    assert fields_of(api.get("/api/desk/figures/", **{"from": "2026-01-01", "to": "2026-12-31"})) == ["from"]


def test_without_a_zone_the_days_are_those_of_the_default_calendar(api: Api, tenant: Tenant) -> None:
    make_calendar(tenant, at=NIGHT, time_zone="Asia/Shanghai")
    assert json_of(api.get("/api/desk/figures/"))["zone"] == "Asia/Shanghai"


@pytest.fixture
def leader(client: Client, tenant: Tenant) -> Client:
    client.force_login(make_leader(tenant))
    return client


def test_a_page_shows_what_the_file_has(leader: Client, tenant: Tenant) -> None:
    make_answered(tenant, at=NIGHT, after_seconds=200, entrance=make_entrance(tenant, name="=Shop"))
    asked = {"by": "entrance", "from": "2026-05-05", "to": "2026-05-05", "zone": "Asia/Shanghai"}
    page = leader.get("/desk/reports/", asked).content.decode()
    assert "=Shop" in page
    assert "3 min" in page
    file = b"".join(leader.get("/desk/reports/", asked | {"csv": "1"})).decode()
    assert [line.split(",")[:3] for line in file.splitlines()[1:]] == [["'=Shop", "1", "0"], ["All", "1", "0"]]
    assert Entrance.objects.count() == 1


def test_a_wrong_day_is_told_beside_the_usual_figures(leader: Client) -> None:
    answer = leader.get("/desk/reports/", {"from": "tomorrow"})
    assert "Must be a date such as" in answer.content.decode()
    assert "Nothing happened on these days" in answer.content.decode()


@pytest.mark.parametrize("path", ["/desk/reports/", "/desk/reports/schedules/", "/desk/supervisor/", "/desk/supervisor/charts/"])
def test_viewers_are_told_who_may_look(path: str, client: Client, tenant: Tenant) -> None:
    client.force_login(make_leader(tenant, "vera", Role.VIEWER))
    answer = client.get(path)
    assert answer.status_code == 403
    assert "Only operators and owners" in answer.content.decode()


def test_who_leads_one_desk_sees_nothing_of_another(leader: Client, tenant: Tenant) -> None:
    other = make_tenant("Other")
    make_answered(other, at=timezone.now(), entrance=make_entrance(other, name="Their shop"))
    for path in ("/desk/reports/?by=entrance", "/desk/supervisor/charts/", "/desk/supervisor/"):
        joined = "&" if "?" in path else "?"
        assert "Their shop" not in leader.get(f"{path}{joined}tenant={other.pk}").content.decode()


def test_the_demo_has_a_week_of_figures_and_only_once(tenant: Tenant) -> None:
    now = datetime(2026, 5, 8, 15, 0, tzinfo=UTC)
    entrance, agent = make_entrance(tenant), make_agent(tenant, make_group(tenant, "orders", at=now), at=now)
    assert load_history(tenant=tenant, entrances=[entrance], now=now) > 150
    assert load_history(tenant=tenant, entrances=[entrance], now=now) == 0
    found = report(tenant.pk, by=By.DAY, days=Days(date(2026, 5, 1), date(2026, 5, 8), ZoneInfo("UTC")))
    assert sum(row.measures.received > 5 for row in found.rows) >= 5
    figures = found.total.figures()
    assert all(figures.values())
    assert 60 < figures["sla_met_percent"] < 100
    agent.refresh_from_db()
    assert agent.load == 0
