"""The desk's pages of tickets: the list, one ticket, a new one."""

from dataclasses import asdict
from typing import Any, cast

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from accounts.services.audit import Actor
from accounts.staff.lists import as_uuid
from accounts.staff.tenant_admin import signed_in
from posthaste.lib.problems import Conflict, Forbidden, Invalid, NotFound, Problem
from posthaste.ui.chips import address, carried, chip
from posthaste.ui.export import as_csv
from posthaste.ui.pages import at, page, problem_text, staff_page
from posthaste.ui.paginator import page_of
from routing.desk import opening as conversations
from routing.desk import splitting, ticket_actions, ticket_forms, ticket_view
from routing.desk.seats import seat_of
from routing.desk.ticket_access import TENANT, Reader, may_see, may_work
from routing.desk.ticket_actions import Asked
from routing.models import OPEN_TICKETS, Conversation, Customer, Ticket, TicketKind, TicketPriority, TicketStatus, TicketType
from routing.tickets import exporting, finding, merging, opening, progress
from routing.tickets.opening import NewTicket
from routing.tickets.types import title_of

READ_WRITE = ("GET", "HEAD", "POST")
MAX_DIGITS = 10
OPEN = "open"


# --- the list ----------------------------------------------------------------------------------------------------------


@at("desk/tickets/", name="desk-tickets")
@staff_page(allowed=may_see)
def tickets(request: HttpRequest) -> HttpResponse:
    """List tickets: the reader's own, those of their groups, those that no agent has, or all."""
    reader = Reader(request)
    views = _views(reader)
    view = request.GET.get("view", "")
    view = view if view in views else next(iter(views))
    query = request.GET.get("q", "").replace("\0", "")[:100].strip()
    rows = _filtered(request, _viewed(reader, view), query, reader)
    if "csv" in request.GET:
        by, tenant_id = Actor.of_request(request), reader.tenant_ids[0] if len(reader.tenant_ids) == 1 else None
        heads, lines = exporting.export(rows, by=by, tenant_id=tenant_id, filters=[name for name in request.GET if name != "csv"])
        return as_csv(name="tickets", heads=heads, rows=lines)  # type: ignore[return-value]
    found, newer, older = page_of(
        rows.select_related("type", "customer", "group", "agent", "tenant"), request, order=["pk"], is_descending=True
    )
    return page(
        request,
        "desk/tickets.html",
        title=_("Tickets"),
        purpose=_("Requests and work orders, tracked until they are resolved."),
        tabs=[{"name": name, "label": label, "url": address(request, view=name), "is_on": name == view} for name, label in views.items()],
        rows=[{"ticket": row, "url": reader.address_of(row), "type": title_of(row.type), "is_late": _is_late(row)} for row in found],
        has_tenants=len(reader.tenant_ids) > 1,
        newer=newer,
        older=older,
        chips=_chips(request, reader),
        carried=carried(request, but="q"),
        query=query,
        search_help=_("Number, subject, customer or field"),
        is_narrowed=bool(query or any(request.GET.get(name) for name in ("status", "type", "priority", "tag", "group"))),
        csv_url=address(request, csv="1") if found else "",
        may_open=bool(reader.tenants),
        view=view,
    )


def _views(reader: Reader) -> dict[str, str]:
    found = {"mine": _("Mine"), "group": _("My groups")} if reader.agents else {}
    return {**found, "unassigned": _("Unassigned"), "all": _("All")} if reader.agents else {"all": _("All"), "unassigned": _("Unassigned")}


def _viewed(reader: Reader, view: str) -> "QuerySet[Ticket]":
    rows = finding.tickets(*reader.tenant_ids)
    if view == "mine":
        return finding.mine(rows, reader.agents)
    if view == "group":
        return finding.of_groups(rows, reader.agents)
    return finding.unassigned(rows) if view == "unassigned" else rows


def _filtered(request: HttpRequest, rows: "QuerySet[Ticket]", query: str, reader: Reader) -> "QuerySet[Ticket]":
    status, priority = request.GET.get("status", ""), request.GET.get("priority", "")
    if status == OPEN:
        rows = rows.filter(status__in=OPEN_TICKETS)
    elif status in TicketStatus.values:
        rows = rows.filter(status=status)
    if priority in TicketPriority.values:
        rows = rows.filter(priority=priority)
    for name, lookup in (("type", "type__name"), ("tag", "tags__name"), ("group", "group__name")):
        if value := request.GET.get(name, "").replace("\0", ""):
            rows = rows.filter(**{lookup: value})
    return finding.searched(rows, query, tenant_ids=reader.tenant_ids)


