"""Tickets: list, open, read, change, move, merge, export."""

from typing import Any, cast

from django.http import HttpResponseBase
from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.services.audit import Actor
from posthaste.lib.pagination import CursorPages
from posthaste.lib.problems import Invalid
from posthaste.ui.export import as_csv
from routing.api.tickets import shapes
from routing.api.tickets.base import ANSWER, ONCE, TicketView
from routing.api.tickets.filters import TicketFilter
from routing.conversations import selectors as conversations
from routing.customers import finding as customers
from routing.models import Ticket
from routing.scopes import TICKETS_READ, TICKETS_WRITE
from routing.tickets import changing, exporting, merging, opening, progress
from routing.tickets.opening import NewTicket


class TicketCollection(ListModelMixin, TicketView):
    """`/api/tickets/`."""

    scopes = {"GET": TICKETS_READ, "POST": TICKETS_WRITE}
    pagination_class = CursorPages
    filterset_class = TicketFilter
    serializer_class = shapes.TicketOut

    @extend_schema(summary="List tickets", description="Newest first.")
    def get(self, request: Request) -> Response:
        return self.list(request)

    @extend_schema(
        summary="Open a ticket",
        description="Without a group and an agent it goes to the type's group, or to those who have the conversation. Tags that do not "
        "exist are made. With an `Idempotency-Key` it is opened once, and the answer to a repeated request shows it as it is by then.",
        parameters=ONCE,
        request=shapes.TicketIn,
        responses={201: ANSWER},
        examples=[shapes.NEW_TICKET],
    )
    def post(self, request: Request) -> Response:
        return self.answer_once(request, lambda: self._opened(Actor.of_request(request)))

    def _opened(self, by: Actor) -> Ticket:
        values = self.validated(shapes.TicketIn)
        new = NewTicket(
            type=self.type_named(values["type"]),
            group=self.group_named(values),
            agent=self.agent_named(values),
            customer=self._own(customers.customers(self.tenant_id), values, "customer"),
            conversation=self._own(conversations.conversations(self.tenant_id), values, "conversation"),
            **{name: values[name] for name in ("subject", "description", "priority", "due_on", "tags", "fields") if name in values},
        )
        return opening.open_ticket(tenant_id=self.tenant_id, new=new, by=by, now=timezone.now())

    @staticmethod
    def _own(rows: Any, values: dict[str, Any], name: str) -> Any:
        if values.get(name) is None:
            return None
        found = rows.filter(pk=values[name]).first()
        if found is None:
            raise Invalid.field(name, _("There is none with this id."), "does_not_exist")
        return found


class TicketExport(TicketView):
    """`/api/tickets/export/`."""

    scopes = {"GET": TICKETS_READ}
    filterset_class = TicketFilter
    pagination_class = None

    @extend_schema(
        summary="Tickets as CSV",
        filters=True,
        description="Newest first, with the filters of the list, 100,000 at most. It is written down who took them.",
        responses={(200, "text/csv"): OpenApiTypes.STR},
    )
    def get(self, request: Request) -> HttpResponseBase:
        rows = self.filter_queryset(self.get_queryset())
        by = Actor.of_request(request)
        heads, lines = exporting.export(rows, by=by, tenant_id=self.tenant_id, filters=request.query_params)
        return as_csv(name="tickets", heads=heads, rows=lines)


class TicketItem(RetrieveModelMixin, TicketView):
    """`/api/tickets/{id}/`."""

    scopes = {"GET": TICKETS_READ, "PATCH": TICKETS_WRITE}

    @extend_schema(summary="One ticket")
    def get(self, request: Request, id: str) -> Response:
        return self.retrieve(request)

    @extend_schema(
        summary="Change a ticket",
        description="Send the `version` that you read: 409 `ticket_changed` says what was changed since. 409 `ticket_over`: it is closed, "
        "merged or spam.",
        request=shapes.TicketChangeIn,
        responses={200: ANSWER},
    )
    def patch(self, request: Request, id: str) -> Response:
        ticket, values = self.get_object(), cast(Any, self.validated(shapes.TicketChangeIn, partial=True))
        version = values.pop("version", None)
        if "group" in values:
            values["group"] = self.group_named(values)
        if "agent" in values:
            values["agent"] = self.agent_named(values)
        by, now = Actor.of_request(request), timezone.now()
        return self.answer(changing.change(ticket=ticket, values=values, version=version, by=by, now=now))


