"""One arrival becomes a line: who wrote, in which conversation, with which number. In the caller's transaction."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from posthaste.lib.ids import new_id
from routing.assignment import queueing
from routing.bot import gate
from routing.contract import Incoming, IncomingFile
from routing.conversations import arrivals, attachments, hooks, lines, resolving
from routing.conversations.family import root_of
from routing.customers import attributes, identities
from routing.entrances import registry
from routing.intents.live import Recognized
from routing.models import (
    OPEN_STATUSES,
    SIDE_THREAD,
    Arrival,
    AttributeSource,
    AuthorKind,
    Conversation,
    ConversationStatus,
    Entrance,
    Identity,
    Line,
)

#: Details that belong to the line, not to the conversation.
OF_THE_LINE = ("client_id", "files_refused", "cut_from", "ticket", "about_ticket")
#: For so long after it was marked as spam, a conversation takes what the same sender writes.
SPAM_KEPT = timedelta(days=30)


class NoHandler(Exception):
    """The entrance sent something of a kind that nothing takes in."""


def take_in(
    arrival: Arrival,
    incoming: Incoming,
    *,
    entrance: Entrance,
    recognized: Recognized | None,
    fetched: Sequence[IncomingFile],
    line_id: UUID,
    now: datetime,
) -> Line | None:
    """Write what an arrival brought; None: it was no text, and the entrance's own handler took it in.

    Raises:
        NoHandler: there is none for its kind.
    """
    kind = registry.KINDS.get(entrance.kind)
    if incoming.kind != "text":
        handler = kind.handlers.get(incoming.kind) if kind else None
        if handler is None:
            raise NoHandler(_("The entrance has nothing that takes in {kind}.").format(kind=incoming.kind))
        handler(entrance, incoming, now)
        return None
    identity = identities.resolve(incoming.sender, tenant_id=arrival.tenant_id, also=incoming.also, language=incoming.language, now=now)
    if incoming.attributes:
        source = kind.source if kind else AttributeSource.API
        attributes.record(identity.customer_id, incoming.attributes, source=source, now=now)
    conversation = conversation_of(entrance, identity, incoming, now=now)
    line, is_new = lines.append(
        conversation,
        author=AuthorKind.CUSTOMER,
        text=incoming.text,
        client_id=client_id_of(arrival, incoming),
        recognition=recognition_of(recognized),
        data=data_of(incoming),
        line_id=line_id,
        now=now,
    )
    if is_new:
        _give_files(arrival, incoming, fetched, identity=identity, line=line, now=now)
        if changes := columns_from(conversation, incoming, recognized):
            Conversation.objects.filter(pk=conversation.pk).update(**changes)
            for name, value in changes.items():
                setattr(conversation, name, value)
    begins = conversation.status == ConversationStatus.NEW
    received = [hooks.Received(conversation, line, begins)] if is_new else []
    hooks.tell_written(received, now=now)
    if begins:
        queue_or_bot([conversation], {entrance.pk: entrance}, now=now)
    hooks.tell_received(received, now=now)
    return line


def queue_or_bot(begun: Sequence[Conversation], entrances: Mapping[UUID, Entrance], *, now: datetime) -> None:
    """Give conversations that begin to the bot if they are for it, and queue the others."""
    taken = gate.take(begun, entrances, now=now)
    queueing.enqueue([row.pk for row in begun if row.pk not in taken], now=now)


def conversation_of(entrance: Entrance, identity: Identity, incoming: Incoming, *, now: datetime) -> Conversation:
    """Return the conversation that a text belongs to, locked: the open one there is, the last one opened again, or a new one.

    What was marked as spam takes what the same sender writes in the weeks after, and stays spam.
    """
    same = Conversation.objects.filter(entrance=entrance, identity=identity, thread=incoming.thread)
    for _attempt in range(2):
        found = same.filter(status__in=OPEN_STATUSES).values_list("pk", flat=True).first()
        if found is None:
            found = _goes_on(same, entrance, identity, incoming, now=now)
        if found is not None:
            locked = lines.lock(found)
            if locked.status in (*OPEN_STATUSES, ConversationStatus.SPAM):
                return locked
            continue  # it was resolved between the question and the lock
        try:
            with transaction.atomic():
                made = new_conversation(entrance, identity, incoming, now=now)
                made.save(force_insert=True)
                return lines.lock(made.pk)
        except IntegrityError:
            continue  # another worker made one, for another name of the same identity
    raise IntegrityError("The conversation of this sender changes too quickly.")


def _goes_on(same: Any, entrance: Entrance, identity: Identity, incoming: Incoming, *, now: datetime) -> UUID | None:
    """Return the conversation that goes on with a text although the sender has none that is open."""
    last: Conversation | None = same.order_by("-pk").first()
    if last is None:
        # Others answer an agent's question from another address, too.
        sides = Conversation.objects.filter(entrance=entrance, thread=incoming.thread, parent__isnull=False, status__in=OPEN_STATUSES)
        return sides.values_list("pk", flat=True).first() if incoming.thread.startswith(SIDE_THREAD) else None
    if last.merged_into is not None:
        # Only where replies go to the same identity: else the next reply would go to another address than the text came from.
        merged = Conversation.objects.filter(pk=root_of(last).pk, entrance=entrance, identity=identity, status__in=OPEN_STATUSES)
        return merged.values_list("pk", flat=True).first()
    if last.status == ConversationStatus.SPAM and (last.resolved_at or last.created_at) + SPAM_KEPT > now:
        return last.pk
    if not resolving.reopens(last, now=now):
        return None
    return last.pk if resolving.reopen(last) else None


def new_conversation(entrance: Entrance, identity: Identity, incoming: Incoming, *, now: datetime) -> Conversation:
    """Return a conversation that begins; it is not stored yet."""
    return Conversation(
        tenant_id=entrance.tenant_id,
        customer_id=identity.customer_id,
        entrance=entrance,
        identity=identity,
        thread=incoming.thread,
        subject=incoming.subject[:300],
        created_at=now,
    )


def client_id_of(arrival: Arrival, incoming: Incoming) -> str:
    """Return the id under which the writing side sent a text, so that sending it again doubles nothing."""
    return str(incoming.details.get("client_id") or arrival.external_id)


def recognition_of(recognized: Recognized | None) -> dict[str, Any]:
    """Return what a line keeps of its recognition."""
    if recognized is None:
        return {}
    kept: dict[str, Any] = {
        "intent": recognized.intent,
        "confidence": round(recognized.confidence, 4),
        "alternatives": [[name, round(value, 4)] for name, value in recognized.alternatives],
        "language": recognized.language,
        "model": recognized.model,
    }
    return kept | ({"why_not": recognized.why_not} if recognized.why_not else {})


def data_of(incoming: Incoming) -> dict[str, Any]:
    """Return what belongs to the line itself: when it was written, what was left out."""
    data = {name: incoming.details[name] for name in OF_THE_LINE[1:] if name in incoming.details}
    return data | ({"sent_at": incoming.sent_at.isoformat()} if incoming.sent_at else {})


def columns_from(conversation: Conversation, incoming: Incoming, recognized: Recognized | None) -> dict[str, Any]:
    """Return what a text changes in its conversation, for the rules and the entrance: intent, language, facts for the reply."""
    changes: dict[str, Any] = {}
    facts: Mapping[str, Any] = {name: value for name, value in incoming.details.items() if name not in OF_THE_LINE}
    if incoming.group:
        facts = {**facts, "group": incoming.group}
    if facts:
        changes["details"] = {**conversation.details, **facts}
    language = incoming.language or (recognized.language if recognized and recognized.language != "und" else "")
    if language and language != conversation.language:
        changes["language"] = language[:16]
    # A greeting says little: until a text was recognized with an intent, each may bring one.
    if recognized is not None and recognized.intent and not conversation.intent:
        changes |= {"intent": recognized.intent, "confidence": recognized.confidence}
    elif recognized is not None and not conversation.intent and conversation.confidence is None:
        changes["confidence"] = recognized.confidence
    return changes


def _give_files(
    arrival: Arrival, incoming: Incoming, fetched: Sequence[IncomingFile], *, identity: Identity, line: Line, now: datetime
) -> None:
    owner = arrivals.owner_of(arrival.pk)
    stored = list(line.attachments.model.objects.filter(owner=owner).values_list("pk", flat=True))
    attachments.give(stored, line=line, owner=owner)
    made, _refused = attachments.make(fetched, tenant_id=line.tenant_id, owner="", now=now)
    for row in made:
        row.line, row.conversation_id = line, line.conversation_id
    if made:
        type(made[0]).objects.bulk_create(made)
    uploaded = [UUID(str(file.reference["attachment"])) for file in incoming.files if "attachment" in file.reference]
    attachments.give(uploaded, line=line, owner=f"identity:{identity.pk.hex}")


def new_line_id() -> UUID:
    """Return the id of a line that is to be written, so that its arrival can name it first."""
    return new_id()
