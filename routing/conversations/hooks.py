"""What the parts above do when a conversation changes: assignment frees an agent, a clock stops, an entrance ends its session.

They register when they are imported (`routing.apps` sees to that), and are called in the transaction of the change. What they do outside
of the database they leave to `transaction.on_commit`.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from posthaste.lib.hooks import Hook
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


#: Customers' lines before what they begin is queued, for what must come before that, such as its event; all else is for `on_received`.
on_written: Hook[Sequence[Received], datetime] = Hook()
#: Customers' lines that were written: all of a transaction, so that what follows is a few statements too.
on_received: Hook[Sequence[Received], datetime] = Hook()
#: Lines that no agent has to answer: see `Received.is_aside`.
on_aside: Hook[Sequence[Received], datetime] = Hook()
#: The ids of conversations whose status, group or agent has changed.
on_moved: Hook[Collection[UUID], datetime] = Hook()
#: Each open conversation that ends: its status says whether it was resolved, closed, or marked as spam.
on_resolved: Hook[Conversation, datetime] = Hook()
#: Each line that an agent or a bot writes.
on_replied: Hook[Conversation, Line, datetime] = Hook()
#: Each conversation that was over and that an agent opens again.
on_reopened: Hook[Conversation, datetime] = Hook()


def tell_written(received: Sequence[Received], *, now: datetime) -> None:
    """Call what is registered for customers' lines whose conversations are not queued yet."""
    if received:
        on_written.tell(received, now)


def tell_received(received: Sequence[Received], *, now: datetime) -> None:
    """Call what is registered for customers' lines, apart for those that no agent has to answer."""
    aside = [each for each in received if each.is_aside]
    to_answer = [each for each in received if not each.is_aside] if aside else received
    if to_answer:
        on_received.tell(to_answer, now)
    if aside:
        on_aside.tell(aside, now)


def tell_moved(conversation_ids: Collection[UUID], *, now: datetime) -> None:
    """Call what is registered for conversations that have another status, group or agent."""
    if conversation_ids:
        on_moved.tell(conversation_ids, now)


def tell_resolved(conversation: Conversation, *, now: datetime) -> None:
    """Call what is registered for resolved conversations."""
    on_resolved.tell(conversation, now)


def tell_reopened(conversation: Conversation, *, now: datetime) -> None:
    """Call what is registered for conversations that agents open again."""
    on_reopened.tell(conversation, now)


def tell_replied(conversation: Conversation, line: Line, *, now: datetime) -> None:
    """Call what is registered for replies."""
    on_replied.tell(conversation, line, now)