class TicketAssign(TicketView):
    """`/api/tickets/{id}/assign/`."""

    scopes = {"POST": TICKETS_WRITE}

    @extend_schema(
        summary="Assign or transfer a ticket",
        description="To an agent, or to the queue of a group. A ticket that waits or is on hold stays so.",
        request=shapes.AssignIn,
        responses={200: ANSWER},
    )
    def post(self, request: Request, id: str) -> Response:
        ticket, values = self.get_object(), self.validated(shapes.AssignIn)
        row = changing.assign(
            ticket=ticket,
            agent=self.agent_named(values),
            group=self.group_named(values),
            version=values.get("version"),
            by=Actor.of_request(request),
            now=timezone.now(),
        )
        return self.answer(row)


class TicketMove(TicketView):
    """`/api/tickets/{id}/move/`."""

    scopes = {"POST": TICKETS_WRITE}

    @extend_schema(
        summary="Move a ticket on",
        description="`begin`, `wait`, `hold`, `queue`, `resolve`, `close`, `reopen`, `spam` or `no_spam`. 409 `move_refused` lists in "
        "`possible` which statuses can follow now; 409 `not_done` lists what keeps it from being resolved: do it, or send `force`.",
        request=shapes.MoveIn,
        responses={200: ANSWER},
    )
    def post(self, request: Request, id: str) -> Response:
        ticket, values = self.get_object(), self.validated(shapes.MoveIn)
        action, agent = values["action"], self.agent_named(values)
        if agent is not None and action != "begin":
            raise Invalid.field("agent", _("Only with the action {action}.").format(action="begin"), "not_allowed")
        if values["force"] and action != "resolve":
            raise Invalid.field("force", _("Only with the action {action}.").format(action="resolve"), "not_allowed")
        more = {"begin": {"agent": agent}, "resolve": {"force": values["force"]}}.get(action, {})
        act, by = progress.ACTIONS[action], Actor.of_request(request)
        return self.answer(act(ticket=ticket, version=values.get("version"), by=by, now=timezone.now(), **more))


class TicketMerge(TicketView):
    """`/api/tickets/{id}/merge/`."""

    scopes = {"POST": TICKETS_WRITE}

    @extend_schema(
        summary="Merge a ticket into another",
        description="The answer is the ticket that goes on; it shows the history, notes, watchers and links of both. 409 `same_ticket`, "
        "`ticket_not_mergeable` or `move_refused` if that is not possible. 409 `different_customers` names both customers: send "
        "`across_customers` if you mean it.",
        request=shapes.MergeIn,
        responses={200: ANSWER},
    )
    def post(self, request: Request, id: str) -> Response:
        ticket, values = self.get_object(), self.validated(shapes.MergeIn)
        row = merging.merge(
            ticket=ticket,
            into=self.other(values["into"], "into"),
            across_customers=values["across_customers"],
            version=values.get("version"),
            by=Actor.of_request(request),
            now=timezone.now(),
        )
        return self.answer(row)


class TicketUnmerge(TicketView):
    """`/api/tickets/{id}/unmerge/`."""

    scopes = {"POST": TICKETS_WRITE}

    @extend_schema(summary="Undo a merge", description="The merged ticket is what it was before.", request=None, responses={200: ANSWER})
    def post(self, request: Request, id: str) -> Response:
        return self.answer(merging.undo_merge(ticket=self.get_object(), by=Actor.of_request(request), now=timezone.now()))


class TicketFollowUp(TicketView):
    """`/api/tickets/{id}/follow-up/`."""

    scopes = {"POST": TICKETS_WRITE}

    @extend_schema(
        summary="Open a follow-up",
        description="After a ticket that is over: a new one of the same type and customer, linked to it. If there is an open one already, "
        "that is the answer. 409 `ticket_still_open`: go on in the ticket itself.",
        request=shapes.FollowUpIn,
        responses={201: ANSWER},
    )
    def post(self, request: Request, id: str) -> Response:
        ticket, values = self.get_object(), self.validated(shapes.FollowUpIn)
        return self.answer(opening.follow_up(ticket=ticket, by=Actor.of_request(request), now=timezone.now(), **values), status=201)
