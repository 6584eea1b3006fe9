"""Drafts: what an agent has begun to write. The last one that comes in counts; it goes with the reply or the note that it becomes."""

from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext as _

from posthaste.lib.problems import Invalid
from routing.models import Agent, AuthorKind, Conversation, Draft, Line, Note

MAX_TEXT = 20_000


@transaction.atomic
def keep_draft(*, agent: Agent, conversation: Conversation, text: str, is_note: bool, client_id: str = "", now: datetime) -> bool:
    """Keep what an agent has written so far; an empty text removes it. False: it is kept no more.

    `client_id` is the one that it will be sent under: a draft that comes in late, after it was sent, is not kept.

    Raises:
        Invalid: it is too long.
    """
    if len(text) > MAX_TEXT:
        raise Invalid.field("text", _("At most {n} characters.").format(n=MAX_TEXT), "too_long")
    own = Draft.objects.filter(agent=agent, conversation=conversation, is_note=is_note)
    if not text or (client_id and _was_sent(conversation, client_id, is_note)):
        own.delete()
        return False
    row = Draft(agent=agent, conversation=conversation, is_note=is_note, text=text.replace("\x00", ""), changed_at=now)
    Draft.objects.bulk_create(
        [row], update_conflicts=True, unique_fields=["agent", "conversation", "is_note"], update_fields=["text", "changed_at"]
    )
    return True


def _was_sent(conversation: Conversation, client_id: str, is_note: bool) -> bool:
    if is_note:
        return Note.objects.filter(tenant_id=conversation.tenant_id, client_id=client_id).exists()
    return Line.objects.filter(conversation=conversation, author=AuthorKind.AGENT, client_id=client_id).exists()
