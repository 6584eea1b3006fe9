"""Changing, transferring, merging, linking, watching, notes, checklists, closing."""

import threading
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from accounts.models import AuditEntry, Tenant
from accounts.services.audit import Actor
from posthaste.lib.problems import Conflict, Invalid, NotFound
from routing.configuration import service_levels
from routing.models import ChecklistItem, Note, Notice, Ticket, TicketEvent, TicketLink
from routing.tickets import changing, checklist, closing, finding, hooks, linking, merging, notes, progress
from routing.tickets.storing import TicketChanged, TicketOver
from routing.tickets.transitions import MoveRefused
from tests.builders import TESTER, make_tenant
from tests.routing.assignment.builders import make_agent, make_group
from tests.routing.tickets.builders import LATER, NOW, kinds_of, make_ticket, make_type

pytestmark = [pytest.mark.django_db, pytest.mark.both_stacks]


def test_a_change_keeps_what_was_there_in_the_history_and_no_text_in_the_audit_trail(tenant: Tenant) -> None:
    ticket = make_ticket(tenant, make_type(tenant, fields=[{"key": "order", "kind": "order", "label": "Order"}]), tags=["a"])
    values: Any = {"priority": "high", "subject": "Lamp", "fields": {"order": "A-1"}, "tags": ["b", "a"], "due_on": NOW.date()}
    row = changing.change(ticket=ticket, values=values, version=0, by=TESTER, now=LATER)
    assert changing.change(ticket=ticket, values=values, version=1, by=TESTER, now=LATER).version == row.version == 1
    event = TicketEvent.objects.get(ticket=ticket, kind="changed")
    assert event.data["changes"] == {
        "priority": ["normal", "high"],
        "subject": ["The lamp is broken", "Lamp"],
        "due_on": [None, "2026-11-27"],
        "fields.order": [None, "A-1"],
        "tags": [["a"], ["a", "b"]],
    }
    entry = AuditEntry.objects.get(action="ticket.change")
    assert entry.detail == {"number": 1, "fields": ["due_on", "fields.order", "priority", "subject", "tags"]}


def test_a_change_to_an_older_version_is_refused_and_says_what_changed(tenant: Tenant) -> None:
    ticket = make_ticket(tenant)
    changing.change(ticket=ticket, values={"priority": "high"}, version=0, by=TESTER, now=LATER)
    with pytest.raises(TicketChanged) as refused:
        changing.change(ticket=ticket, values={"priority": "low"}, version=0, by=TESTER, now=LATER)
    assert refused.value.extra["version"] == 1
    assert refused.value.extra["changes"][0]["changes"] == {"priority": ["normal", "high"]}
    assert Ticket.objects.get(pk=ticket.pk).priority == "high"


def test_what_is_closed_is_not_changed_any_more(tenant: Tenant) -> None:
    ticket = make_ticket(tenant, status="closed")
    with pytest.raises(TicketOver):
        changing.change(ticket=ticket, values={"priority": "high"}, by=TESTER, now=LATER)
    with pytest.raises(TicketOver):
        changing.assign(ticket=ticket, agent=make_agent(tenant, at=NOW), by=TESTER, now=LATER)


def test_who_gets_a_ticket_is_told_unless_they_took_it_themselves(tenant: Tenant) -> None:
    group, ada, bob = make_group(tenant, at=NOW), make_agent(tenant, at=NOW), make_agent(tenant, at=NOW)
    ticket = make_ticket(tenant)
    assert changing.assign(ticket=ticket, agent=ada, by=Actor.of_user(ada.user), now=LATER).status == "assigned"
    assert Notice.objects.count() == 0
    assert progress.begin(ticket=ticket, by=TESTER, now=LATER).status == "in_progress"
    row = changing.assign(ticket=ticket, agent=bob, by=TESTER, now=LATER)
    assert (row.status, row.agent) == ("assigned", bob)
    assert [(notice.agent, notice.kind) for notice in Notice.objects.all()] == [(bob, "assigned")]
    row = changing.assign(ticket=ticket, group=group, by=TESTER, now=LATER)
    assert (row.status, row.agent, row.group) == ("queued", None, group)
    with pytest.raises(NotFound):
        changing.assign(ticket=ticket, agent=make_agent(make_tenant(), at=NOW), by=TESTER, now=LATER)
    with pytest.raises(Invalid):
        changing.assign(ticket=ticket, agent=make_agent(tenant, at=NOW, is_active=False), by=TESTER, now=LATER)


