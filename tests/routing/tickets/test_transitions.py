"""The table of moves, and the one function that makes them."""

from itertools import product

import pytest

from accounts.models import AuditEntry, Tenant
from posthaste.env import ROOT
from routing.models import OPEN_TICKETS, Ticket, TicketEvent, TicketStatus
from routing.tickets import hooks, progress
from routing.tickets.storing import TicketChanged, lock, update
from routing.tickets.transitions import NEEDS_AGENT, TABLE, MoveRefused, is_possible, may_follow, move
from tests.builders import TESTER
from tests.routing.assignment.builders import make_agent
from tests.routing.tickets.builders import LATER, NOW, kinds_of, make_ticket

pytestmark = [pytest.mark.django_db, pytest.mark.both_stacks]


def test_every_pair_of_states_is_a_move_or_a_refusal_that_says_what_is_possible(tenant: Tenant) -> None:
    ticket, agent = make_ticket(tenant), make_agent(tenant, at=NOW)
    for before, to in product(TicketStatus, TicketStatus):
        Ticket.objects.filter(pk=ticket.pk).update(status=before, agent=agent)
        row = lock(ticket.pk, tenant_id=tenant.pk)
        if to in TABLE[before]:
            move(row, to=to, by=TESTER, now=LATER)
            assert (row.status, row.version) == (to, Ticket.objects.get(pk=ticket.pk).version)
        else:
            with pytest.raises(MoveRefused) as refused:
                move(row, to=to, by=TESTER, now=LATER)
            assert refused.value.extra["possible"] == [str(one) for one in may_follow(before)]
            assert str(before.label) in str(refused.value.detail)
            assert Ticket.objects.get(pk=ticket.pk).status == before
    assert set(TABLE) == set(TicketStatus)


def test_only_open_tickets_are_merged_or_spam_and_what_is_closed_stays_closed() -> None:
    for status in TicketStatus:
        assert is_possible(status, "merged") == is_possible(status, "spam") == (status in OPEN_TICKETS)
    assert may_follow("closed") == []


def test_what_an_agent_has_to_have_is_refused_without_one(tenant: Tenant) -> None:
    for to in NEEDS_AGENT:
        with pytest.raises(MoveRefused, match="Assign it first"):
            move(lock(make_ticket(tenant).pk, tenant_id=tenant.pk), to=to, by=TESTER, now=LATER)


def test_a_move_is_written_down_and_told_in_its_transaction(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, str]] = []
    monkeypatch.setattr(hooks.on_moved, "reactions", [lambda ticket, before, now: told.append((before, ticket.status))])
    ticket = make_ticket(tenant)
    progress.hold(ticket=ticket, by=TESTER, now=LATER)
    progress.resolve(ticket=ticket, by=TESTER, now=LATER)
    progress.close(ticket=ticket, by=TESTER, now=LATER)
    assert told == [("new", "on_hold"), ("on_hold", "resolved"), ("resolved", "closed")]
    assert kinds_of(ticket) == ["opened", "moved", "moved", "moved"]
    event = TicketEvent.objects.filter(ticket=ticket).latest("pk")
    assert (event.actor, event.data["changes"], event.at) == ("user:tester", {"status": ["resolved", "closed"]}, LATER)
    entries = AuditEntry.objects.filter(action="ticket.move")
    assert [entry.detail["to"] for entry in entries.order_by("pk")] == ["on_hold", "resolved", "closed"]
    row = Ticket.objects.get(pk=ticket.pk)
    assert (row.version, row.resolved_at, row.closed_at) == (3, LATER, LATER)


def test_an_update_of_an_older_row_changes_nothing(tenant: Tenant) -> None:
    ticket = make_ticket(tenant)
    stale = Ticket.objects.get(pk=ticket.pk)
    update(ticket, now=LATER, subject="First")
    with pytest.raises(TicketChanged):
        update(stale, now=LATER, subject="Second")
    assert Ticket.objects.get(pk=ticket.pk).subject == "First"


def test_the_documented_table_is_the_table_of_the_code() -> None:
    rows = [f"| `{status}` | {', '.join(f'`{one}`' for one in may_follow(status)) or '–'} |" for status in TicketStatus]
    assert "\n".join(rows) in (ROOT / "docs/tickets.md").read_text()
