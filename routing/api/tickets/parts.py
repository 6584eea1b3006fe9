"""What belongs to a ticket: history, notes, links, watchers, checklist, work orders."""

from typing import Any, cast
from uuid import UUID

from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.base import readable_or
from accounts.services.audit import Actor
from posthaste.lib.problems import NotFound
from routing.api.conversations.serializers import NamedOut
from routing.api.tickets import shapes
from routing.api.tickets.base import ANSWER, ONCE, TicketView
from routing.assignment import lists
from routing.models import Agent, Ticket
from routing.scopes import TICKETS_READ, TICKETS_WRITE
from routing.tickets import checklist, finding, linking, notes, opening
from routing.tickets.opening import NewTicket

NOTE_TOLD, ITEM_TOLD = ("id",), ("id", "done_at")


class TicketEvents(TicketView):
    """`/api/tickets/{id}/events/`."""

    scopes = {"GET": TICKETS_READ}

    @extend_schema(
        summary="History of a ticket",
        description="Newest first, at most 500, with those of tickets that were merged into it.",
        responses=shapes.TicketEventOut(many=True),
    )
    def get(self, request: Request, id: str) -> Response:
        return Response(shapes.TicketEventOut(finding.events_of(self.get_object()), many=True).data)


class TicketNotes(TicketView):
    """`/api/tickets/{id}/notes/`."""

    scopes = {"GET": TICKETS_READ, "POST": TICKETS_WRITE}

    @extend_schema(summary="Notes of a ticket", description="In their order, the newest 500.", responses=shapes.TicketNoteOut(many=True))
    def get(self, request: Request, id: str) -> Response:
        return Response(shapes.TicketNoteOut(finding.notes_of(self.get_object()), many=True).data)

    @extend_schema(
        summary="Write a note",
        description="Customers never see it. Agents that are named in `mentions`, or as `@name` in the text, are told.",
        request=shapes.TicketNoteIn,
        responses={201: readable_or(shapes.TicketNoteOut, *NOTE_TOLD)},
    )
    def post(self, request: Request, id: str) -> Response:
        ticket, values = self.get_object(), self.validated(shapes.TicketNoteIn)
        note = notes.add_note(
            ticket=ticket,
            text=values["text"],
            agent=self.agent_named(values),
            mentions=values["mentions"],
            client_id=values["client_id"],
            by=Actor.of_request(request),
            now=timezone.now(),
        )
        return Response(self.readable(shapes.TicketNoteOut(note).data, scope=TICKETS_READ, always=NOTE_TOLD), status=201)


