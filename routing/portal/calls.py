"""What the scripts of the pages ask and send. A visitor's token is in `Authorization`, as for the chat; there are no cookies."""

from functools import partial
from typing import Any
from uuid import UUID

import msgspec
import segno
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from posthaste.lib.addresses import client_ip
from posthaste.lib.problems import Forbidden, Invalid, NotFound
from routing.assignment import business_hours
from routing.contract import SenderName
from routing.customers import identities
from routing.entrances.portal import flood, sessions
from routing.entrances.portal.views import as_json, body_of, chat_view, session_of
from routing.models import Conversation, Entrance, IdentityKind, PortalSession, Satisfaction
from routing.portal import articles, devices, finding, mails, one_request, opening, requests, transcripts
from routing.portal.look import CHINESE, Portal, portal_of
from routing.portal.one_request import Request
from routing.satisfaction import rating
from routing.tickets.family import root_of

help_call = partial(chat_view, find=sessions.entrance_at)
SUGGESTED = 3
VOTES, VOTES_PER_ADDRESS = "help_vote", 120
EMAILS, EMAILS_PER_VISITOR, EMAILS_PER_ADDRESS = "help_email", 10, 60


class RatingIn(msgspec.Struct, forbid_unknown_fields=True):
    """What a visitor says of a conversation."""

    conversation: UUID
    score: int
    comment: str = ""


class AddressIn(msgspec.Struct, forbid_unknown_fields=True):
    """Where to send something; empty: to the address that was proved."""

    email: str = ""


class TranscriptIn(msgspec.Struct, forbid_unknown_fields=True):
    """Which conversation is sent where."""

    conversation: UUID
    email: str = ""


class VoteIn(msgspec.Struct, forbid_unknown_fields=True):
    """Whether an article helped."""

    helpful: bool


class TicketIn(msgspec.Struct, forbid_unknown_fields=True):
    """A filled form, under an id of its own."""

    type: str
    client_id: str
    values: dict[str, Any]


def _said_or_none(request: HttpRequest, entrance: Entrance) -> PortalSession | None:
    return session_of(request, entrance) if request.headers.get("Authorization") else None


def _own(session: PortalSession, conversation_id: UUID) -> Conversation:
    """Return a conversation of a visitor.

    Raises:
        NotFound: it is none of theirs.
    """
    rows = Conversation.objects.filter(entrance_id=session.entrance_id, identity_id=session.identity_id, pk=conversation_id)
    conversation = rows.first()
    if conversation is None:
        raise NotFound(_("There is no such conversation."))
    return conversation


def _rating_of(asked: Satisfaction | None) -> dict[str, Any] | None:
    return one_request.rating_shape(asked, now=timezone.now())


@help_call("GET")
def state(request: HttpRequest, entrance: Entrance) -> HttpResponse:
    """Return what a page shows beside the lines: whether the desk is open, and of a visitor whether a rating is asked for."""
    now, session, look = timezone.now(), _said_or_none(request, entrance), sessions.settings_of(entrance)
    if look.shows_articles:
        finding.prepare(entrance.tenant_id)  # a chat was opened, in which a text may be typed next
    is_open = business_hours.open_at(entrance.tenant_id, now)
    next_at = None if is_open else opening.opens_at(entrance.tenant_id, now=now)
    found: dict[str, Any] = {
        "open": is_open,
        "opens_at": next_at.isoformat() if next_at else None,
        "asks_email": look.asks_email and not is_open,
        "mails": mails.is_available(entrance.tenant_id),
        "must_sign": look.must_sign,
    }
    if session is not None:
        rows = Conversation.objects.filter(entrance_id=session.entrance_id, identity_id=session.identity_id)
        latest = rows.order_by("-pk").first()
        found["rating"] = _rating_of(rating.asked_of(latest)) if latest else None
        found["email"] = mails.masked(mails.proven_address(session))
    return as_json(found)


@help_call("GET")
def suggest(request: HttpRequest, entrance: Entrance) -> HttpResponse:
    """Return articles that may answer what is being typed."""
    portal = portal_of(request, entrance)
    if not portal.settings.shows_articles:
        return as_json({"articles": []})
    found = finding.find(entrance.tenant_id, portal.language, request.GET.get("q", ""), limit=SUGGESTED)
    return as_json({"articles": [{"slug": one.slug, "question": one.question, "excerpt": articles.excerpt(one.answer)} for one in found]})


@help_call("POST")
def vote(request: HttpRequest, entrance: Entrance, slug: str) -> HttpResponse:
    """Count whether an article helped, once for a visitor."""
    body, portal = body_of(request, VoteIn), portal_of(request, entrance)
    article = articles.find(entrance.tenant_id, portal.language, slug) if portal.settings.shows_articles else None
    if article is None:
        raise NotFound(_("There is no such article."))
    ip = client_ip(request)
    flood.enter_hourly(VOTES, entrance_id=entrance.pk.hex, visitor="", ip=ip, per_visitor=0, per_address=VOTES_PER_ADDRESS)
    session = _said_or_none(request, entrance)
    voter = session.pk.hex if session else f"{ip} {request.headers.get('User-Agent', '')}"
    return as_json({"counted": articles.vote(article, voter=voter, is_helpful=body.helpful)})


