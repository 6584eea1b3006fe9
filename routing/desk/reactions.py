"""What follows at the desk from what happens in conversations. Imported when the application starts, in every process."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from routing.conversations import hooks, notices
from routing.desk import telling
from routing.models import Conversation, ConversationStatus, NoticeKind


@hooks.on_moved
def show_moved(conversation_ids: Collection[UUID], now: datetime) -> None:
    """Let desks know of conversations that are at another place, and agents of those that they were given."""
    notices.moved_after_commit(conversation_ids)
    held = Conversation.objects.filter(pk__in=conversation_ids, status=ConversationStatus.ASSIGNED, agent__isnull=False)
    telling.tell(
        telling.about_conversation(
            NoticeKind.ASSIGNED, agent_id=agent_id, conversation_id=pk, about=f"{pk.hex}:{int(assigned_at.timestamp() * 1000)}", now=now
        )
        for pk, agent_id, assigned_at in held.order_by("pk").values_list("pk", "agent_id", "assigned_at")
        if agent_id is not None and assigned_at is not None
    )


@hooks.on_received
def tell_of_lines(received: Sequence[hooks.Received], now: datetime) -> None:
    """Tell agents that customers have written: once until they answer."""
    waiting = {each.conversation.pk: each.conversation for each in received if each.conversation.agent_id is not None}
    telling.tell(
        telling.about_conversation(
            NoticeKind.REPLY,
            agent_id=row.agent_id,
            conversation_id=pk,
            about=f"{pk.hex}:{int((row.unanswered_since or now).timestamp() * 1000)}",
            now=now,
        )
        for pk, row in sorted(waiting.items())
        if row.agent_id is not None and row.status == ConversationStatus.ASSIGNED
    )


@hooks.on_aside
def tell_of_sides(received: Sequence[hooks.Received], now: datetime) -> None:
    """Tell the agent of a conversation that others have answered about it. They wait for no reply."""
    asked = {each.conversation.pk: each for each in received if each.conversation.parent_id is not None}
    if not asked:
        return
    Conversation.objects.filter(pk__in=list(asked)).update(unanswered_since=None)
    parents = Conversation.objects.filter(pk__in={each.conversation.parent_id for each in asked.values()}, agent__isnull=False)
    agents = dict(parents.values_list("pk", "agent_id"))
    telling.tell(
        telling.about_conversation(
            NoticeKind.REPLY,
            agent_id=agents[parent_id],
            conversation_id=parent_id,
            about=each.line.pk.hex,
            data={"side": str(pk)},
            now=now,
        )
        for pk, each in sorted(asked.items())
        if (parent_id := each.conversation.parent_id) in agents
    )
