"""What becomes of messages, how long it takes, and what was left lying."""

from collections.abc import Mapping
from datetime import timedelta

from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from messaging.channels.registry import CHANNELS
from messaging.models import Status
from messaging.statistics import EVENTS, dead_letters, event_rates
from messaging.storage import tallies, unreadable
from posthaste.lib.metric_readings import once_a_reading
from posthaste.lib.metrics import Histogram, metric
from tracing.services import totals
from tracing.services.totals import Totals

LATELY_MINUTES = 5
BEFORE_MINUTES = 60
#: So many failures in five minutes are nothing unusual, however few there were before.
LEAST_JUDGED = 20  # one of two failing at night is no outage
USUAL_FAILURES = 10
FAILURES = ("failed", "unknown")


@once_a_reading
def _so_far() -> Totals:
    return totals.so_far()


@once_a_reading
def _minutes() -> list[Totals]:
    return totals.by_minute(BEFORE_MINUTES + LATELY_MINUTES)


def _lately() -> Totals:
    return totals.together(_minutes()[-LATELY_MINUTES:])


def _failures(of: Totals) -> int:
    return sum(of.events(event) for event in FAILURES)


@metric(
    "message_events_total",
    help=_("Events of messages by channel. A retried message has several; delivered and failed include receipts."),
    kind="counter",
    labels=("channel", "event"),
)
def message_events_total() -> Mapping[tuple[str, ...], float]:
    """Return what all processes have counted in Redis."""
    counted = _so_far()
    return {(channel, event): float(counted.events_of(channel, event)) for channel in CHANNELS for event in EVENTS}


@metric(
    "delivery_latency_seconds",
    help=_("Time from when a message was due until a provider accepted it."),
    kind="histogram",
    unit="seconds",
    labels=("channel",),
)
def delivery_latency_seconds() -> Mapping[str, Histogram]:
    """Return what all processes have counted in Redis."""
    counted = _so_far()
    return {channel: _histogram(counted.histogram(channel), counted.sum_ms(channel)) for channel in CHANNELS}


def _histogram(numbers: list[int], sum_ms: int) -> Histogram:
    bounds = [*(bound / 1000 for bound in totals.BOUNDS_MS), float("inf")]
    seen, counts = 0, []
    for bound, number in zip(bounds, numbers, strict=True):
        seen += number
        counts.append((bound, float(seen)))
    return Histogram(tuple(counts), sum_ms / 1000)


@metric(
    "today_messages",
    help=_("Messages accepted today (UTC), by channel and present state."),
    unit="messages",
    labels=("channel", "state"),
    keep_seconds=15,
)
def today_messages() -> Mapping[tuple[str, ...], float]:
    """Count the messages of all tenants."""
    today = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
    found: dict[tuple[str, ...], float] = {(channel, state): 0.0 for channel in CHANNELS for state in Status.values}
    for channel, state, number in tallies.by_channel(today, today + timedelta(days=1), None):
        found[channel, state] = found.get((channel, state), 0.0) + number
    return found


@metric("message_event_rate", help=_("Messages per second by event, over the last ten seconds."), labels=("event",))
def message_event_rate() -> Mapping[str, float]:
    """Return the rates of all tenants together."""
    return event_rates(tenant_id=None, now=timezone.now())


@metric(
    "success_percent",
    title=_("Success rate of the last five minutes, per cent"),
    help=_(
        "Messages that a provider accepted, of those that were sent or failed in the last five minutes. 100 where there were fewer than 20:"
        " so few say nothing of a rate."
    ),
    unit="percent",
)
def success_percent() -> float:
    """Compare what was sent with what failed."""
    lately = _lately()
    sent, failed = lately.events("sent"), _failures(lately)
    return round(100.0 * sent / (sent + failed), 2) if sent + failed >= LEAST_JUDGED else 100.0


@metric(
    "recent_failures",
    title=_("Failures of the last five minutes"),
    help=_("Messages that failed, or whose outcome became unknown, in the last five minutes."),
)
def recent_failures() -> float:
    """Count what failed."""
    return _failures(_lately())


@metric(
    "failure_rise_ratio",
    title=_("Failures, compared with the hour before"),
    help=_("Failures of the last five minutes, divided by those of an average five minutes of the hour before (at least 10)."),
    unit="ratio",
)
def failure_rise_ratio() -> float:
    """Compare the failures with what is usual."""
    before = _failures(totals.together(_minutes()[:-LATELY_MINUTES])) * LATELY_MINUTES / BEFORE_MINUTES
    return round(_failures(_lately()) / max(before, USUAL_FAILURES), 2)


@metric(
    "latency_p95_seconds",
    title=_("Latency p95 of the last five minutes, seconds"),
    help=_("95 % of the messages of the last five minutes were accepted by a provider within this time. Missing where none were."),
    unit="seconds",
)
def latency_p95_seconds() -> float | None:
    """Estimate it from the counts of all channels."""
    lately = _lately()
    by_bound = [sum(numbers) for numbers in zip(*(lately.histogram(channel) for channel in CHANNELS), strict=True)]
    found = totals.percentile_ms(by_bound, 95)
    return None if found is None else round(found / 1000, 3)


@metric(
    "dead_letters",
    title=_("Dead letters"),
    help=_("Messages that failed or whose outcome is unknown, counted up to 100,000."),
    labels=("state",),
    keep_seconds=30,
)
def dead_letter_numbers() -> Mapping[str, float]:
    """Count what waits for an operator."""
    return dead_letters()


@metric(
    "set_aside_rows_total",
    help=_("Rows that could not be read or stored and were set aside, by kind. A refused message was never stored."),
    kind="counter",
    labels=("kind",),
)
def set_aside_rows_total() -> Mapping[str, float]:
    """Return what all processes have counted in Redis."""
    return unreadable.counts()
