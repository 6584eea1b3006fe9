"""Recipients checked and brought into one form, a function a channel."""

import re
from collections.abc import Callable
from functools import lru_cache
from urllib.parse import urlsplit, urlunsplit

import idna
import phonenumbers
from django.core.exceptions import ValidationError
from django.core.validators import EmailValidator
from django.utils.translation import gettext as _

#: Numbers the sandbox answers in a special way (see `sandbox/`). They belong to no subscriber, and some releases of the
#: numbering data call them invalid, so they are let through by name.
SANDBOX_NUMBERS = frozenset(f"+1500555000{digit}" for digit in range(10))

_PHONE = re.compile(r"\+[1-9][0-9]{6,14}")
_TOKEN = re.compile(r"[!-~]{8,2048}")
_WECOM = re.compile(r"[A-Za-z0-9_.@-]{1,64}")
_SEPARATORS = str.maketrans("", "", " \u00a0-().")
_check_email = EmailValidator()


def normalise_recipient(channel: str, value: str) -> str:
    """Check a recipient of a channel and return it in its one stored form.

    Raises:
        ValueError: with a sentence for the caller.
    """
    if not isinstance(value, str):
        raise ValueError(_("The recipient must be a text."))
    try:
        check = _CHECKS[channel]
    except KeyError:
        raise ValueError(_("There is no channel “%(channel)s”.") % {"channel": channel}) from None
    return check(value.strip())


def list_key(recipient: str) -> str:
    """Return the form in which a normalised recipient stands on lists: capitals of an address mean nothing."""
    return recipient.lower() if "@" in recipient else recipient


def normalise_anywhere(value: str) -> str:
    """Check a recipient of no particular channel and return it in its stored form.

    Raises:
        ValueError: with a sentence for the caller.
    """
    value = value.strip()
    if value.startswith("+"):
        return normalise_recipient("sms", value)
    if value.startswith(("http://", "https://")):
        return normalise_recipient("webhook", value)
    if "@" in value and "." in value.rpartition("@")[2]:
        return normalise_recipient("email", value)
    if not 1 <= len(value) <= 2048 or not value.isprintable():
        raise ValueError(_("A recipient has 1 to 2,048 printable characters."))
    return value


def _phone(value: str) -> str:
    return _valid_phone(value.translate(_SEPARATORS))


# A batch of 10,000 is checked while its caller waits, and the same customers come again: the numbering data is slow to
# ask (tens of microseconds a number), so answers are kept. Errors are not kept; they are rare.
@lru_cache(maxsize=50_000)
def _valid_phone(number: str) -> str:
    if not _PHONE.fullmatch(number):
        raise ValueError(_("Give the phone number in international form, beginning with + and the country code, such as +8613812345678."))
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
        problem = _("The address holds characters that a URL must not hold.")
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
        raise ValueError(_("The address must not hold a user name or password."))
    return urlunsplit((parts.scheme, parts.netloc.lower(), parts.path or "/", parts.query, ""))


def _push(value: str) -> str:
    if not _TOKEN.fullmatch(value):
        raise ValueError(_("A push token has 8 to 2,048 printable characters and no blanks."))
    return value


def _wecom(value: str) -> str:
    if not _WECOM.fullmatch(value):
        raise ValueError(_("Give a WeCom user id or webhook key: 1 to 64 letters, digits and _ . @ -"))
    return value


def _chat(value: str) -> str:
    if not 1 <= len(value) <= 256 or not value.isprintable():
        raise ValueError(_("A chat recipient has 1 to 256 printable characters."))
    return value


_CHECKS: dict[str, Callable[[str], str]] = {"sms": _phone, "email": _email, "push": _push, "wecom": _wecom, "webhook": _url, "chat": _chat}
