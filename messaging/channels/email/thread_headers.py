"""The headers that put a mail behind the one that it answers (RFC 5322, section 3.6.4), from `metadata.mail` of its message.

    {"mail": {"in_reply_to": "id@host", "references": ["first@host", …], "reply_to": "help@example.com", "by_hand": true}}

Metadata may come from callers, so whatever fits no header is left out: a mail without a thread is better than none.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from messaging.channels.recipients import normalise_recipient

MAX_REFERENCES = 50
_ID = re.compile(r"[!-;=?-~]{1,400}")  # printable ASCII without blanks and angle brackets


@dataclass(frozen=True, slots=True)
class Threading:
    """The headers, and where answers go. `by_hand`: a person wrote it, so that it is not marked as sent by a machine."""

    headers: Mapping[str, str] = field(default_factory=dict)
    reply_to: str = ""
    by_hand: bool = False


def threading_of(metadata: Mapping[str, Any]) -> Threading:
    """Return what a message's metadata say about its thread."""
    said = metadata.get("mail")
    if not isinstance(said, Mapping):
        return Threading()
    listed = said.get("references")
    references = [one for one in (listed if isinstance(listed, list) else [])[:MAX_REFERENCES] if _is_id(one)]
    headers = {}
    if _is_id(said.get("in_reply_to")):
        headers["In-Reply-To"] = f"<{said['in_reply_to']}>"
    if references:
        headers["References"] = "\r\n ".join(f"<{one}>" for one in references)
    return Threading(headers, _address(said.get("reply_to")), said.get("by_hand") is True)


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def _address(value: Any) -> str:
    try:
        return normalise_recipient("email", value) if value else ""
    except ValueError:
        return ""
