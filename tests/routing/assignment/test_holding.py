"""What people do by hand, presence, silence, and the safety net."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import AuditEntry, Tenant
from accounts.services import people
from posthaste.lib.problems import Invalid
from routing.assignment import attendance, holding, moving, presence, sweeping
from routing.assignment.attendance import Sign
from routing.assignment.moving import move_from_the_silent, queue_of_the_absent
from routing.configuration import assignment
from routing.conversations.replies import Author, reply
from routing.models import Agent, AssignmentCause, Conversation, ConversationStatus, Presence
from routing.models import Assignment as Span
from tests.builders import TESTER
from tests.routing.assignment.builders import make_agent, make_group, make_waiting
from tests.routing.assignment.test_assigning import holder, loads, run

pytestmark = [pytest.mark.django_db, pytest.mark.both_stacks]
NOW = datetime(2026, 11, 27, 9, 0, tzinfo=UTC)


def test_a_claim_that_loses_names_the_owner_and_changes_nothing(tenant: Tenant) -> None:
    group = make_group(tenant, at=NOW)
    first, second = make_agent(tenant, group, at=NOW, name="Ada"), make_agent(tenant, group, at=NOW)
    asked = make_waiting(tenant, group, at=NOW)
    holding.claim(conversation=asked, agent=first, by=TESTER, now=NOW)
    holding.claim(conversation=asked, agent=first, by=TESTER, now=NOW)  # again changes nothing
    with pytest.raises(holding.Taken) as problem:
        holding.claim(conversation=asked, agent=second, by=TESTER, now=NOW)
    assert (problem.value.status, problem.value.extra["owner"]) == (409, "Ada")
    assert holder(asked) == first
    assert loads(first, second) == [1, 0]
    assert [entry.action for entry in AuditEntry.objects.all()] == ["conversation.claim"]


def test_a_claim_without_room_or_of_what_is_resolved_is_refused(tenant: Tenant) -> None:
    agent = make_agent(tenant, at=NOW, capacity=1, load=1)
    asked = make_waiting(tenant, at=NOW)
    with pytest.raises(holding.Full):
        holding.claim(conversation=asked, agent=agent, by=TESTER, now=NOW)
    assert holder(asked) is None
    done = make_waiting(tenant, at=NOW, status=ConversationStatus.RESOLVED)
    with pytest.raises(holding.NotOpen):
        holding.claim(conversation=done, agent=make_agent(tenant, at=NOW), by=TESTER, now=NOW)


def test_resolving_frees_the_place_once_and_the_next_conversation_gets_it(tenant: Tenant, django_capture_on_commit_callbacks: Any) -> None:
    agent = make_agent(tenant, at=NOW, capacity=1)
    first, second = make_waiting(tenant, at=NOW), make_waiting(tenant, at=NOW + timedelta(seconds=1))
    assert run(tenant) == 1
    Conversation.objects.filter(pk=first.pk).update(status=ConversationStatus.RESOLVED)
    with django_capture_on_commit_callbacks(execute=True):
        for _ in range(2):
            holding.ended(conversation_id=first.pk, tenant_id=tenant.pk, now=NOW + timedelta(minutes=1))
    assert holder(second) == agent
    assert loads(agent) == [1]


def test_a_transfer_moves_the_place_too_and_a_group_does_not_return_it_to_who_gave_it_away(
    tenant: Tenant, django_capture_on_commit_callbacks: Any
) -> None:
    group = make_group(tenant, at=NOW)
    ada, bob = make_agent(tenant, group, at=NOW, name="Ada"), make_agent(tenant, group, at=NOW, load=3)
    asked = make_waiting(tenant, group, at=NOW)
    assert run(tenant) == 1
    with pytest.raises(holding.Taken):
        holding.transfer(conversation=asked, agent=bob, by=TESTER, now=NOW, expected_owner=bob.pk)
    with django_capture_on_commit_callbacks(execute=True):
        holding.transfer(conversation=asked, group=group, by=TESTER, now=NOW, expected_owner=ada.pk)
    assert holder(asked) == bob
    with django_capture_on_commit_callbacks(execute=True):
        holding.transfer(conversation=asked, agent=ada, by=TESTER, now=NOW)
    assert (holder(asked), loads(ada, bob)) == (ada, [1, 3])
    with django_capture_on_commit_callbacks(execute=True):
        holding.release(conversation=asked, by=TESTER, now=NOW)
    assert (holder(asked), loads(ada, bob)) == (bob, [0, 4])
    causes = list(Span.objects.order_by("pk").values_list("cause", "end_cause"))
    assert causes == [("rule", "transfer"), ("rule", "transfer"), ("transfer", "transfer"), ("rule", "")]


def test_who_answers_first_gets_what_waits_or_was_only_offered_to_another(tenant: Tenant) -> None:
    offered, quick = make_agent(tenant, at=NOW), make_agent(tenant, at=NOW, presence="offline")
    asked = make_waiting(tenant, at=NOW)
    assert run(tenant) == 1
    with assignment.set(first_responder_takes=False):
        assert not holding.first_response(conversation_id=asked.pk, agent_id=quick.pk, now=NOW)
    assert holding.first_response(conversation_id=asked.pk, agent_id=quick.pk, now=NOW)
    assert (holder(asked), loads(offered, quick)) == (quick, [0, 1])
    assert not holding.first_response(conversation_id=asked.pk, agent_id=offered.pk, now=NOW)  # no longer only an offer
    waiting = make_waiting(tenant, at=NOW)
    assert holding.first_response(conversation_id=waiting.pk, agent_id=offered.pk, now=NOW)
    assert holder(waiting) == offered


def test_a_reply_makes_an_agent_the_first_responder_until_the_one_who_has_it_has_replied(tenant: Tenant) -> None:
    offered, quick = make_agent(tenant, at=NOW), make_agent(tenant, at=NOW, presence="offline")
    asked = make_waiting(tenant, at=NOW)
    assert run(tenant) == 1
    for number, writer in enumerate((quick, offered, quick)):
        later = NOW + timedelta(seconds=number + 1)
        reply(conversation=asked, author=Author(agent=writer, owner=str(writer.pk)), text="Hello", by=TESTER, now=later)
        assert holder(asked) == quick
    assert loads(offered, quick) == [0, 1]


@pytest.mark.parametrize(
    ("fields", "minutes", "moves"),
    [
        ({}, 2, True),
        ({}, 0.5, False),
        ({"agent_wrote_at": NOW + timedelta(seconds=20)}, 5, False),
        ({"agent_wrote_at": NOW + timedelta(seconds=20)}, 16, True),
        ({"agent_wrote_at": NOW + timedelta(seconds=20), "unanswered_since": None}, 60, False),
    ],
)
def test_a_silent_agent_loses_what_the_customer_waits_for(tenant: Tenant, fields: dict[str, Any], minutes: float, moves: bool) -> None:
    silent = make_agent(tenant, at=NOW, present_until=NOW + timedelta(hours=9))
    asked = make_waiting(tenant, at=NOW)
    assert run(tenant) == 1
    Conversation.objects.filter(pk=asked.pk).update(**fields)
    assert move_from_the_silent(tenant_id=tenant.pk, now=NOW + timedelta(minutes=70)) == 0  # there is no one else
    other = make_agent(tenant, at=NOW, present_until=NOW + timedelta(hours=9))
    assert move_from_the_silent(tenant_id=tenant.pk, now=NOW + timedelta(minutes=minutes)) == moves
    assert (holder(asked), loads(silent, other)) == ((other, [0, 1]) if moves else (silent, [1, 0]))


def test_what_no_other_agent_can_take_does_not_keep_a_sweep_from_what_one_can(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moving, "MAX_AT_ONCE", 1)
    languages: dict[str, Any] = {"languages": ["de", "en"], "present_until": NOW + timedelta(hours=9)}
    silent = make_agent(tenant, at=NOW, **languages)
    german, english = make_waiting(tenant, at=NOW, language="de"), make_waiting(tenant, at=NOW + timedelta(seconds=1), language="en")
    assert run(tenant) == 2
    make_agent(tenant, at=NOW, **{**languages, "languages": ["de"]}, presence="offline")
    other = make_agent(tenant, at=NOW, **{**languages, "languages": ["en"]})
    later = NOW + timedelta(minutes=70)
    assert [move_from_the_silent(tenant_id=tenant.pk, now=later) for _time in range(3)] == [1, 0, 0]
    assert (holder(german), holder(english)) == (silent, other)


def test_that_no_one_has_room_is_found_out_once_for_all_that_wait(tenant: Tenant) -> None:
    silent, later = make_agent(tenant, at=NOW, capacity=9, languages=["en"]), NOW + timedelta(minutes=5)
    for _ in range(4):
        make_waiting(tenant, at=NOW, language="en")
    assert run(tenant) == 4
    make_agent(tenant, at=NOW, capacity=1, load=1)
    make_agent(tenant, at=NOW, languages=["zh"])  # there, and can't take them
    with CaptureQueriesContext(connection) as asked:
        assert move_from_the_silent(tenant_id=tenant.pk, now=later) == 0
    assert len(asked) <= 3
    other = make_agent(tenant, at=NOW, capacity=2, languages=["en"])
    assert move_from_the_silent(tenant_id=tenant.pk, now=later) == 2
    assert loads(silent, other) == [2, 2]


@pytest.mark.parametrize("is_automatic", [True, False])
def test_what_an_agent_had_whose_user_is_deleted_waits_again_or_can_be_taken(tenant: Tenant, is_automatic: bool) -> None:
    gone, other = make_agent(tenant, at=NOW), make_agent(tenant, at=NOW, presence="offline")
    waits, answered = make_waiting(tenant, at=NOW), make_waiting(tenant, at=NOW)
    for asked in (waits, answered):
        holding.claim(conversation=asked, agent=gone, by=TESTER, now=NOW)
    Conversation.objects.filter(pk=answered.pk).update(unanswered_since=None)
    people.delete_user(user=gone.user, by=TESTER)
    with assignment.set(is_automatic=is_automatic):
        assert queue_of_the_absent(tenant_id=tenant.pk, now=NOW) == 1
    waits.refresh_from_db()
    assert (waits.status, waits.agent) == (ConversationStatus.QUEUED, None)
    holding.claim(conversation=answered, agent=other, by=TESTER, now=NOW)
    assert (holder(answered), loads(other)) == (other, [1])


def test_what_was_claimed_stays_with_a_silent_agent(tenant: Tenant) -> None:
    agent, _other = make_agent(tenant, at=NOW), make_agent(tenant, at=NOW)
    asked = make_waiting(tenant, at=NOW)
    holding.claim(conversation=asked, agent=agent, by=TESTER, now=NOW)
    assert move_from_the_silent(tenant_id=tenant.pk, now=NOW + timedelta(minutes=50)) == 0
    assert holder(asked) == agent


def test_going_offline_gives_away_what_waits_for_an_answer_and_coming_online_gets_it(
    tenant: Tenant, django_capture_on_commit_callbacks: Any
) -> None:
    leaving, coming = make_agent(tenant, at=NOW), make_agent(tenant, at=NOW, presence="offline")
    asked, answered = make_waiting(tenant, at=NOW), make_waiting(tenant, at=NOW)
    assert run(tenant) == 2
    Conversation.objects.filter(pk=answered.pk).update(unanswered_since=None)
    with django_capture_on_commit_callbacks(execute=True):
        attendance.set_presence(agent=leaving, presence=Presence.OFFLINE, by=TESTER, now=NOW)
    assert (holder(asked), holder(answered), loads(leaving)) == (None, leaving, [1])
    with django_capture_on_commit_callbacks(execute=True):
        attendance.set_presence(agent=coming, presence=Presence.ONLINE, by=TESTER, now=NOW)
    assert holder(asked) == coming
    Conversation.objects.filter(pk=answered.pk).update(unanswered_since=NOW)  # the customer writes again
    assert queue_of_the_absent(tenant_id=tenant.pk, now=NOW) == 1
    assert [entry.detail["to"] for entry in AuditEntry.objects.order_by("pk")] == ["offline", "online"]


def test_presence_lasts_as_long_as_desk_or_phone_show_a_sign_and_a_break_ends_by_itself(tenant: Tenant) -> None:
    agent = make_agent(tenant, at=NOW, presence="offline", present_until=None)

    def at(seconds: float) -> Presence:
        return presence.state(Agent.objects.get(pk=agent.pk), now=NOW + timedelta(seconds=seconds))

    def beat(sign: Sign, seconds: float = 0) -> Presence:
        return attendance.beat(agent_id=agent.pk, tenant_id=tenant.pk, sign=sign, now=NOW + timedelta(seconds=seconds))

    assert beat(Sign.DESK) == Presence.OFFLINE  # a sign does not undo what the agent chose
    attendance.set_presence(agent=agent, presence=Presence.ONLINE, by=TESTER, now=NOW, sign=Sign.DESK)
    assert (at(44), at(46)) == (Presence.ONLINE, Presence.OFFLINE)
    assert beat(Sign.PHONE) == Presence.ONLINE
    assert beat(Sign.DESK, 30) == Presence.ONLINE
    assert (at(899), at(901)) == (Presence.ONLINE, Presence.OFFLINE)
    attendance.set_presence(
        agent=agent, presence=Presence.BREAK, by=TESTER, now=NOW, break_until=NOW + timedelta(minutes=5), sign=Sign.PHONE
    )
    assert (at(299), at(300)) == (Presence.BREAK, Presence.ONLINE)
    with pytest.raises(Invalid):
        attendance.set_presence(agent=agent, presence=Presence.BREAK, by=TESTER, now=NOW, break_until=NOW)


def test_an_agent_who_shows_a_sign_again_gets_what_waits_at_once(tenant: Tenant) -> None:
    agent = make_agent(tenant, at=NOW, present_until=NOW - timedelta(minutes=1))
    asked = make_waiting(tenant, at=NOW)
    attendance.beat(agent_id=agent.pk, tenant_id=tenant.pk, sign=Sign.DESK, now=NOW)
    assert holder(asked) == agent


def test_reconciling_corrects_loads_and_spans_that_do_not_match_what_agents_hold(tenant: Tenant) -> None:
    right, wrong = make_agent(tenant, at=NOW, capacity=1), make_agent(tenant, at=NOW, load=7, presence="offline")
    asked = make_waiting(tenant, at=NOW)
    ended = make_waiting(tenant, at=NOW, status=ConversationStatus.RESOLVED)
    Span.objects.create(tenant=tenant, conversation=ended, agent=wrong, cause="rule", started_at=NOW)
    reopened = make_waiting(tenant, at=NOW, status=ConversationStatus.ASSIGNED, agent=wrong, assigned_at=NOW)
    assert run(tenant) == 1
    assert sweeping.reconcile(now=NOW) == 3
    assert sweeping.reconcile(now=NOW) == 0
    assert (holder(asked), loads(right, wrong)) == (right, [1, 1])
    assert Span.objects.get(ended_at=None, agent=wrong).conversation == reopened


def test_the_sweep_finds_what_no_call_has_assigned(tenant: Tenant) -> None:
    assert not sweeping.does_anyone_wait()
    asked, agent = make_waiting(tenant, at=NOW), make_agent(tenant, at=NOW)
    assert sweeping.does_anyone_wait()
    assert sweeping.sweep(now=NOW) == 1
    assert holder(asked) == agent
    assert Span.objects.get().cause == AssignmentCause.RULE


@pytest.mark.parametrize("next_one", ["rule", "claim", "silence"])
def test_spans_of_a_conversation_never_overlap_however_late_a_clock_is(tenant: Tenant, next_one: str) -> None:
    first, second = make_agent(tenant, at=NOW, capacity=1), make_agent(tenant, at=NOW, capacity=1, is_active=False)
    asked = make_waiting(tenant, at=NOW)
    ahead = NOW + timedelta(minutes=5)
    holding.claim(conversation=asked, agent=first, by=TESTER, now=ahead)
    Agent.objects.filter(pk=second.pk).update(is_active=True)
    if next_one == "silence":
        Span.objects.update(cause=AssignmentCause.RULE)
        Conversation.objects.filter(pk=asked.pk).update(assigned_at=NOW - timedelta(hours=1), unanswered_since=NOW - timedelta(hours=1))
        assert move_from_the_silent(tenant_id=tenant.pk, now=NOW) == 1
    else:
        Agent.objects.filter(pk=first.pk).update(presence=Presence.OFFLINE, present_until=None)
        assert queue_of_the_absent(tenant_id=tenant.pk, now=NOW) == 1
        if next_one == "claim":
            holding.claim(conversation=asked, agent=second, by=TESTER, now=NOW)
        else:
            assert run(tenant) == 1
    before, after = Span.objects.get(agent=first), Span.objects.get(agent=second)
    assert before.ended_at is not None
    assert after.ended_at is None
    assert ahead <= before.started_at <= before.ended_at <= after.started_at
