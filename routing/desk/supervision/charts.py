"""The last day by hours, as charts: what came in, how long it waited, what it was about, and how good the answers were."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Min
from django.utils.translation import gettext as _

from posthaste.lib.ids import first_id_at
from routing.desk.reports.drawing import REST, TONES, Bars, Series, chart
from routing.desk.reports.facts import SLACK, Fact, Kind, collect, read
from routing.desk.reports.measures import Measures, percentile
from routing.desk.reports.report import intent_titles
from routing.models import Assignment, Entrance

HOURS = 24
#: So many intents have a colour of their own.
MOST = 6


def frames() -> list[dict[str, str]]:
    """Return the names and titles of the charts, before their figures are there."""
    return [{"name": name, "title": title} for name, title in _titles().items()]


def _titles() -> dict[str, str]:
    return {
        "entrances": _("Conversations by entrance"),
        "waits": _("Time until an agent had it"),
        "intents": _("What it was about"),
        "levels": _("Service levels met"),
        "csat": _("Satisfied customers"),
    }


def charts(tenant_id: int, *, group_id: UUID | None, now: datetime) -> list[dict[str, Any]]:
    """Return the charts of the last 24 hours; seven queries."""
    hours = [now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=back) for back in reversed(range(HOURS))]
    facts = list(read(tenant_id, since=hours[0], until=now + timedelta(seconds=1), group_id=group_id))
    at = [hour.isoformat() for hour in hours]
    by_hour = collect(facts, _hour)
    entrances = {str(pk): name for pk, name in Entrance.objects.filter(tenant_id=tenant_id).order_by().values_list("pk", "name")}
    titles = _titles()
    waits = _waits(tenant_id, group_id, since=hours[0])

    def line(name: str, tone: str, value: Callable[[Measures], float | None], dash: str = "solid") -> Series:
        return Series(name, tone, [value(by_hour.get(hour, Measures())) for hour in hours], dash)

    return [
        chart(
            "entrances",
            titles["entrances"],
            form="count",
            at=at,
            bars=Bars.STACKED,
            series=_stack(facts, hours, lambda fact: str(fact.entrance or ""), entrances, _("Without")),
        ),
        chart(
            "waits",
            titles["waits"],
            form="seconds",
            at=at,
            series=[
                Series(_("Median"), "sent", [percentile(waits.get(hour, []), 0.5) for hour in hours]),
                Series(_("90 %"), "queued", [percentile(waits.get(hour, []), 0.9) for hour in hours], "dashed"),
            ],
        ),
        chart(
            "intents",
            titles["intents"],
            form="count",
            at=at,
            bars=Bars.STACKED,
            series=_stack(facts, hours, lambda fact: fact.intent, intent_titles(tenant_id), _("No intent")),
        ),
        chart("levels", titles["levels"], form="percent", at=at, series=[line(_("Met"), "delivered", lambda m: m.sla_met_percent)]),
        chart("csat", titles["csat"], form="percent", at=at, series=[line(_("Rated 4 or 5"), "delivered", lambda m: m.csat_percent)]),
    ]


def _hour(fact: Fact) -> datetime:
    return fact.at.replace(minute=0, second=0, microsecond=0)


def _stack(
    facts: Sequence[Fact], hours: Sequence[datetime], key: Callable[[Fact], str], names: Mapping[str, str], without: str
) -> list[Series]:
    """Return what was received by hour, stacked by a key: the most frequent ones, and the rest together."""
    received = Counter((key(fact), _hour(fact)) for fact in facts if fact.kind == Kind.RECEIVED)
    totals: Counter[str] = Counter()
    for (name, _at), number in received.items():
        totals[name] += number
    shown = [name for name, _number in sorted(totals.items(), key=lambda pair: (-pair[1], pair[0]))[:MOST]]
    series = [
        Series(names.get(name, name) or without, tone, [received[name, hour] for hour in hours])
        for name, tone in zip(shown, TONES, strict=False)
    ]
    if rest := set(totals) - set(shown):
        series.append(Series(_("Others"), REST, [sum(received[name, hour] for name in rest) for hour in hours]))
    return series


def _waits(tenant_id: int, group_id: UUID | None, *, since: datetime) -> dict[datetime, list[float]]:
    """Return how many seconds conversations waited for their first agent, by the hour in which they began."""
    spans = Assignment.objects.filter(tenant_id=tenant_id, pk__gte=first_id_at(since - SLACK), conversation__created_at__gte=since)
    if group_id:
        spans = spans.filter(conversation__group_id=group_id)
    found: dict[datetime, list[float]] = defaultdict(list)
    rows = spans.order_by().values_list("conversation_id", "conversation__created_at").annotate(first=Min("started_at"))
    for _pk, created_at, first in rows:
        found[created_at.replace(minute=0, second=0, microsecond=0)].append(max(0.0, (first - created_at).total_seconds()))
    return found
