"""A link with which a visitor goes on in another browser: good once, for an hour, and used by a POST only."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from accounts.selectors import tenant_by_id
from accounts.services.audit import Actor
from posthaste.lib.problems import Invalid, NotFound
from routing.customers.values import ERASED
from routing.entrances.portal import sessions
from routing.links import making
from routing.links.handlers import Handler, register
from routing.links.making import MadeLink
from routing.models import Entrance, Identity, LinkPurpose, PortalSession, SafeLink
from routing.portal import mails
from routing.portal.look import portal_of

HOURS = 1.0
RESOURCE = "help_device"
PER_VISITOR, PER_ADDRESS = 10, 60


@dataclass(frozen=True, slots=True)
class Goes:
    """Who goes on, and where."""

    entrance: Entrance
    identity: Identity


def make_link(session: PortalSession, *, ip: str, now: datetime) -> MadeLink:
    """Make a link with which the visitor of a session goes on elsewhere; its address is the permission."""
    return making.make(
        LinkPurpose.SIGN_IN,
        tenant_id=session.tenant_id,
        data={"entrance": str(session.entrance_id), "identity": str(session.identity_id)},
        customer_id=session.identity.customer_id,
        hours=HOURS,
        max_uses=1,
        by=Actor.recipient(ip=ip),
        now=now,
    )


@transaction.atomic
def mail_link(session: PortalSession, *, address: str, title: str, ip: str, now: datetime) -> UUID:
    """Send such a link to an address, and return the id of the message.

    Raises:
        TooMany, Conflict: see `mails.send`.
    """
    made = make_link(session, ip=ip, now=now)
    body = _("Continue your conversation with {title} on the device where you read this:\n\n{url}\n\nThe link works once, for an hour.")
    subject = _("Continue your conversation")
    return mails.send(
        session, address=address, subject=subject, body=body.format(title=title, url=made.url), about=str(made.row.pk), ip=ip, now=now
    )


def _goes(tenant_id: int, data: Mapping[str, Any]) -> Goes:
    """Return who a link signs in, and where.

    Raises:
        Invalid: naming what is wrong.
    """
    try:
        entrance = sessions.entrance_of(UUID(str(data.get("entrance", ""))))
    except (ValueError, NotFound):
        entrance = None
    if entrance is None or entrance.tenant_id != tenant_id:
        raise Invalid.field("data.entrance", _("Must be the ID of a portal entrance that is enabled."))
    try:
        rows = Identity.objects.filter(tenant_id=tenant_id, pk=UUID(str(data.get("identity", ""))))
    except ValueError:
        rows = Identity.objects.none()
    identity = rows.exclude(value__startswith=ERASED).first()
    if identity is None:
        raise Invalid.field("data.identity", _("Must be the ID of an identity of a customer."))
    return Goes(entrance, identity)


def _check(tenant_id: int, _target: str, data: Mapping[str, Any]) -> None:
    _goes(tenant_id, data)


def _words(link: SafeLink) -> dict[str, str]:
    tenant = tenant_by_id(link.tenant_id)
    return {
        "title": _("Continue here?"),
        "text": _("Your conversation with {sender} will continue in this browser.").format(sender=tenant.name if tenant else ""),
        "detail": _("Do that only on a device that is yours."),
        "button": _("Continue here"),
    }


def _sign_in(link: SafeLink, request: HttpRequest, now: datetime) -> HttpResponse:
    goes = _goes(link.tenant_id, link.data)
    _session, token = sessions.begin_again(goes.entrance, goes.identity, language=(get_language() or "")[:16], now=now)
    portal = portal_of(request, goes.entrance)
    return render(request, "help/signed_in.html", {"title": _("Welcome back"), "token": token, **portal.context()})


register(LinkPurpose.SIGN_IN, Handler(perform=_sign_in, words=_words, acts=True, check=_check))
