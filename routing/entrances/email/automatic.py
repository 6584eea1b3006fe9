"""What a machine sent: it is shown in the conversation that it belongs to, and never begins one, wakes an agent or is answered."""

from datetime import datetime

from routing.contract import Incoming
from routing.conversations import lines
from routing.models import OPEN_STATUSES, AuthorKind, Conversation, Entrance

SHOWN = 2_000  # characters of its text


def take_in(entrance: Entrance, incoming: Incoming, now: datetime) -> None:
    """Add a line of the system to the newest conversation of the message's thread, if there is one.

    A bounce comes from the mail system, so it is the thread and not the sender that tells the conversation.
    """
    if not incoming.thread or incoming.details.get("automatic") == "own":
        return
    rows = Conversation.objects.filter(entrance=entrance, thread=incoming.thread).order_by("-pk")
    found = rows.filter(status__in=OPEN_STATUSES).first() or rows.first()
    if found is None:
        return
    lines.append(
        lines.lock(found.pk),
        author=AuthorKind.SYSTEM,
        text=incoming.text[:SHOWN],
        client_id=incoming.external_id,
        data={"kind": "automatic_mail", "why": incoming.details.get("automatic", ""), "subject": incoming.subject},
        now=now,
    )
