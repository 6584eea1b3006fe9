"""What agents decide about a conversation as a whole: reopen, close, mark as spam, priority."""

from datetime import datetime
from functools import partial
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from accounts.services import audit
from accounts.services.audit import Actor
from posthaste.lib.problems import Conflict, Invalid, NotFound
from routing.actions import Action
from routing.assignment import holding, queueing
from routing.assignment.assigning import assign_waiting
from routing.conversations import hooks, lines, notices
from routing.desk import answering
from routing.models import OPEN_STATUSES, Agent, AuthorKind, BotAction, Conversation, ConversationStatus, EntranceKind, Line

MAX_PRIORITY = 10
ENDED = (ConversationStatus.RESOLVED, ConversationStatus.CLOSED, ConversationStatus.SPAM)


class AnotherIsOpen(Conflict):
    """The customer has another open conversation at the same entrance, or in a chat a newer one. `conversation` names it; go on there."""

    code = "another_is_open"


def locked(conversation: Conversation) -> Conversation:
    """Return a conversation, locked until the transaction ends.

    Raises:
        NotFound: it was deleted.
    """
    try:
        return lines.lock(conversation.pk)
    except Conversation.DoesNotExist:
        raise NotFound from None


@transaction.atomic
def close(*, conversation: Conversation, by: Actor, now: datetime) -> Conversation:
    """Close a conversation: what the customer writes next begins another one.

    Raises:
        Conflict: it is closed already.
    """
    return _end(conversation, ConversationStatus.CLOSED, (*OPEN_STATUSES, *ENDED), Action.CONVERSATION_CLOSE, by, now)


@transaction.atomic
def mark_as_spam(*, conversation: Conversation, by: Actor, now: datetime) -> Conversation:
    """Mark a conversation as spam: for some weeks it takes what the same sender writes, and no agent has to look. Reopen undoes it.

    Raises:
        Conflict: it is spam already.
    """
    return _end(conversation, ConversationStatus.SPAM, (*OPEN_STATUSES, *ENDED), Action.CONVERSATION_SPAM, by, now)


def _end(
    conversation: Conversation,
    status: ConversationStatus,
    before: tuple[ConversationStatus, ...],
    action: Action,
    by: Actor,
    now: datetime,
) -> Conversation:
    row = locked(conversation)
    if row.merged_into_id is not None:
        raise Conflict(_("The conversation was merged into another one. Undo that first."))
    if row.status == status or row.status not in before:
        raise Conflict(_("The conversation is closed already."))
    was_open = row.status in OPEN_STATUSES
    end_columns(row, status, now=now)
    if was_open:
        hooks.tell_resolved(row, now=now)
    audit.record(by=by, action=action, target=row.pk, tenant_id=row.tenant_id)
    notices.changed_after_commit(row)
    return row


def end_columns(row: Conversation, status: ConversationStatus, *, now: datetime, merged_into: Conversation | None = None) -> None:
    """Write that a locked conversation is over, in the caller's transaction."""
    row.status, row.resolved_at, row.unanswered_since, row.queued_at, row.group_since = status, now, None, None, None
    row.snoozed_until, row.merged_into = None, merged_into
    row.save(update_fields=["status", "resolved_at", "unanswered_since", "queued_at", "group_since", "snoozed_until", "merged_into"])


@transaction.atomic
def reopen(*, conversation: Conversation, agent: Agent | None, by: Actor, now: datetime) -> Conversation:
    """Open a conversation that was resolved, closed or spam: for the agent who does it, or, without room, for the queue.

    Raises:
        Conflict: it is open, or was merged.
        AnotherIsOpen: the customer has begun another one meanwhile.
    """
    row = locked(conversation)
    if row.merged_into_id is not None:
        raise Conflict(_("The conversation was merged into another one. Undo that first."))
    if row.status not in ENDED:
        raise Conflict(_("The conversation is open already."))
    open_again(row, now=now)
    audit.record(
        by=by, action=Action.CONVERSATION_REOPEN, target=row.pk, tenant_id=row.tenant_id, detail={"from": str(conversation.status)}
    )
    if row.parent_id is None:
        _hand_out(row, agent, by=by, now=now)
    row.refresh_from_db()
    return row