class TicketLinks(TicketView):
    """`/api/tickets/{id}/links/`."""

    scopes = {"GET": TICKETS_READ, "POST": TICKETS_WRITE}

    @extend_schema(summary="Links of a ticket", description="In both directions.", responses=shapes.TicketLinkOut(many=True))
    def get(self, request: Request, id: str) -> Response:
        return Response(shapes.TicketLinkOut(cast(Any, finding.links_of(self.get_object())), many=True).data)

    @extend_schema(
        summary="Link a ticket to another",
        description="A link that is there already is not made again. 409 `same_ticket`: none is linked to itself.",
        request=shapes.TicketLinkIn,
        responses={201: {"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}},
    )
    def post(self, request: Request, id: str) -> Response:
        ticket, values = self.get_object(), self.validated(shapes.TicketLinkIn)
        other = self.other(values["other"], "other")
        by, now = Actor.of_request(request), timezone.now()
        return Response({"id": linking.link(ticket=ticket, other=other, kind=values["kind"], by=by, now=now).pk}, status=201)


class TicketLinkItem(TicketView):
    """`/api/tickets/{id}/links/{link}/`."""

    scopes = {"DELETE": TICKETS_WRITE}

    @extend_schema(
        summary="Remove a link",
        description="409 for a follow-up and a work order: these links tell where the ticket comes from.",
        request=None,
        responses={204: None},
    )
    def delete(self, request: Request, id: str, link: int) -> Response:
        linking.unlink(ticket=self.get_object(), link_id=link, by=Actor.of_request(request), now=timezone.now())
        return Response(status=204)


class TicketWatchers(TicketView):
    """`/api/tickets/{id}/watchers/`."""

    scopes = {"GET": TICKETS_READ, "POST": TICKETS_WRITE}

    @extend_schema(summary="Watchers of a ticket", responses=NamedOut(many=True))
    def get(self, request: Request, id: str) -> Response:
        return Response([_named(agent) for agent in finding.watchers_of(self.get_object())])

    @extend_schema(
        summary="Add a watcher",
        description="The agent is told at the desk of what happens to the ticket.",
        request=shapes.WatcherIn,
        responses={201: readable_or(NamedOut, *NOTE_TOLD)},
    )
    def post(self, request: Request, id: str) -> Response:
        ticket, agent = self.get_object(), self.agent_named(self.validated(shapes.WatcherIn))
        assert agent is not None, "the body must name one"
        linking.watch(ticket=ticket, agent=agent, by=Actor.of_request(request), now=timezone.now())
        return Response(self.readable(_named(agent), scope=TICKETS_READ, always=NOTE_TOLD), status=201)


class TicketWatcherItem(TicketView):
    """`/api/tickets/{id}/watchers/{agent}/`."""

    scopes = {"DELETE": TICKETS_WRITE}

    @extend_schema(summary="Remove a watcher", request=None, responses={204: None})
    def delete(self, request: Request, id: str, agent: UUID) -> Response:
        ticket, found = self.get_object(), lists.agents(self.tenant_id).filter(pk=agent).first()
        if found is None or not linking.unwatch(ticket=ticket, agent=found, by=Actor.of_request(request), now=timezone.now()):
            raise NotFound(_("This agent does not watch the ticket."))
        return Response(status=204)


class TicketChecklist(TicketView):
    """`/api/tickets/{id}/checklist/`."""

    scopes = {"GET": TICKETS_READ, "POST": TICKETS_WRITE}

    @extend_schema(summary="Checklist of a ticket", responses=shapes.ChecklistItemOut(many=True))
    def get(self, request: Request, id: str) -> Response:
        return Response(shapes.ChecklistItemOut(finding.checklist_of(self.get_object()), many=True).data)

    @extend_schema(
        summary="Add an item",
        request=shapes.ChecklistItemIn,
        responses={201: readable_or(shapes.ChecklistItemOut, *ITEM_TOLD)},
    )
    def post(self, request: Request, id: str) -> Response:
        ticket, values = self.get_object(), self.validated(shapes.ChecklistItemIn)
        item = checklist.add_item(ticket=ticket, text=values["text"], by=Actor.of_request(request), now=timezone.now())
        return Response(self.readable(shapes.ChecklistItemOut(item).data, scope=TICKETS_READ, always=ITEM_TOLD), status=201)


class TicketChecklistItem(TicketView):
    """`/api/tickets/{id}/checklist/{item}/`."""

    scopes = {"PUT": TICKETS_WRITE, "DELETE": TICKETS_WRITE}

    @extend_schema(
        summary="Tick an item, or not",
        request=shapes.TickIn,
        responses={200: readable_or(shapes.ChecklistItemOut, *ITEM_TOLD)},
    )
    def put(self, request: Request, id: str, item: UUID) -> Response:
        ticket, values = self.get_object(), self.validated(shapes.TickIn)
        row = checklist.tick(ticket=ticket, item_id=item, done=values["done"], by=Actor.of_request(request), now=timezone.now())
        return Response(self.readable(shapes.ChecklistItemOut(row).data, scope=TICKETS_READ, always=ITEM_TOLD))

    @extend_schema(summary="Remove an item", request=None, responses={204: None})
    def delete(self, request: Request, id: str, item: UUID) -> Response:
        checklist.remove_item(ticket=self.get_object(), item_id=item, by=Actor.of_request(request), now=timezone.now())
        return Response(status=204)


class TicketWorkOrders(TicketView):
    """`/api/tickets/{id}/work-orders/`."""

    scopes = {"GET": TICKETS_READ, "POST": TICKETS_WRITE}

    @extend_schema(summary="Work orders of a ticket", responses=shapes.TicketOut(many=True))
    def get(self, request: Request, id: str) -> Response:
        return Response(shapes.TicketOut(finding.work_orders_of(self.get_object()), many=True).data)

    @extend_schema(
        summary="Open a work order",
        description="Work that another group does for this ticket, which isn't resolved before it is done. Opened once for an "
        "`Idempotency-Key`.",
        parameters=ONCE,
        request=shapes.WorkOrderIn,
        responses={201: ANSWER},
    )
    def post(self, request: Request, id: str) -> Response:
        return self.answer_once(request, lambda: self._opened(Actor.of_request(request)))

    def _opened(self, by: Actor) -> Ticket:
        parent, values = self.get_object(), self.validated(shapes.WorkOrderIn)
        new = NewTicket(
            type=self.type_named(values["type"]),
            group=self.group_named(values),
            **{name: values[name] for name in ("subject", "description", "priority", "due_on", "fields") if name in values},
        )
        return opening.open_work_order(parent=parent, new=new, by=by, now=timezone.now())


def _named(agent: Agent) -> dict[str, str]:
    return {"id": str(agent.pk), "name": agent.name}
