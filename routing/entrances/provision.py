"""What an entrance needs to reply: the tenant's provider of the channel `desk`, one for all its entrances."""

from accounts.services.audit import Actor
from messaging.providers.editing import ensure_provider
from routing.conversations.carriers import DESK

KIND = "entrance"
NAME = "Service desk"


def ensure_reply_provider(*, tenant_id: int, by: Actor) -> None:
    """Make the provider that carries replies through entrances, unless the tenant has one. Call it wherever an entrance is made."""
    ensure_provider(tenant_id=tenant_id, name=NAME, channel=DESK, kind=KIND, by=by)
