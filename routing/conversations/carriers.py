"""What carries a reply: by default the channel `desk`, which leads back through the entrance; each kind of entrance may name another.

A kind that replies by e-mail or as a WeCom application declares a carrier, which makes a message of a line. One that can send no files
says so, and links to them stand in its text. `routing.entrances.registry` declares both.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from routing.models import Conversation, Line

DESK = "desk"


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A reply as messaging takes it. `recipient` is in the form that its channel stores."""

    channel: str
    recipient: str
    body: str
    subject: str = ""
    #: Beside the ids of the conversation and the line, which every reply has.
    metadata: Mapping[str, Any] = field(default_factory=dict)


#: Makes a message of a line and the text that is sent; the conversation's identity and entrance are at hand.
Carrier = Callable[[Conversation, Line, str], Outgoing]


def through_entrance(conversation: Conversation, _line: Line, text: str) -> Outgoing:
    """Return a message of the channel `desk`: the entrance's adapter hands it over."""
    return Outgoing(channel=DESK, recipient=conversation.identity.value[:256], body=text or "…")


@dataclass(frozen=True, slots=True)
class Way:
    """How a kind of entrance replies."""

    carrier: Carrier = through_entrance
    sends_files: bool = True


_ways: dict[str, Way] = {}


def declare(kind: str, way: Way) -> None:
    """Let a kind of entrance reply in another way."""
    _ways[kind] = way


def sends_files(conversation: Conversation) -> bool:
    """Return whether replies can have files. If not, links to them must stand in the text."""
    return _ways.get(conversation.entrance.kind, Way()).sends_files


def compose(conversation: Conversation, line: Line, text: str) -> Outgoing:
    """Return the message that carries a line, with the text that is sent."""
    return _ways.get(conversation.entrance.kind, Way()).carrier(conversation, line, text)
