"""Resolving a conversation, and opening it again when the customer writes in time."""

from datetime import datetime, timedelta

from django.db import transaction
from django.utils.translation import gettext as _

from accounts.services import audit
from accounts.services.audit import Actor
from posthaste.lib.problems import Conflict
from routing.actions import Action
from routing.configuration import service_levels
from routing.conversations import hooks, notices
from routing.models import OPEN_STATUSES, Conversation, ConversationStatus


@transaction.atomic
def resolve(*, conversation: Conversation, by: Actor, now: datetime) -> Conversation:
    """Resolve an open conversation. It keeps its agent's name, who gets it back if the customer writes again in time.

    Raises:
        Conflict: it is not open.
    """
    open_ones = Conversation.objects.filter(pk=conversation.pk, status__in=OPEN_STATUSES)
    over = dict.fromkeys(("unanswered_since", "queued_at", "group_since", "snoozed_until"))
    if not open_ones.update(status=ConversationStatus.RESOLVED, resolved_at=now, **over):
        raise Conflict(_("Only an open conversation can be resolved."))
    conversation.refresh_from_db()
    hooks.tell_resolved(conversation, now=now)
    audit.record(by=by, action=Action.CONVERSATION_RESOLVE, target=conversation.pk, tenant_id=conversation.tenant_id)
    notices.changed_after_commit(conversation)
    return conversation


def reopens(conversation: Conversation, *, now: datetime) -> bool:
    """Return whether a line of the customer opens a resolved conversation again."""
    window = timedelta(days=service_levels.of(conversation.tenant_id).reopen_days)
    return conversation.status == ConversationStatus.RESOLVED and (conversation.resolved_at or conversation.created_at) + window > now


def reopen(conversation: Conversation) -> bool:
    """Make a resolved conversation new, in the caller's transaction, which queues it; it still names its agent, who goes first.

    One about another conversation is never queued. False: it is not resolved any more.
    """
    again = Conversation.objects.filter(pk=conversation.pk, status=ConversationStatus.RESOLVED)
    status = ConversationStatus.ASSIGNED if conversation.parent_id else ConversationStatus.NEW
    return bool(again.update(status=status, resolved_at=None))
