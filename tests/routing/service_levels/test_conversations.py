"""Clocks of conversations: what starts, holds and stops them."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.db import transaction
from django.test.utils import CaptureQueriesContext

from accounts.models import Tenant
from routing.configuration import service_levels
from routing.configuration.targets import Target
from routing.conversations import hooks, resolving
from routing.customers import attributes
from routing.desk import merging, states
from routing.models import AttributeSource, Clock, ClockSignal, Conversation, Notice
from routing.processing import process
from routing.service_levels import conversations, sweeping
from routing.service_levels.selectors import most_urgent
from tests.builders import TESTER
from tests.routing.assignment.builders import make_agent
from tests.routing.builders import make_conversation, make_entrance
from tests.routing.conversations.builders import incoming
from tests.routing.processing.test_process import arrive
from tests.routing.service_levels.builders import NOW, clocks_of, customer_writes, make_talk, reply, states_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_stacks]
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


def test_what_comes_in_starts_the_clocks_of_its_conversation(tenant: Tenant) -> None:
    entrance = make_entrance(tenant)
    arrive(entrance, incoming(sender="a"), incoming(sender="b"), incoming(sender="b"))
    process.process_arrivals()
    one, other = Conversation.objects.order_by("pk")
    assert states_of(one) == states_of(other) == {"first_response": "running", "resolution": "running"}
    assert clocks_of(one)["first_response"].facts["priority"] == "normal"


def test_an_agents_answer_meets_the_response_and_starts_nothing(tenant: Tenant) -> None:
    talk, agent = make_talk(tenant), make_agent(tenant, at=NOW)
    customer_writes(talk, at=NOW)
    assert clocks_of(talk)["first_response"].due_at == NOW + HOUR
    reply(talk, agent, at=NOW + 30 * MINUTE)
    reply(talk, agent, at=NOW + 40 * MINUTE)
    assert states_of(talk) == {"first_response": "met", "resolution": "running"}
    customer_writes(talk, at=NOW + HOUR)
    customer_writes(talk, at=NOW + 2 * HOUR)
    assert clocks_of(talk)["next_response"].due_at == NOW + 5 * HOUR
    reply(talk, agent, at=NOW + 3 * HOUR)
    assert states_of(talk) == {"first_response": "met", "next_response": "met", "resolution": "running"}
    assert not ClockSignal.objects.exists()


def test_a_conversation_that_an_agent_begins_has_no_clock_until_the_customer_writes(tenant: Tenant) -> None:
    talk = make_talk(tenant)
    reply(talk, make_agent(tenant, at=NOW), at=NOW)
    assert states_of(talk) == {}
    customer_writes(talk, at=NOW + HOUR)
    assert states_of(talk) == {"next_response": "running", "resolution": "running"}


def test_what_a_bot_answers_is_no_first_response(tenant: Tenant) -> None:
    talk = make_talk(tenant)
    customer_writes(talk, at=NOW)
    reply(talk, None, at=NOW + MINUTE)
    customer_writes(talk, at=NOW + 2 * MINUTE)
    assert states_of(talk) == {"first_response": "running", "resolution": "running"}
    assert clocks_of(talk)["first_response"].due_at == NOW + HOUR


def test_clocks_stand_still_while_a_bot_has_the_conversation(tenant: Tenant) -> None:
    talk = make_talk(tenant, status="bot")
    customer_writes(talk, at=NOW)
    assert set(states_of(talk).values()) == {"paused"}
    Conversation.objects.update(status="queued")
    hooks.tell_moved([talk.pk], now=NOW + 30 * MINUTE)
    assert clocks_of(talk)["first_response"].due_at == NOW + HOUR + 30 * MINUTE
    assert set(states_of(talk).values()) == {"running"}


def test_snoozing_holds_the_resolution_and_no_response(tenant: Tenant) -> None:
    talk = make_talk(tenant)
    customer_writes(talk, at=NOW)
    before = clocks_of(talk)["resolution"].due_at
    Conversation.objects.update(snoozed_until=NOW + 3 * HOUR)
    conversations.refresh([talk.pk], now=NOW + HOUR)
    assert before is not None
    assert clocks_of(talk)["resolution"].due_at == before + 2 * HOUR
    assert clocks_of(talk)["first_response"].due_at == NOW + HOUR
    customer_writes(talk, at=NOW + 2 * HOUR)  # ends the snooze
    assert clocks_of(talk)["resolution"].due_at == before + HOUR


def test_a_conversation_that_is_opened_again_goes_on_with_the_time_it_had(tenant: Tenant) -> None:
    talk = make_talk(tenant)
    customer_writes(talk, at=NOW)
    assert clocks_of(talk)["resolution"].due_at == datetime(2026, 12, 3, 16, tzinfo=UTC)
    reply(talk, make_agent(tenant, at=NOW), at=NOW + MINUTE)
    resolving.resolve(conversation=talk, by=TESTER, now=NOW + HOUR)
    assert states_of(talk) == {"first_response": "met", "resolution": "met"}
    Conversation.objects.update(status="new", resolved_at=None)
    customer_writes(talk, at=NOW + 4 * HOUR)
    assert states_of(talk) == {"first_response": "met", "next_response": "running", "resolution": "running"}
    assert clocks_of(talk)["resolution"].due_at == datetime(2026, 12, 4, 10, tzinfo=UTC)  # three business hours later


def test_what_is_resolved_without_an_answer_or_is_spam_needs_no_response(tenant: Tenant) -> None:
    answered, spam = make_talk(tenant), make_talk(tenant)
    for talk in (answered, spam):
        customer_writes(talk, at=NOW)
    resolving.resolve(conversation=answered, by=TESTER, now=NOW + MINUTE)
    assert states_of(answered) == {"first_response": "cancelled", "resolution": "met"}
    Conversation.objects.filter(pk=spam.pk).update(status="spam")
    hooks.tell_moved([spam.pk], now=NOW + MINUTE)
    assert set(states_of(spam).values()) == {"cancelled"}


def test_nothing_is_met_by_spam_or_a_merge_and_what_an_agent_opens_again_is_promised_again(tenant: Tenant) -> None:
    spam, merged = make_talk(tenant), make_talk(tenant)
    kept = make_conversation(merged.identity, status="queued")
    for talk in (spam, merged):
        customer_writes(talk, at=NOW)
    states.mark_as_spam(conversation=spam, by=TESTER, now=NOW + MINUTE)
    merging.merge(conversation=merged, into=kept, by=TESTER, now=NOW + MINUTE)
    assert set(states_of(spam).values()) == set(states_of(merged).values()) == {"cancelled"}
    states.reopen(conversation=spam, agent=None, by=TESTER, now=NOW + HOUR)
    merging.undo_merge(conversation=merged, by=TESTER, now=NOW + HOUR)
    for talk in (spam, merged):
        assert states_of(talk) == {"first_response": "running", "resolution": "running"}
        assert clocks_of(talk)["first_response"].due_at == NOW + 2 * HOUR


def test_the_resolution_goes_on_when_an_agent_opens_a_conversation_again_and_no_response_starts(tenant: Tenant) -> None:
    talk, agent = make_talk(tenant), make_agent(tenant, at=NOW)
    customer_writes(talk, at=NOW)
    reply(talk, agent, at=NOW + MINUTE)
    resolving.resolve(conversation=talk, by=TESTER, now=NOW + HOUR)
    states.reopen(conversation=talk, agent=agent, by=TESTER, now=NOW + 4 * HOUR)
    assert states_of(talk) == {"first_response": "met", "resolution": "running"}
    assert clocks_of(talk)["resolution"].due_at == datetime(2026, 12, 4, 10, tzinfo=UTC)  # three business hours later


def test_a_late_answer_misses_and_is_told_once_whether_or_not_a_sweep_saw_it(tenant: Tenant) -> None:
    agent = make_agent(tenant, at=NOW)
    seen, unseen = make_talk(tenant, agent=agent), make_talk(tenant, agent=agent)
    customer_writes(seen, at=NOW - HOUR)
    sweeping.sweep(now=NOW)
    customer_writes(unseen, at=NOW - HOUR)
    for talk in (seen, unseen):
        reply(talk, agent, at=NOW + MINUTE)
        assert clocks_of(talk)["first_response"].state == "missed"
    sweeping.sweep(now=NOW + HOUR)
    assert sorted(ClockSignal.objects.values_list("kind", flat=True)) == ["breach", "breach"]
    assert Notice.objects.filter(agent=agent, kind="breach").count() == 2


def test_another_priority_has_another_target(tenant: Tenant) -> None:
    talk = make_talk(tenant)
    customer_writes(talk, at=NOW)
    Conversation.objects.update(priority=9)
    hooks.tell_moved([talk.pk], now=NOW + MINUTE)
    assert clocks_of(talk)["first_response"].due_at == NOW + 15 * MINUTE


def test_targets_may_ask_for_the_level_of_the_customer(tenant: Tenant) -> None:
    talk = make_talk(tenant)
    with transaction.atomic():
        attributes.record(talk.customer_id, {"level": "Gold"}, source=AttributeSource.API, now=NOW)
    with service_levels.set(targets=[Target(), Target(level="gold", first_response_minutes=5)]):
        customer_writes(talk, at=NOW)
    assert clocks_of(talk)["first_response"].due_at == NOW + 5 * MINUTE


def test_many_conversations_take_as_few_statements_as_one(
    tenant: Tenant, django_assert_max_num_queries: Callable[[int], CaptureQueriesContext]
) -> None:
    talks = [make_talk(tenant) for _talk in range(5)]
    with django_assert_max_num_queries(6):  # two begin and end the transaction
        conversations.customers_wrote([talk.pk for talk in talks], now=NOW)
    assert Clock.objects.count() == 10


def test_the_clock_that_is_due_first_is_shown(tenant: Tenant) -> None:
    talk, calm = make_talk(tenant), make_talk(tenant)
    customer_writes(talk, at=NOW)
    found = most_urgent([talk.pk, calm.pk])
    assert {pk: clock.metric for pk, clock in found.items()} == {talk.pk: "first_response"}
