"""What others read of clocks."""

from collections.abc import Collection, Iterable
from datetime import datetime
from uuid import UUID

from django.db.models import Count, QuerySet

from routing.models import Clock, ClockMetric
from routing.service_levels.running import OPEN


def clocks(tenant_id: int) -> QuerySet[Clock]:
    """Return the clocks of a tenant, newest first."""
    return Clock.objects.filter(tenant_id=tenant_id)


def most_urgent(conversation_ids: Collection[UUID]) -> dict[UUID, Clock]:
    """Return the open clock of each conversation that is due first, those that stand still last; one query."""
    rows = Clock.objects.filter(conversation__in=list(conversation_ids), state__in=OPEN)
    return {clock.conversation_id: clock for clock in _least_urgent_first(rows) if clock.conversation_id}


def most_urgent_of_tickets(ticket_ids: Collection[UUID]) -> dict[UUID, Clock]:
    """Return the open clock of each ticket that is due first, those that stand still last; one query."""
    rows = Clock.objects.filter(ticket__in=list(ticket_ids), state__in=OPEN)
    return {clock.ticket_id: clock for clock in _least_urgent_first(rows) if clock.ticket_id}


def breached_by_tenant() -> dict[int, int]:
    """Count the open clocks whose breach was told, by tenant."""
    rows = Clock.objects.filter(state__in=OPEN, breached_at__isnull=False).order_by()
    return dict(rows.values_list("tenant_id").annotate(number=Count("pk")))


def breached(tenant_ids: Collection[int]) -> tuple[int, datetime | None]:
    """Return how many open clocks of some tenants are breached, and since when the first one is."""
    rows = Clock.objects.filter(tenant_id__in=list(tenant_ids), state__in=OPEN, breached_at__isnull=False)
    times = list(rows.order_by("breached_at").values_list("breached_at", flat=True))
    return len(times), times[0] if times else None


def _least_urgent_first(rows: Iterable[Clock]) -> list[Clock]:
    return sorted(rows, key=_urgency, reverse=True)


def _urgency(clock: Clock) -> tuple[bool, float, bool]:
    return clock.due_at is None, clock.due_at.timestamp() if clock.due_at else 0.0, clock.metric == ClockMetric.RESOLUTION
