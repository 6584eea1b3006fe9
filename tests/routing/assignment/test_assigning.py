"""Waiting conversations find the agents that the rules and strategies want."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import Tenant
from configcenter.hot import Applied
from routing.assignment import assigning, queueing
from routing.assignment.assigning import assign_waiting
from routing.assignment.queueing import enqueue, overflow, position, reconsider
from routing.configuration import assignment
from routing.models import Agent, AssignmentCause, Conversation, ConversationStatus
from routing.models import Assignment as Span
from tests.builders import make_tenant
from tests.routing.assignment.builders import make_agent, make_group, make_waiting
from tests.routing.builders import make_conversation, make_customer, make_identity

pytestmark = [pytest.mark.django_db, pytest.mark.both_stacks]
NOW = datetime(2026, 11, 27, 9, 0, tzinfo=UTC)


def run(tenant: Tenant, now: datetime = NOW, **settings: Any) -> int:
    with assignment.set(**settings):
        return assign_waiting(tenant_id=tenant.pk, now=now)


def holder(conversation: Conversation) -> Agent | None:
    return Conversation.objects.select_related("agent").get(pk=conversation.pk).agent


def loads(*agents: Agent) -> list[int]:
    return [Agent.objects.get(pk=agent.pk).load for agent in agents]


def test_new_conversations_are_queued_by_their_rule_and_given_to_the_agent_who_has_the_skill(tenant: Tenant) -> None:
    general, refunds = make_group(tenant, at=NOW), make_group(tenant, "refunds", at=NOW)
    make_agent(tenant, general, at=NOW)
    expert = make_agent(tenant, refunds, at=NOW)
    asked = make_conversation(make_identity(make_customer(tenant)), intent="refund", confidence=0.9, language="en")
    with assignment.set(routes=[{"intent": "refund", "skill_group": "refunds", "priority": 8}]):
        enqueue([asked.pk], now=NOW)
        enqueue([asked.pk], now=NOW + timedelta(minutes=1))  # twice changes nothing
        asked.refresh_from_db()
        assert (asked.status, asked.group, asked.priority, asked.queued_at) == (ConversationStatus.QUEUED, refunds, 8, NOW)
        assert run(tenant) == 1
    span = Span.objects.get()
    assert (span.agent, span.cause, span.reason["basis"], span.reason["group"]) == (expert, AssignmentCause.RULE, "intent", "refunds")
    assert loads(expert) == [1]


def test_an_intent_that_a_later_text_brings_is_considered_while_it_waits(tenant: Tenant) -> None:
    make_group(tenant, at=NOW)
    refunds = make_group(tenant, "refunds", at=NOW)
    asked = make_conversation(make_identity(make_customer(tenant, language="zh")))
    with assignment.set(routes=[{"intent": "refund", "skill_group": "refunds"}]):
        enqueue([asked.pk], now=NOW)
        assert reconsider(tenant.pk, now=NOW) == 0
        Conversation.objects.filter(pk=asked.pk).update(intent="refund", confidence=0.9)
        assert [reconsider(tenant.pk, now=NOW) for _ in range(2)] == [1, 0]
    asked.refresh_from_db()
    assert (asked.group, asked.language, asked.queued_at) == (refunds, "zh", NOW)


def test_no_agent_gets_more_than_their_capacity_and_the_rest_waits_in_order(tenant: Tenant) -> None:
    group = make_group(tenant, at=NOW)
    agents = [make_agent(tenant, group, at=NOW, capacity=2), make_agent(tenant, group, at=NOW)]
    asked = [make_waiting(tenant, group, at=NOW + timedelta(seconds=number)) for number in range(6)]
    assert run(tenant, now=NOW + timedelta(minutes=1), default_capacity=3) == 5
    assert loads(*agents) == [2, 3]
    assert [holder(each) is None for each in asked] == [False] * 5 + [True]
    assert run(tenant, default_capacity=3) == 0


def test_what_cannot_be_taken_now_does_not_hold_up_what_can(tenant: Tenant) -> None:
    busy, free = make_group(tenant, "busy", at=NOW), make_group(tenant, "free", at=NOW)
    make_agent(tenant, busy, at=NOW, capacity=1, load=1)
    agent = make_agent(tenant, free, at=NOW, languages=["en"])
    make_agent(tenant, free, at=NOW, languages=["zh"], presence="offline")
    for number in range(5):
        make_waiting(tenant, busy, at=NOW - timedelta(hours=1))
        make_waiting(tenant, free, at=NOW - timedelta(minutes=number), language="zh")
    last = make_waiting(tenant, free, at=NOW, language="en")
    assert run(tenant) == 1
    assert holder(last) == agent


def test_a_language_that_no_agent_of_the_group_speaks_is_no_bar(tenant: Tenant) -> None:
    group = make_group(tenant, at=NOW)
    english = make_agent(tenant, group, at=NOW, languages=["en"])
    asked = make_waiting(tenant, group, at=NOW, language="fr")
    assert run(tenant) == 1
    assert holder(asked) == english


@pytest.mark.parametrize(
    ("choice", "expected"),
    [("least_loaded", 1), ("round_robin", 2), ("longest_idle", 3), ("weighted", 4), ("skill_first", 5)],
)
def test_each_strategy_prefers_another_agent(tenant: Tenant, choice: str, expected: int) -> None:
    group, hour = make_group(tenant, at=NOW), timedelta(hours=1)
    made: list[dict[str, Any]] = [
        {"load": 3, "last_assigned_at": NOW - hour},
        {"load": 1, "last_assigned_at": NOW - hour, "freed_at": NOW},
        {"load": 3, "last_assigned_at": NOW - 9 * hour, "freed_at": NOW},
        {"load": 0, "last_assigned_at": NOW - 2 * hour, "freed_at": NOW - 2 * hour, "capacity": 2},
        {"load": 4, "last_assigned_at": NOW - hour, "weight": 10, "capacity": 6},
        {"load": 2, "last_assigned_at": NOW - hour},
    ]
    made[3]["load"] = 0 if choice == "longest_idle" else 1
    agents = [make_agent(tenant, group, at=NOW, level=5 if index == 5 else 2, **fields) for index, fields in enumerate(made)]
    asked = make_waiting(tenant, group, at=NOW)
    assert run(tenant, choice=choice) == 1
    assert agents.index(holder(asked)) == expected  # type: ignore[arg-type]


def test_a_returning_customer_gets_the_agent_they_know_while_it_is_recent(tenant: Tenant) -> None:
    group, customer = make_group(tenant, at=NOW), make_customer(tenant)
    known, other = make_agent(tenant, group, at=NOW, load=4), make_agent(tenant, group, at=NOW)
    before = make_waiting(tenant, group, at=NOW - timedelta(hours=5), customer=customer, status=ConversationStatus.RESOLVED)
    Span.objects.create(
        tenant=tenant, conversation=before, agent=known, cause=AssignmentCause.RULE, started_at=NOW - timedelta(hours=5), ended_at=NOW
    )
    first, second = (make_waiting(tenant, group, at=NOW, customer=customer, thread=str(n)) for n in range(2))
    assert run(tenant, same_agent_hours=6.0) == 2
    assert {holder(first), holder(second)} == {known, other}  # the known agent had one place left
    assert [span.reason["why"] for span in Span.objects.filter(agent=known, ended_at=None)] == ["last_agent"]


def test_vips_and_priorities_go_first_but_waiting_counts_too(tenant: Tenant) -> None:
    group = make_group(tenant, at=NOW)
    old = make_waiting(tenant, group, at=NOW - timedelta(minutes=55), priority=5)
    urgent = make_waiting(tenant, group, at=NOW, priority=10)
    young = make_waiting(tenant, group, at=NOW - timedelta(minutes=5), priority=5)
    for each in (old, urgent, young):
        each.refresh_from_db()
    places = [position(each, now=NOW) for each in (old, urgent, young)]
    assert [place.place if place else None for place in places] == [1, 2, 3]
    agent = make_agent(tenant, group, at=NOW, capacity=2)
    assert run(tenant) == 2
    assert [holder(each) for each in (old, urgent, young)] == [agent, agent, None]


def test_the_expected_wait_follows_the_rate_of_the_last_half_hour(tenant: Tenant) -> None:
    group = make_group(tenant, at=NOW)
    agent = make_agent(tenant, group, at=NOW, capacity=1, load=1)
    for minutes in (10, 8, 6, 4, 2):
        done = make_waiting(tenant, group, at=NOW, status=ConversationStatus.RESOLVED)
        Span.objects.create(
            tenant=tenant, conversation=done, agent=agent, cause="rule", started_at=NOW - timedelta(minutes=minutes), ended_at=NOW
        )
    make_waiting(tenant, group, at=NOW - timedelta(minutes=1))
    asked = make_waiting(tenant, group, at=NOW)
    place = position(asked, now=NOW)
    assert place is not None
    assert (place.place, place.wait_seconds) == (2, 240)


def test_what_waits_too_long_overflows_once_to_each_group(tenant: Tenant) -> None:
    general = make_group(tenant, at=NOW)
    second = make_group(tenant, "second", at=NOW)
    first = make_group(tenant, "first", at=NOW, overflow_to=second)
    general.overflow_to = first
    general.save()
    asked = make_waiting(tenant, first, at=NOW)
    seen = []
    for step in range(1, 5):
        overflow(tenant.pk, now=NOW + timedelta(minutes=10 * step))
        asked.refresh_from_db()
        assert asked.group is not None
        seen.append(asked.group.name)
    assert seen == ["second", "general", "general", "general"]
    assert asked.decision["overflowed"] == ["first", "second"]


def test_an_assignment_names_the_release_of_the_tenants_own_rules(tenant: Tenant) -> None:
    group = make_group(tenant, at=NOW)
    make_agent(tenant, group, at=NOW)
    asked = make_conversation(make_identity(make_customer(tenant)))
    assignment.swap(Applied(assignment.value, 7, by_tenant={tenant.pk: assignment.value}, releases={tenant.pk: 2}))
    enqueue([asked.pk], now=NOW)
    assert assign_waiting(tenant_id=tenant.pk, now=NOW) == 1
    span = Span.objects.get(conversation=asked)
    assert (span.config_version, span.reason["release"]) == (2, 2)


def test_what_can_go_nowhere_keeps_nothing_from_overflowing(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queueing, "PAGE", 1)
    general, first = make_group(tenant, at=NOW), make_group(tenant, "first", at=NOW)
    make_waiting(tenant, general, at=NOW - timedelta(hours=1))
    make_waiting(tenant, first, at=NOW - timedelta(minutes=30), decision={"overflowed": ["general"]})
    asked = make_waiting(tenant, first, at=NOW - timedelta(minutes=20))
    assert overflow(tenant.pk, now=NOW) == 1
    asked.refresh_from_db()
    assert asked.group == general


def test_what_can_not_overflow_keeps_nothing_else_from_it(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queueing, "PAGE", 2)
    general, full, other = make_group(tenant, at=NOW), make_group(tenant, "full", at=NOW), make_group(tenant, "other", at=NOW)
    for group, decision in ((general, {}), (full, {"overflowed": ["general"]})):
        for _ in range(2):
            make_waiting(tenant, group, at=NOW - timedelta(hours=1), decision=decision)
    asked = make_waiting(tenant, other, at=NOW)
    assert overflow(tenant.pk, now=NOW + timedelta(minutes=10)) == 1
    asked.refresh_from_db()
    assert asked.group == general


def test_where_very_many_are_assigned_the_last_ones_tell_the_wait(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queueing, "MAX_RATED", 2)
    group = make_group(tenant, at=NOW)
    agent = make_agent(tenant, group, at=NOW)
    for minutes in (29, 28, 2, 1):
        done = make_waiting(tenant, group, at=NOW, status=ConversationStatus.RESOLVED)
        Span.objects.create(
            tenant=tenant, conversation=done, agent=agent, cause="rule", started_at=NOW - timedelta(minutes=minutes), ended_at=NOW
        )
    assert queueing.expected_wait(tenant.pk, group.pk, place=1, now=NOW) == 60


def test_an_agent_who_left_the_desk_gets_nothing(tenant: Tenant) -> None:
    group = make_group(tenant, at=NOW)
    make_agent(tenant, group, at=NOW, presence="offline")
    make_agent(tenant, group, at=NOW, present_until=NOW)
    make_agent(tenant, group, at=NOW, presence="break", break_until=NOW + timedelta(minutes=5))
    make_agent(tenant, group, at=NOW, is_active=False)
    make_agent(make_tenant("Other"), at=NOW)
    make_waiting(tenant, group, at=NOW)
    assert run(tenant) == 0
    rested = make_agent(tenant, group, at=NOW, presence="break", break_until=NOW)  # the break is over
    assert run(tenant) == 1
    assert loads(rested) == [1]


def test_automatic_assignment_can_be_switched_off(tenant: Tenant) -> None:
    make_agent(tenant, make_group(tenant, at=NOW), at=NOW)
    make_waiting(tenant, at=NOW)
    assert run(tenant, is_automatic=False) == 0
    assert run(tenant) == 1  # without a group any agent will do


def test_the_number_of_statements_does_not_grow_with_the_queue(tenant: Tenant) -> None:
    group = make_group(tenant, at=NOW)
    for _ in range(3):
        make_agent(tenant, group, at=NOW, capacity=50)

    def statements(number: int) -> int:
        for _ in range(number):
            make_waiting(tenant, group, at=NOW)
        with CaptureQueriesContext(
            connection,
        ) as found:
            assert run(tenant) == number
        return len(found)

    assert statements(60) <= statements(3) + 2


def test_ids_of_other_tenants_are_left_alone(tenant: Tenant) -> None:
    make_agent(tenant, make_group(tenant, at=NOW), at=NOW)
    stranger = make_waiting(make_tenant("Other"), at=NOW)
    assert run(tenant) == 0
    assert holder(stranger) is None
    assert isinstance(stranger.pk, UUID)


def test_a_long_queue_of_one_group_or_language_keeps_no_agent_of_another_idle(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assigning, "MAX_TIME", timedelta(seconds=-1))  # one round
    busy, calm = make_group(tenant, "busy", at=NOW), make_group(tenant, "calm", at=NOW)
    agents = [
        make_agent(tenant, busy, at=NOW, capacity=1, languages=["en"]),
        make_agent(tenant, busy, at=NOW, capacity=1, languages=["zh"]),
        make_agent(tenant, calm, at=NOW, capacity=1),
    ]
    for minutes in range(30):
        make_waiting(tenant, busy, at=NOW - timedelta(minutes=minutes + 10), language="en")
    make_waiting(tenant, busy, at=NOW - timedelta(minutes=5), language="zh")
    make_waiting(tenant, calm, at=NOW)
    assert run(tenant) == 3
    assert loads(*agents) == [1, 1, 1]


def test_what_an_agent_gave_away_keeps_no_other_conversation_from_them(tenant: Tenant) -> None:
    group = make_group(tenant, at=NOW)
    agent = make_agent(tenant, group, at=NOW, capacity=1)
    make_agent(tenant, group, at=NOW, capacity=1, load=1)  # there, but busy
    for minutes in (10, 9):
        make_waiting(tenant, group, at=NOW - timedelta(minutes=minutes), decision={"avoid": str(agent.pk)})
    other = make_waiting(tenant, group, at=NOW)
    assert run(tenant) == 1
    assert holder(other) == agent
