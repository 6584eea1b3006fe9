"""Opening tickets: numbers, places, forms, follow-ups, work orders."""

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from typing import Any

import pytest
from django.db import connection

from accounts.models import Tenant
from posthaste.env import ROOT
from posthaste.lib.problems import Invalid, NotFound
from routing.models import ChecklistItem, Ticket, TicketKind, TicketLink, TicketType
from routing.tickets import hooks, opening, progress
from routing.tickets.opening import NewTicket, StillOpen, follow_up, open_from_portal, open_ticket, open_work_order
from tests.builders import TESTER, make_tenant
from tests.routing.assignment.builders import make_agent, make_group, make_waiting
from tests.routing.builders import make_customer
from tests.routing.tickets.builders import LATER, NOW, kinds_of, make_ticket, make_type

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_stacks]
#: Opens a ticket, and is killed before the commit.
DIES = """
import os, signal, sys
import django
django.setup()
from django.utils import timezone
from accounts.services.audit import Actor
from routing.models import TicketType
from routing.tickets import hooks, opening
hooks.on_opened(lambda ticket, now: os.kill(os.getpid(), signal.SIGKILL))
kind = TicketType.objects.get(pk=sys.argv[1])
new = opening.NewTicket(type=kind, subject="Lost")
opening.open_ticket(tenant_id=kind.tenant_id, new=new, by=Actor.system("test"), now=timezone.now())
"""


def numbers_of(tenant: Tenant) -> list[int]:
    return list(Ticket.objects.filter(tenant=tenant).order_by("number").values_list("number", flat=True))


