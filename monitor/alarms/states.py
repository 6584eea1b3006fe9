"""The states of an alarm, as functions without I/O: from a rule, a reading and what was known before to what is known now.

    ok ── condition met ──▶ pending ── for `for_seconds` ──▶ firing ── clear for `hold_seconds` ──▶ resolved
     │                                                       │ acknowledged, silenced: said of a firing alarm
     └── no data ──▶ missing ── for `no_data_minutes` ──▶ no data ── data again, for `hold_seconds` ──▶ resolved

An *episode* is one passage from the first sign to the end. Without an episode all is well. A firing alarm ends only by readings that
are clear: neither a missing reading nor one between the two thresholds ends it. Times are given, never read from a clock, so an
evaluator that takes over goes on where the one before stopped.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _

from monitor.alarms.rules import AlarmRule, Comparison
from posthaste.lib.ids import new_id

#: A gap of the readings that is shorter than this changes nothing.
GAP = timedelta(seconds=60)
#: An alarm that fires and whose metric is not asked for is over when it has been missing for so long.
MISSING_FOR_GOOD = timedelta(hours=1)
#: Alarms that come back within this time of their end are held longer each time.
COMEBACK = timedelta(hours=1)
MAX_HOLD = timedelta(hours=1)


class Phase(TextChoices):
    """What the readings say of an episode."""

    PENDING = "pending", _("Pending")
    FIRING = "firing", _("Firing")
    MISSING = "missing", _("No data yet")
    NO_DATA = "no_data", _("No data")
    RESOLVED = "resolved", _("Resolved")


class AlarmState(TextChoices):
    """What people are shown of an alarm first."""

    FIRING = "firing", _("Firing")
    NO_DATA = "no_data", _("No data")
    ACKNOWLEDGED = "acknowledged", _("Acknowledged")
    SILENCED = "silenced", _("Silenced")
    PENDING = "pending", _("Pending")
    RESOLVED = "resolved", _("Resolved")


class NoticeKind(TextChoices):
    """What a line tells."""

    FIRING = "firing", _("Firing")
    NO_DATA = "no_data", _("No data")
    REPEAT = "repeat", _("Still active")
    RESOLVED = "resolved", _("Resolved")


ACTIVE = (Phase.FIRING, Phase.NO_DATA)


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """One passage of an alarm from the first sign to its end."""

    rule: str
    series: str = ""  # which of the metric's series, such as `provider=FCM`; empty: it has one
    phase: Phase
    since: datetime  # of the phase
    id: UUID = field(default_factory=new_id)
    started_at: datetime
    value: float | None = None
    met_since: datetime | None = None
    clear_since: datetime | None = None
    missing_since: datetime | None = None
    fired_at: datetime | None = None
    resolved_at: datetime | None = None
    acknowledged_at: datetime | None = None
    acknowledged_by: str = ""
    is_silenced: bool = False
    inhibited_by: str = ""
    #: How often the alarm had come back within an hour when this episode began.
    comebacks: int = 0

    @property
    def key(self) -> tuple[str, str]:
        """What it is about: the rule and the series."""
        return self.rule, self.series

    @property
    def is_active(self) -> bool:
        """Whether it is something to be told."""
        return self.phase in ACTIVE

    @property
    def state(self) -> AlarmState:
        """What people are shown of it."""
        match self.phase:
            case Phase.RESOLVED:
                return AlarmState.RESOLVED
            case Phase.PENDING | Phase.MISSING:
                return AlarmState.PENDING
        if self.is_silenced:
            return AlarmState.SILENCED
        if self.acknowledged_at:
            return AlarmState.ACKNOWLEDGED
        return AlarmState.NO_DATA if self.phase == Phase.NO_DATA else AlarmState.FIRING


def is_met(rule: AlarmRule, value: float) -> bool:
    """Return whether a value is past the threshold."""
    return value > rule.bound if rule.comparison == Comparison.ABOVE else value < rule.bound


def is_clear(rule: AlarmRule, value: float) -> bool:
    """Return whether a value is back at the clear threshold; between the two it is neither met nor clear."""
    return value <= rule.clears_at if rule.comparison == Comparison.ABOVE else value >= rule.clears_at


def hold_of(rule: AlarmRule, comebacks: int) -> timedelta:
    """Return how long an alarm must stay clear: twice as long each time that it came back, at most an hour."""
    hold = timedelta(seconds=rule.hold_seconds)
    return max(hold, min(MAX_HOLD, hold * (1 << min(comebacks, 12))))


def step(
    rule: AlarmRule, series: str, episode: Episode | None, reading: float | None, *, now: datetime, before: Episode | None = None
) -> Episode | None:
    """Return what becomes of an alarm at a reading; None: all is well.

    `reading` None means that the metric gives no data. `before` is the alarm's last episode that ended, if it is known.
    """
    if episode is None or episode.phase == Phase.RESOLVED:
        return _begin(rule, series, reading, now=now, before=before)
    noted = _note(rule, episode, reading, now)
    match episode.phase:
        case Phase.PENDING | Phase.MISSING:
            return _step_quiet(rule, noted, now)
        case Phase.NO_DATA:
            return _step_no_data(rule, noted, now)
    return _step_firing(rule, noted, now)


def gone(episode: Episode, *, now: datetime) -> Episode | None:
    """Return what becomes of an alarm whose rule is no longer there: nothing of one that never fired."""
    return replace(episode, phase=Phase.RESOLVED, since=now, resolved_at=now) if episode.is_active else None


def _begin(rule: AlarmRule, series: str, reading: float | None, *, now: datetime, before: Episode | None) -> Episode | None:
    ended = before.resolved_at if before else None
    comebacks = before.comebacks + 1 if before and ended and now - ended < COMEBACK else 0
    made = Episode(rule=rule.name, series=series, phase=Phase.PENDING, since=now, started_at=now, value=reading, comebacks=comebacks)
    if reading is None:
        return replace(made, phase=Phase.MISSING, missing_since=now) if rule.no_data_minutes else None
    if not is_met(rule, reading):
        return None
    return _fire_if_due(rule, replace(made, met_since=now), now)


def _note(rule: AlarmRule, episode: Episode, reading: float | None, now: datetime) -> Episode:
    """Note since when the readings are met, clear or missing."""
    if reading is None:
        is_gap = now - (episode.missing_since or now) < GAP
        return replace(
            episode,
            missing_since=episode.missing_since or now,
            met_since=episode.met_since if is_gap else None,
            clear_since=episode.clear_since if is_gap and episode.phase != Phase.NO_DATA else None,
        )
    met, clear = is_met(rule, reading), is_clear(rule, reading)
    # What holds without data is that the readings are there again.
    is_well = clear if episode.phase != Phase.NO_DATA else not met
    return replace(
        episode,
        value=reading,
        missing_since=None,
        met_since=(episode.met_since or now) if met else None,
        clear_since=(episode.clear_since or now) if is_well else None,
    )


def _fire_if_due(rule: AlarmRule, episode: Episode, now: datetime) -> Episode:
    if episode.missing_since is None and episode.met_since and now - episode.met_since >= timedelta(seconds=rule.for_seconds):
        return replace(episode, phase=Phase.FIRING, since=now, fired_at=now, clear_since=None)
    return episode


def _step_quiet(rule: AlarmRule, episode: Episode, now: datetime) -> Episode | None:
    """Step an episode of which nothing was told yet."""
    missing = episode.missing_since
    if missing is not None:
        if rule.no_data_minutes and now - missing >= timedelta(minutes=rule.no_data_minutes):
            return replace(episode, phase=Phase.NO_DATA, since=now, fired_at=now, met_since=None, clear_since=None)
        is_waiting = rule.no_data_minutes or episode.met_since is not None
        return episode if is_waiting else None
    if episode.met_since is None:
        return None
    if episode.phase == Phase.MISSING:
        episode = replace(episode, phase=Phase.PENDING, since=now)
    return _fire_if_due(rule, episode, now)


def _step_firing(rule: AlarmRule, episode: Episode, now: datetime) -> Episode:
    missing = episode.missing_since
    if missing is not None:
        is_over = not rule.no_data_minutes and now - missing >= MISSING_FOR_GOOD
        return replace(episode, phase=Phase.RESOLVED, since=now, resolved_at=now) if is_over else episode
    return _resolve_if_due(rule, episode, now)


def _step_no_data(rule: AlarmRule, episode: Episode, now: datetime) -> Episode:
    if not rule.no_data_minutes:  # the rule was changed: missing data is no alarm any more
        return replace(episode, phase=Phase.RESOLVED, since=now, resolved_at=now)
    fired = _fire_if_due(rule, episode, now)
    return fired if fired.phase == Phase.FIRING else _resolve_if_due(rule, episode, now)


def _resolve_if_due(rule: AlarmRule, episode: Episode, now: datetime) -> Episode:
    is_clear_now = episode.clear_since is not None and episode.missing_since is None
    if is_clear_now and now - (episode.clear_since or now) >= hold_of(rule, episode.comebacks):
        return replace(episode, phase=Phase.RESOLVED, since=now, resolved_at=now)
    return episode


Readings = Mapping[str, float | None]


def evaluate(
    rules: Mapping[str, AlarmRule], readings: Mapping[str, Readings | None], episodes: Mapping[tuple[str, str], Episode], *, now: datetime
) -> dict[tuple[str, str], Episode | None]:
    """Return every alarm that changed, or still is, by rule and series; None: it is well again and was never told.

    `readings` are those of each rule: by series, or None where its metric gives no data at all. A series that is gone from a metric that
    can be read is clear. `episodes` are the open ones, and the last ended one where none is open.
    """
    found: dict[tuple[str, str], Episode | None] = {}
    for name, rule in rules.items():
        read = readings.get(name)
        known = [series for (of_rule, series), episode in episodes.items() if of_rule == name and episode.phase != Phase.RESOLVED]
        if read is None:
            series_read: Readings = dict.fromkeys(known or [""])
        else:
            # A figure as a whole gave no data before, or the series are no more: clear.
            series_read = dict.fromkeys(known, rule.clears_at) | dict(read)
        for series, reading in series_read.items():
            key = name, series
            before = episodes.get(key)
            is_open = before is not None and before.phase != Phase.RESOLVED
            result = step(rule, series, before if is_open else None, reading, now=now, before=None if is_open else before)
            if result is not None or is_open:
                found[key] = result
    for key, episode in episodes.items():
        if key[0] not in rules and episode.phase != Phase.RESOLVED:
            found[key] = gone(episode, now=now)
    return found
