"""Reading alarms: for pages, the big screen, the overview and the API."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Case, IntegerField, QuerySet, Value, When
from django.urls import reverse

from configcenter import hot
from configcenter.selectors import published_between
from monitor.alarms import samples, sentences, titles
from monitor.alarms.configuration import alarms
from monitor.alarms.rules import AlarmRule, Severity, title_of
from monitor.alarms.states import AlarmState, Phase
from monitor.models import Alarm, AlarmNotice, Silence
from posthaste.lib import redis

#: The order of the list: what is to be done first.
ORDER = (AlarmState.FIRING, AlarmState.NO_DATA, AlarmState.ACKNOWLEDGED, AlarmState.SILENCED, AlarmState.PENDING, AlarmState.RESOLVED)
BEFORE = timedelta(hours=2)
AFTER = timedelta(minutes=30)
MAX_RELEASES = 20


def all_alarms() -> "QuerySet[Alarm]":
    """Return every alarm, the newest first."""
    return Alarm.objects.all()


def by_urgency(rows: "QuerySet[Alarm]") -> "QuerySet[Alarm]":
    """Order alarms by what is to be done first: firing ones, the most severe, the newest."""
    states = Case(*(When(state=state, then=Value(place)) for place, state in enumerate(ORDER)), output_field=IntegerField())
    ranks = Case(*(When(severity=severity, then=Value(-severity.rank)) for severity in Severity), output_field=IntegerField())
    return rows.annotate(place=states, rank=ranks).order_by("place", "rank", "-id")


def open_alarms() -> "QuerySet[Alarm]":
    """Return the alarms that have not ended, the most urgent first."""
    return by_urgency(Alarm.objects.exclude(phase=Phase.RESOLVED))


@dataclass(frozen=True, slots=True)
class Firing:
    """An active alarm in a line: for the big screen, the overview and badges."""

    id: str
    rule: str
    series: str
    metric: str
    title: str
    severity: str
    state: str
    value: float | None
    since: datetime
    acknowledged_by: str
    url: str


def firing(*, limit: int = 50) -> list[Firing]:
    """Return the active alarms that are told, the most urgent first: neither silenced nor hidden behind another.

    Raises:
        django.db.DatabaseError: the database is away.
    """
    shown = [AlarmState.FIRING, AlarmState.NO_DATA, AlarmState.ACKNOWLEDGED]
    rows = by_urgency(Alarm.objects.filter(state__in=shown, inhibited_by="").exclude(phase=Phase.RESOLVED))[:limit]
    rules = alarms.value.rules_by_name
    return [
        Firing(
            id=str(row.pk),
            rule=row.rule,
            series=row.series,
            metric=row.metric,
            title=headline_of(row, rules.get(row.rule)),
            severity=row.severity,
            state=row.state,
            value=row.value,
            since=row.fired_at or row.since,
            acknowledged_by=row.acknowledged_by,
            url=reverse("alarm", args=[row.pk]),
        )
        for row in rows
    ]


def headline_of(alarm: Alarm, rule: AlarmRule | None) -> str:
    """Say in a line which alarm it is and what is wrong; of a rule that was removed or watches something else now, what it watched."""
    if rule is None or rule.metric != alarm.metric:
        return f"{titles.of_alarm(alarm.rule, alarm.series)}: {title_of(alarm.metric)} {alarm.condition}"
    return sentences.headline(rule, alarm.series, alarm.value, has_data=alarm.phase != Phase.NO_DATA)


def sentence_of(alarm: Alarm, rule: AlarmRule | None) -> str:
    """Say what is wrong; empty for an alarm that is over, or whose rule was removed or watches something else now."""
    if alarm.phase == Phase.RESOLVED or rule is None or rule.metric != alarm.metric:
        return ""
    return sentences.sentence(rule, alarm.series, alarm.value, has_data=alarm.phase != Phase.NO_DATA)


def count_by_state() -> dict[str, int]:
    """Count the open alarms by state."""
    counts: dict[str, int] = {}
    for state in Alarm.objects.exclude(phase=Phase.RESOLVED).order_by().values_list("state", flat=True):
        counts[state] = counts.get(state, 0) + 1
    return counts


def notices_of(alarm: Alarm, *, limit: int = 100) -> "QuerySet[AlarmNotice]":
    """Return the notices that told of an alarm, the newest first."""
    return AlarmNotice.objects.filter(lines__alarm=alarm).distinct().order_by("-id")[:limit]


def recent_notices(*, limit: int = 50) -> "QuerySet[AlarmNotice]":
    """Return the last notices of all alarms."""
    return AlarmNotice.objects.all()[:limit]


def silences(*, now: datetime, past: bool = False) -> "QuerySet[Silence]":
    """Return the silences that are in force or to come, or those that are over."""
    over = Silence.objects.filter(ends_at__lte=now) | Silence.objects.filter(ended_at__isnull=False)
    return over.order_by("-ends_at") if past else Silence.objects.filter(ends_at__gt=now, ended_at=None).order_by("starts_at")


def rule_of(alarm: Alarm) -> AlarmRule | None:
    """Return the rule of an alarm as it is now, or None if it was removed."""
    return next((rule for rule in alarms.value.rules if rule.name == alarm.rule), None)


@dataclass(frozen=True, slots=True)
class History:
    """What a metric did around an alarm; `is_known` is false while Redis, which keeps it, is away."""

    samples: list[tuple[datetime, float]]
    is_known: bool = True


def history_of(alarm: Alarm, *, now: datetime) -> History:
    """Return the metric's samples from two hours before an alarm until half an hour after it."""
    start, end = span_of(alarm, now=now)
    try:
        found = samples.read(alarm.rule, alarm.series, since=start)
    except redis.Unavailable:
        return History([], is_known=False)
    return History([one for one in found if one[0] <= end])


def span_of(alarm: Alarm, *, now: datetime) -> tuple[datetime, datetime]:
    """Return the time that an alarm's page shows."""
    start = (alarm.fired_at or alarm.started_at) - BEFORE
    return start, min(now, alarm.resolved_at + AFTER) if alarm.resolved_at else now


def releases_before(alarm: Alarm) -> Sequence[dict[str, Any]]:
    """Return the configuration that was published in the two hours before an alarm, the newest first."""
    at = alarm.fired_at or alarm.started_at
    titles = {handle.name: handle.title for handle in hot.modules()}
    found = published_between(at - BEFORE, at, limit=MAX_RELEASES)
    return [one | {"title": titles.get(str(one["module"]), one["module"])} for one in found]