def is_unanswered(row: Conversation) -> bool:
    """Return whether the customer has written last; that an agent takes over, as the bot says, is no answer."""
    newest = Line.objects.filter(conversation=row).exclude(author=AuthorKind.SYSTEM).order_by("-seq").values_list("author", "data")
    # The bot says it once, so it is the last line or none of the last.
    last = next((author for author, data in newest[:2] if data.get("bot") != BotAction.HAND_OVER), "")
    return last == AuthorKind.CUSTOMER


def open_again(row: Conversation, *, was_merged: bool = False, now: datetime) -> None:
    """Make a locked conversation that is over new again, in the caller's transaction, which hands it out.

    One that was merged comes back also after a newer one that is over: else a wrong merge could never be undone.

    Raises:
        AnotherIsOpen: the customer has begun another one meanwhile.
    """
    # A visitor's page goes from one conversation to the next: what is written in one before the last would not reach it.
    if row.entrance.kind == EntranceKind.PORTAL and (newer := _newer(row, only_open=was_merged)) is not None:
        raise AnotherIsOpen(_("The customer has begun another conversation here since. Go on there."), conversation=str(newer))
    row.status = ConversationStatus.ASSIGNED if row.parent_id else ConversationStatus.NEW
    row.resolved_at, row.merged_into = None, None
    row.unanswered_since = now if is_unanswered(row) and not row.parent_id else None
    try:
        with transaction.atomic():
            row.save(update_fields=["status", "resolved_at", "merged_into", "unanswered_since"])
    except IntegrityError:
        same = Conversation.objects.filter(entrance_id=row.entrance_id, identity_id=row.identity_id, thread=row.thread)
        other = same.filter(status__in=OPEN_STATUSES).values_list("pk", flat=True).first()
        raise AnotherIsOpen(
            _("The customer has another open conversation here. Go on there, or merge the two."), conversation=str(other or "")
        ) from None
    hooks.tell_reopened(row, now=now)
    notices.changed_after_commit(row)


def _newer(row: Conversation, *, only_open: bool) -> UUID | None:
    """Return the last conversation that the customer has begun at the same entrance after this one."""
    later = Conversation.objects.filter(entrance_id=row.entrance_id, identity_id=row.identity_id, pk__gt=row.pk)
    if only_open:
        later = later.filter(status__in=OPEN_STATUSES)
    return later.order_by("-pk").values_list("pk", flat=True).first()


def _hand_out(row: Conversation, agent: Agent | None, *, by: Actor, now: datetime) -> None:
    """Give a new conversation to the agent, if there is room, or to the queue, where the agent who had it goes first."""
    if agent is not None:
        try:
            answering.claim(conversation=row, agent=agent, by=by, now=now)
            return
        except holding.Full:
            pass
    queue_again(row, now=now)


def queue_again(row: Conversation, *, now: datetime) -> None:
    """Put a new conversation into the queue, in the caller's transaction."""
    queueing.enqueue([row.pk], now=now)
    transaction.on_commit(partial(assign_waiting, tenant_id=row.tenant_id, now=now), robust=True)


@transaction.atomic
def change_priority(*, conversation: Conversation, priority: int, by: Actor, now: datetime) -> Conversation:
    """Set how urgent a conversation is: 0 to 10. Those that wait are assigned in that order.

    Raises:
        Invalid: it is no such number.
    """
    if not 0 <= priority <= MAX_PRIORITY:
        raise Invalid.field("priority", _("Between {least} and {most}.").format(least=0, most=MAX_PRIORITY))
    row = locked(conversation)
    if row.priority != priority:
        before, row.priority = row.priority, priority
        row.save(update_fields=["priority"])
        detail = {"from": before, "to": priority}
        audit.record(by=by, action=Action.CONVERSATION_PRIORITY, target=row.pk, tenant_id=row.tenant_id, detail=detail)
        hooks.tell_moved([row.pk], now=now)
    return row
