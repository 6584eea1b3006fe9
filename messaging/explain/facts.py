"""What a sentence about a waiting message has to know beside its row: breakers, queue, workers, and who else waits."""

from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Q

from messaging.models import Message, Provider, Status
from messaging.providers import breaker_states
from messaging.providers.breakers import of_host
from messaging.queueing import queue_statistics
from messaging.queueing.queue_statistics import QueueStatistics
from posthaste.lib import redis

LOOKED_AT = 10_000  # waiting messages of a tenant among which those that wait for the same are counted


@dataclass(frozen=True, slots=True)
class Queue:
    """What waits and who works. `workers` None: Redis did not answer, so it is not known."""

    statistics: QueueStatistics
    workers: int | None


def queue() -> Queue:
    """Return the state of queue and workers as they told it a moment ago."""
    try:
        workers: int | None = queue_statistics.live_pools().processes
    except redis.Unavailable:
        workers = None
    return Queue(queue_statistics.latest(), workers)


def others_waiting(message: Message) -> int:
    """Count the tenant's other messages that wait for the same, among the first ten thousand that wait."""
    waiting = Message.objects.filter(tenant_id=message.tenant_id, status=Status.PENDING, due_at__isnull=False)
    first = waiting.order_by("batch", "-priority", "due_at").values("pk", "error_code")[:LOOKED_AT]
    same = first.aggregate(number=Count("pk", filter=Q(error_code=message.error_code)))
    return max(0, int(same["number"] or 0) - 1)


def provider_named(message: Message, name: str) -> Provider | None:
    """Return the provider of the message's channel that an error code or a trace names; it has the first part of the name."""
    found = Provider.objects.filter(tenant_id=message.tenant_id, channel=message.channel, name__startswith=name)
    return found.defer("config", "receipt_secret").order_by("name").first()


def breaker_of(message: Message, whose: str) -> dict[str, Any] | None:
    """Return the state of the breaker that an error code names, of a provider or a host; None if it is not known."""
    provider = provider_named(message, whose)
    try:
        if provider is not None:
            return breaker_states.of_providers([provider])[0]
        found = [row for row in breaker_states.of_hosts() if row["name"] == of_host(whose)]
    except redis.Unavailable:
        return None
    return found[0] if found else None
