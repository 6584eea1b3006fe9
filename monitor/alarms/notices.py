"""Which notices are due, as functions without I/O: delays, repeats, the end, inhibition, silences and grouping.

What was told is kept by *line*: an alarm, a receiver, a kind, and for repeats a number. A line is told once, however many evaluators
run; a notice carries the lines of one group that are due for one receiver.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from itertools import groupby
from uuid import UUID

from monitor.alarms.configuration import Alarms
from monitor.alarms.rules import AlarmRule, Severity
from monitor.alarms.states import Episode, NoticeKind, Phase

BEGINNINGS = (NoticeKind.FIRING, NoticeKind.NO_DATA)


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that one receiver is told once."""

    alarm: UUID
    receiver: str
    kind: NoticeKind
    number: int = 0


@dataclass(frozen=True, slots=True)
class Told:
    """A line that was told, and when."""

    line: Line
    group: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Due:
    """A notice that has to be sent: the lines of a group for a receiver, with their alarms."""

    group: str
    receiver: str
    lines: tuple[tuple[Line, Episode], ...]
    severity: Severity


def inhibitor_of(episode: Episode, rules: Mapping[str, AlarmRule], episodes: Iterable[Episode]) -> str:
    """Return the rule that keeps an alarm from being told, or an empty string.

    One that is only pending inhibits too: both symptoms of an outage are seen in the same moment, and only the cause is told.
    """
    rule = rules.get(episode.rule)
    if rule is None or not rule.inhibited_by:
        return ""
    at_work = {other.rule for other in episodes if other.phase in (Phase.PENDING, Phase.FIRING)}
    return next((name for name in rule.inhibited_by if name in at_work), "")


def is_quiet(settings: Alarms, now: datetime) -> bool:
    """Return whether only critical alarms are told now."""
    if not settings.quiet_start:
        return False
    start, end, at = time.fromisoformat(settings.quiet_start), time.fromisoformat(settings.quiet_end), now.time()
    return start <= at < end if start < end else at >= start or at < end


def due(settings: Alarms, episodes: Collection[Episode], told: Collection[Told], *, now: datetime) -> list[Due]:
    """Return the notices that are due, the most severe first.

    `episodes` have their silences and inhibitions noted. An alarm that is silenced or inhibited is told when that is over, if it is still
    active; its end is told to all who were told its beginning.
    """
    rules, receivers = settings.rules_by_name, settings.receivers_by_name
    quiet = is_quiet(settings, now)
    known = {one.line for one in told}
    lines: list[tuple[str, str, Line, Episode, datetime]] = []
    for episode in episodes:
        rule = rules.get(episode.rule)
        group = rule.group_name if rule else episode.rule
        if episode.phase == Phase.RESOLVED:
            for name in sorted(_told_of(episode, known)):
                line = Line(episode.id, name, NoticeKind.RESOLVED)
                receiver = receivers.get(name)
                if line not in known and receiver is not None and receiver.is_enabled and receiver.tells_the_end:
                    lines.append((name, group, line, episode, episode.resolved_at or now))
        elif rule is not None and not (quiet and rule.severity != Severity.CRITICAL):
            for name, minutes in rule.receiver_delays(receivers).items():
                found = _next_line(rule, episode, name, minutes, known, now)
                if found is not None:
                    lines.append((name, group, found[0], episode, found[1]))
    return _grouped(settings, lines, _last_told(settings, episodes, told), now)


def _last_told(settings: Alarms, episodes: Collection[Episode], told: Collection[Told]) -> dict[tuple[str, str], datetime]:
    """Return when the last notice of each receiver and group went out, of the groups that are not over.

    A group is over when the end of all its alarms is told: what arises then is another outage, and waits for nothing that was told.
    """
    known = {one.line for one in told}
    alarms = {episode.id: episode for episode in episodes}
    is_open: dict[tuple[str, str], bool] = {}
    last: dict[tuple[str, str], datetime] = {}
    for one in told:
        key, episode = (one.line.receiver, one.group), alarms.get(one.line.alarm)
        last[key] = max(one.at, last.get(key, one.at))
        is_open[key] = is_open.get(key, False) or (episode is not None and not _is_over(episode, one.line.receiver, settings, known))
    return {key: at for key, at in last.items() if is_open[key]}


def _is_over(episode: Episode, receiver: str, settings: Alarms, known: Collection[Line]) -> bool:
    """Return whether a receiver who was told of an alarm has nothing more to hear of it."""
    found = settings.receivers_by_name.get(receiver)
    is_deaf = found is None or not found.is_enabled or not found.tells_the_end
    return episode.phase == Phase.RESOLVED and (is_deaf or Line(episode.id, receiver, NoticeKind.RESOLVED) in known)


def _told_of(episode: Episode, known: Collection[Line]) -> set[str]:
    return {line.receiver for line in known if line.alarm == episode.id and line.kind in BEGINNINGS}


def _next_line(
    rule: AlarmRule, episode: Episode, receiver: str, minutes: int, known: Collection[Line], now: datetime
) -> tuple[Line, datetime] | None:
    """Return what a receiver has to be told of an active alarm next, and since when that is due."""
    if not episode.is_active or episode.fired_at is None or episode.is_silenced or episode.inhibited_by or episode.acknowledged_at:
        return None
    kind = NoticeKind.NO_DATA if episode.phase == Phase.NO_DATA else NoticeKind.FIRING
    due_at = episode.fired_at + timedelta(minutes=minutes)
    if now < due_at:
        return None
    first = Line(episode.id, receiver, kind)
    if first not in known:
        return first, due_at
    if not rule.repeat_minutes:
        return None
    number = int((now - due_at) / timedelta(minutes=rule.repeat_minutes))
    again = Line(episode.id, receiver, NoticeKind.REPEAT, number)
    latest = max((line.number for line in known if line.alarm == episode.id and line.receiver == receiver), default=0)
    return (again, due_at + number * timedelta(minutes=rule.repeat_minutes)) if number > latest else None


def _grouped(
    settings: Alarms,
    lines: list[tuple[str, str, Line, Episode, datetime]],
    last_told: Mapping[tuple[str, str], datetime],
    now: datetime,
) -> list[Due]:
    """Put the lines of a group for a receiver into one notice, and let it wait for others where it should."""
    found = []
    lines.sort(key=lambda each: each[:2])
    for (receiver, group), members in groupby(lines, key=lambda each: each[:2]):
        gathered = list(members)
        begins = [since for _r, _g, line, _episode, since in gathered if line.kind in BEGINNINGS]
        last = last_told.get((receiver, group))
        if last is not None and now - last < timedelta(seconds=settings.group_interval_seconds):
            continue
        if begins and len(begins) == len(gathered) and now - min(begins) < timedelta(seconds=settings.group_wait_seconds):
            continue
        carried = tuple((line, episode) for _r, _g, line, episode, _since in gathered)
        found.append(Due(group, receiver, carried, _severity(settings, carried)))
    return sorted(found, key=lambda notice: -notice.severity.rank)


def _severity(settings: Alarms, lines: Iterable[tuple[Line, Episode]]) -> Severity:
    rules = settings.rules_by_name
    return max((rules[e.rule].severity for _line, e in lines if e.rule in rules), key=lambda one: one.rank, default=Severity.WARNING)


def is_settled(episode: Episode, settings: Alarms, told: Collection[Told]) -> bool:
    """Return whether nothing remains to be told of an alarm that has ended."""
    known = {one.line for one in told}
    return episode.phase == Phase.RESOLVED and all(_is_over(episode, name, settings, known) for name in _told_of(episode, known))
