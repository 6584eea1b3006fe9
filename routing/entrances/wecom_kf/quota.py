"""How many replies a customer of 微信客服 may still get: five within 48 hours of the last message.

See https://developer.work.weixin.qq.com/document/path/94677. A reply counts once for its text and once for each file. What messaging
could not hand over does not count.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext_lazy as _

from messaging.selectors import outcomes
from posthaste.lib.problems import Conflict
from routing.conversations import hooks
from routing.models import AuthorKind, Conversation, EntranceKind, Line
from routing.wecom.client import REPLIES, REPLY_WINDOW_SECONDS

WINDOW = timedelta(seconds=REPLY_WINDOW_SECONDS)
NOT_SENT = {"failed", "cancelled", "suppressed", "expired"}


class QuotaUsed(Conflict):
    """WeCom takes no more replies until the customer writes again: at most five within 48 hours, counting each file. Nothing was sent."""

    code = "wecom_quota"
    title = _("WeCom takes no more replies until the customer writes again")


@dataclass(frozen=True, slots=True)
class Quota:
    """How many replies are left, and until when."""

    left: int
    until: datetime | None  # None: the customer has written nothing that can be replied to

    def left_at(self, now: datetime) -> int:
        """Return how many replies can be sent at a moment."""
        return max(0, self.left) if self.until is not None and now < self.until else 0


def quota(conversation: Conversation) -> Quota | None:
    """Return what may still be replied; None: the entrance has no such limit."""
    if conversation.entrance.kind != EntranceKind.WECOM_KF:
        return None
    lines = Line.objects.filter(conversation=conversation)
    last = lines.filter(author=AuthorKind.CUSTOMER).order_by("-seq").first()
    if last is None:
        return Quota(0, None)
    replies = list(
        lines.filter(author__in=(AuthorKind.AGENT, AuthorKind.BOT), seq__gt=last.seq).annotate(files=Count("attachments")).order_by("seq")
    )
    states = outcomes(line.message_id for line in replies if line.message_id)
    lost = {pk for pk, (state, _error) in states.items() if state in NOT_SENT}
    used = sum(_cost(line) for line in replies if line.message_id not in lost)
    return Quota(REPLIES - used, _written_at(last.data, last.created_at) + WINDOW)


def _cost(line: Any) -> int:
    return int(bool(line.text)) + int(line.files)


def _written_at(data: dict[str, Any], stored_at: datetime) -> datetime:
    """Return when the customer wrote, by WeCom's clock: what was fetched late leaves less time."""
    said = parse_datetime(str(data.get("sent_at", "")))
    return min(said, stored_at) if said is not None and said.tzinfo is not None else stored_at


@hooks.on_replied
def keep(conversation: Conversation, line: Line, now: datetime) -> None:
    """Refuse a reply that WeCom would not take, in the transaction that writes it.

    Raises:
        QuotaUsed: the customer has to write first.
    """
    found = quota(conversation)
    if found is None:
        return
    if found.until is None or now >= found.until:
        raise QuotaUsed(_("The customer last wrote more than 48 hours ago."), quota={"left": 0, "until": found.until})
    if found.left < 0:  # with this reply, which is written already
        raise QuotaUsed(
            _("At most five replies, counting each file, can be sent until the customer writes again."),
            quota={"left": max(0, found.left + _cost_of(line)), "until": found.until},
        )


def _cost_of(line: Line) -> int:
    return int(bool(line.text)) + line.attachments.count()
