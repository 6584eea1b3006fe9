"""A message (RFC 5322) as something incoming: who wrote, what, with which files, and to which message it is an answer.

What strangers send may be broken in any way. A message is never refused for that: what can't be read is left out, and the message itself
is kept as a file where nothing could be read.
"""

import hashlib
import re
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from email import policy
from email.errors import HeaderParseError, MessageError
from email.header import decode_header
from email.message import Message
from email.parser import BytesHeaderParser, BytesParser
from email.utils import getaddresses, parsedate_to_datetime

import structlog

from messaging.channels.recipients import normalise_recipient
from routing.contract import Incoming, IncomingFile, SenderName
from routing.entrances.email import loops
from routing.entrances.email.bodies import decoded, text_and_files
from routing.entrances.email.quotes import without_quotes
from routing.models import IdentityKind

log = structlog.get_logger(__name__)
MAX_BYTES = 25 * 1024 * 1024
#: More boundaries than any mail program nests; Python's parser takes time for each with each line.
MAX_BOUNDARIES = 100
MAX_REFERENCES = 50
AUTOMATIC = "automatic"  # the kind of what a machine sent
_ID = re.compile(r"<([^<>\s]{1,400})>")
_BOUNDARY = re.compile(rb"boundary\s*=", re.IGNORECASE)
_FUTURE = timedelta(hours=1)


class NotAMessage(Exception):
    """The bytes are no message that could be answered: it names no sender."""


def read(content: bytes, *, own_addresses: Collection[str], received_at: datetime, trusts_reply_to: bool = False) -> Incoming:
    """Read a message.

    Raises:
        NotAMessage: it has no sender.
    """
    message, is_whole = _parsed(content)
    name, sender = _sender(message, trusts_reply_to)
    found = _content(message) if is_whole else None
    text, files, left_out = found or ("", [IncomingFile(name="message.eml", content=content)], 0)
    why = loops.why_automatic(message, sender=sender, own_addresses=own_addresses)
    own_id, mentioned = _own_id(message), _mentioned(message)
    subject = header(message, "Subject")[:300]
    details = {
        "message_id": own_id,
        "references": mentioned,
        "subject": subject,
        "automatic": why,
        "unanswered": loops.why_unanswered(message, sender=sender),
        **({"left_out": left_out} if left_out else {}),
        **({} if found else {"unreadable": True}),
    }
    return Incoming(
        external_id=_external_id(own_id, sender, content),
        sender=SenderName(IdentityKind.EMAIL, sender, verified=False, name=name[:200]),
        text=text or subject,
        files=tuple(files),
        thread=thread_of(own_id, mentioned),
        subject=subject,
        sent_at=_date(message, received_at),
        kind=AUTOMATIC if why else "text",
        details=details,
    )


def thread_of(own_id: str, mentioned: list[str]) -> str:
    """Return the name of a thread: a hash of the id of its first message, which all later ones mention first."""
    root = mentioned[0] if mentioned else own_id
    return hashlib.sha256(root.encode("utf-8", "replace")).hexdigest()[:40] if root else ""


def header(message: Message, name: str) -> str:
    """Return a header as it is read, in one line."""
    try:
        raw = message.get(name)
    except (MessageError, ValueError, IndexError):
        return ""
    if raw is None:
        return ""
    try:
        parts = decode_header(str(raw))
    except (HeaderParseError, ValueError, LookupError):
        parts = [(str(raw), None)]
    said = "".join(part if isinstance(part, str) else decoded(part, charset or "ascii") for part, charset in parts)
    return " ".join("".join(character if character.isprintable() else " " for character in said).split())


def _parsed(content: bytes) -> tuple[Message, bool]:
    """Return a message, and whether it is more than its headers."""
    if len(content) <= MAX_BYTES and len(_BOUNDARY.findall(content)) <= MAX_BOUNDARIES:
        try:
            return BytesParser(policy=policy.compat32).parsebytes(content), True
        except (RecursionError, ValueError, MessageError, LookupError, AssertionError):
            pass
    head = content[:262_144].partition(b"\r\n\r\n")[0].partition(b"\n\n")[0]
    return BytesHeaderParser(policy=policy.compat32).parsebytes(head + b"\n\n"), False


def _content(message: Message) -> tuple[str, list[IncomingFile], int] | None:
    """Return the newest text of a message, its files, and how many parts were left out; None: it can't be read.

    One message that breaks a library must not keep all behind it out of the mailbox.
    """
    try:
        text, files, left_out = text_and_files(message)
        return without_quotes(text), files, left_out
    except Exception:  # whatever a stranger's bytes break
        log.exception("the content of an e-mail could not be read")
        return None


def _sender(message: Message, trusts_reply_to: bool) -> tuple[str, str]:
    names = ("Reply-To", "From", "Sender") if trusts_reply_to else ("From", "Sender", "Reply-To")
    for field in names:
        try:
            raw = str(message.get(field) or "")[:2_000]
            found = getaddresses([raw])
        except (MessageError, ValueError, IndexError):
            continue
        for shown, address in found:
            try:
                normalised = normalise_recipient("email", address)
            except ValueError:
                continue
            stand_in = Message()
            stand_in["From"] = shown.replace("\n", " ").replace("\r", " ")
            return header(stand_in, "From"), normalised.lower()
    raise NotAMessage("The message names no sender. It needs a header From with an e-mail address.")


def _own_id(message: Message) -> str:
    found = _ID.findall(str(message.get("Message-ID") or "")[:1_000])
    return found[0] if found else ""


def _mentioned(message: Message) -> list[str]:
    """Return the ids of the messages before this one, the first of the thread first."""
    references = _ID.findall(str(message.get("References") or "")[:20_000])
    answered = _ID.findall(str(message.get("In-Reply-To") or "")[:2_000])
    known = list(dict.fromkeys([*references, *answered]))
    return [*known[:1], *known[1:][-(MAX_REFERENCES - 1) :]]


def _external_id(own_id: str, sender: str, content: bytes) -> str:
    """Return what the same message has however often and by whichever way it comes, and no other.

    The id alone would let a sender that uses it twice lose a message; servers on the way change only headers.
    """
    body = content.partition(b"\r\n\r\n")[2] or content.partition(b"\n\n")[2]
    said = "\n".join((own_id, sender, hashlib.sha256(body.replace(b"\r\n", b"\n").rstrip()).hexdigest()))
    return f"mail:{hashlib.sha256(said.encode('utf-8', 'replace')).hexdigest()}"


def _date(message: Message, received_at: datetime) -> datetime:
    """Return when it was written, as the sender says unless that lies ahead or is no time."""
    try:
        said = parsedate_to_datetime(str(message.get("Date")))
        moment = said.replace(tzinfo=said.tzinfo or UTC).astimezone(UTC)
    except (ValueError, TypeError, OverflowError, IndexError):
        return received_at
    return moment if received_at - timedelta(days=3650) < moment <= received_at + _FUTURE else received_at
