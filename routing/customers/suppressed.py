"""What messaging keeps of a customer under the values of its identities: the suppression list, and the messages."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.utils.translation import gettext as _

from messaging import selectors
from messaging.channels.channel import channel_choices
from messaging.suppression import suppressions
from routing.customers.values import recipients
from routing.models import Identity

MAX_MESSAGES = 1_000
MESSAGE_COLUMNS = ("id", "channel", "recipient", "category", "status", "created_at", "sent_at")


@dataclass(frozen=True, slots=True)
class Suppressed:
    """An entry of the suppression list that holds back messages to a customer."""

    id: UUID
    recipient: str
    channel: str
    category: str
    reason: str
    created_at: datetime
    expires_at: datetime | None

    @property
    def masked(self) -> str:
        """The recipient, fit for a list."""
        return suppressions.masked(self.recipient, self.channel)

    @property
    def where(self) -> str:
        """The channel and the category that it holds for; all, where it names none."""
        channel = str(dict(channel_choices()).get(self.channel, self.channel))
        return " · ".join(filter(None, (channel, self.category))) or _("All")


def entries(identities: Iterable[Identity], *, tenant_id: int, now: datetime) -> list[Suppressed]:
    """Return the entries of the suppression list that hold now, newest first."""
    wanted = recipients(list(identities))
    if not wanted:
        return []
    rows = selectors.suppressions(tenant_id).filter(suppressions.in_force(now), recipient__in=wanted).order_by("-pk")
    return [Suppressed(row.pk, row.recipient, row.channel, row.category, row.reason, row.created_at, row.expires_at) for row in rows]


def messages(identities: Iterable[Identity], *, tenant_id: int) -> list[dict[str, Any]]:
    """Return the newest messages that were sent to a customer's identities, at most `MAX_MESSAGES` and one more."""
    wanted = recipients(list(identities))
    if not wanted:
        return []
    rows = selectors.messages(tenant_id).filter(recipient__in=wanted).order_by("-pk")[: MAX_MESSAGES + 1]
    return [{name: getattr(row, name) for name in MESSAGE_COLUMNS} for row in rows]
