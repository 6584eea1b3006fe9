"""What happens to tickets when customers and agents write, and conversations move."""

from datetime import timedelta

import pytest

from accounts.models import Tenant
from accounts.services.audit import Actor
from routing.assignment import holding
from routing.configuration import service_levels
from routing.conversations import hooks, lines, resolving
from routing.conversations.hooks import Received
from routing.conversations.replies import Author, reply
from routing.models import AuthorKind, Conversation, Ticket, TicketEvent
from routing.tickets import hooks as ticket_hooks
from routing.tickets import merging, progress, reactions
from tests.builders import TESTER
from tests.routing.assignment.builders import make_agent, make_group
from tests.routing.conversations.builders import make_asked
from tests.routing.tickets.builders import LATER, NOW, make_ticket, make_type

pytestmark = [pytest.mark.django_db, pytest.mark.both_stacks]


def customer_writes(conversation: Conversation, *, at: object = LATER) -> None:
    line, _made = lines.append(conversation, author=AuthorKind.CUSTOMER, text="Well?", now=LATER)
    hooks.tell_received([Received(conversation, line, False)], now=at)  # type: ignore[arg-type]


def status_of(ticket: Ticket) -> str:
    return Ticket.objects.get(pk=ticket.pk).status


def test_a_customers_text_takes_up_what_waited_for_it_and_leaves_what_is_on_hold(tenant: Tenant) -> None:
    talk, agent = make_asked(tenant), make_agent(tenant, at=NOW)
    kind, order = make_type(tenant), make_type(tenant, kind="work_order")
    waiting, alone = (
        make_ticket(tenant, kind, conversation=talk, agent=agent, status="waiting"),
        make_ticket(tenant, kind, conversation=talk, status="waiting"),
    )
    held, work = (
        make_ticket(tenant, kind, conversation=talk, status="on_hold"),
        make_ticket(tenant, order, conversation=talk, status="waiting"),
    )
    customer_writes(talk)
    assert [status_of(one) for one in (waiting, alone, held, work)] == ["in_progress", "queued", "on_hold", "waiting"]
    assert TicketEvent.objects.filter(ticket=waiting).latest("pk").actor == "recipient"


def test_a_customers_text_reopens_the_ticket_that_was_resolved_last_if_none_is_open(tenant: Tenant) -> None:
    talk, agent, kind = make_asked(tenant), make_agent(tenant, at=NOW), make_type(tenant)
    older, newer = (make_ticket(tenant, kind, conversation=talk, agent=agent) for _ in range(2))
    for number, ticket in enumerate((older, newer)):
        progress.resolve(ticket=ticket, by=TESTER, now=NOW + timedelta(minutes=number))
    customer_writes(talk)
    customer_writes(talk)
    assert [status_of(one) for one in (older, newer)] == ["resolved", "assigned"]
    progress.resolve(ticket=newer, by=TESTER, now=NOW)
    customer_writes(talk, at=NOW + timedelta(days=service_levels.of(tenant.pk).reopen_days, seconds=61))
    assert [status_of(one) for one in (older, newer)] == ["resolved", "resolved"]


def test_a_text_takes_up_the_tickets_of_conversations_that_were_merged_into_its_own(tenant: Tenant) -> None:
    kept, merged, agent = make_asked(tenant), make_asked(tenant), make_agent(tenant, at=NOW)
    waiting = make_ticket(tenant, conversation=merged, agent=agent, status="waiting")
    resolved = make_ticket(tenant, conversation=kept, agent=agent, status="resolved")
    Conversation.objects.filter(pk=merged.pk).update(merged_into=kept, status="closed")
    customer_writes(kept)
    assert [status_of(one) for one in (waiting, resolved)] == ["in_progress", "resolved"], "it is about the one that is open"
    untaken = make_ticket(tenant, conversation=merged)
    reply(conversation=kept, author=Author(agent=agent), text="It is on its way.", by=TESTER, now=LATER)
    assert status_of(untaken) == "in_progress"


