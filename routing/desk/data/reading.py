"""The desk's data that is read: inbox, rows, conversations, lines, files, and what a page has to know first."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _

from posthaste.lib.problems import Invalid, NotFound
from routing.conversations.downloads import file_response
from routing.desk import me as own
from routing.desk import opening, rows, suggesting, thread
from routing.desk.counts import counts_of, tally
from routing.desk.data.requests import answer, desk_view, ids_in, number_in
from routing.desk.inbox import ids, parse
from routing.desk.seats import Seat
from routing.models import Attachment


@desk_view("GET", "HEAD")
def inbox(request: HttpRequest, seat: Seat) -> HttpResponse:
    """Return the ids of the conversations in a view, in order, and the number in each view."""
    now = timezone.now()
    found = ids(parse(request.GET.dict()), seat, now=now)
    counts = counts_of(tally(seat.tenant_id, now=now), seat)
    return answer({"ids": found, "total": len(found), "counts": counts, "at": now.isoformat()})


@desk_view("GET", "HEAD")
def inbox_rows(request: HttpRequest, seat: Seat) -> HttpResponse:
    """Return rows by their ids."""
    wanted = ids_in(request.GET.get("ids", ""), most=rows.MAX_ROWS)
    return answer({"rows": rows.rows_of(wanted, seat, now=timezone.now())})


@desk_view("GET", "HEAD")
def conversation(request: HttpRequest, seat: Seat, pk: UUID) -> HttpResponse:
    """Return all that is shown of a conversation."""
    return answer(opening.opened(opening.readable_conversation(pk, seat), seat, now=timezone.now()))


@desk_view("GET", "HEAD")
def lines(request: HttpRequest, seat: Seat, pk: UUID) -> HttpResponse:
    """Return lines behind a number, or before one, and all notes."""
    found = opening.readable_conversation(pk, seat)
    after, before = number_in(request, "after"), number_in(request, "before")
    if (after is None) == (before is None):
        raise Invalid.field("after", _("Name after or before, and not both."))
    if before is not None:
        shown = thread.before(found.pk, seq=before)
    else:
        shown = thread.after(found.pk, seq=after or 0)
    return answer({"lines": thread.shapes_of(shown, tenant_id=seat.tenant_id), "notes": thread.notes_of(found), "last_seq": found.last_seq})


@desk_view("GET", "HEAD")
def suggestions(request: HttpRequest, seat: Seat, pk: UUID) -> HttpResponse:
    """Return answers to what the customer wrote last. They are asked for on their own: opening a conversation does not wait for them."""
    return answer({"suggestions": suggesting.answers_for(opening.readable_conversation(pk, seat))})


@desk_view("GET", "HEAD")
def file(request: HttpRequest, seat: Seat, pk: UUID) -> HttpResponse:
    """Return a file of a line, only ever as a download."""
    found = Attachment.objects.filter(pk=pk, tenant_id=seat.tenant_id, conversation__isnull=False).first()
    if found is None or found.conversation_id is None:
        raise NotFound
    opening.readable_conversation(found.conversation_id, seat)
    return file_response(found)


@desk_view("GET", "HEAD")
def me(request: HttpRequest, seat: Seat) -> HttpResponse:
    """Return who sits here, and the names that the pages offer."""
    return answer(own.shape_of(seat, now=timezone.now()))
