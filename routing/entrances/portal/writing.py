"""What a visitor does in a session: write a line, upload a file, read. The same over WebSocket and HTTP."""

import re
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from posthaste.lib.blank import is_blank
from posthaste.lib.problems import Invalid
from routing.contract import Incoming, SenderName
from routing.conversations import arrivals, attachments, lines, selectors
from routing.conversations.arrivals import Stored
from routing.entrances.portal import flood, sessions
from routing.models import Attachment, Conversation, IdentityKind, PortalSession

CLIENT_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")
MAX_TEXT = 4_000


def owner_of(session: PortalSession) -> str:
    """Return as whose a visitor's files are kept until a line names them."""
    return f"identity:{session.identity_id.hex}"


def write_line(session: PortalSession, *, client_id: str, text: str, file_ids: Sequence[UUID] = (), ip: str, now: datetime) -> Stored:
    """Store a visitor's line and return what became of it; under a client id that was used before nothing is stored.

    Raises:
        Invalid: naming each wrong field.
        TooMany: the visitor writes too much.
    """
    errors = []
    if not CLIENT_ID.fullmatch(client_id):
        said = _("1 to 64 letters, digits and _ . - that name this line and no other.")
        errors.append({"field": "client_id", "code": "invalid", "message": said})
    if len(text) > MAX_TEXT:
        errors.append({"field": "text", "code": "too_long", "message": _("At most {n} characters.").format(n=MAX_TEXT)})
    if is_blank(text) and not file_ids:
        errors.append({"field": "text", "code": "required", "message": _("Write a text or add a file.")})
    if errors:
        raise Invalid(errors=errors)
    settings = sessions.settings_of(session.entrance)
    flood.enter_line(settings, entrance_id=session.entrance_id.hex, visitor=session.identity_id.hex, ip=ip)
    incoming = Incoming(
        external_id=f"{session.identity_id.hex}:{client_id}",
        sender=SenderName(session.identity.kind, session.identity.value, verified=session.identity.kind == IdentityKind.OWN),
        text=text,
        details={"client_id": client_id},
    )
    if file_ids:
        # What was sent before has its files in a line by now: only a new line must still find them.
        known = arrivals.known(session.entrance_id, incoming.external_id)
        if known is not None:
            return known
        owned = attachments.owned(file_ids, tenant_id=session.tenant_id, owner=owner_of(session))
        with transaction.atomic():
            stored = arrivals.store(session.entrance_id, [incoming], tenant_id=session.tenant_id, now=now)[0]
            if stored.is_new:
                attachments.reserve(owned, owner=owner_of(session), new_owner=arrivals.owner_of(stored.id))
        return stored
    return arrivals.store(session.entrance_id, [incoming], tenant_id=session.tenant_id, now=now)[0]


def upload(session: PortalSession, *, name: str, content: bytes, ip: str, now: datetime) -> Attachment:
    """Store a file that a line of the same visitor will name.

    Raises:
        Invalid: it is empty or too large.
        TooMany: the visitor sends too much.
    """
    settings = sessions.settings_of(session.entrance)
    flood.enter_line(settings, entrance_id=session.entrance_id.hex, visitor=session.identity_id.hex, ip=ip)
    most = settings.max_file_mib << 20
    return attachments.upload(name=name, content=content, tenant_id=session.tenant_id, owner=owner_of(session), max_bytes=most, now=now)


def current(session: PortalSession) -> Conversation | None:
    """Return the conversation of a visitor: the one that is open, or the last one."""
    return selectors.latest_of(entrance_id=session.entrance_id, identity_id=session.identity_id)


def read_up_to(session: PortalSession, *, seq: int) -> bool:
    """Note that a visitor has read the current conversation up to a line; False: that was known, or there is no such line."""
    conversation = current(session)
    return conversation is not None and lines.mark_read(conversation, by_customer=True, seq=seq)
