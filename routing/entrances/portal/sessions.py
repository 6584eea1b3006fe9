"""Visitors' sessions: a browser at a portal entrance, known by a token of which only a hash is kept. No account, no cookie."""

import hashlib
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from posthaste.lib.ids import new_id
from posthaste.lib.problems import NotFound, Problem
from routing.contract import SenderName
from routing.customers import attributes, identities
from routing.customers.values import shown_name
from routing.entrances.portal import signing
from routing.entrances.portal.settings import PortalSecrets, PortalSettings
from routing.entrances.portal.signing import Visitor
from routing.models import AttributeSource, Entrance, EntranceKind, Identity, IdentityKind, PortalSession


class SessionEnded(Problem):
    """The token of the visitor's session is wrong or has expired. Begin a new session."""

    status = 401
    code = "session_ended"
    title = gettext_lazy("The session has ended")


def entrance_of(entrance_id: UUID) -> Entrance:
    """Return an enabled portal entrance.

    Raises:
        NotFound: there is none with this id.
    """
    rows = Entrance.objects.filter(pk=entrance_id, kind=EntranceKind.PORTAL, is_enabled=True, tenant__is_active=True)
    entrance = rows.first()
    if entrance is None:
        raise NotFound(_("There is no chat at this address."))
    return entrance


def entrance_at(key: str) -> Entrance:
    """Return an enabled portal entrance by its short address or its id; of two with one address the older.

    Raises:
        NotFound: there is none.
    """
    try:
        return entrance_of(UUID(key))
    except ValueError:
        pass
    rows = Entrance.objects.filter(kind=EntranceKind.PORTAL, settings__slug=key, is_enabled=True, tenant__is_active=True)
    entrance = rows.order_by("pk").first() if key else None
    if entrance is None:
        raise NotFound(_("There is no chat at this address."))
    return entrance


def settings_of(entrance: Entrance) -> PortalSettings:
    """Return the settings of a portal entrance; those that it does not have are the defaults."""
    return PortalSettings.model_validate(entrance.settings)


def digest_of(token: str) -> str:
    """Return what is kept of a token. It is random and long, so a plain hash tells nothing about it."""
    return hashlib.sha256(token.encode()).hexdigest()


def visitor_of(entrance: Entrance, *, payload: str = "", signature: str = "", name: str = "", now: datetime) -> Visitor:
    """Return who begins a session: the visitor that the site has signed, or a new one who is not known.

    Raises:
        NotSigned: what is signed is wrong, or the entrance takes signed visitors only.
    """
    if payload or signature:
        secret = PortalSecrets.model_validate(entrance.secrets).signing_secret
        return signing.read(payload, signature, secret=secret, now=now)
    if settings_of(entrance).must_sign:
        raise signing.NotSigned(_("This chat takes signed visitors only. Send identity.payload and identity.signature."))
    return Visitor(SenderName(IdentityKind.PORTAL, new_id().hex, name=name[:200]), (), "", {})


@transaction.atomic
def begin(entrance: Entrance, visitor: Visitor, *, language: str, now: datetime) -> tuple[PortalSession, str]:
    """Begin a session of a visitor and return it with its token, which is told this once."""
    language = shown_name(visitor.language or language, max_length=16)
    identity = identities.resolve(visitor.sender, tenant_id=entrance.tenant_id, also=visitor.also, language=language, now=now)
    if visitor.attributes:
        attributes.record(identity.customer_id, visitor.attributes, source=AttributeSource.PORTAL, now=now)
    return begin_again(entrance, identity, language=language, now=now)


def begin_again(
    entrance: Entrance, identity: Identity, *, language: str, proved: Identity | None = None, now: datetime
) -> tuple[PortalSession, str]:
    """Begin a session of a visitor who is known, such as on another device, and return it with its token.

    `proved` is an address to which only the one who begins it has access; other sessions of the visitor prove nothing by it.
    """
    token = secrets.token_urlsafe(32)
    session = PortalSession.objects.create(
        tenant_id=entrance.tenant_id,
        entrance=entrance,
        identity=identity,
        proved=proved,
        digest=digest_of(token),
        language=language,
        created_at=now,
        expires_at=now + timedelta(hours=settings_of(entrance).session_hours),
    )
    return session, token


def _in_force(now: datetime) -> dict[str, object]:
    return {"expires_at__gt": now, "entrance__is_enabled": True, "tenant__is_active": True}


def find(entrance_id: UUID, token: str, *, now: datetime) -> PortalSession:
    """Return the session of a token, with its identity and entrance.

    Raises:
        SessionEnded: there is none, or it has expired.
    """
    rows = PortalSession.objects.select_related("identity", "entrance").filter(**_in_force(now))
    session = rows.filter(entrance_id=entrance_id, digest=digest_of(token)).first() if 20 <= len(token) <= 100 else None
    if session is None:
        raise SessionEnded(_("Begin a new session, and use its token."))
    return session


def still_valid(ids: Iterable[UUID], *, now: datetime) -> set[UUID]:
    """Return those sessions that hold still; one query."""
    return set(PortalSession.objects.filter(pk__in=list(ids), **_in_force(now)).values_list("pk", flat=True))


def delete_expired(*, now: datetime) -> int:
    """Delete the sessions that have expired, and return how many."""
    number, _by_model = PortalSession.objects.filter(expires_at__lte=now).delete()
    return number