def test_tickets_that_are_opened_at_once_have_numbers_without_gaps(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = make_type(tenant)

    def refuse(ticket: Ticket, _now: object) -> None:
        if ticket.subject == "Refused":
            raise Invalid

    monkeypatch.setattr(hooks.on_opened, "reactions", [refuse])

    def open_some() -> None:
        try:
            for n in range(4):
                new = NewTicket(type=kind, subject="Refused" if n == 2 else "A lamp")
                with suppress(Invalid):
                    open_ticket(tenant_id=tenant.pk, new=new, by=TESTER, now=NOW)
        finally:
            connection.close()

    threads = [threading.Thread(target=open_some) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert numbers_of(tenant) == list(range(1, 13))
    assert make_ticket(make_tenant()).number == 1


def test_what_dies_before_the_commit_leaves_no_ticket_and_no_gap(tenant: Tenant) -> None:
    kind = make_type(tenant)
    make_ticket(tenant, kind)
    done = subprocess.run([sys.executable, "-c", DIES, str(kind.pk)], cwd=ROOT, env=_environment(), capture_output=True, timeout=120)
    assert done.returncode == -signal.SIGKILL, done.stderr
    make_ticket(tenant, kind)
    assert numbers_of(tenant) == [1, 2]


def _environment() -> dict[str, str]:
    """Return the environment of a process that works on the test's database."""
    own: dict[str, Any] = connection.settings_dict
    if connection.vendor == "sqlite":
        url = f"sqlite:///{own['NAME']}"
    else:
        url = f"postgresql://{own['USER']}@{own['HOST']}:{own['PORT']}/{own['NAME']}"
    return {**os.environ, "DJANGO_SETTINGS_MODULE": "posthaste.settings", "DATABASE_URL": url}


def test_a_ticket_goes_to_those_who_are_named_then_its_types_group_then_its_conversations_agent(tenant: Tenant) -> None:
    group, other = make_group(tenant, at=NOW), make_group(tenant, "repair", at=NOW)
    agent = make_agent(tenant, group, at=NOW)
    talk = make_waiting(tenant, group, at=NOW, status="assigned", agent=agent)
    plain, with_group = make_type(tenant), make_type(tenant, group=other)
    assert [
        (ticket.status, ticket.group, ticket.agent, ticket.customer_id)
        for ticket in (
            make_ticket(tenant, plain),
            make_ticket(tenant, plain, conversation=talk),
            make_ticket(tenant, with_group, conversation=talk),
            make_ticket(tenant, with_group, agent=agent),
        )
    ] == [
        ("new", None, None, None),
        ("assigned", group, agent, talk.customer_id),
        ("queued", other, None, talk.customer_id),
        ("assigned", group, agent, None),
    ]


def test_a_new_ticket_has_the_priority_and_the_checklist_of_its_type(tenant: Tenant) -> None:
    kind = make_type(tenant, priority="high", checklist=["Ask for a photo", "Send the label"])
    ticket = make_ticket(tenant, kind, tags=["vip", "lamp", "vip"])
    assert (ticket.priority, kinds_of(ticket)) == ("high", ["opened"])
    assert [item.text for item in ChecklistItem.objects.filter(ticket=ticket)] == ["Ask for a photo", "Send the label"]
    assert sorted(ticket.tags.values_list("name", flat=True)) == ["lamp", "vip"]


def test_everything_that_is_wrong_with_a_new_ticket_is_named(tenant: Tenant) -> None:
    kind = make_type(tenant, is_active=False)
    customer, talk = make_customer(tenant), make_waiting(tenant, at=NOW)
    new = NewTicket(type=kind, subject=" ", priority="soon", customer=customer, conversation=talk)
    with pytest.raises(Invalid) as wrong:
        open_ticket(tenant_id=tenant.pk, new=new, by=TESTER, now=NOW)
    assert [error["field"] for error in wrong.value.errors] == ["type", "subject", "priority", "conversation"]


def test_nothing_of_another_tenant_is_named_by_a_ticket(tenant: Tenant) -> None:
    other, kind = make_tenant(), make_type(tenant)
    for given in ({"customer": make_customer(other)}, {"group": make_group(other, at=NOW)}, {"agent": make_agent(other, at=NOW)}):
        with pytest.raises(NotFound):
            make_ticket(tenant, kind, **given)
    with pytest.raises(NotFound):
        make_ticket(tenant, make_type(other))


def test_the_portal_opens_only_what_it_offers(tenant: Tenant) -> None:
    fields = [{"key": "order", "kind": "order", "label": "Order", "is_public": True}, {"key": "cost", "kind": "number", "label": "Cost"}]
    kind, hidden = make_type(tenant, is_public=True, fields=fields), make_type(tenant)
    given: dict[str, Any] = {"tenant_id": tenant.pk, "customer": make_customer(tenant), "description": "", "now": NOW}
    ticket = open_from_portal(kind=kind, subject="Broken", fields={"order": "A-1042"}, **given)
    assert (ticket.fields, ticket.opened_by) == ({"order": "A-1042"}, "recipient")
    with pytest.raises(NotFound):
        open_from_portal(kind=hidden, subject="Broken", fields={}, **given)
    with pytest.raises(Invalid):
        open_from_portal(kind=kind, subject="Broken", fields={"cost": 5}, **given)


def test_a_follow_up_comes_after_a_ticket_that_is_over_and_only_once(tenant: Tenant) -> None:
    kind = make_type(tenant, fields=[{"key": "order", "kind": "order", "label": "Order"}])
    ticket = make_ticket(tenant, kind, fields={"order": "A-1"}, tags=["vip"])
    with pytest.raises(StillOpen):
        follow_up(ticket=ticket, by=TESTER, now=LATER)
    progress.resolve(ticket=ticket, by=TESTER, now=LATER)
    TicketType.objects.filter(pk=kind.pk).update(fields=[{"key": "why", "kind": "text", "label": "Why", "required": "open"}])
    ticket.refresh_from_db()
    first = follow_up(ticket=ticket, by=TESTER, now=LATER)
    assert follow_up(ticket=ticket, by=TESTER, now=LATER) == first
    assert TicketLink.objects.get(ticket=first).other == ticket
    assert (first.number, first.subject, [tag.name for tag in first.tags.all()]) == (2, ticket.subject, ["vip"])


def test_a_ticket_waits_for_its_work_orders_unless_it_is_forced(tenant: Tenant) -> None:
    warehouse = make_group(tenant, "warehouse", at=NOW)
    order_type = make_type(tenant, kind=TicketKind.WORK_ORDER, group=warehouse)
    parent = make_ticket(tenant, customer=make_customer(tenant))
    with pytest.raises(Invalid):
        open_work_order(parent=parent, new=NewTicket(type=parent.type, subject="Pack a lamp"), by=TESTER, now=NOW)
    order = open_work_order(parent=parent, new=NewTicket(type=order_type, subject="Pack a lamp"), by=TESTER, now=NOW)
    assert (order.status, order.group, order.customer) == ("queued", warehouse, parent.customer)
    with pytest.raises(progress.NotDone) as refused:
        progress.resolve(ticket=parent, by=TESTER, now=LATER)
    assert refused.value.extra["work_orders"] == [f"#{order.number}"]
    progress.resolve(ticket=order, by=TESTER, now=LATER)
    progress.resolve(ticket=parent, by=TESTER, now=LATER)
    assert kinds_of(parent) == ["opened", "work_order", "work_order_moved", "moved"]
    other = make_ticket(tenant)
    opening.open_work_order(parent=other, new=NewTicket(type=order_type, subject="Pack"), by=TESTER, now=NOW)
    assert progress.resolve(ticket=other, force=True, by=TESTER, now=LATER).status == "resolved"
