"""The unsubscribe link of e-mails (RFC 8058): made, read, obeyed, undone.

The link names tenant, address, category and message in one encrypted and authenticated token (Fernet, the keys of ENCRYPTION_KEYS), so
it cannot be forged and reveals no address. It works as long as the key is known, even long after the message was deleted.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import orjson
from cryptography.fernet import InvalidToken
from django.db import transaction

from accounts.selectors import Tenant, tenant_by_id
from accounts.services import audit
from accounts.services.audit import Actor
from messaging.actions import Action
from messaging.channels.channel import EMAIL
from messaging.channels.recipients import list_key
from messaging.configuration import delivery_rules
from messaging.models import Suppression, SuppressionReason
from messaging.storage.store import Claimed
from messaging.suppression import suppressions
from messaging.suppression.suppressions import Entry
from posthaste import env
from posthaste.lib.crypto import cipher

VARIABLE = "unsubscribe_url"  # what templates call it
SAMPLE = "sample"  # in place of a token where a text is only looked at
PURPOSE = "unsubscribe"  # a token that was made for something else opens nothing here
LONGEST = 4_096


@dataclass(frozen=True, slots=True)
class Link:
    """What a token says."""

    tenant_id: int
    recipient: str
    category: str
    message_id: UUID


def applies(*, tenant_id: int, channel: str, category: str) -> bool:
    """Return whether messages of this kind have an unsubscribe address: e-mails of the categories that the rules name."""
    return channel == EMAIL and category in delivery_rules.of(tenant_id).unsubscribe_categories


def header_url(row: Claimed) -> str:
    """Return the address for the headers of a message, or nothing where it has none.

    Never for messages of a sandbox key, and only where the platform is reached over https: RFC 8058 takes no other address.
    """
    if row.is_sandbox or not applies(tenant_id=row.tenant_id, channel=row.channel, category=row.category):
        return ""
    return _address(row) if _base().startswith("https://") else ""


def text_url(row: Claimed) -> str | None:
    """Return the address for the text of a message, whatever the platform is reached over; None where it has none."""
    if not applies(tenant_id=row.tenant_id, channel=row.channel, category=row.category):
        return None
    return sample_url() if row.is_sandbox else _address(row)


def sample_url() -> str:
    """Return the address shown in previews: it unsubscribes no one."""
    return f"{_base()}/u/{SAMPLE}/"


def token_in(url: str) -> str:
    """Return the part of an address that no other message has."""
    return url.rstrip("/").rpartition("/")[2]


def _base() -> str:
    return env.load().public_url.rstrip("/")


def _address(row: Claimed) -> str:
    return f"{_base()}/u/{token_for(Link(row.tenant_id, row.recipient, row.category, row.id))}/"


def token_for(link: Link) -> str:
    """Make the token of a link."""
    said = [PURPOSE, link.tenant_id, link.recipient, link.category, link.message_id.hex]
    return cipher().encrypt(orjson.dumps(said)).decode().rstrip("=")


def read(token: str) -> Link | None:
    """Read a token; None if it is none of ours."""
    if len(token) > LONGEST or not token.isascii():
        return None
    try:
        purpose, tenant_id, recipient, category, message_id = orjson.loads(cipher().decrypt(token + "=" * (-len(token) % 4)))
    except (InvalidToken, ValueError, TypeError):
        return None
    return Link(tenant_id, recipient, category, UUID(message_id)) if purpose == PURPOSE else None


def tenant_of(link: Link) -> Tenant | None:
    """Return whose messages a link is about, if that tenant is still there."""
    return tenant_by_id(link.tenant_id)


def is_listed(link: Link, *, now: datetime) -> bool:
    """Return whether the recipient gets no messages of the category any more."""
    same = Suppression.objects.filter(tenant_id=link.tenant_id, recipient=list_key(link.recipient))
    return same.filter(suppressions.in_force(now), channel__in=("", EMAIL), category__in=("", link.category)).exists()


@transaction.atomic
def unsubscribe(link: Link, *, by: Actor, now: datetime) -> bool:
    """Put the recipient on the list for the category; False if they stood there already."""
    entry = Entry(list_key(link.recipient), EMAIL, link.category, link.message_id)
    added = suppressions.suppress([entry], tenant_id=link.tenant_id, reason=SuppressionReason.UNSUBSCRIBE, author=str(by), now=now)
    if added:
        _write_down(Action.SUPPRESSION_UNSUBSCRIBE, link, by)
    return bool(added)


@transaction.atomic
def undo(link: Link, *, by: Actor) -> bool:
    """Take back what the recipient did with such a link, and nothing that others did; False if there is nothing."""
    own = Suppression.objects.filter(
        tenant_id=link.tenant_id,
        recipient=list_key(link.recipient),
        channel=EMAIL,
        category=link.category,
        reason=SuppressionReason.UNSUBSCRIBE,
    )
    removed, _each = own.delete()
    if removed:
        _write_down(Action.SUPPRESSION_UNDO, link, by)
    return bool(removed)


def _write_down(action: Action, link: Link, by: Actor) -> None:
    target = suppressions.masked(link.recipient, EMAIL)
    detail = {"category": link.category, "message": str(link.message_id)}
    audit.record(by=by, action=action, target=target, tenant_id=link.tenant_id, detail=detail)
