"""From a request to the bytes of a mail (RFC 5322).

Everything that does not depend on the recipient is composed once: a newsletter to ten thousand has ten thousand short
heads and one text.
"""

import time
from collections.abc import Mapping
from email.errors import MessageError
from email.utils import formatdate
from functools import lru_cache

from django.core.mail import EmailMultiAlternatives
from inscriptis import get_text

from messaging.channels.base import CannotCompose, Misconfigured

MAX_REMEMBERED = 32_768  # characters; longer texts are composed each time
_OF_THE_RECIPIENT = ("To", "Message-ID", "Date")


def compose(*, sender: str, reply_to: str, recipient: str, subject: str, body: str, html: str, heads: Mapping[str, str]) -> bytes:
    """Return a mail as CRLF lines; `heads` are the headers that are its own.

    Raises:
        CannotCompose: a header holds what no header may hold.
        Misconfigured: the sender can't be written in a mail.
    """
    make = _common if len(body) + len(html) > MAX_REMEMBERED else _remembered
    try:
        common = make(sender, reply_to, subject, body, html)
    except (ValueError, MessageError) as error:  # Django's BadHeaderError, email's HeaderParseError: a line break in the subject, say
        if not _can_send_at_all(sender, reply_to):
            raise Misconfigured(f"The sender can't be written in a mail: {error}", field="from_name") from None
        raise CannotCompose("bad_header", f"The subject can't be written in a mail: {error}", field="subject") from None
    own = {"To": recipient, **heads, "Date": _date(int(time.time()))}
    if any("\n" in value or "\r" in value or not value.isascii() for value in own.values()):
        raise CannotCompose("bad_header", "A header holds a line break or a character that is not ASCII.", field="recipient")
    return "".join(f"{name}: {value}\r\n" for name, value in own.items()).encode("ascii") + common


def _can_send_at_all(sender: str, reply_to: str) -> bool:
    try:
        _common(sender, reply_to, "Subject", "Text", "")
    except (ValueError, MessageError):
        return False
    return True


def _common(sender: str, reply_to: str, subject: str, body: str, html: str) -> bytes:
    """Return what is the same for all recipients: the text and its headers."""
    try:
        text = body or (get_text(html).strip() if html else "")
    except (ValueError, LookupError, RecursionError):
        text = ""
    message = EmailMultiAlternatives(
        subject=subject,
        body=text,
        from_email=sender,
        reply_to=[reply_to] if reply_to else None,
        headers={"Auto-Submitted": "auto-generated", "Message-ID": "", "Date": ""},
    )
    if html:
        message.attach_alternative(html, "text/html")
    made = message.message()
    for name in _OF_THE_RECIPIENT:
        del made[name]
    return made.as_bytes(linesep="\r\n")  # type: ignore[call-arg]  # Django's own kind of message takes it


_remembered = lru_cache(maxsize=128)(_common)
_date = lru_cache(maxsize=8)(formatdate)  # the same for all mails of a second
