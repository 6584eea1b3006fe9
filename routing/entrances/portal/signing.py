"""Who a visitor is, as the host site signs it.

The site's server writes a JSON object, such as `{"id": "4711", "name": "Ada", "expires": 1796000000}`, and signs exactly this text with
HMAC-SHA256 and the entrance's signing secret. The browser passes both on. The id is the visitor's own id at the site; e-mail address and
phone number count as verified, as the site has proved them.
"""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from posthaste.lib.problems import Problem
from routing.contract import SenderName
from routing.customers.values import has_form
from routing.models import IdentityKind

#: A signature that is good for longer would be a password.
LONGEST = timedelta(days=1)
MAX_PAYLOAD = 4_000


class NotSigned(Problem):
    """The site's signature of the visitor's identity is missing, wrong or expired. Sign it anew on the site's server."""

    status = 401
    code = "identity_not_signed"
    title = gettext_lazy("The visitor's identity is not signed")


class Payload(msgspec.Struct, forbid_unknown_fields=True):
    """What the site signs; `expires` in seconds since 1970."""

    id: str
    expires: int
    name: str = ""
    email: str = ""
    phone: str = ""
    language: str = ""
    attributes: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Visitor:
    """A visitor whose identity is proved."""

    sender: SenderName
    also: tuple[SenderName, ...]
    language: str
    attributes: dict[str, Any]


def signature_of(payload: str, secret: str) -> str:
    """Return the signature that a site's server makes, as hexadecimal digits."""
    return hmac.new(secret.encode(), payload.encode(), hashlib.sha256).hexdigest()


def read(payload: str, signature: str, *, secret: str, now: datetime) -> Visitor:
    """Return the visitor that a site has signed.

    Raises:
        NotSigned: saying what is wrong.
    """
    if not secret:
        raise NotSigned(_("The entrance has no signing secret. Set one, and give it to the site's server."))
    if len(payload) > MAX_PAYLOAD or not hmac.compare_digest(signature_of(payload, secret).encode(), signature.encode("utf-8", "replace")):
        raise NotSigned(_("The signature does not fit. Sign exactly the text of the payload with HMAC-SHA256 and the signing secret."))
    try:
        found = msgspec.json.decode(payload.encode(), type=Payload)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise NotSigned(_("The payload is not understood: {error}").format(error=str(error)[:200])) from None
    if found.expires <= now.timestamp():
        raise NotSigned(_("The signature has expired. Sign the identity anew."))
    if found.expires > (now + LONGEST).timestamp():
        raise NotSigned(_("The signature is valid for too long. Use an expiry of at most 24 hours."))
    if len(found.id) > 250 or not found.id.isprintable() or not has_form(IdentityKind.OWN, found.id):
        raise NotSigned(_("The id needs 1 to 250 printable characters."))
    also = [
        SenderName(kind, value, verified=True, name=found.name[:200])
        for kind, value in ((IdentityKind.EMAIL, found.email), (IdentityKind.PHONE, found.phone))
        if value
    ]
    sender = SenderName(IdentityKind.OWN, found.id, verified=True, name=found.name[:200])
    return Visitor(sender, tuple(also), found.language[:16], found.attributes)


def expiry(seconds: int, *, now: datetime) -> int:
    """Return an expiry as the payload has it."""
    return int(now.astimezone(UTC).timestamp()) + seconds
