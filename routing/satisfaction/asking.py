"""Ask the customer of a resolved conversation for a rating, if its entrance wants that.

All of it is in the transaction that resolves the conversation: what was not asked was not resolved. A rating is unique for a conversation
and the time at which it was resolved, so it is asked for once each time.
"""

from datetime import datetime

import structlog
from django.db import transaction
from django.utils import translation
from django.utils.translation import gettext as _

from accounts.services.audit import Actor
from posthaste.lib.problems import Problem
from routing.conversations import replies
from routing.conversations.replies import Author
from routing.entrances import registry
from routing.links import making
from routing.models import Conversation, ConversationStatus, Entrance, EntranceKind, LinkPurpose, Satisfaction, Ticket
from routing.satisfaction import rating

log = structlog.get_logger(__name__)
SYSTEM = Actor.system("satisfaction")
ASKS = "asks_rating"


def wants_rating(entrance: Entrance) -> bool:
    """Return whether customers of an entrance are asked."""
    declared = registry.find(entrance.kind).Settings.model_fields.get(ASKS)
    return bool(declared is not None and entrance.settings.get(ASKS, declared.get_default()))


def ask_after(conversation: Conversation, *, now: datetime) -> Satisfaction | None:
    """Ask for a rating of a conversation that was just resolved; None: it is not asked for.

    It takes both sides to rate: nothing is asked where the customer or we wrote nothing, or of a conversation with others.
    """
    if conversation.status != ConversationStatus.RESOLVED:  # closed without an answer, or spam
        return None
    if conversation.parent_id or not conversation.customer_wrote_at or not conversation.agent_wrote_at or not conversation.resolved_at:
        return None
    if not wants_rating(conversation.entrance):
        return None
    asked, is_new = Satisfaction.objects.get_or_create(
        conversation=conversation,
        resolved_at=conversation.resolved_at,
        defaults={
            "tenant_id": conversation.tenant_id,
            "agent_id": conversation.agent_id,
            "group_id": conversation.group_id,
            "asked_at": now,
        },
    )
    if is_new and conversation.entrance.kind != EntranceKind.PORTAL:  # there the chat asks
        _send_link(conversation, asked, now)
    return asked


def ask_about(ticket: Ticket, *, now: datetime) -> Satisfaction:
    """Return the rating of a ticket that was resolved, made when its customer gives it: its conversation may go on about something else."""
    assert ticket.conversation_id is not None, "rated by who wrote there"
    asked, _is_new = Satisfaction.objects.get_or_create(
        conversation_id=ticket.conversation_id,
        resolved_at=ticket.resolved_at or now,
        defaults={"tenant_id": ticket.tenant_id, "agent_id": ticket.agent_id, "group_id": ticket.group_id, "asked_at": now},
    )
    return asked


def _send_link(conversation: Conversation, asked: Satisfaction, now: datetime) -> None:
    """Write the customer a line with a link. Where that is refused, as an erased customer has none to write to, nothing is asked."""
    language = conversation.language or conversation.customer.language or "en"
    try:
        with transaction.atomic(), translation.override("zh-hans" if language.startswith("zh") else "en"):
            made = making.make(
                LinkPurpose.SATISFACTION,
                tenant_id=conversation.tenant_id,
                data={"rating": str(asked.pk)},
                customer_id=conversation.customer_id,
                hours=rating.ANSWERED_WITHIN.total_seconds() / 3600,
                max_uses=0,
                by=SYSTEM,
                now=now,
            )
            text = _("How did we do? Your rating helps us: {url}").format(url=made.url)
            replies.reply(conversation=conversation, author=Author(), text=text, client_id=f"rating:{asked.pk.hex}", by=SYSTEM, now=now)
    except Problem as problem:
        log.info("no rating asked for", conversation=str(conversation.pk), reason=str(problem.detail))
        asked.delete()
