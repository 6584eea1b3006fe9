"""What the script of a ticket's page asks and sends."""

import msgspec
from django.http import HttpRequest, HttpResponse
from django.utils import timezone, translation

from posthaste.lib.addresses import client_ip
from routing.entrances.portal.views import as_json, body_of, session_of
from routing.models import Entrance
from routing.portal import one_request
from routing.portal.calls import help_call, must_show_tickets
from routing.portal.look import CHINESE


class LineIn(msgspec.Struct, forbid_unknown_fields=True):
    """What a visitor writes about a ticket, under an id of its own."""

    client_id: str
    text: str


class ScoreIn(msgspec.Struct, forbid_unknown_fields=True):
    """What a visitor says of a ticket that is resolved."""

    score: int
    comment: str = ""


@help_call("GET", "POST")
def ticket(request: HttpRequest, entrance: Entrance, number: int) -> HttpResponse:
    """Return a ticket of a visitor (GET), or take in what they write about it (POST)."""
    portal, session, now = must_show_tickets(request, entrance), session_of(request, entrance), timezone.now()
    with translation.override(portal.language):
        found = one_request.find(session, number)
        if request.method == "POST":
            body = body_of(request, LineIn)
            stored = one_request.reply(session, found, text=body.text, client_id=body.client_id, ip=client_ip(request), now=now)
            return as_json({"client_id": body.client_id, "known": not stored.is_new}, 202)
        return as_json(one_request.shape_of(session, found, chinese=portal.language == CHINESE, now=now))


@help_call("POST")
def rate(request: HttpRequest, entrance: Entrance, number: int) -> HttpResponse:
    """Store what a visitor says of a ticket that was resolved."""
    portal, session, now = must_show_tickets(request, entrance), session_of(request, entrance), timezone.now()
    with translation.override(portal.language):
        body = body_of(request, ScoreIn)
        rated = one_request.rate(one_request.find(session, number), score=body.score, comment=body.comment, now=now)
    return as_json(one_request.rating_shape(rated, now=now))
