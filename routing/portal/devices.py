"""A link with which a visitor goes on in another browser: good once, for an hour, and used by a POST only.

One that was sent by e-mail also proves the address: to the session that it begins, and to no other. The one who asked for it may be a
stranger who typed the address, so nothing of it becomes visible where it was asked for.
"""

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
from routing.customers.values import ERASED, as_stored
from routing.entrances.portal import sessions
from routing.links import making
from routing.links.handlers import Handler, register
from routing.links.making import MadeLink
from routing.models import Entrance, Identity, IdentityKind, LinkPurpose, PortalSession, SafeLink
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
    #: The address that the link was sent to, where it is known.
    proved: Identity | None


def make_link(session: PortalSession, *, proves: Identity | None = None, ip: str, now: datetime) -> MadeLink:
    """Make a link with which the visitor of a session goes on elsewhere; its address is the permission. `proves`: where it is sent to."""
    data = {"entrance": str(session.entrance_id), "identity": str(session.identity_id)}
    return making.make(
        LinkPurpose.SIGN_IN,
        tenant_id=session.tenant_id,
        data=data if proves is None else {**data, "proves": str(proves.pk)},
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
    own = Identity.objects.filter(tenant_id=session.tenant_id, kind=IdentityKind.EMAIL, value=as_stored(IdentityKind.EMAIL, address))
    made = make_link(session, proves=own.first(), ip=ip, now=now)
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
    identity, proved = _identity(tenant_id, data, "identity"), _identity(tenant_id, data, "proves") if "proves" in data else None
    if proved is not None and proved.kind != IdentityKind.EMAIL:
        raise Invalid.field("data.proves", _("Must be the ID of an e-mail address of a customer."))
    return Goes(entrance, identity, proved)


def _identity(tenant_id: int, data: Mapping[str, Any], name: str) -> Identity:
    try:
        rows = Identity.objects.filter(tenant_id=tenant_id, pk=UUID(str(data.get(name, ""))))
    except ValueError:
        rows = Identity.objects.none()
    identity = rows.exclude(value__startswith=ERASED).first()
    if identity is None:
        raise Invalid.field(f"data.{name}", _("Must be the ID of an identity of a customer."))
    return identity


def _check(tenant_id: int, _target: str, data: Mapping[str, Any]) -> None:
    _goes(tenant_id, data)


def _words(link: SafeLink) -> dict[str, str]:
    tenant = tenant_by_id(link.tenant_id)
    return {
        "title": _("Continue here?"),
        "text": _("Your conversation with {sender} will continue in this browser.").format(sender=tenant.name if tenant else ""),
        "detail": _("Do that only on a device that is yours, and if you asked for this link yourself."),
        "button": _("Continue here"),
    }


def _sign_in(link: SafeLink, request: HttpRequest, now: datetime) -> HttpResponse:
    goes = _goes(link.tenant_id, link.data)
    language = (get_language() or "")[:16]
    _session, token = sessions.begin_again(goes.entrance, goes.identity, language=language, proved=goes.proved, now=now)
    portal = portal_of(request, goes.entrance)
    return render(request, "help/signed_in.html", {"title": _("Welcome back"), "token": token, **portal.context()})


register(LinkPurpose.SIGN_IN, Handler(perform=_sign_in, words=_words, acts=True, check=_check))
