"""The supervisor's page: the desk at this moment, and what a supervisor does about it."""

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import AuditEntry, Tenant
from routing.desk.supervision.charts import charts
from routing.desk.supervision.snapshot import LISTED, look
from routing.models import Assignment, Presence
from tests.builders import make_tenant
from tests.routing.assignment.builders import make_agent, make_group, make_waiting
from tests.routing.builders import make_customer, make_entrance
from tests.routing.desk.figure_builders import make_answered, make_clock, make_leader, make_rating

pytestmark = [pytest.mark.django_db, pytest.mark.both_stacks]

UTC = ZoneInfo("UTC")


@pytest.fixture
def now() -> datetime:
    return timezone.now()


@pytest.fixture
def leader(client: Client, tenant: Tenant) -> Client:
    client.force_login(make_leader(tenant))
    return client


def test_the_snapshot_counts_what_waits_who_is_there_and_what_is_late(tenant: Tenant, now: datetime) -> None:
    orders, billing = make_group(tenant, "orders", at=now), make_group(tenant, "billing", at=now)
    alex = make_agent(tenant, orders, at=now, name="Alex", load=1, capacity=4)
    make_agent(tenant, billing, at=now, name="Bea", presence=Presence.BREAK)
    make_agent(tenant, orders, at=now, name="Cem", present_until=now - timedelta(minutes=1))
    first = make_waiting(tenant, orders, at=now - timedelta(minutes=4))
    make_waiting(tenant, orders, at=now - timedelta(minutes=1))
    make_waiting(tenant, at=now)
    make_waiting(make_tenant("Other"), at=now - timedelta(hours=9))
    held = make_waiting(tenant, orders, at=now, status="assigned", agent=alex, assigned_at=now, agent_wrote_at=now)
    make_clock(held, at=now, is_met=False)
    make_clock(held, at=now, is_met=False, metric="resolution", warned_at=now, breached_at=None)
    Assignment.objects.create(tenant=tenant, conversation=held, agent=alex, cause="rule", started_at=now - timedelta(minutes=10))
    found = look(tenant.pk, group=None, zone=UTC, now=now)
    assert (found.waiting, found.in_progress, found.breached, found.warned) == (3, 1, 1, 1)
    assert found.longest is not None
    assert (found.longest.title, found.longest.oldest_seconds) == ("Orders", 240)
    assert next((each.row.pk, each.place, each.expected_seconds) for each in found.longest.first) == (first.pk, 1, 600)
    assert [(desk.agent.name, desk.presence) for desk in found.desks] == [("Alex", "online"), ("Bea", "break"), ("Cem", "offline")]
    assert (found.desks[0].load_percent, found.desks[0].last_reply_at, found.desks[0].held) == (25, now, [held])
    only = look(tenant.pk, group=billing, zone=UTC, now=now)
    assert (only.waiting, only.in_progress, only.breached, [desk.agent.name for desk in only.desks]) == (0, 0, 0, ["Bea"])


@pytest.mark.parametrize("number", [1, LISTED + 3])
def test_a_look_takes_as_many_queries_for_many_rows_as_for_one(
    number: int, leader: Client, tenant: Tenant, now: datetime, django_assert_max_num_queries: Any
) -> None:
    for place in range(number):
        group = make_group(tenant, f"group-{place}", at=now)
        agent = make_agent(tenant, group, at=now)
        make_waiting(tenant, group, at=now)
        make_waiting(tenant, group, at=now, status="assigned", agent=agent, assigned_at=now)
    with django_assert_max_num_queries(26):
        assert leader.get("/desk/supervisor/").status_code == 200


def test_what_waits_behind_the_listed_is_a_number(leader: Client, tenant: Tenant, now: datetime) -> None:
    group = make_group(tenant, "orders", at=now)
    for number in range(LISTED + 2):
        make_waiting(tenant, group, at=now - timedelta(minutes=number + 1), customer=make_customer(tenant, name=f"Customer {number}"))
    page = leader.get("/desk/supervisor/").content.decode()
    assert f"{LISTED + 2} customers wait, the oldest for 12 min in Orders." in page
    assert "No agent is online." in page
    assert "and 2 more" in page
    assert "Customer 0<" not in page


