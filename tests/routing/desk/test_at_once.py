"""Two agents do something with one conversation at the same moment: one is refused or both are done, and what is stored fits together."""

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import Tenant
from messaging.models import Message
from posthaste.lib.problems import Problem
from routing.assignment import attendance, holding
from routing.conversations import resolving
from routing.desk import answering, merging, states
from routing.models import Agent, Assignment, Conversation, ConversationStatus, Line, Presence
from tests.builders import TESTER
from tests.crowds import at_once
from tests.routing.assignment.builders import make_agent, make_group
from tests.routing.desk.builders import ask

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_stacks]

Do = Callable[[Conversation, Conversation, Agent, Agent], Any]


def given() -> dict[str, Any]:
    return {"by": TESTER, "now": timezone.now()}


DONE: dict[str, Do] = {
    "reply": lambda row, _other, agent, _second: answering.reply(conversation=row, agent=agent, text="Yes", seen_seq=1, **given()),
    "transfer": lambda row, _other, _agent, second: holding.transfer(conversation=row, agent=second, **given()),
    "release": lambda row, _other, _agent, _second: holding.release(conversation=row, **given()),
    "resolve": lambda row, _other, _agent, _second: resolving.resolve(conversation=row, **given()),
    "close": lambda row, _other, _agent, _second: states.close(conversation=row, **given()),
    "spam": lambda row, _other, _agent, _second: states.mark_as_spam(conversation=row, **given()),
    "reopen": lambda row, _other, agent, _second: states.reopen(conversation=row, agent=agent, **given()),
    "merge": lambda row, other, _agent, _second: merging.merge(conversation=row, into=other, **given()),
    "take in": lambda row, other, _agent, _second: merging.merge(conversation=other, into=row, **given()),
    "leave": lambda _row, _other, agent, _second: attendance.set_presence(agent=agent, presence=Presence.OFFLINE, **given()),
}


def tried(do: Do, *rows: Any) -> str:
    try:
        do(*rows)
    except Problem as problem:
        return problem.code
    return ""


def fits(tenant: Tenant) -> None:
    for agent in Agent.objects.filter(tenant=tenant):
        spans = set(Assignment.objects.filter(agent=agent, ended_at=None).values_list("conversation", flat=True))
        held = set(Conversation.objects.filter(agent=agent, status=ConversationStatus.ASSIGNED).values_list("pk", flat=True))
        assert (spans, agent.load) == (held, len(held))
    for row in Conversation.objects.filter(tenant=tenant):
        is_over = row.status in states.ENDED
        assert (row.resolved_at is not None) == is_over, row.status
        assert row.merged_into is None or row.status == ConversationStatus.CLOSED
        assert list(Line.objects.filter(conversation=row).order_by("seq").values_list("seq", flat=True)) == list(range(1, row.last_seq + 1))
        assert row.queued_at is None or row.status in ("queued", "assigned", "bot"), row.status
    replies = Line.objects.filter(author="agent", conversation__tenant=tenant)
    assert replies.count() == Message.objects.filter(tenant=tenant).count() <= 2


@pytest.mark.parametrize(
    "pair",
    [
        ("reply", "reply"), ("reply", "merge"), ("merge", "take in"), ("transfer", "resolve"), ("transfer", "leave"), ("release", "close"),
        ("spam", "merge"), ("resolve", "reopen"),
    ],
    ids=" and ".join,
)  # fmt: skip
def test_two_agents_do_something_at_once(tenant: Tenant, pair: tuple[str, str]) -> None:
    now = timezone.now()
    group = make_group(tenant, at=now)
    mei, tom = (make_agent(tenant, group, at=now) for _number in range(2))
    row = ask(tenant, group)
    other = ask(tenant, group, customer=row.customer)
    answering.claim(conversation=row, agent=mei, by=TESTER, now=now)
    seen = Conversation.objects.get(pk=row.pk)
    at_once(lambda: tried(DONE[pair[0]], row, other, mei, tom), lambda: tried(DONE[pair[1]], seen, other, tom, mei))
    fits(tenant)
