"""Reading messages and batches; every list is of one tenant."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.db.models import Count, QuerySet

from configcenter.tenancy import owned_by
from messaging.models import IN_PROGRESS, Batch, Message, Provider, Status, Template


def messages(tenant_id: int) -> "QuerySet[Message]":
    """This function will give the tenant's messages, newest first."""
    return owned_by(Message.objects.select_related("template_version__template", "provider"), tenant_id)


def batches(tenant_id: int) -> "QuerySet[Batch]":
    """This function will give the tenant's batches, newest first."""
    return owned_by(Batch.objects.select_related("template_version__template"), tenant_id)


def templates(tenant_id: int) -> "QuerySet[Template]":
    """This function will give the tenant's templates by name."""
    return owned_by(Template.objects.all(), tenant_id)


def providers(tenant_id: int) -> "QuerySet[Provider]":
    """This function will give the tenant's providers by channel."""
    return owned_by(Provider.objects.all(), tenant_id)


def batch_counts(batch_ids: Iterable[UUID]) -> dict[UUID, dict[str, int]]:
    """This function will count the messages of several batches by state, in one query; every state is there."""
    ids = list(batch_ids)
    counts = {batch_id: dict.fromkeys(Status.values, 0) for batch_id in ids}
    rows = Message.objects.filter(batch_id__in=ids).order_by().values_list("batch_id", "status").annotate(n=Count("pk"))
    for batch_id, status, number in rows:
        counts[batch_id][status] = number
    return counts


def batch_summary(batch: Batch, counts: dict[str, int]) -> dict[str, Any]:
    """This function will give the books of a batch: accepted = in progress + ended, exactly."""
    in_progress = sum(counts[status] for status in IN_PROGRESS)
    ended = sum(counts.values()) - in_progress
    return {
        "counts": counts,
        "in_progress": in_progress,
        "ended": ended,
        "progress_percent": round(100.0 * ended / batch.accepted, 1) if batch.accepted else 100.0,
    }