def test_an_empty_desk_says_what_to_do_first(leader: Client) -> None:
    page = leader.get("/desk/supervisor/").content.decode()
    assert "No one waits." in page
    assert "Add the first one" in page


def test_a_supervisor_gives_a_conversation_to_another_and_not_over_one_who_just_took_it(
    leader: Client, tenant: Tenant, now: datetime
) -> None:
    group = make_group(tenant, "orders", at=now)
    alex, bea = make_agent(tenant, group, at=now, name="Alex"), make_agent(tenant, group, at=now, name="Bea")
    row = make_waiting(tenant, group, at=now)
    assert f'value="agent:{bea.pk}"' in leader.get("/desk/supervisor/", {"conversation": str(row.pk)}).content.decode()
    given = {"verb": "transfer", "conversation": str(row.pk), "expected_owner": ""}
    assert leader.post("/desk/supervisor/", given | {"to": f"agent:{alex.pk}"}).status_code == 302
    row.refresh_from_db()
    assert row.agent == alex
    late = leader.post("/desk/supervisor/", given | {"to": f"agent:{alex.pk}", "expected_owner": str(bea.pk)}, follow=True)
    assert "Alex has this conversation" in late.content.decode()
    assert leader.post("/desk/supervisor/", given | {"to": f"group:{group.pk}", "expected_owner": "?"}, follow=True).status_code == 200
    assert AuditEntry.objects.filter(action="conversation.transfer", actor__contains="lea").count() == 1


def test_a_supervisor_sets_what_an_agent_does(leader: Client, tenant: Tenant, now: datetime) -> None:
    agent = make_agent(tenant, at=now, name="Alex")
    assert "Set the presence of Alex" in leader.get("/desk/supervisor/", {"agent": str(agent.pk)}).content.decode()
    leader.post("/desk/supervisor/", {"verb": "presence", "agent": str(agent.pk), "presence": "offline"})
    agent.refresh_from_db()
    assert agent.presence == Presence.OFFLINE
    assert "Choose what the agent does" in leader.post("/desk/supervisor/", {"agent": "?"}, follow=True).content.decode()


def test_what_is_of_another_tenant_cannot_be_given_away(leader: Client, tenant: Tenant, now: datetime) -> None:
    agent, theirs = make_agent(tenant, at=now), make_waiting(make_tenant("Other"), at=now)
    given = {"verb": "transfer", "conversation": str(theirs.pk), "to": f"agent:{agent.pk}"}
    assert "Choose an agent or a group" in leader.post("/desk/supervisor/", given, follow=True).content.decode()
    theirs.refresh_from_db()
    assert theirs.agent_id is None


def test_the_charts_have_the_last_day_by_hours(tenant: Tenant) -> None:
    now = datetime(2026, 5, 4, 12, 30, tzinfo=UTC)
    shop, mail = make_entrance(tenant, name="Shop"), make_entrance(tenant, name="Mail")
    agent = make_agent(tenant, at=now)
    for seconds in (10, 30):
        row = make_answered(tenant, at=now - timedelta(hours=1), entrance=shop, intent="refund")
        span = {"cause": "rule", "started_at": row.created_at + timedelta(seconds=seconds)}
        Assignment.objects.create(tenant=tenant, conversation=row, agent=agent, **span)
    make_rating(row, 5, at=now)
    make_clock(row, at=now, is_met=True)
    make_answered(tenant, at=now - timedelta(hours=23), entrance=mail)
    make_answered(tenant, at=now - timedelta(hours=25), entrance=mail)
    found = {one["name"]: one for one in charts(tenant.pk, group_id=None, now=now)}
    entrances = {one["name"]: one["data"] for one in found["entrances"]["series"]}
    assert (len(found["entrances"]["at"]), entrances["Shop"][-2], entrances["Mail"][0], sum(entrances["Mail"])) == (24, 2, 1, 1)
    assert [one["data"][-2] for one in found["waits"]["series"]] == [10, 30]
    assert [one["name"] for one in found["intents"]["series"]] == ["refund", "No intent"]
    assert (found["levels"]["series"][0]["data"][-1], found["csat"]["series"][0]["data"][-1]) == (100.0, 100.0)
