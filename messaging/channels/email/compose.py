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

from messaging.channels.base import CannotCompose, Misconfigured
from messaging.channels.email.files import TextFile
from messaging.channels.email.headers import check_headers, mailbox_header, plain_header, text_header
from posthaste.lib.html import as_text

MAX_REMEMBERED = 32_768  # characters; longer texts are composed each time
_COMPOSED_HERE = ("Subject", "From", "To", "Message-ID", "Date")


def compose(
    *,
    from_name: str,
    from_email: str,
    reply_to: str,
    recipient: str,
    subject: str,
    body: str,
    html: str,
    heads: Mapping[str, str],
    folded: Mapping[str, str] | None = None,
    by_hand: bool = False,
    files: tuple[TextFile, ...] = (),
) -> bytes:
    """Return a mail as CRLF lines; `heads` are the headers that are its own, `folded` those of them that are folded already.

    `files` are attached. `by_hand`: a person wrote it. Other mail is marked as sent by a machine (RFC 3834).

    Raises:
        CannotCompose: a header holds what no header may hold.
        Misconfigured: the sender can't be written in a mail.
    """
    length = len(body) + len(html) + sum(len(file.text) for file in files)
    make = _common if length > MAX_REMEMBERED else _remembered
    try:
        common = make(from_name, from_email, reply_to, subject, body, html, by_hand, files)
    except (ValueError, MessageError) as error:  # BadHeader, and what can't be encoded
        if field := _wrong_setting(from_name, from_email, reply_to):
            raise Misconfigured(f"The sender can't be written in a mail: {error}", field=field) from None
        raise CannotCompose("bad_header", str(error), field="subject") from None
    own = {"To": recipient, **heads, "Date": _date(int(time.time()))}
    try:
        lines = [plain_header(name, value) for name, value in own.items()]
        lines += [f"{name}: {value}\r\n" for name, value in (folded or {}).items()]
        return "".join(lines).encode("ascii") + common
    except ValueError as error:
        raise CannotCompose("bad_header", str(error), field="recipient") from None


def _wrong_setting(from_name: str, from_email: str, reply_to: str) -> str:
    """Return the field of the configuration that no mail can be composed with; empty where the message is at fault."""
    alone = {"from_email": ("", from_email, ""), "from_name": (from_name, "a@example.com", ""), "reply_to": ("", "a@example.com", reply_to)}
    for field, sender in alone.items():
        try:
            _common(*sender, "Subject", "Text", "", False, ())
        except (ValueError, MessageError):
            return field
    return ""


def _common(
    from_name: str, from_email: str, reply_to: str, subject: str, body: str, html: str, by_hand: bool, files: tuple[TextFile, ...]
) -> bytes:
    """Return what is the same for all recipients: the text and its headers."""
    try:
        text = body or (as_text(html) if html else "")
    except (ValueError, LookupError, RecursionError):
        text = ""
    message = EmailMultiAlternatives(body=text, from_email=from_email, headers={"Message-ID": "", "Date": ""})
    if html:
        message.attach_alternative(html, "text/html")
    for file in files:
        message.attach(file.name, file.text, file.content_type)
    made = message.message()
    for name in _COMPOSED_HERE:  # Django writes a long name as one encoded word, and takes more characters for line ends than RFC 5322
        del made[name]
    ours = {"Subject": text_header("Subject", subject), "From": mailbox_header("From", from_name, from_email)}
    if reply_to:
        ours["Reply-To"] = mailbox_header("Reply-To", "", reply_to)
    if not by_hand:
        ours["Auto-Submitted"] = plain_header("Auto-Submitted", "auto-generated")
    content = "".join(ours.values()).encode("ascii") + made.as_bytes(linesep="\r\n")  # type: ignore[call-arg]  # Django's own kind of message takes it
    check_headers(content.partition(b"\r\n\r\n")[0] + b"\r\n\r\n", [*ours, *made])
    return content


_remembered = lru_cache(maxsize=128)(_common)
_date = lru_cache(maxsize=8)(formatdate)  # the same for all mails of a second
