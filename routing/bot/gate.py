"""Which conversations begin with the bot: one guarded statement for all that begin in a transaction."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from routing.assignment import business_hours
from routing.configuration import bot
from routing.configuration.bot import OutsideHours
from routing.conversations import hooks
from routing.models import Conversation, ConversationStatus, Entrance


def take(begun: Sequence[Conversation], entrances: Mapping[UUID, Entrance], *, now: datetime) -> set[UUID]:
    """Give the bot those of the conversations that begin which it is for, in the caller's transaction, and return their ids.

    The others are for the caller to queue. What names an agent or a group is not for the bot.
    """
    wanted = [row for row in begun if row.status == ConversationStatus.NEW and _is_for_bot(row, entrances[row.entrance_id], now)]
    if not wanted:
        return set()
    ids = {row.pk for row in wanted}
    Conversation.objects.filter(pk__in=ids, status=ConversationStatus.NEW).update(status=ConversationStatus.BOT)
    for row in wanted:
        row.status = ConversationStatus.BOT
    hooks.tell_moved(ids, now=now)
    return ids


def _is_for_bot(row: Conversation, entrance: Entrance, now: datetime) -> bool:
    settings = bot.of(row.tenant_id)
    if not settings.is_enabled or row.agent_id is not None or row.parent_id is not None or row.details.get("group"):
        return False
    if settings.entrances and entrance.name not in settings.entrances:
        return False
    if row.language and not speaks(settings.languages, row.language):
        return False
    return settings.outside_hours == OutsideHours.ANSWERS or business_hours.open_at(row.tenant_id, now)


def speaks(languages: Sequence[str], language: str) -> bool:
    """Return whether a language is among some; `zh-hans` is `zh` too. All are, where none is named."""
    known = {each.lower() for each in languages}
    return not known or language.lower() in known or language.lower().partition("-")[0] in known