def test_a_ticket_that_waits_keeps_waiting_when_another_agent_gets_it(tenant: Tenant) -> None:
    ticket = make_ticket(tenant, status="waiting")
    row = changing.assign(ticket=ticket, agent=make_agent(tenant, at=NOW), by=TESTER, now=LATER)
    assert (row.status, kinds_of(ticket)) == ("waiting", ["opened", "changed"])


def test_resolving_needs_the_checklist_the_fields_and_what_blocks_it(tenant: Tenant) -> None:
    fields = [{"key": "cause", "kind": "text", "label": "Cause", "required": "resolve"}]
    ticket, other = make_ticket(tenant, make_type(tenant, checklist=["Call back"], fields=fields)), make_ticket(tenant)
    linking.link(ticket=ticket, other=other, kind="blocked", by=TESTER, now=NOW)
    with pytest.raises(Invalid) as missing:
        progress.resolve(ticket=ticket, force=True, by=TESTER, now=LATER)
    assert missing.value.errors[0]["field"] == "fields.cause"
    changing.change(ticket=ticket, values={"fields": {"cause": "Shipping"}}, by=TESTER, now=LATER)
    with pytest.raises(progress.NotDone) as undone:
        progress.resolve(ticket=ticket, by=TESTER, now=LATER)
    assert undone.value.extra == {"checklist": ["Call back"], "work_orders": [], "blocked_by": [f"#{other.number}"]}
    item = ChecklistItem.objects.get(ticket=ticket)
    for _ in range(2):
        checklist.tick(ticket=ticket, item_id=item.pk, done=True, by=TESTER, now=LATER)
    progress.resolve(ticket=other, by=TESTER, now=LATER)
    assert progress.resolve(ticket=ticket, by=TESTER, now=LATER).status == "resolved"
    assert kinds_of(ticket).count("checked") == 1


def test_a_checklist_grows_and_shrinks_while_the_ticket_is_open(tenant: Tenant) -> None:
    ticket = make_ticket(tenant)
    item = checklist.add_item(ticket=ticket, text="Call back", by=TESTER, now=NOW)
    checklist.remove_item(ticket=ticket, item_id=item.pk, by=TESTER, now=NOW)
    with pytest.raises(NotFound):
        checklist.tick(ticket=ticket, item_id=item.pk, done=True, by=TESTER, now=NOW)
    with pytest.raises(Invalid):
        checklist.add_item(ticket=ticket, text="  ", by=TESTER, now=NOW)
    progress.resolve(ticket=ticket, by=TESTER, now=LATER)
    with pytest.raises(TicketOver):
        checklist.add_item(ticket=ticket, text="Too late", by=TESTER, now=NOW)


def test_a_resolved_ticket_reopens_within_the_window_and_is_closed_after_it(tenant: Tenant) -> None:
    agent = make_agent(tenant, at=NOW)
    ticket, old = make_ticket(tenant, agent=agent), make_ticket(tenant)
    progress.resolve(ticket=old, by=TESTER, now=NOW)
    progress.resolve(ticket=ticket, by=TESTER, now=NOW + timedelta(days=1))
    days = service_levels.of(tenant.pk).reopen_days
    edge = NOW + timedelta(days=days)
    assert progress.reopen(ticket=ticket, by=TESTER, now=edge).status == "assigned"
    with pytest.raises(progress.TooLate):
        progress.reopen(ticket=old, by=TESTER, now=edge)
    assert closing.close_due(now=edge - timedelta(seconds=1)) == 0
    assert closing.close_due(now=edge) == 1
    assert closing.close_due(now=edge) == 0
    assert Ticket.objects.get(pk=old.pk).status == "closed"
    assert not AuditEntry.objects.filter(actor="system:tickets.close").exists()


