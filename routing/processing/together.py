"""Write the texts of many senders in one transaction, with a few statements for all of them.

Most of what comes in is plain: one text of a sender with one name, with nothing attached. Alone, each takes some thirty statements and a
commit. What is written is the same as `taking_in.take_in` writes; whatever stands in the way of one is an error of all, and the caller
then writes each alone.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from routing.conversations import arrivals, hooks, lines, notices
from routing.customers import identities
from routing.models import OPEN_STATUSES, Arrival, Attachment, AuthorKind, Conversation, ConversationStatus, Identity, Line
from routing.processing import claiming
from routing.processing.ready import Beaten, Ready
from routing.processing.taking_in import (
    client_id_of,
    columns_from,
    conversation_of,
    data_of,
    new_conversation,
    new_line_id,
    queue_or_bot,
    recognition_of,
)

#: What a text changes in its conversation, which is locked: see `columns_from` and `lines.columns_after`.
CHANGED = [
    "last_seq", "customer_wrote_at", "customer_read_seq", "unanswered_since", "snoozed_until",
    "details", "language", "intent", "confidence",
]  # fmt: skip
#: Where a conversation is found: entrance, identity, thread.
Place = tuple[UUID, UUID, str]


def plain(by_sender: Sequence[Sequence[Ready]]) -> list[Ready]:
    """Return those of the senders' arrivals that can be written together: the only one of its sender, and plain."""
    found = [own[0] for own in by_sender if len(own) == 1 and own[0].is_plain]
    owners = {arrivals.owner_of(one.arrival.pk): one for one in found}
    with_files = set(Attachment.objects.filter(owner__in=list(owners)).values_list("owner", flat=True)) if owners else set()
    return [one for owner, one in owners.items() if owner not in with_files]


def write(ready: Sequence[Ready], token: UUID, *, now: datetime) -> None:
    """Write plain arrivals of different senders, in the caller's transaction.

    Raises:
        Beaten: another worker has one of them by now.
        identities.Moved: others changed the same customers meanwhile.
    """
    # First the arrivals: the transaction that has their rows is the only one that writes their lines.
    line_ids = {one.arrival.pk: new_line_id() for one in ready}
    if not claiming.finish_all(line_ids, token=token, now=now):
        raise Beaten
    placed = list(_placed(ready, now=now))
    made, gone_on = [], []
    begun: dict[UUID, Conversation] = {}
    received: list[hooks.Received] = []
    known = _known_lines(placed)
    for one, conversation, is_new in placed:
        same = known.get((conversation.pk, client_id_of(one.arrival, one.incoming)))
        if same is not None:  # the client had sent it before, under another external id
            Arrival.objects.filter(pk=one.arrival.pk).update(line_id=same)
        else:
            changes = columns_from(conversation, one.incoming, one.recognized)
            changes |= lines.columns_after(AuthorKind.CUSTOMER, conversation, now=now)
            if not is_new:
                gone_on.append(conversation)
            for name, value in changes.items():
                setattr(conversation, name, value)
            made.append(_line(one, conversation, line_ids[one.arrival.pk], now=now))
            received.append(hooks.Received(conversation, made[-1], conversation.status == ConversationStatus.NEW))
            notices.changed_after_commit(conversation)
        if conversation.status == ConversationStatus.NEW:
            begun[conversation.pk] = conversation
    Conversation.objects.bulk_create([conversation for _one, conversation, is_new in placed if is_new])
    if gone_on:
        Conversation.objects.bulk_update(gone_on, CHANGED)
    Line.objects.bulk_create(made)
    hooks.tell_written(received, now=now)
    queue_or_bot(list(begun.values()), {one.entrance.pk: one.entrance for one in ready}, now=now)
    hooks.tell_received(received, now=now)


def _placed(ready: Sequence[Ready], *, now: datetime) -> Iterator[tuple[Ready, Conversation, bool]]:
    """Yield each with its conversation, locked, or not stored yet if it is new."""
    by_tenant: dict[int, list[Ready]] = defaultdict(list)
    for one in ready:
        by_tenant[one.arrival.tenant_id].append(one)
    for tenant_id, own in sorted(by_tenant.items()):
        found = identities.resolve_all([(one.incoming.sender, one.incoming.language) for one in own], tenant_id=tenant_id, now=now)
        opened = _open([identity for identity, is_new in found if not is_new])
        for one, (identity, is_new) in zip(own, found, strict=True):
            there = opened.get((one.entrance.pk, identity.pk, one.incoming.thread))
            if is_new:
                yield one, new_conversation(one.entrance, identity, one.incoming, now=now), True
            elif there is not None:
                yield one, there, False
            else:
                yield one, conversation_of(one.entrance, identity, one.incoming, now=now), False


def _open(found: Sequence[Identity]) -> dict[Place, Conversation]:
    """Return the open conversations of identities, locked until the transaction ends."""
    if not found:
        return {}
    rows = Conversation.objects.filter(identity__in=found, status__in=OPEN_STATUSES).order_by("pk")
    locked = rows.select_for_update(of=("self",), no_key=True)
    return {(row.entrance_id, row.identity_id, row.thread): row for row in locked}


def _known_lines(placed: Sequence[tuple[Ready, Conversation, bool]]) -> dict[tuple[UUID, str], UUID]:
    """Return the lines that are there already, by conversation and client id."""
    asked = {conversation.pk: client_id_of(one.arrival, one.incoming) for one, conversation, is_new in placed if not is_new}
    if not asked:
        return {}
    rows = Line.objects.filter(conversation__in=list(asked), author=AuthorKind.CUSTOMER, client_id__in=set(asked.values()))
    return {(conversation, client_id): pk for conversation, client_id, pk in rows.values_list("conversation", "client_id", "pk")}


def _line(one: Ready, conversation: Conversation, line_id: UUID, *, now: datetime) -> Line:
    made: dict[str, Any] = {"recognition": recognition_of(one.recognized), "data": data_of(one.incoming), "created_at": now}
    return Line(
        id=line_id,
        tenant_id=conversation.tenant_id,
        conversation=conversation,
        seq=conversation.last_seq,
        author=AuthorKind.CUSTOMER,
        text=one.incoming.text,
        client_id=client_id_of(one.arrival, one.incoming),
        **made,
    )