def test_a_customers_text_in_the_conversation_of_a_merged_ticket_reaches_the_one_that_goes_on(tenant: Tenant) -> None:
    talk, kind = make_asked(tenant), make_type(tenant)
    merged, target = make_ticket(tenant, kind, conversation=talk), make_ticket(tenant, kind, agent=make_agent(tenant, at=NOW))
    merging.merge(ticket=merged, into=target, by=TESTER, now=NOW)
    progress.wait(ticket=target, by=TESTER, now=NOW)
    customer_writes(talk)
    assert [status_of(one) for one in (merged, target)] == ["merged", "in_progress"]


def test_an_agents_first_answer_puts_their_tickets_in_progress_and_a_bots_moves_none(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[list[int]] = []
    monkeypatch.setattr(ticket_hooks.on_answered, "reactions", [lambda rows, now: told.append([row.number for row in rows])])
    talk, ada, bob, kind = make_asked(tenant), make_agent(tenant, at=NOW), make_agent(tenant, at=NOW), make_type(tenant)
    own, free = make_ticket(tenant, kind, conversation=talk, agent=ada), make_ticket(tenant, kind, conversation=talk)
    others = make_ticket(tenant, kind, conversation=talk, agent=bob)
    reply(conversation=talk, author=Author(), text="A bot says", by=TESTER, now=LATER)
    assert (status_of(own), told) == ("assigned", [])
    reply(conversation=talk, author=Author(agent=ada), text="Hello", by=Actor.of_user(ada.user), now=LATER)
    assert [status_of(one) for one in (own, free, others)] == ["in_progress", "in_progress", "assigned"]
    assert Ticket.objects.get(pk=free.pk).agent == ada
    assert told == [[own.number, free.number, others.number]]


def test_a_ticket_that_follows_to_an_agent_of_another_group_is_of_that_group(tenant: Tenant) -> None:
    group, repair = make_group(tenant, at=NOW), make_group(tenant, "repair", at=NOW)
    talk = make_asked(tenant)
    Conversation.objects.filter(pk=talk.pk).update(status="queued", group=group, queued_at=NOW, group_since=NOW)
    talk.refresh_from_db()
    free = make_ticket(tenant, conversation=talk)
    holding.claim(conversation=talk, agent=make_agent(tenant, repair, at=NOW), by=TESTER, now=LATER)
    row = Ticket.objects.get(pk=free.pk)
    assert (row.status, row.group) == ("assigned", repair)


def test_tickets_that_no_agent_has_taken_up_follow_their_conversation(tenant: Tenant) -> None:
    group, repair = make_group(tenant, at=NOW), make_group(tenant, "repair", at=NOW)
    agent = make_agent(tenant, group, at=NOW)
    talk = make_asked(tenant)
    Conversation.objects.filter(pk=talk.pk).update(status="queued", group=group, queued_at=NOW, group_since=NOW)
    free, elsewhere = make_ticket(tenant, conversation=talk), make_ticket(tenant, make_type(tenant, group=repair), conversation=talk)
    Ticket.objects.filter(pk=free.pk).update(status="new", group=None)
    talk.refresh_from_db()
    holding.claim(conversation=talk, agent=agent, by=TESTER, now=LATER)
    row = Ticket.objects.get(pk=free.pk)
    assert (row.status, row.agent, row.group, status_of(elsewhere)) == ("assigned", agent, group, "queued")
    resolving.resolve(conversation=talk, by=TESTER, now=LATER)
    assert status_of(free) == "assigned"


def test_a_conversation_without_tickets_costs_one_query(tenant: Tenant, django_assert_num_queries: object) -> None:
    talk = make_asked(tenant)
    line, _made = lines.append(talk, author=AuthorKind.CUSTOMER, text="Well?", now=LATER)
    with django_assert_num_queries(1):  # type: ignore[operator]
        reactions.customers_wrote([Received(talk, line, False)] * 3, LATER)
