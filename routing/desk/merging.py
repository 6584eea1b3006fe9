"""Merge two open conversations of a customer: one goes on, the other one is closed and shown before it. That can be undone.

Replies go to the identity of the one that goes on. What the customer writes to the closed one comes into it only if it is the same identity
at the same entrance, such as another thread of e-mail; from elsewhere it begins a conversation of its own, so that no reply goes to
another address than the one that wrote.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.services import audit
from accounts.services.audit import Actor
from posthaste.lib.problems import Conflict
from routing.actions import Action
from routing.conversations import hooks, notices
from routing.desk.states import end_columns, is_unanswered, locked, open_again, queue_again
from routing.models import OPEN_STATUSES, Conversation, ConversationStatus


class NotMergeable(Conflict):
    """These two conversations can't be merged; the detail says why, and what to do first."""

    code = "not_mergeable"
    title = gettext_lazy("These conversations can't be merged")


@transaction.atomic
def merge(*, conversation: Conversation, into: Conversation, by: Actor, now: datetime) -> Conversation:
    """Merge an open conversation into another one of the same customer, and return the one that goes on.

    Raises:
        NotMergeable: it is the same one, of another customer, not open, or about another conversation.
        NotFound: one was deleted.
    """
    if conversation.pk == into.pk:
        raise NotMergeable(_("Name two different conversations."))
    rows = _locked_both(conversation, into)
    merged, kept = rows[conversation.pk], rows[into.pk]
    if reason := _why_not(merged, kept):
        raise NotMergeable(reason)
    waited_since = [each.unanswered_since for each in (merged, kept) if each.unanswered_since is not None]
    end_columns(merged, ConversationStatus.CLOSED, now=now, merged_into=kept)
    hooks.tell_resolved(merged, now=now)
    if waited_since and kept.unanswered_since != min(waited_since):
        kept.unanswered_since = min(waited_since)
        kept.save(update_fields=["unanswered_since"])
    audit.record(by=by, action=Action.CONVERSATION_MERGE, target=merged.pk, tenant_id=merged.tenant_id, detail={"into": str(kept.pk)})
    for row in (merged, kept):
        notices.changed_after_commit(row)
    return kept


@dataclass(frozen=True, slots=True)
class Plan:
    """What merging several conversations would do; those of `refused` stay as they are, for the reason that stands beside them."""

    kept: Conversation
    merged: list[Conversation]
    refused: list[tuple[Conversation, str]]


def plan(conversations: Sequence[Conversation], *, why_not: Callable[[Conversation], str]) -> Plan:
    """Return what merging conversations into the oldest of them would do; nothing is written. `why_not`: what else speaks against one.

    Raises:
        NotMergeable: they are of different customers, or fewer than two can be merged.
    """
    if len({row.customer_id for row in conversations}) > 1:
        raise NotMergeable(_("They are of different customers. Merge the customers first, if they are one person."))
    reasons = {row.pk: why_not(row) or _why_not_this(row) for row in conversations}
    able = sorted((row for row in conversations if not reasons[row.pk]), key=lambda row: (row.created_at, row.pk))
    if len(able) < 2:
        said = dict.fromkeys(reason for reason in reasons.values() if reason)
        raise NotMergeable(" ".join([_("Choose two open conversations of a customer at least."), *said]))
    return Plan(kept=able[0], merged=able[1:], refused=[(row, reasons[row.pk]) for row in conversations if reasons[row.pk]])


def _locked_both(*conversations: Conversation) -> dict[UUID, Conversation]:
    """Return conversations, locked in the one order of all that lock several."""
    return {row.pk: row for row in (locked(each) for each in sorted(conversations, key=lambda each: each.pk))}


def _why_not(merged: Conversation, kept: Conversation) -> str:
    if merged.tenant_id != kept.tenant_id or merged.customer_id != kept.customer_id:
        return _("They are of different customers. Merge the customers first, if they are one person.")
    return _why_not_this(merged) or _why_not_this(kept)


def _why_not_this(row: Conversation) -> str:
    if row.parent_id is not None:
        return _("A conversation with others can't be merged.")
    if row.status not in OPEN_STATUSES:
        return _("Only open conversations are merged. Reopen it first.")
    return ""


@transaction.atomic
def undo_merge(*, conversation: Conversation, by: Actor, now: datetime) -> Conversation:
    """Open a conversation that was merged again, for the queue, where the agent who had it goes first.

    Raises:
        Conflict: it is not merged.
        AnotherIsOpen: the customer has begun another one meanwhile, which is open.
    """
    into = Conversation.objects.filter(merged_from=conversation).first()
    if into is None:
        raise Conflict(_("The conversation was not merged."))
    rows = _locked_both(conversation, into)
    row, kept = rows[conversation.pk], rows[into.pk]
    if row.merged_into_id != kept.pk:
        raise Conflict(_("The conversation was not merged."))
    if kept.unanswered_since is not None and not is_unanswered(kept):  # it waited with what was merged into it
        kept.unanswered_since = None
        kept.save(update_fields=["unanswered_since"])
    open_again(row, was_merged=True, now=now)
    queue_again(row, now=now)
    audit.record(by=by, action=Action.CONVERSATION_MERGE_UNDO, target=row.pk, tenant_id=row.tenant_id, detail={"from": str(into.pk)})
    notices.changed_after_commit(into)
    row.refresh_from_db()
    return row
