"""Write down a rating. It may be changed for a day, and is one row however often it is sent."""

from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Coalesce
from django.utils.translation import gettext as _

from posthaste.lib.problems import Conflict, Invalid
from routing import events
from routing.conversations import notices
from routing.models import Conversation, Satisfaction

#: How long after it was asked a rating is taken, and how long after it was given it may be changed.
ANSWERED_WITHIN = timedelta(days=14)
CHANGED_WITHIN = timedelta(days=1)
MAX_COMMENT = 2_000
LOWEST, HIGHEST = 1, 5


def is_open(asked: Satisfaction, *, now: datetime) -> bool:
    """Return whether a rating may be given or changed."""
    return asked.asked_at > now - ANSWERED_WITHIN if asked.answered_at is None else asked.answered_at > now - CHANGED_WITHIN


def asked_of(conversation: Conversation) -> Satisfaction | None:
    """Return the rating that the customer is asked for: that of the last time the conversation was resolved, unless it is open again."""
    if conversation.resolved_at is None:
        return None
    return Satisfaction.objects.filter(conversation=conversation, resolved_at=conversation.resolved_at).first()


def checked(score: int | str, comment: str) -> tuple[int, str]:
    """Return a score and a comment as they are stored.

    Raises:
        Invalid: the score is none, or the comment is too long.
    """
    try:
        value = int(score)
    except ValueError:
        value = 0
    if not LOWEST <= value <= HIGHEST:
        raise Invalid.field("score", _("Choose 1 to 5."), "out_of_range")
    comment = comment.replace("\x00", "").strip()
    if len(comment) > MAX_COMMENT:
        raise Invalid.field("comment", _("At most {n} characters.").format(n=MAX_COMMENT), "too_long")
    return value, comment


@transaction.atomic
def rate(rating_id: UUID, *, score: int | str, comment: str = "", now: datetime) -> Satisfaction:
    """Store what a customer says, or has changed their mind to. Of two at once the later counts.

    Raises:
        Invalid: the score is none, or the comment is too long.
        Conflict: the time for it is over.
    """
    value, comment = checked(score, comment)
    unanswered = Q(answered_at=None, asked_at__gt=now - ANSWERED_WITHIN)
    fresh = Q(answered_at__gt=now - CHANGED_WITHIN)
    taken = Satisfaction.objects.filter(unanswered | fresh, pk=rating_id)
    if not taken.update(score=value, comment=comment, answered_at=Coalesce(F("answered_at"), now)):
        raise Conflict(_("The time to rate this conversation is over. Thank you anyway."))
    rated = Satisfaction.objects.select_related("agent", "group", "conversation").get(pk=rating_id)
    events.rated(rated, now=now)
    notices.changed_after_commit(rated.conversation)
    return rated
