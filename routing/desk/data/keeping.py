"""What an agent keeps at the desk: uploads, quick replies, saved filters, notices, presence; and the list as a file."""

from datetime import datetime
from uuid import UUID

import msgspec
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.services.audit import Actor
from accounts.staff.export import note_export
from posthaste.lib import uploads
from posthaste.lib.problems import Forbidden, Invalid, NotFound
from posthaste.ui.export import as_csv
from routing.assignment import attendance
from routing.configuration import assignment
from routing.conversations import attachments
from routing.desk import answering, exporting, filters, me, opening, quick_replies, telling, thread
from routing.desk.data import deciding
from routing.desk.data.requests import answer, call_of, desk_view, ids_in
from routing.desk.inbox import parse
from routing.desk.seats import Seat
from routing.models import Presence

#: Around the file of an upload.
MULTIPART_BYTES = 10_000


class FilterIn(msgspec.Struct, forbid_unknown_fields=True):
    """A filter to save."""

    name: str
    query: dict[str, str]
    for_all: bool = False


class ReadIn(msgspec.Struct, forbid_unknown_fields=True):
    """Notices that were read: by id, or all about a conversation."""

    ids: list[UUID] = []
    conversation: UUID | None = None


class PresenceIn(msgspec.Struct, forbid_unknown_fields=True):
    """What the agent does from now on."""

    presence: str
    break_until: datetime | None = None


@desk_view("POST")
def upload(request: HttpRequest, seat: Seat) -> HttpResponse:
    """Take in the field `file` of a multipart form, for a reply that will name it."""
    agent = seat.as_agent()
    said = request.headers.get("Content-Length") or ""
    if said.isdecimal() and (len(said) > 18 or int(said) > attachments.MAX_FILE_BYTES + MULTIPART_BYTES):
        raise uploads.too_large(attachments.MAX_FILE_BYTES)
    sent = uploads.file_of(request)
    row = attachments.upload(
        name=sent.name or "", content=sent.read(), tenant_id=seat.tenant_id, owner=answering.owner_of(agent), now=timezone.now()
    )
    return answer(thread.file_shape(row), 201)


@desk_view("GET", "HEAD")
def replies(request: HttpRequest, seat: Seat) -> HttpResponse:
    """Return the quick replies, filled in for a conversation if one is named."""
    named = ids_in(request.GET.get("conversation", ""), most=1, field="conversation")
    conversation = opening.readable_conversation(named[0], seat) if named else None
    return answer({"quick_replies": quick_replies.offered(seat, conversation)})


@desk_view("POST")
def used(request: HttpRequest, seat: Seat, pk: UUID) -> HttpResponse:
    """Count a use of a quick reply."""
    call_of(request).read(deciding.Nothing)
    if not quick_replies.note_use(pk, tenant_id=seat.tenant_id):
        raise NotFound
    return answer({})


@desk_view("GET", "HEAD", "POST")
def saved_filters(request: HttpRequest, seat: Seat) -> HttpResponse:
    """Return the saved filters, or save one."""
    if request.method == "POST":
        body = call_of(request).read(FilterIn)
        made = filters.create_filter(
            seat=seat, name=body.name, query=body.query, for_all=body.for_all, by=Actor.of_request(request), now=timezone.now()
        )
        return answer({"filter": filters.shape_of(made)}, 201)
    return answer({"filters": [filters.shape_of(row) for row in filters.filters_of(seat)]})


@desk_view("DELETE")
def saved_filter(request: HttpRequest, seat: Seat, pk: UUID) -> HttpResponse:
    """Delete a saved filter."""
    filters.delete_filter(seat=seat, pk=pk, by=Actor.of_request(request))
    return answer({})


@desk_view("GET", "HEAD")
def notices(request: HttpRequest, seat: Seat) -> HttpResponse:
    """Return what the agent was told, newest first."""
    after = ids_in(request.GET.get("after", ""), most=1, field="after")
    found = telling.listed(seat.agent, after=after[0] if after else None) if seat.agent else []
    return answer({"notices": found})


@desk_view("POST")
def read_notices(request: HttpRequest, seat: Seat) -> HttpResponse:
    """Mark notices as read."""
    body = call_of(request).read(ReadIn)
    number = telling.mark_read(seat.as_agent(), ids=body.ids, conversation_id=body.conversation, now=timezone.now())
    return answer({"read": number})


@desk_view("POST")
def presence(request: HttpRequest, seat: Seat) -> HttpResponse:
    """Set what the agent does from now on."""
    body, agent, now = call_of(request).read(PresenceIn), seat.as_agent(), timezone.now()
    if body.presence not in Presence.values:
        raise Invalid.field("presence", _("Must be one of {values}.").format(values=", ".join(Presence.values)))
    if body.break_until is not None and body.break_until.tzinfo is None:
        raise Invalid.field("break_until", _("Must have a time zone, such as 2026-12-01T09:00:00Z."))
    attendance.set_presence(
        agent=agent,
        presence=Presence(body.presence),
        break_until=body.break_until,
        sign=attendance.Sign.DESK,
        by=Actor.of_request(request),
        now=now,
    )
    return answer({"agent": me.agent_shape(agent, assignment.of(seat.tenant_id).default_capacity, now)})


@desk_view("GET", "HEAD")
def export(request: HttpRequest, seat: Seat) -> HttpResponseBase:
    """Write the conversations of a view as CSV; identities are masked unless an operator asks for them."""
    query, is_whole = parse(request.GET.dict()), request.GET.get("identities") == "whole"
    if is_whole and not seat.sees_all:
        raise Forbidden(_("Only operators export identities as a whole."))
    if request.method == "HEAD":
        return HttpResponse(content_type="text/csv; charset=utf-8")
    named = [*query.as_dict(), *(["identities"] if is_whole else [])]
    note_export(request, target="routing.conversation", filters=named)
    return as_csv(
        name="conversations", heads=exporting.heads(), rows=exporting.table(query, seat, are_masked=not is_whole, now=timezone.now())
    )