@help_call("POST")
def rate(request: HttpRequest, entrance: Entrance) -> HttpResponse:
    """Store what a visitor says of a conversation that was resolved."""
    session, body = session_of(request, entrance), body_of(request, RatingIn)
    asked = rating.asked_of(_own(session, body.conversation))
    if asked is None:
        raise NotFound(_("No rating is asked for."))
    return as_json(_rating_of(rating.rate(asked.pk, score=body.score, comment=body.comment, now=timezone.now())))


@help_call("POST")
def give_email(request: HttpRequest, entrance: Entrance) -> HttpResponse:
    """Note where a visitor can be reached; that is what they say, and proves nothing."""
    session, address = session_of(request, entrance), mails.checked_address(body_of(request, AddressIn).email)
    limits = {"per_visitor": EMAILS_PER_VISITOR, "per_address": EMAILS_PER_ADDRESS}
    flood.enter_hourly(EMAILS, entrance_id=entrance.pk.hex, visitor=session.identity_id.hex, ip=client_ip(request), **limits)
    identity = session.identity
    sender = SenderName(identity.kind, identity.value, verified=identity.kind == IdentityKind.OWN)
    also = [SenderName(IdentityKind.EMAIL, address, verified=False)]
    identities.resolve(sender, tenant_id=entrance.tenant_id, also=also, now=timezone.now())
    return as_json({"email": mails.masked(address)})


def _address(session: PortalSession, written: str) -> str:
    if written.strip():
        return mails.checked_address(written)
    if known := mails.proven_address(session):
        return known
    raise Invalid.field("email", _("Enter the address it is sent to."), "required")


@help_call("POST")
def send_transcript(request: HttpRequest, entrance: Entrance) -> HttpResponse:
    """Send a visitor's conversation by e-mail."""
    session, body, portal = session_of(request, entrance), body_of(request, TranscriptIn), portal_of(request, entrance)
    address, conversation = _address(session, body.email), _own(session, body.conversation)
    with translation.override(portal.language):
        transcripts.send_transcript(session, conversation, address=address, title=portal.title, ip=client_ip(request), now=timezone.now())
    return as_json({"email": mails.masked(address)}, 202)


@help_call("POST")
def go_on_elsewhere(request: HttpRequest, entrance: Entrance) -> HttpResponse:
    """Make a link for another device: sent to an address, or shown with its QR code."""
    session, body, portal = session_of(request, entrance), body_of(request, AddressIn), portal_of(request, entrance)
    ip, now = client_ip(request), timezone.now()
    limits = {"per_visitor": devices.PER_VISITOR, "per_address": devices.PER_ADDRESS}
    flood.enter_hourly(devices.RESOURCE, entrance_id=entrance.pk.hex, visitor=session.identity_id.hex, ip=ip, **limits)
    if body.email.strip():
        address = mails.checked_address(body.email)
        with translation.override(portal.language):
            devices.mail_link(session, address=address, title=portal.title, ip=ip, now=now)
        return as_json({"email": mails.masked(address)}, 202)
    made = devices.make_link(session, ip=ip, now=now)
    rows = ["".join("1" if dark else "0" for dark in row) for row in segno.make_qr(made.url, error="m").matrix]
    return as_json({"url": made.url, "qr": rows, "expires_at": made.row.expires_at.isoformat()}, 201)


def must_show_tickets(request: HttpRequest, entrance: Entrance) -> Portal:
    """Return the portal of a request if it takes tickets.

    Raises:
        Forbidden: it does not.
    """
    portal = portal_of(request, entrance)
    if not portal.settings.shows_tickets:
        raise Forbidden(_("This portal does not take requests."))
    return portal


@help_call("GET", "POST")
def tickets(request: HttpRequest, entrance: Entrance) -> HttpResponse:
    """Return the tickets of a visitor (GET), or take in the form of one (POST)."""
    portal, session = must_show_tickets(request, entrance), session_of(request, entrance)
    with translation.override(portal.language):
        if request.method == "POST":
            return _open_ticket(request, session, portal)
        chinese = portal.language == CHINESE
        rows = [one_request.summary_of(Request(row, root_of(row)), chinese=chinese) for row in requests.tickets_of(session)]
    return as_json({"tickets": rows})


def _open_ticket(request: HttpRequest, session: PortalSession, portal: Portal) -> HttpResponse:
    body = body_of(request, TicketIn)
    kind = requests.public_types(session.tenant_id).filter(name=body.type.replace("\x00", "")).first()
    if kind is None:
        raise Invalid.field("type", _("There is no such form."), "unknown")
    with transaction.atomic():
        stored = requests.open_from_portal(
            session,
            kind,
            values=body.values,
            client_id=body.client_id,
            chinese=portal.language == CHINESE,
            ip=client_ip(request),
            now=timezone.now(),
        )
    return as_json({"client_id": body.client_id, "known": not stored.is_new}, 202)
