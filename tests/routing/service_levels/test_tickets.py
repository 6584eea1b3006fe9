"""Clocks of tickets."""

from datetime import UTC, date, datetime, timedelta

import pytest

from accounts.models import Tenant
from routing.configuration import service_levels
from routing.models import ClockSignal, Ticket
from routing.service_levels import sweeping, tickets
from routing.service_levels.selectors import most_urgent_of_tickets
from tests.routing.builders import make_customer
from tests.routing.service_levels.builders import NOW, clocks_of, make_talk, make_ticket, make_type, states_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_stacks]
HOUR = timedelta(hours=1)


def moved(ticket: Ticket, status: str, *, at: datetime) -> None:
    before, ticket.status = ticket.status, status
    ticket.save()
    tickets.ticket_moved(ticket, before, at)


def test_a_customers_ticket_waits_for_an_answer_one_out_of_a_conversation_does_not(tenant: Tenant) -> None:
    asked = make_ticket(tenant, customer=make_customer(tenant))
    talk = make_talk(tenant)
    noted = make_ticket(tenant, customer=talk.customer, conversation=talk)
    for ticket in (asked, noted):
        tickets.ticket_opened(ticket, NOW)
    assert states_of(asked) == {"first_response": "running", "resolution": "running"}
    assert states_of(noted) == {"resolution": "running"}
    assert most_urgent_of_tickets([asked.pk])[asked.pk].metric == "first_response"
    tickets.ticket_answered(asked, NOW + HOUR)
    tickets.customer_asked([asked, noted], NOW + 2 * HOUR)
    assert states_of(asked) == {"first_response": "met", "next_response": "running", "resolution": "running"}
    assert states_of(noted) == {"resolution": "running"}


def test_clocks_stand_still_while_a_ticket_waits_and_go_on_when_it_is_reopened(tenant: Tenant) -> None:
    ticket = make_ticket(tenant, priority="urgent")
    tickets.ticket_opened(ticket, NOW)
    assert clocks_of(ticket)["resolution"].due_at == NOW + 4 * HOUR
    moved(ticket, "waiting", at=NOW + HOUR)
    assert states_of(ticket) == {"resolution": "paused"}
    assert sweeping.sweep(now=NOW + 6 * HOUR) == 0
    moved(ticket, "in_progress", at=NOW + 2 * HOUR)
    assert clocks_of(ticket)["resolution"].due_at == NOW + 5 * HOUR
    moved(ticket, "resolved", at=NOW + 3 * HOUR)
    moved(ticket, "closed", at=NOW + 3 * HOUR)
    assert states_of(ticket) == {"resolution": "met"}
    moved(ticket, "in_progress", at=NOW + 4 * HOUR)
    assert clocks_of(ticket)["resolution"].due_at == NOW + 6 * HOUR


def test_a_clock_that_is_late_is_told_before_it_stands_still(tenant: Tenant) -> None:
    ticket = make_ticket(tenant, priority="urgent")
    tickets.ticket_opened(ticket, NOW)
    moved(ticket, "on_hold", at=NOW + 5 * HOUR)
    assert ClockSignal.objects.filter(kind="breach").count() == 1
    moved(ticket, "in_progress", at=NOW + 6 * HOUR)
    sweeping.sweep(now=NOW + 6 * HOUR)
    assert ClockSignal.objects.filter(kind="breach").count() == 1
    assert clocks_of(ticket)["resolution"].due_at == NOW + 4 * HOUR


def test_another_priority_or_type_has_another_target(tenant: Tenant) -> None:
    refund = make_type(tenant, name="refund")
    ticket = make_ticket(tenant)
    with service_levels.set(targets=[{}, {"type": "refund", "resolution_minutes": 120}]):
        tickets.ticket_opened(ticket, NOW)
        ticket.type = refund
        tickets.ticket_changed(ticket, ["type"], NOW)
    assert clocks_of(ticket)["resolution"].due_at == NOW + 2 * HOUR


def test_another_due_day_starts_a_clock_that_can_warn_again(tenant: Tenant) -> None:
    ticket = make_ticket(tenant, due_on=date(2026, 12, 1))
    tickets.ticket_opened(ticket, NOW)
    assert clocks_of(ticket)["due_day"].due_at == datetime(2026, 12, 1, 18, tzinfo=UTC)
    sweeping.sweep(now=NOW + 9 * HOUR)
    ticket.due_on = date(2026, 12, 2)
    tickets.ticket_changed(ticket, ["due_on"], NOW + 10 * HOUR)
    assert [clock.state for clock in ticket.clocks.filter(metric="due_day").order_by("pk")] == ["missed", "running"]
    assert clocks_of(ticket)["due_day"].due_at == datetime(2026, 12, 2, 18, tzinfo=UTC)
    moved(ticket, "waiting", at=NOW + 11 * HOUR)
    assert states_of(ticket) == {"resolution": "paused", "due_day": "running"}
    ticket.due_on = None
    tickets.ticket_changed(ticket, ["due_on"], NOW + 12 * HOUR)
    assert states_of(ticket)["due_day"] == "cancelled"
