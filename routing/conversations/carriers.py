"""What carries a reply: by default the channel `desk`, which leads back through the entrance; each kind of entrance may name another.

A kind that replies by e-mail or as a WeCom application declares a carrier, which makes a message of a line. `routing.entrances.registry`
does that for it.
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


#: Makes a message of a line; the conversation's identity and entrance are at hand.
Carrier = Callable[[Conversation, Line], Outgoing]
_carriers: dict[str, Carrier] = {}


def declare(kind: str, carrier: Carrier) -> None:
    """Let a kind of entrance reply by another channel."""
    _carriers[kind] = carrier


def through_entrance(conversation: Conversation, line: Line) -> Outgoing:
    """Return a message of the channel `desk`: the entrance's adapter hands it over."""
    return Outgoing(channel=DESK, recipient=conversation.identity.value[:256], body=line.text or "…")


def compose(conversation: Conversation, line: Line) -> Outgoing:
    """Return the message that carries a reply."""
    return _carriers.get(conversation.entrance.kind, through_entrance)(conversation, line)
