"""The channels that Posthaste brings along: how their recipients are written, and how they are masked."""

import re
import unicodedata
from functools import lru_cache
from urllib.parse import urlsplit, urlunsplit

import idna
import phonenumbers
from django.core.exceptions import ValidationError
from django.core.validators import EmailValidator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from messaging.channels.channel import CHAT, EMAIL, PUSH, SMS, WEBHOOK, WECOM, Channel, declare
from posthaste.lib import http, masking

#: Numbers the sandbox answers in a special way (see `sandbox/`). They belong to no subscriber, and some releases of the
#: numbering data call them invalid, so they are let through by name.
SANDBOX_NUMBERS = frozenset(f"+1500555000{digit}" for digit in range(10))

_PHONE = re.compile(r"\+[1-9][0-9]{6,14}")
_TOKEN = re.compile(r"[!-~]{8,2048}")
_WECOM = re.compile(r"[A-Za-z0-9_.@-]{1,64}")
_SEPARATORS = str.maketrans("", "", " \u00a0-()./")
#: Full-width forms of ASCII, as an East Asian keyboard writes them.
_FULL_WIDTH = {0xFF01 + n: 0x21 + n for n in range(94)}
#: Written between digits beside what Unicode calls a space (Zs), a dash (Pd) or a format character (Cf): the minus sign, and the
#: Japanese long vowel mark, which looks like a dash.
_LIKE_DASHES = frozenset("\u2212\u30fc\uff70")
_check_email = EmailValidator()


def compact_phone(value: str) -> str:
    """Return a phone number without what people and programs write between its digits: spaces, dashes, invisible characters."""
    compact = value.translate(_SEPARATORS)
    if compact.isascii():
        return compact
    plain = value.translate(_FULL_WIDTH).translate(_SEPARATORS)
    return "".join(c for c in plain if unicodedata.category(c) not in ("Cf", "Pd", "Zs") and c not in _LIKE_DASHES)


def _phone(value: str) -> str:
    return _valid_phone(compact_phone(value))


# A batch of 10,000 is checked while its caller waits, and the same customers come again: the numbering data is slow to
# ask (tens of microseconds a number), so answers are kept. Errors are not kept; they are rare.
@lru_cache(maxsize=50_000)
def _valid_phone(number: str) -> str:
    if not _PHONE.fullmatch(number):
        raise ValueError(_("Use the international form: + and the country code, such as +8613812345678."))
    if number in SANDBOX_NUMBERS:
        return number
    try:
        parsed = phonenumbers.parse(number, None)
    except phonenumbers.NumberParseException:
        raise ValueError(_("The phone number has no known country code.")) from None
    if not phonenumbers.is_valid_number(parsed):
        raise ValueError(_("The phone number does not exist in the numbering plan of its country."))
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


def _email(value: str) -> str:
    local, _at, domain = value.rpartition("@")
    domain = domain.lower()
    if not domain.isascii():
        try:
            domain = idna.encode(domain, uts46=True).decode("ascii")
        except idna.IDNAError:
            domain = ""
    address = f"{local}@{domain}"
    try:
        if len(address) > 254:
            raise ValidationError("")
        _check_email(address)
    except ValidationError:
        raise ValueError(_("This is not an e-mail address.")) from None
    return address


def _url(value: str) -> str:
    problem = None
    if len(value) > 2048:
        problem = _("The address has more than 2,048 characters.")
    elif not value.isascii() or not value.isprintable() or " " in value or "\\" in value:
        problem = _("The address contains characters that are not allowed in a URL.")
    if problem:
        raise ValueError(problem)
    try:
        parts = urlsplit(value)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError(_("This is not an http or https address.")) from None
    if parts.scheme not in ("http", "https") or not host or port == 0:
        raise ValueError(_("This is not an http or https address."))
    if "@" in parts.netloc:
        raise ValueError(_("The address must not contain a user name or password."))
    if not http.is_address(value):
        raise ValueError(_("This is not an http or https address."))
    return urlunsplit((parts.scheme, parts.netloc.lower(), parts.path or "/", parts.query, ""))


def _push(value: str) -> str:
    if not _TOKEN.fullmatch(value):
        raise ValueError(_("A push token has 8 to 2,048 printable characters and no spaces."))
    return value


def _wecom(value: str) -> str:
    if not _WECOM.fullmatch(value):
        raise ValueError(_("Enter a WeCom user ID or webhook key: 1 to 64 letters, digits and _ . @ -"))
    return value


def _chat(value: str) -> str:
    if not 1 <= len(value) <= 256 or not value.isprintable():
        raise ValueError(_("A chat recipient has 1 to 256 printable characters."))
    return value


declare(Channel(code=SMS, label=gettext_lazy("SMS"), normalise=_phone, mask=masking.mask_phone))
declare(Channel(code=EMAIL, label=gettext_lazy("E-mail"), normalise=_email, mask=masking.mask_email))
declare(Channel(code=PUSH, label=gettext_lazy("App push"), normalise=_push))
declare(Channel(code=WECOM, label=gettext_lazy("WeCom"), normalise=_wecom))
declare(Channel(code=WEBHOOK, label=gettext_lazy("Webhook"), normalise=_url))
declare(Channel(code=CHAT, label=gettext_lazy("Chat"), normalise=_chat))
