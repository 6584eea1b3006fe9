"""What the parts above do when a conversation changes: assignment frees an agent, a clock stops, an entrance ends its session.

They register when they are imported (`routing.apps` sees to that), and are called in the transaction of the change. What they do outside
of the database they leave to `transaction.on_commit`.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from routing.models import Conversation, ConversationStatus, Line


@dataclass(frozen=True, slots=True)
class Received:
    """A customer's line that was written, and its conversation as it is now; new if the line begins it, or opens it again."""

    conversation: Conversation
    line: Line
    begins: bool

    @property
    def is_aside(self) -> bool:
        """Whether no agent has to answer it: others write about a conversation, or it is spam."""
        return self.conversation.parent_id is not None or self.conversation.status == ConversationStatus.SPAM


#: Called with all that is written in one transaction, so that what follows is a few statements too.
OnReceived = Callable[[Sequence[Received], datetime], object]
Moved = Callable[[Collection[UUID], datetime], object]
Resolved = Callable[[Conversation, datetime], object]
Reopened = Callable[[Conversation, datetime], object]
Replied = Callable[[Conversation, Line, datetime], object]
_written: list[OnReceived] = []
_received: list[OnReceived] = []
_aside: list[OnReceived] = []
_moved: list[Moved] = []
_resolved: list[Resolved] = []
_reopened: list[Reopened] = []
_replied: list[Replied] = []


def on_written(react: OnReceived) -> OnReceived:
    """Have a function called with customers' lines before what they begin is queued. Usable as a decorator.

    For what must come before that, such as its event; all else is for `on_received`, which sees group and priority too.
    """
    _written.append(react)
    return react


def on_received(react: OnReceived) -> OnReceived:
    """Have a function called with customers' lines that were written. Usable as a decorator."""
    _received.append(react)
    return react


def on_aside(react: OnReceived) -> OnReceived:
    """Have a function called with lines that no agent has to answer; see `Received.is_aside`. Usable as a decorator."""
    _aside.append(react)
    return react


def on_moved(react: Moved) -> Moved:
    """Have a function called with the ids of conversations whose status, group or agent has changed. Usable as a decorator."""
    _moved.append(react)
    return react


def on_resolved(react: Resolved) -> Resolved:
    """Have a function called with each open conversation that ends: its status says whether it was resolved, closed, or marked as spam.

    Usable as a decorator.
    """
    _resolved.append(react)
    return react


def on_reopened(react: Reopened) -> Reopened:
    """Have a function called with each conversation that was over and that an agent opens again. Usable as a decorator."""
    _reopened.append(react)
    return react


def on_replied(react: Replied) -> Replied:
    """Have a function called with each line that an agent or a bot writes. Usable as a decorator."""
    _replied.append(react)
    return react


def tell_written(received: Sequence[Received], *, now: datetime) -> None:
    """Call what is registered for customers' lines whose conversations are not queued yet."""
    for react in _written if received else ():
        react(received, now)


def tell_received(received: Sequence[Received], *, now: datetime) -> None:
    """Call what is registered for customers' lines, apart for those that no agent has to answer."""
    aside = [each for each in received if each.is_aside]
    to_answer = [each for each in received if not each.is_aside] if aside else received
    for react in _received if to_answer else ():
        react(to_answer, now)
    for react in _aside if aside else ():
        react(aside, now)


def tell_moved(conversation_ids: Collection[UUID], *, now: datetime) -> None:
    """Call what is registered for conversations that have another status, group or agent."""
    for react in _moved if conversation_ids else ():
        react(conversation_ids, now)


def tell_resolved(conversation: Conversation, *, now: datetime) -> None:
    """Call what is registered for resolved conversations."""
    for react in _resolved:
        react(conversation, now)


def tell_reopened(conversation: Conversation, *, now: datetime) -> None:
    """Call what is registered for conversations that agents open again."""
    for react in _reopened:
        react(conversation, now)


def tell_replied(conversation: Conversation, line: Line, *, now: datetime) -> None:
    """Call what is registered for replies."""
    for react in _replied:
        react(conversation, line, now)
