"""Business calendars and clocks by the API."""

from typing import Any

import pytest

from accounts.models import Tenant
from routing.service_levels import sweeping
from tests.builders import Api
from tests.routing.service_levels.builders import NOW, customer_writes, make_clock, make_talk, make_ticket

pytestmark = pytest.mark.django_db
OFFICE = {"name": "office", "title": "Office", "time_zone": "Asia/Shanghai", "hours": [{"day": 1, "start": "09:00", "end": "18:00"}]}


def test_a_calendar_is_made_changed_and_deleted(api: Api) -> None:
    made = api.post("/api/business-calendars/", OFFICE)
    assert (made.status_code, made.json()["is_default"], made.json()["version"]) == (201, True, 1)
    address = f"/api/business-calendars/{made.json()['id']}/"
    assert [lack["lack"] for lack in made.json()["missing"]][:1] == ["this_year"]
    changed = api.patch(address, {"title": "Head office"})
    assert (changed.status_code, changed.json()["title"], changed.json()["version"]) == (200, "Head office", 2)
    assert [each["name"] for each in api.get("/api/business-calendars/").json()["results"]] == ["office"]
    assert api.delete(address).status_code == 204
    assert api.get(address).status_code == 404


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"hours": [{"day": 1, "start": "18:00", "end": "09:00"}]}, "hours"),
        ({"hours": [{"day": 1, "start": "25:00", "end": "09:00"}]}, "hours[0].start"),
        ({"country": "Atlantis"}, "country"),
        ({"name": "no blanks"}, "name"),
    ],
)
def test_what_is_wrong_with_a_calendar_is_named(api: Api, values: dict[str, Any], field: str) -> None:
    refused = api.post("/api/business-calendars/", {**OFFICE, **values})
    assert refused.status_code == 422
    assert [error["field"] for error in refused.json()["errors"]] == [field]


def test_holidays_are_previewed_imported_and_changed(api: Api) -> None:
    address = f"/api/business-calendars/{api.post('/api/business-calendars/', OFFICE).json()['id']}"
    wanted = {"country": "CN", "year": 2026}
    seen = api.post(f"{address}/import/", {**wanted, "dry_run": True})
    assert (seen.status_code, len(seen.json()["added"]), seen.json()["is_announced"]) == (200, 28, True)
    assert api.get(f"{address}/days/").json()["results"] == []
    assert len(api.post(f"{address}/import/", wanted).json()["added"]) == 28
    set_by_staff = api.post(f"{address}/days/", {"day": "2026-10-01", "kind": "working", "hours": [["10:00", "12:00"]]})
    assert (set_by_staff.status_code, set_by_staff.json()["is_imported"]) == (200, False)
    again = api.post(f"{address}/import/", wanted).json()
    assert (again["added"], again["same"], [day["day"] for day in again["kept"]]) == ([], 27, ["2026-10-01"])
    assert api.delete(f"{address}/days/{set_by_staff.json()['id']}/").status_code == 204
    assert len(api.get(f"{address}/days/?year=2026&kind=holiday").json()["results"]) == 21
    assert api.post(f"{address}/import/", {**wanted, "country": "Atlantis"}).status_code == 422


def test_clocks_are_listed_by_what_they_measure_and_whether_they_are_breached(api: Api, tenant: Tenant) -> None:
    talk, ticket = make_talk(tenant), make_ticket(tenant)
    customer_writes(talk, at=NOW)
    make_clock(ticket, metric="resolution", due_at=NOW)
    sweeping.sweep(now=NOW)

    def listed(query: str) -> list[tuple[Any, Any]]:
        return [(clock["metric"], clock["ticket"]) for clock in api.get(f"/api/clocks/?{query}").json()["results"]]

    assert len(listed("")) == 3
    assert listed("breached=true") == [("resolution", str(ticket.pk))]
    assert listed(f"conversation={talk.pk}&metric=first_response&state=running") == [("first_response", None)]
    assert listed("due_before=2026-12-01T10:30:00Z&breached=false") == []
    assert api.get("/api/clocks/?state=broken").status_code == 422
