"""What the parts above do when a conversation is replied to or resolved: assignment frees an agent, an entrance ends its session.

They register when they are imported (`routing.apps` sees to that), and are called in the transaction of the change. What they do outside
of the database they leave to `transaction.on_commit`.
"""

from collections.abc import Callable
from datetime import datetime

from routing.models import Conversation, Line

Resolved = Callable[[Conversation, datetime], object]
Replied = Callable[[Conversation, Line, datetime], object]
_resolved: list[Resolved] = []
_replied: list[Replied] = []


def on_resolved(react: Resolved) -> Resolved:
    """Have a function called with each conversation that is resolved. Usable as a decorator."""
    _resolved.append(react)
    return react


def on_replied(react: Replied) -> Replied:
    """Have a function called with each line that an agent or a bot writes. Usable as a decorator."""
    _replied.append(react)
    return react


def tell_resolved(conversation: Conversation, *, now: datetime) -> None:
    """Call what is registered for resolved conversations."""
    for react in _resolved:
        react(conversation, now)


def tell_replied(conversation: Conversation, line: Line, *, now: datetime) -> None:
    """Call what is registered for replies."""
    for react in _replied:
        react(conversation, line, now)
