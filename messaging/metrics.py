"""Figures of messages, queues and pools. What is counted in the database is counted up to a bound, so that it stays cheap."""

from collections.abc import Mapping

from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from messaging.models import Message, Status
from messaging.queueing import broker, queue_statistics
from messaging.queueing.queue_statistics import COUNT_UP_TO
from messaging.statistics import event_rates
from messaging.storage import unreadable
from messaging.webhooks import figures
from posthaste.lib.metrics import metric


@metric("queued_messages", help=_("Messages in the broker that no worker has taken yet, counted up to 100,000."), unit="messages")
def queued_messages() -> float:
    """Return the last measurement, which is made every second."""
    return queue_statistics.latest().in_broker


@metric("due_messages", help=_("Messages that are due and wait in the database, counted up to 100,000."), unit="messages")
def due_messages() -> float:
    """Return the last measurement, which is made every second."""
    return queue_statistics.latest().due


@metric("scheduled_messages", help=_("Messages that are due later, counted up to 100,000."), unit="messages")
def scheduled_messages() -> float:
    """Count what is pending and not due."""
    rows = Message.objects.filter(status=Status.PENDING, due_at__gt=timezone.now()).order_by()
    return rows.values("due_at")[:COUNT_UP_TO].count()


@metric(
    "sending_messages", help=_("Messages that a worker has taken and that have no outcome yet, counted up to 100,000."), unit="messages"
)
def sending_messages() -> float:
    """Count what is being sent."""
    return Message.objects.filter(status=Status.SENDING).order_by().values("lease_until")[:COUNT_UP_TO].count()


@metric(
    "set_aside_rows_total",
    help=_("Rows that could not be read or stored and were set aside, by kind. A refused message was never stored."),
    kind="counter",
    labels=("kind",),
)
def set_aside_rows_total() -> Mapping[str, float]:
    """Return what all processes have counted in Redis."""
    return unreadable.counts()


@metric("oldest_due_seconds", help=_("How long the oldest message waiting in the database has been due."), unit="seconds")
def oldest_due_seconds() -> float:
    """Return what the feeder reported; 0 where nothing waits."""
    return queue_statistics.latest().oldest_seconds


@metric("drain_rate", help=_("Messages per second that leave the broker. Missing while nothing waits."))
def drain_rate() -> float | None:
    """Return what the feeder reported."""
    return queue_statistics.latest().per_second


@metric("message_event_rate", help=_("Messages per second by event, over the last ten seconds."), labels=("event",))
def message_event_rate() -> Mapping[str, float]:
    """Return the rates of all tenants together."""
    return event_rates(tenant_id=None, now=timezone.now())


@metric("pool_threads", help=_("Threads in a worker's sending pool."), labels=("instance",))
def pool_threads() -> Mapping[str, float]:
    """Return what the pools reported within five seconds."""
    return {pool["instance"]: pool["threads"] for pool in queue_statistics.reported_pools()}


@metric("pool_busy_threads", help=_("Busy threads in a worker's sending pool."), labels=("instance",))
def pool_busy_threads() -> Mapping[str, float]:
    """Return what the pools reported within five seconds."""
    return {pool["instance"]: pool["active_count"] for pool in queue_statistics.reported_pools()}


@metric("broker_tasks", help=_("Tasks that wait in a queue of the broker."), labels=("queue",))
def broker_tasks() -> Mapping[str, float]:
    """Ask the broker."""
    return {name: float(number) for name, number in broker.depths().items()}


@metric("webhook_waiting_events", help=_("Events that wait for enabled webhook endpoints, counted up to 10,000 for each."), unit="events")
def webhook_waiting_events() -> float:
    """Count what lies after the cursors."""
    return figures.waiting()


@metric("webhook_oldest_event_seconds", help=_("Age of the oldest event that waits for an enabled webhook endpoint."), unit="seconds")
def webhook_oldest_event_seconds() -> float:
    """Return 0 where nothing waits."""
    return figures.oldest_seconds(now=timezone.now())


@metric("webhook_endpoints", help=_("Webhook endpoints by state: enabled, failing, disabled."), labels=("state",))
def webhook_endpoints() -> Mapping[str, float]:
    """Count the endpoints of all tenants."""
    return figures.endpoints_by_state()


@metric(
    "webhook_disabled_endpoints",
    help=_("Disabled webhook endpoints by why: manual, gone (answered 410), failing (failed for too long)."),
    labels=("code",),
)
def webhook_disabled_endpoints() -> Mapping[str, float]:
    """Count the disabled endpoints of all tenants."""
    return figures.by_disabled_code()


@metric(
    "webhook_deliveries_total",
    help=_("Requests to webhook endpoints by what came of them: delivered, failed, unknown, given_up. Tests and replays are not counted."),
    kind="counter",
    labels=("status",),
)
def webhook_deliveries_total() -> Mapping[str, float]:
    """Return what all processes have counted in Redis."""
    return figures.deliveries()
