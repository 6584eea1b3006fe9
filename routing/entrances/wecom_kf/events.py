"""Takes in what is no text of a customer. Each runs in the transaction in which its arrival becomes done."""

import re
from datetime import datetime
from uuid import UUID

from django.db.models import QuerySet

from messaging.channels.base import Receipt
from messaging.receipts import receive
from messaging.selectors import providers
from routing.contract import Incoming
from routing.conversations import lines, notices
from routing.customers import attributes, identities
from routing.entrances.provision import KIND
from routing.entrances.wecom_kf import reading
from routing.models import AttributeSource, AuthorKind, Conversation, Entrance, Line

_HEX = re.compile(r"[0-9a-f]{30}([0-9a-f]{2}|_[0-9])")


def entered(entrance: Entrance, incoming: Incoming, now: datetime) -> None:
    """Keep from where the customer opened the conversation: rules and agents see it as an attribute."""
    scene = str(incoming.details.get("scene_param") or incoming.details.get("scene") or "")
    if scene:
        identity = identities.resolve(incoming.sender, tenant_id=entrance.tenant_id, now=now)
        attributes.record(identity.customer_id, {"wecom_scene": scene}, source=AttributeSource.WECOM, now=now)


def failed(entrance: Entrance, incoming: Incoming, now: datetime) -> None:
    """Note that a message that WeCom had taken did not reach the customer, as a receipt of its provider."""
    message_id = _message_id(entrance, str(incoming.details.get("message_id", "")))
    provider = providers(entrance.tenant_id).filter(kind=KIND).first()
    if message_id is None or provider is None:
        return
    why = str(incoming.details.get("why", "unknown"))
    receipt = Receipt(status="failed", message_id=message_id, code=f"wecom_{why}", detail="WeCom did not deliver the reply.", at=now)
    receive.apply_all(provider=provider, receipts=[receipt], now=now)


def _message_id(entrance: Entrance, name: str) -> UUID | None:
    """Return the message whose part WeCom calls so: its id, or its first 30 digits and the number of a file."""
    if not _HEX.fullmatch(name):
        return None
    first, last = UUID(f"{name[:30]}00"), UUID(f"{name[:30]}ff")
    rows = Line.objects.filter(conversation__entrance=entrance, message_id__gte=first, message_id__lte=last)
    exact = rows if "_" in name else rows.filter(message_id=UUID(name))
    return exact.values_list("message_id", flat=True).first()


def recalled(entrance: Entrance, incoming: Incoming, now: datetime) -> None:
    """Mark a line that the customer took back. Its text stays: an agent may have answered it."""
    rows = Line.objects.select_for_update(of=("self",)).filter(
        conversation__entrance=entrance, author=AuthorKind.CUSTOMER, client_id=str(incoming.details.get("line", ""))
    )
    line = rows.select_related("conversation").first()
    if line is not None and "recalled_at" not in line.data:
        Line.objects.filter(pk=line.pk).update(data={**line.data, "recalled_at": now.isoformat()})
        notices.changed_after_commit(line.conversation)


def written_in_wecom(entrance: Entrance, incoming: Incoming, now: datetime) -> None:
    """Show in the conversation what an agent wrote to the customer in WeCom itself."""
    newest = _conversations(entrance, incoming).first()
    if newest is not None:
        lines.append(
            lines.lock(newest.pk),
            author=AuthorKind.SYSTEM,
            text=incoming.text,
            client_id=incoming.external_id,
            data={"kind": "written_in_wecom", "servicer": incoming.details.get("servicer", "")},
            now=now,
        )


def _conversations(entrance: Entrance, incoming: Incoming) -> "QuerySet[Conversation]":
    rows = Conversation.objects.filter(entrance=entrance, thread=incoming.thread, identity__value=incoming.sender.value)
    return rows.order_by("-pk")


HANDLERS = {
    reading.ENTERED: entered,
    reading.FAILED: failed,
    reading.RECALLED: recalled,
    reading.SERVICER: written_in_wecom,
}
