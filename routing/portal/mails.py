"""E-mails that a visitor asks for: messages like all others, with their trace.

A form that sends to any address is what senders of spam look for. So it is limited for a visitor, an IP address and a recipient, people who
unsubscribed get nothing, and nothing but what an agent and the visitor wrote is in it.
"""

import hashlib
from datetime import datetime, timedelta
from uuid import UUID

from django.utils.translation import gettext as _

from messaging.channels.channel import EMAIL
from messaging.channels.recipients import list_key, normalise_recipient
from messaging.intake.accept import accept_message
from messaging.intake.repeats import Repeatable
from messaging.providers.cache import provider_cache
from messaging.storage.store import NewRow
from posthaste.lib.ids import new_id
from posthaste.lib.masking import mask_recipient
from posthaste.lib.problems import Conflict, Invalid
from routing.entrances.portal import flood
from routing.models import IdentityKind, PortalSession
from routing.portal import own

PRIORITY = 7
CATEGORY = "portal"
#: After that no one waits for it any more.
EXPIRES = timedelta(hours=12)
MAIL_VISITOR, MAIL_RECIPIENT = "help_mail", "help_mail_to"
PER_VISITOR, PER_ADDRESS, PER_RECIPIENT = 5, 20, 5


def is_available(tenant_id: int) -> bool:
    """Return whether the tenant can send e-mail."""
    return bool(provider_cache.in_force(tenant_id, EMAIL))


def proven_address(session: PortalSession) -> str:
    """Return an e-mail address that the session has proved; empty: there is none."""
    rows = own.proved_identities(session).filter(kind=IdentityKind.EMAIL).order_by("-last_seen_at")
    return rows.values_list("value", flat=True).first() or ""


def checked_address(text: str) -> str:
    """Return an e-mail address in the form that is stored.

    Raises:
        Invalid: it is none.
    """
    try:
        return normalise_recipient(EMAIL, text)
    except ValueError as error:
        raise Invalid.field("email", str(error)) from None


def masked(address: str) -> str:
    """Return an address fit to be shown."""
    return mask_recipient(EMAIL, address) if address else ""


def send(session: PortalSession, *, address: str, subject: str, body: str, about: str, ip: str, now: datetime) -> UUID:
    """Send an e-mail that a visitor asked for, in the caller's transaction, and return the id of its message.

    Raises:
        Conflict: the tenant can't send e-mail.
        TooMany: too many were asked for.
    """
    if not is_available(session.tenant_id):
        raise Conflict(_("E-mails can't be sent from here at the moment."))
    entrance_id = session.entrance_id.hex
    limits = {"per_visitor": PER_VISITOR, "per_address": PER_ADDRESS}
    flood.enter_hourly(MAIL_VISITOR, entrance_id=entrance_id, visitor=session.identity_id.hex, ip=ip, **limits)
    whose = hashlib.sha256(list_key(address).encode()).hexdigest()
    limits = {"per_visitor": PER_RECIPIENT, "per_address": PER_ADDRESS}
    flood.enter_hourly(MAIL_RECIPIENT, entrance_id=session.tenant.slug, visitor=whose, ip=ip, **limits)
    message_id = new_id()
    row = NewRow(
        id=message_id,
        tenant_id=session.tenant_id,
        api_key_id=None,
        batch_id=None,
        channel=EMAIL,
        recipient=address,
        priority=PRIORITY,
        status="pending",
        is_sandbox=False,
        template_version_id=None,
        variables={},
        subject=subject[:300],
        body=body,
        segments=None,
        reference=about[:100],
        metadata={"entrance": str(session.entrance_id), "session": str(session.pk)},
        created_at=now,
        due_at=now,
        expires_at=now + EXPIRES,
        category=CATEGORY,
    )
    accept_message(row, repeatable=Repeatable(f"portal:{message_id.hex}", hashlib.sha256(message_id.bytes).digest()))
    return message_id
