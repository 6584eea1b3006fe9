"""What WeCom is asked for while an event is processed: outside of transactions, and again if it failed."""

from dataclasses import replace
from typing import Any
from uuid import UUID

from django.utils import timezone

from routing.contract import EntranceRow, Incoming
from routing.entrances.wecom_callback import as_away, client_of
from routing.entrances.wecom_contact import keeping, welcome
from routing.wecom.answers import Contact
from routing.wecom.errors import Cure, WeComError


def enrich(entrance: EntranceRow, incoming: Incoming) -> Incoming:
    """Send the welcome, which can't wait, and return an event with what WeCom says of the customer or of the tags now.

    Raises:
        SystemAway: WeCom did not respond, or is busy.
        WeComError: it refused.
    """
    try:
        return _explained(entrance, incoming)
    except WeComError as error:
        raise as_away(error) from None


def _explained(entrance: EntranceRow, incoming: Incoming) -> Incoming:
    client, details = client_of(entrance), incoming.details
    if incoming.kind == keeping.TAG:
        return replace(incoming, details={**details, "names": {tag.id: tag.name for group in client.tags() for tag in group.tags}})
    if details.get("welcome_code"):
        now = timezone.now()
        welcome.send_once(
            client,
            entrance_id=UUID(entrance.id),
            state=str(details.get("state", "")),
            code=str(details["welcome_code"]),
            external_user_id=incoming.sender.value,
            added_at=incoming.sent_at or now,
            now=now,
        )
    try:
        contact = _plain(client.contact(external_user_id=incoming.sender.value))
    except WeComError as error:
        if error.cure != Cure.GIVE_UP:
            raise
        contact = None  # no contact of this company any more
    return replace(incoming, details={**details, "contact": contact})


def _plain(contact: Contact) -> dict[str, Any]:
    return {
        "name": contact.profile.name,
        "followers": [
            {
                "user_id": follower.user_id,
                "remark": follower.remark,
                "state": follower.state,
                "since": follower.since.isoformat() if follower.since else "",
                "tags": [{"id": tag.id, "name": tag.name} for tag in follower.tags],
            }
            for follower in contact.followers
        ],
    }
