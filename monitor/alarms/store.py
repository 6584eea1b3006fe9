"""The alarms as rows: read at each turn of the evaluator, and written only where one changed.

Two evaluators may be at work at once, where one believes to hold a lease that another took over. Each change counts the row's version
up and is made only on the version that was read; a new alarm meets the unique key of the open ones. Who is beaten by either makes no
change at all in this turn, and reads anew in the next.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import F, Q

from monitor.alarms.notices import Line, Told
from monitor.alarms.rules import AlarmRule, Comparison, Severity
from monitor.alarms.states import COMEBACK, Episode, NoticeKind, Phase
from monitor.models import Alarm, AlarmLine, AlarmNotice, Silence

KEPT = (
    "phase", "since", "value", "met_since", "clear_since", "missing_since", "fired_at", "resolved_at", "acknowledged_at",
    "acknowledged_by", "is_silenced", "inhibited_by", "comebacks",
)  # fmt: skip
SIGNS = {Comparison.ABOVE: ">", Comparison.BELOW: "<"}


class Overtaken(Exception):
    """Another evaluator, or a person, changed an alarm since it was read."""


@dataclass(slots=True)
class Known:
    """What was read: the open alarms and those that ended within the hour, by rule and series; the newest of each."""

    episodes: dict[tuple[str, str], Episode] = field(default_factory=dict)
    #: Ended ones of which something may remain to be told, beside the newest.
    earlier: list[Episode] = field(default_factory=list)
    versions: dict[UUID, int] = field(default_factory=dict)
    #: Ended ones of which nothing remains to be told.
    settled: set[UUID] = field(default_factory=set)
    told: list[Told] = field(default_factory=list)
    silences: list[Silence] = field(default_factory=list)


def load(*, now: datetime) -> Known:
    """Read what an evaluator has to know, in three queries at most."""
    known = Known()
    for row in Alarm.objects.filter(Q(is_settled=False) | Q(resolved_at__gt=now - COMEBACK)).order_by("id"):
        episode = episode_of(row)
        known.versions[row.pk] = row.version
        if row.is_settled:
            known.settled.add(row.pk)
        if (before := known.episodes.get(episode.key)) is not None:
            newest_first = sorted((before, episode), key=lambda one: (one.phase != Phase.RESOLVED, one.started_at), reverse=True)
            episode, earlier = newest_first
            known.earlier.append(earlier)
        known.episodes[episode.key] = episode
    if known.versions:
        lines = AlarmLine.objects.filter(alarm_id__in=known.versions).select_related("notice")
        known.told = [
            Told(Line(line.alarm_id, line.receiver, NoticeKind(line.kind), line.number), line.notice.group, line.notice.created_at)
            for line in lines
        ]
    known.silences = list(Silence.objects.filter(is_settled=False))
    return known


def episode_of(row: Alarm) -> Episode:
    """Return an alarm's row as an episode."""
    values = {name: getattr(row, name) for name in KEPT}
    return Episode(id=row.pk, rule=row.rule, series=row.series, started_at=row.started_at, **values | {"phase": Phase(row.phase)})


def save(
    changed: Mapping[tuple[str, str], Episode | None],
    known: Known,
    rules: Mapping[str, AlarmRule],
    *,
    settled: Collection[UUID] = (),
    with_values: bool = False,
) -> None:
    """Write what changed in one transaction, and note it in `known`; `with_values`: also where only the value did.

    Raises:
        Overtaken: nothing was written.
    """
    writes = {key: episode for key, episode in changed.items() if _is_worth_writing(known.episodes.get(key), episode, with_values)}
    settled = set(settled) - known.settled
    if not writes and not settled:
        return
    versions = dict(known.versions)
    try:
        with transaction.atomic():
            for key, episode in writes.items():
                _write(known.episodes.get(key), episode, rules.get(key[0]), versions)
            if settled:
                Alarm.objects.filter(pk__in=settled, phase=Phase.RESOLVED).update(is_settled=True)
    except IntegrityError as error:
        raise Overtaken from error
    known.versions = versions
    known.settled |= settled
    for key, episode in writes.items():
        before = known.episodes.get(key)
        if before is not None and before.phase == Phase.RESOLVED and episode is not None and episode.id != before.id:
            known.earlier.append(before)
        if episode is None:
            known.episodes.pop(key, None)
        else:
            known.episodes[key] = episode


def _is_worth_writing(before: Episode | None, after: Episode | None, with_values: bool) -> bool:
    """Return whether more changed than the value, which samples keep."""
    if before is None or after is None:
        return before is not after
    if with_values and after.is_active and before.value != after.value:
        return True
    return replace(before, value=None) != replace(after, value=None)


def _write(before: Episode | None, after: Episode | None, rule: AlarmRule | None, versions: dict[UUID, int]) -> None:
    if after is None:
        assert before is not None
        gone, _by_model = Alarm.objects.filter(pk=before.id, version=versions[before.id]).exclude(phase=Phase.RESOLVED).delete()
        if not gone:
            raise Overtaken
        return
    values = {name: getattr(after, name) for name in KEPT} | {"state": after.state}
    if rule is not None:
        values |= {"metric": rule.metric, "group": rule.group_name, "severity": rule.severity, "condition": condition_of(rule)}
    if after.id in versions:
        found = Alarm.objects.filter(pk=after.id, version=versions[after.id]).update(version=F("version") + 1, **values)
        if not found:
            raise Overtaken
        versions[after.id] += 1
        return
    unknown = {"metric": "", "group": after.rule, "severity": Severity.WARNING}
    Alarm.objects.create(id=after.id, rule=after.rule, series=after.series, started_at=after.started_at, **unknown | values)
    versions[after.id] = 0


def condition_of(rule: AlarmRule) -> str:
    """Write a rule's condition without words: > 100 (60 s)."""
    return f"{SIGNS[rule.comparison]} {rule.bound:g} ({rule.for_seconds} s)"


def silence_of(episode: Episode, silences: Collection[Silence], *, now: datetime) -> Silence | None:
    """Return a silence that keeps an alarm from being told now."""
    return next((one for one in silences if is_in_force(one, now=now) and covers(one, episode.rule, episode.series)), None)


def is_in_force(silence: Silence, *, now: datetime) -> bool:
    """Return whether a silence has begun and not ended."""
    return silence.starts_at <= now < end_of(silence)


def end_of(silence: Silence) -> datetime:
    """Return when a silence ends, or ended."""
    return min(silence.ends_at, silence.ended_at) if silence.ended_at else silence.ends_at


def covers(silence: Silence, rule: str, series: str) -> bool:
    """Return whether a silence is about an alarm."""
    return (not silence.rules or rule in silence.rules) and (not silence.series or silence.series == series)


def delete_old(*, keep: timedelta, now: datetime, at_once: int = 1_000) -> int:
    """Delete alarms that ended long ago, notices that no alarm has any more, and old silences; return the number of alarms."""
    old = now - keep
    ended = Alarm.objects.filter(phase=Phase.RESOLVED, resolved_at__lt=old).order_by("resolved_at")
    ids = list(ended.values_list("pk", flat=True)[:at_once])
    Alarm.objects.filter(pk__in=ids).delete()
    without = AlarmNotice.objects.filter(created_at__lt=old, next_at=None, lines=None).values_list("pk", flat=True)[:at_once]
    AlarmNotice.objects.filter(pk__in=list(without)).delete()
    Silence.objects.filter(ends_at__lt=old, is_settled=True).delete()
    return len(ids)