def _chips(request: HttpRequest, reader: Reader) -> list[Any]:
    statuses = [(OPEN, pgettext("tickets", "Open")), *TicketStatus.choices]
    types = {row.name: title_of(row) for row in finding.types(*reader.tenant_ids)[:100]}
    tags = dict.fromkeys(finding.tags(*reader.tenant_ids).values_list("name", flat=True)[:100])
    return [
        chip(request, "status", title=_("Status"), choices=statuses),
        chip(request, "priority", title=_("Priority"), choices=TicketPriority.choices),
        chip(request, "type", title=_("Type"), choices=list(types.items())),
        chip(request, "tag", title=_("Tag"), choices=[(name, name) for name in tags]),
    ]


def _is_late(row: Ticket) -> bool:
    return row.due_on is not None and row.status in OPEN_TICKETS and row.due_on < timezone.localdate()


# --- one ticket --------------------------------------------------------------------------------------------------------


@at("desk/tickets/<int:number>/", name="desk-ticket")
@staff_page(allowed=may_see, to_change=may_work, methods=READ_WRITE)
def ticket(request: HttpRequest, number: int) -> HttpResponse:
    """Show a ticket, and do what its buttons and forms ask for."""
    reader = Reader(request)
    row = reader.ticket(min(number, finding.MAX_NUMBER))
    if request.method != "POST":
        return _shown(request, row)
    reader.must_work_on(row)
    asked = Asked(row, reader, request.POST, Actor.of_request(request), timezone.now())
    do = request.POST.get("do", "")
    if do == "edit":
        return _edited(request, asked)
    try:
        if do == "follow_up":
            made = ticket_actions.follow_up(asked)
            messages.success(request, _("Ticket #{n} was opened.").format(n=made.number))
            return HttpResponseRedirect(reader.address_of(made))
        if do in ticket_actions.ACTIONS:
            done = ticket_actions.ACTIONS[do](asked)
        elif do in progress.ACTIONS:
            done = ticket_actions.move(asked, do)
        else:
            raise NotFound
    except progress.NotDone as problem:
        return _shown(request, reader.ticket(row.number), status=problem.status, undone=problem_text(problem))
    except merging.DifferentCustomers as problem:
        two = {"one": problem.extra["customers"][0], "other": problem.extra["customers"][1], "said": problem_text(problem)}
        return _shown(request, reader.ticket(row.number), status=problem.status, across=two)
    except (Conflict, Invalid) as problem:
        kept = {f"{do}_{name}": request.POST.get(name, "") for name in ("text", "subject", "to") if do in ("note", "write")}
        return _shown(request, reader.ticket(row.number), status=problem.status, wrong=problem_text(problem), **kept)
    messages.success(request, done)
    return HttpResponseRedirect(reader.address_of(row))


def _edited(request: HttpRequest, asked: Asked) -> HttpResponse:
    """Store the form, or show it again with what was typed and what is wrong: another's change, too."""
    form = ticket_forms.edit_form(asked.ticket, request.POST)
    status, more = 422, {}
    if form.is_valid():
        try:
            ticket_actions.edit(asked, form)
        except Invalid as problem:
            form.tell(problem)
        except Conflict as problem:
            status, more = problem.status, {"wrong": problem_text(problem)}
        else:
            messages.success(request, _("Saved."))
            return HttpResponseRedirect(asked.reader.address_of(asked.ticket))
    return _shown(request, asked.reader.ticket(asked.ticket.number), status=status, edit_form=form, is_editing=True, **more)


def _shown(request: HttpRequest, row: Ticket, *, status: int = 200, **more: Any) -> HttpResponse:
    found = ticket_view.context(request, row, **more)
    return page(request, "desk/ticket.html", status=status, title=ticket_view.heading(row), heading=ticket_view.heading(row), **found)


# --- a new one ---------------------------------------------------------------------------------------------------------


