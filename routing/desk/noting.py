"""Notes that agents write about a conversation among themselves, and the agents that these mention."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from accounts.services import audit
from accounts.services.audit import Actor
from posthaste.lib.blank import is_blank
from posthaste.lib.ids import new_id
from posthaste.lib.problems import Conflict, Invalid
from routing.actions import Action
from routing.conversations import notices
from routing.desk import telling
from routing.desk.states import locked
from routing.models import Agent, Conversation, Draft, Note, NoticeKind

MAX_TEXT = 20_000
MAX_MENTIONS = 20
SAID = 120


@transaction.atomic
def add_note(
    *,
    conversation: Conversation,
    agent: Agent | None,
    text: str,
    mentions: Sequence[UUID] = (),
    client_id: str = "",
    by: Actor,
    now: datetime,
) -> Note:
    """Write a note behind the last line and tell the agents it mentions; the same note if the client id was used before.

    Raises:
        Invalid: the text is empty or too long, or one that is mentioned is no agent here.
        Conflict: the client id was used for another conversation.
    """
    if is_blank(text) or len(text) > MAX_TEXT:
        raise Invalid.field("text", _("Write a text of at most {n} characters.").format(n=MAX_TEXT))
    row = locked(conversation)
    if client_id and (known := Note.objects.filter(tenant_id=row.tenant_id, client_id=client_id).select_related("agent").first()):
        if known.conversation_id != row.pk:
            raise Conflict(_("This client ID was used for another note."))
        return known
    told = _mentioned(mentions, tenant_id=row.tenant_id)
    note = Note.objects.create(
        id=new_id(),
        tenant_id=row.tenant_id,
        conversation=row,
        agent=agent,
        written_by=str(by)[:150],
        text=text.replace("\x00", ""),
        after_seq=row.last_seq,
        client_id=client_id,
        created_at=now,
    )
    data = {"by": agent.name if agent else "", "text": " ".join(text.split())[:SAID]}
    telling.tell(
        telling.about_conversation(NoticeKind.MENTION, agent_id=pk, conversation_id=row.pk, about=note.pk.hex, data=data, now=now)
        for pk in told
        if agent is None or pk != agent.pk
    )
    if agent is not None:
        Draft.objects.filter(agent=agent, conversation=row, is_note=True).delete()
    detail = {"note": str(note.pk), "characters": len(text), "mentions": len(told)}
    audit.record(by=by, action=Action.CONVERSATION_NOTE, target=row.pk, tenant_id=row.tenant_id, detail=detail)
    notices.changed_after_commit(row)
    return note


def _mentioned(mentions: Sequence[UUID], *, tenant_id: int) -> list[UUID]:
    wanted = list(dict.fromkeys(mentions))
    if len(wanted) > MAX_MENTIONS:
        raise Invalid.field("mentions", _("At most {n}.").format(n=MAX_MENTIONS), "too_many")
    known = set(Agent.objects.filter(tenant_id=tenant_id, is_active=True, pk__in=wanted).values_list("pk", flat=True))
    if set(wanted) - known:
        raise Invalid.field("mentions", _("There is no such agent."), "unknown")
    return wanted
