"""Maintenance windows: their announcement, their beginning and their end are told, each once to each receiver."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction

from monitor.alarms import dispatch, texts
from monitor.alarms.configuration import Alarms
from monitor.alarms.rules import Receiver
from monitor.alarms.states import Episode
from monitor.alarms.store import covers, end_of
from monitor.models import AlarmNotice, Silence


@dataclass(frozen=True, slots=True)
class Announcement:
    """What is to be told of a window now."""

    silence: Silence
    event: str  # announced, started, ended


def due(silences: Collection[Silence], *, now: datetime) -> Iterator[Announcement]:
    """Yield what is to be told of the windows at this moment. A later event replaces an earlier one that was never told."""
    for silence in silences:
        if not silence.is_maintenance:
            continue
        announced_at = silence.starts_at - timedelta(minutes=silence.announce_minutes)
        if now >= end_of(silence):
            if end_of(silence) > announced_at:  # one that was taken back before it was told ends in silence
                yield Announcement(silence, "ended")
        elif now >= silence.starts_at:
            yield Announcement(silence, "started")
        elif silence.announce_minutes and now >= announced_at:
            yield Announcement(silence, "announced")


def told_to(settings: Alarms) -> list[Receiver]:
    """Return who hears of windows: those who are told of alarms at once."""
    return [receiver for receiver in settings.receivers if receiver.is_enabled and not receiver.after_minutes]


def tell(
    silences: Collection[Silence],
    episodes: Collection[Episode],
    settings: Alarms,
    of: dispatch.Sender | None,
    *,
    platform_works: bool,
    now: datetime,
) -> None:
    """Write the notices that are due, and mark the silences of which nothing remains to be told."""
    announcements = list(due(silences, now=now))
    receivers = told_to(settings) if announcements else []
    keys = {_key(one, receiver): (one, receiver) for one in announcements for receiver in receivers}
    known = set(AlarmNotice.objects.filter(key__in=keys).values_list("key", flat=True)) if keys else set()
    for key, (one, receiver) in keys.items():
        if key not in known:
            _write(key, one, receiver, episodes, of, platform_works=platform_works, now=now)
    over = [silence.pk for silence in silences if now >= end_of(silence)]
    if over:
        Silence.objects.filter(pk__in=over).update(is_settled=True)


def _key(one: Announcement, receiver: Receiver) -> str:
    return f"window:{one.silence.pk.hex}:{one.event}:{receiver.name}"


def _write(
    key: str,
    one: Announcement,
    receiver: Receiver,
    episodes: Collection[Episode],
    of: dispatch.Sender | None,
    *,
    platform_works: bool,
    now: datetime,
) -> None:
    silence = one.silence
    active = sum(1 for episode in episodes if episode.is_active and covers(silence, episode.rule, episode.series))
    text = texts.of_window(
        one.event,
        starts_at=silence.starts_at,
        ends_at=silence.ends_at,
        comment=silence.comment,
        rules=silence.rules,
        active=active,
    )
    try:
        with transaction.atomic():
            dispatch.write_notice(receiver, text, of, by_platform=platform_works, key=key, now=now)
    except IntegrityError:
        return  # another evaluator was faster
