"""What waits, for how long, and the threads that take it."""

from collections.abc import Mapping
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from messaging.configuration import queues, thread_pools
from messaging.models import Message, Status
from messaging.queueing import broker, queue_statistics
from messaging.queueing.queue_statistics import COUNT_UP_TO, QueueStatistics
from posthaste.lib.metric_readings import must_respond, once_a_reading
from posthaste.lib.metrics import metric


@once_a_reading
def _waiting() -> QueueStatistics | None:
    """Return the last measurement, which is made every second; None where none was made lately."""
    return queue_statistics.measured()


@once_a_reading
def _pools() -> list[dict[str, Any]]:
    """Return what the pools reported within five seconds."""
    return queue_statistics.reported_pools()


@metric(
    "queued_messages",
    title=_("Messages in the broker"),
    help=_("Messages in the broker that no worker has taken yet, counted up to 100,000."),
    unit="messages",
)
def queued_messages() -> float | None:
    """Return what the feeder counted."""
    waiting = _waiting()
    return waiting.in_broker if waiting else None


@metric(
    "due_messages",
    title=_("Messages waiting in the database"),
    help=_("Messages that are due and wait in the database, counted up to 100,000."),
    unit="messages",
)
def due_messages() -> float | None:
    """Return what the feeder counted."""
    waiting = _waiting()
    return waiting.due if waiting else None


@metric("queue_capacity_messages", help=_("Maximum messages in the broker, as configured (module Queues)."), unit="messages")
def queue_capacity_messages() -> float:
    """Return the setting in force."""
    return queues.value.queue_capacity


@metric(
    "queue_usage_percent",
    title=_("Use of the queue's capacity, per cent"),
    help=_("Messages in the broker, as a percentage of its capacity."),
    unit="percent",
)
def queue_usage_percent() -> float | None:
    """Compare what is in the broker with its capacity."""
    waiting = _waiting()
    return round(100.0 * waiting.in_broker / queues.value.queue_capacity, 1) if waiting else None


@metric(
    "backlog_is_full",
    title=_("Backlog full (1) or not (0)"),
    help=_("Whether more messages wait than max_backlog (module Queues) allows, so that new ones are refused: 1 or 0."),
)
def backlog_is_full() -> float | None:
    """Return what the feeder found."""
    waiting = _waiting()
    return float(waiting.is_too_much) if waiting else None


@metric("scheduled_messages", help=_("Messages that are due later, counted up to 100,000."), unit="messages", keep_seconds=5)
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
    "oldest_due_seconds",
    title=_("Age of the oldest waiting message, seconds"),
    help=_("How long the oldest message has waited: due in the database, or in the broker; 0 where nothing waits."),
    unit="seconds",
)
def oldest_due_seconds() -> float | None:
    """Return what the feeder reported, or how long the broker has had its oldest message if that is longer."""
    waiting = _waiting()
    return queue_statistics.waited_seconds(waiting, timezone.now()) if waiting else None


@metric("drain_rate", help=_("Messages per second that leave the broker. Missing while nothing waits."))
def drain_rate() -> float | None:
    """Return what the feeder reported."""
    waiting = _waiting()
    return waiting.per_second if waiting else None


@metric("pool_threads", title=_("Sending threads"), help=_("Threads in the sending pools of all workers."))
def pool_threads() -> float:
    """Add up what the pools reported."""
    return float(sum(pool["threads"] for pool in _pools()))


@metric("pool_busy_threads", title=_("Busy sending threads"), help=_("Busy threads in the sending pools of all workers."))
def pool_busy_threads() -> float:
    """Add up what the pools reported."""
    return float(sum(pool["active_count"] for pool in _pools()))


@metric("pool_max_threads", help=_("Maximum threads in the sending pools of all live workers, as configured (module Thread pools)."))
def pool_max_threads() -> float:
    """Return the setting in force for all live workers."""
    return thread_pools.value.max_threads * len(_pools())


@metric(
    "pool_usage_percent",
    title=_("Use of the maximum of sending threads, per cent"),
    help=_("Busy sending threads, as a percentage of the maximum that is configured. Missing while no worker runs."),
    unit="percent",
)
def pool_usage_percent() -> float | None:
    """Compare the busy threads with the most there may be."""
    most = thread_pools.value.max_threads * len(_pools())
    return round(100.0 * sum(pool["active_count"] for pool in _pools()) / most, 1) if most else None


@metric("broker_tasks", help=_("Tasks that wait in a queue of the broker."), labels=("queue",))
def broker_tasks() -> Mapping[str, float]:
    """Ask the broker."""
    must_respond("broker")
    return {name: float(number) for name, number in broker.depths().items()}