def test_a_ticket_that_can_not_be_closed_holds_up_no_other(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    bad, good = make_ticket(tenant), make_ticket(tenant)
    for ticket in (bad, good):
        progress.resolve(ticket=ticket, by=TESTER, now=NOW)

    def fail(ticket: Ticket, _before: str, _now: datetime) -> None:
        if ticket.pk == bad.pk:
            raise ValueError("a part above that can't cope with this one")

    monkeypatch.setattr(hooks.on_moved, "reactions", [fail])
    monkeypatch.setattr(closing, "MAX_AT_ONCE", 1)
    assert [closing.close_due(now=NOW + timedelta(days=400)) for _time in range(3)] == [0, 1, 0]
    assert [Ticket.objects.get(pk=ticket.pk).status for ticket in (bad, good)] == ["resolved", "closed"]


def test_a_merge_keeps_everything_and_can_be_undone(tenant: Tenant) -> None:
    agent, watcher = make_agent(tenant, at=NOW), make_agent(tenant, at=NOW)
    ticket, target = make_ticket(tenant, agent=agent), make_ticket(tenant)
    notes.add_note(ticket=ticket, text="Broken glass", by=TESTER, now=NOW)
    linking.watch(ticket=ticket, agent=watcher, by=TESTER, now=NOW)
    for wrong, error in ((ticket, merging.SameTicket), (make_ticket(tenant, status="closed"), merging.NotMergeable)):
        with pytest.raises(error):
            merging.merge(ticket=ticket, into=wrong, by=TESTER, now=LATER)
    with pytest.raises(NotFound):
        merging.merge(ticket=ticket, into=make_ticket(make_tenant()), by=TESTER, now=LATER)
    merging.merge(ticket=ticket, into=target, by=TESTER, now=LATER)
    assert Ticket.objects.get(pk=ticket.pk).merged_into == target
    assert [note.text for note in finding.notes_of(target)] == ["Broken glass"]
    assert finding.watchers_of(target) == [watcher]
    with pytest.raises(merging.NotMergeable):
        merging.merge(ticket=make_ticket(tenant), into=ticket, by=TESTER, now=LATER)
    ticket.refresh_from_db()
    for name, do in progress.ACTIONS.items():
        with pytest.raises((MoveRefused, progress.TooLate)):
            do(ticket=ticket, by=TESTER, now=LATER)
        assert Ticket.objects.get(pk=ticket.pk).status == "merged", name
    row = merging.undo_merge(ticket=ticket, by=TESTER, now=LATER)
    assert (row.status, row.agent, row.merged_into) == ("assigned", agent, None)
    assert finding.notes_of(target) == []
    assert Notice.objects.filter(agent=watcher, kind="watched").count() == 2
    assert set(AuditEntry.objects.values_list("action", flat=True)) >= {"ticket.merge", "ticket.merge_undo"}


def test_links_are_made_once_and_never_to_oneself_or_in_a_circle(tenant: Tenant) -> None:
    first, second = make_ticket(tenant), make_ticket(tenant)
    link = linking.link(ticket=first, other=second, by=TESTER, now=NOW)
    assert linking.link(ticket=second, other=first, by=TESTER, now=NOW) == link
    linking.link(ticket=first, other=second, kind="blocked", by=TESTER, now=NOW)
    for refused, given in (
        (Conflict, {"ticket": second, "other": first, "kind": "blocked"}),
        (merging.SameTicket, {"ticket": first, "other": first}),
        (Invalid, {"ticket": first, "other": second, "kind": "work_order"}),
        (NotFound, {"ticket": first, "other": make_ticket(make_tenant())}),
    ):
        with pytest.raises(refused):
            linking.link(by=TESTER, now=NOW, **given)
    linking.unlink(ticket=second, link_id=link.pk, by=TESTER, now=NOW)
    assert TicketLink.objects.count() == 1
    assert [linked.is_reverse for linked in finding.links_of(second)] == [True]


def test_a_note_tells_those_it_mentions_once_and_watchers(tenant: Tenant) -> None:
    ada, _bob = make_agent(tenant, at=NOW, name="Ada"), make_agent(tenant, at=NOW, name="Bob Lee")
    ann, watcher = make_agent(tenant, at=NOW, name="Ad"), make_agent(tenant, at=NOW, name="Wang")
    ticket = make_ticket(tenant)
    linking.watch(ticket=ticket, agent=watcher, by=TESTER, now=NOW)
    given: Any = {"ticket": ticket, "text": "@bob lee and @Ada: look", "mentions": [ada.pk], "client_id": "n1", "by": TESTER, "now": NOW}
    note = notes.add_note(**given)
    assert notes.add_note(**given) == note
    assert Note.objects.count() == 1
    told = {(notice.agent.name, notice.kind) for notice in Notice.objects.select_related("agent")}
    assert told == {("Ada", "mention"), ("Bob Lee", "mention"), ("Wang", "watched")}
    assert ann.name not in {name for name, _kind in told}
    for wrong in ({"text": " "}, {"mentions": [make_agent(make_tenant(), at=NOW).pk]}):
        with pytest.raises(Invalid):
            notes.add_note(**{**given, "client_id": "", **wrong})


def test_a_client_id_names_one_note_and_no_other(tenant: Tenant) -> None:
    ticket, other = make_ticket(tenant), make_ticket(tenant)
    given: Any = {"text": "Broken", "client_id": "n\x001", "by": TESTER, "now": NOW}
    assert notes.add_note(ticket=ticket, **given) == notes.add_note(ticket=ticket, **given)
    with pytest.raises(Conflict):
        notes.add_note(ticket=other, **given)
    assert Note.objects.count() == 1


def test_tickets_never_wait_for_each_other_in_a_circle_and_none_for_what_was_merged_into_it(tenant: Tenant) -> None:
    first, second, third = (make_ticket(tenant) for _number in range(3))
    for ticket, other in ((first, second), (second, third)):
        linking.link(ticket=ticket, other=other, kind="blocked", by=TESTER, now=NOW)
    with pytest.raises(Conflict):
        linking.link(ticket=third, other=first, kind="blocked", by=TESTER, now=NOW)
    merging.merge(ticket=first, into=second, by=TESTER, now=LATER)
    assert progress.left_undone(second)["blocked_by"] == [f"#{third.number}"]


def test_a_day_that_no_calendar_reaches_is_refused(tenant: Tenant) -> None:
    ticket = make_ticket(tenant)
    for day in (date.min, date.max):
        with pytest.raises(Invalid):
            changing.change(ticket=ticket, values={"due_on": day}, by=TESTER, now=LATER)
        with pytest.raises(Invalid):
            make_ticket(tenant, due_on=day)
    changing.change(ticket=ticket, values={"due_on": date(2999, 12, 31)}, by=TESTER, now=LATER)


@pytest.mark.django_db(transaction=True)
def test_of_two_who_change_the_same_version_one_is_refused(tenant: Tenant) -> None:
    ticket, came = make_ticket(tenant), threading.Barrier(2, timeout=30)
    outcomes: list[str] = []

    def change(priority: str) -> None:
        try:
            came.wait()
            changing.change(ticket=ticket, values={"priority": priority}, version=0, by=TESTER, now=LATER)
            outcomes.append("done")
        except TicketChanged:
            outcomes.append("refused")
        finally:
            connection.close()

    threads = [threading.Thread(target=change, args=(priority,)) for priority in ("high", "low")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(outcomes) == ["done", "refused"]
    assert (Ticket.objects.get(pk=ticket.pk).version, kinds_of(ticket)) == (1, ["opened", "changed"])
