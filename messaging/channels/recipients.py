"""Recipients checked and brought into one form, as their channel says."""

import re
import string
from enum import StrEnum

from django.utils.translation import gettext as _

from messaging.channels.channel import CHANNELS, EMAIL, SMS, WEBHOOK
from messaging.channels.standard import compact_phone  # whose module declares our own channels
from posthaste.lib.control_characters import find_control

#: Invisible characters at the ends of a copied value: spaces of all widths, marks of direction, a byte order mark.
_EDGES = (
    string.whitespace
    + "\u00a0\u00ad\u202f\u205f\u3000\ufeff"
    + "".join(chr(code) for first, last in ((0x2000, 0x200F), (0x2028, 0x202E), (0x2060, 0x2069)) for code in range(first, last + 1))
)
_SCHEME = re.compile(r"(tel|sms|sip|mailto|whatsapp|ftp|ws|wss):", re.IGNORECASE)
_HOST_AND_PATH = re.compile(r"(www\.|[a-z0-9-]+(\.[a-z0-9-]+)*\.[a-z]{2,}(:[0-9]+)?/)", re.IGNORECASE)


class RecipientKind(StrEnum):
    """What a recipient of no particular channel is. Their stored forms differ, so a recipient says its kind itself."""

    PHONE = "phone"
    EMAIL = "email"
    URL = "url"
    NAME = "name"  # a device token, a user id, a room: what only one channel understands


KINDS = [(kind.value, kind.value) for kind in RecipientKind]
#: Whose rules a recipient of a kind follows; a name follows none.
CHANNEL_OF = {RecipientKind.PHONE: SMS, RecipientKind.EMAIL: EMAIL, RecipientKind.URL: WEBHOOK}


def _trimmed(value: str) -> str:
    value = value.strip()
    return value if value.isascii() else value.strip(_EDGES)


def normalise_recipient(channel: str, value: str) -> str:
    """Check a recipient of a channel and return it in its one stored form.

    Raises:
        ValueError: with a sentence for the caller.
    """
    if not isinstance(value, str):
        raise ValueError(_("The recipient must be a text."))
    try:
        declared = CHANNELS[channel]
    except KeyError:
        raise ValueError(_("There is no channel “%(channel)s”.") % {"channel": channel}) from None
    value = _trimmed(value)
    if found := find_control(value):
        raise ValueError(_("A recipient must not contain the control character {character}.").format(character=found))
    return declared.normalise(value)


def list_key(recipient: str) -> str:
    """Return the form of a normalised recipient that lists store: addresses are compared without regard to case."""
    return recipient.lower() if "@" in recipient else recipient


def kind_of(recipient: str) -> RecipientKind:
    """Return the kind that a recipient is written as; a name where it shows no other."""
    if recipient.startswith(("+", "\uff0b")):
        return RecipientKind.PHONE
    if recipient[:8].lower().startswith(("http://", "https://")):
        return RecipientKind.URL
    return RecipientKind.EMAIL if "." in recipient.rpartition("@")[2] and "@" in recipient else RecipientKind.NAME


def normalise_anywhere(value: str, kind: str = "") -> str:
    """Check a recipient of no particular channel and return it in its stored form.

    `kind` is one of `RecipientKind`. Without it the value must show what it is: a number without + could be a phone number or a
    name, and an entry for the wrong one would hold back nothing.

    Raises:
        ValueError: with a sentence for the caller.
    """
    value = _trimmed(value)
    written = kind_of(value)
    if kind == RecipientKind.NAME:
        if written != RecipientKind.NAME and _fits(value, written):
            raise ValueError(_("This is a phone number, an e-mail address or a URL, and not a name. Leave kind out."))
        return _name(value)
    if not kind and written == RecipientKind.NAME:
        _must_be_clear(value)
        return _name(value)
    return normalise_recipient(CHANNEL_OF[RecipientKind(kind or written)], value)


def written_forms(text: str) -> set[str]:
    """Return the forms in which a recipient may be stored that was typed into a search or a filter.

    A number may lack its +, which an address (`?recipient=+44…`) decodes to a blank unless it is written %2B.
    """
    text = _trimmed(text)
    digits = compact_phone(text)
    forms = {text}
    for written in (text, f"+{digits}" if digits.isascii() and digits.isdigit() else ""):
        try:
            forms.add(normalise_anywhere(written))
        except ValueError:
            continue
    return forms


def _fits(value: str, kind: RecipientKind) -> bool:
    try:
        normalise_recipient(CHANNEL_OF[kind], value)
    except ValueError:
        return False
    return True


def _must_be_clear(value: str) -> None:
    """Refuse what could be something else than a name."""
    if re.fullmatch(r"\d{3,}", compact_phone(value)):
        said = _("This could be a phone number or a name. Write a phone number with + and the country code.")
    elif "@" in value or "\uff20" in value:
        said = _("This could be an e-mail address or a name. Write an e-mail address in full, such as ada@example.com.")
    elif "://" in value or _SCHEME.match(value) or _HOST_AND_PATH.match(value):
        said = _(
            "This could be an address or a name. Write a URL with https://, a phone number with +, an e-mail address without a prefix."
        )
    else:
        return
    advice = _("For a name, set channel, or set kind to name.")
    raise ValueError(f"{said} {advice}")


def _name(value: str) -> str:
    if not 1 <= len(value) <= 2048 or not value.isprintable():
        raise ValueError(_("A recipient has 1 to 2,048 printable characters."))
    return value