@at("desk/tickets/new/", name="desk-ticket-new")
@staff_page(allowed=may_work, methods=READ_WRITE)
def new_ticket(request: HttpRequest) -> HttpResponse:
    """Ask for the type first, as the fields depend on it; then open a ticket, or a work order for one."""
    reader = Reader(request)
    parent = _parent(reader)
    kind = _type_named(reader, parent)
    title = _("Open a work order") if parent else _("Open a ticket")
    context: dict[str, Any] = {"title": title, "heading": title, "parent": parent}
    if kind is None:
        tenants = [parent.tenant_id] if parent else reader.working_ids
        wanted = TicketKind.WORK_ORDER if parent else TicketKind.REQUEST
        offered = ticket_forms.types_offered(tenants, kind=wanted)
        choices = [(label, address(request, type=row.name, tenant=row.tenant.slug), row) for row, label in offered]
        several = len({row.tenant_id for row, _label in offered}) > 1
        return page(request, "desk/ticket-choose.html", purpose=_("What is it about?"), choices=choices, several=several, **context)
    customer, talk = _about(request, kind.tenant_id)
    form = ticket_forms.NewForm(request.POST if request.method == "POST" else None, kind=kind, initial=_begins_with(request, talk))
    status = 200
    if request.method == "POST":
        status = 422
        if form.is_valid():
            new = NewTicket(
                type=kind,
                customer=customer,
                conversation=talk,
                group=form.cleaned_data["group"],
                agent=form.cleaned_data["agent"],
                **cast(Any, form.values()),
            )
            by, now = Actor.of_request(request), timezone.now()
            try:
                made = (
                    opening.open_work_order(parent=parent, new=new, by=by, now=now)
                    if parent
                    else opening.open_ticket(tenant_id=kind.tenant_id, new=new, by=by, now=now)
                )
            except Invalid as problem:
                form.tell(problem)
            except Problem as problem:
                form.add_error(None, problem_text(problem))
                status = problem.status
            else:
                messages.success(request, _("Ticket #{n} was opened.").format(n=made.number))
                return HttpResponseRedirect(reader.address_of(made))
    about = {"customer": customer, "conversation": talk, "type_title": title_of(kind), "here": request.get_full_path()}
    return page(request, "desk/ticket-new.html", status=status, purpose=title_of(kind), form=form, **context, **about)


def _parent(reader: Reader) -> Ticket | None:
    """Return the ticket that a work order is for."""
    text = reader.request.GET.get("for", "")
    if not text:
        return None
    number = finding.number_in(text)
    if number is None:
        raise NotFound
    found = reader.ticket(number)
    reader.must_work_on(found)
    return found


def _type_named(reader: Reader, parent: Ticket | None) -> TicketType | None:
    """Return the type that the address names."""
    name, slug = reader.request.GET.get("type", "").replace("\0", ""), reader.request.GET.get(TENANT, "").replace("\0", "")
    if not name:
        return None
    rows = finding.types(*([parent.tenant_id] if parent else reader.working_ids)).filter(name=name, is_active=True)
    found = (rows.filter(tenant__slug=slug) if slug else rows).select_related("tenant", "group").first()
    if found is None:
        raise NotFound(_("There is no such type of tickets."))
    if (found.kind == TicketKind.WORK_ORDER) != (parent is not None):
        raise Forbidden(_("A work order is opened on the page of its ticket."))
    return found


def _begins_with(request: HttpRequest, talk: Conversation | None) -> dict[str, str]:
    """Return what a new ticket says at first: the lines of the conversation that the address names, where the reader may read them."""
    if talk is None:
        return {}
    seqs = {int(text) for text in request.GET.get("lines", "").split(",") if text.isascii() and text.isdigit() and len(text) < MAX_DIGITS}
    if not seqs:
        return {"subject": talk.subject}
    seat = seat_of(signed_in(request), tenant_id=talk.tenant_id)
    return asdict(splitting.matter_of(conversations.readable_conversation(talk.pk, seat), seqs=seqs))


def _about(request: HttpRequest, tenant_id: int) -> tuple[Customer | None, Conversation | None]:
    """Return the customer and the conversation that the address names.

    Raises:
        NotFound: there is no such conversation, or the reader may not read it.
    """
    customer, talk = as_uuid(request.GET.get("customer", "")), as_uuid(request.GET.get("conversation", ""))
    if talk is not None:
        found = conversations.readable_conversation(talk, seat_of(signed_in(request), tenant_id=tenant_id))
        return found.customer, found
    return (Customer.objects.filter(pk=customer, tenant_id=tenant_id).first(), None) if customer else (None, None)
