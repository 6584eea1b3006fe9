"""Reading conversations, lines and arrivals; every list is of one tenant."""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Count, Min, Prefetch, Q, QuerySet

from accounts.tenancy import owned_by
from routing.models import OPEN_STATUSES, Arrival, ArrivalState, Assignment, Attachment, Conversation, Line

#: Lines in one answer.
PAGE = 200


def conversations(tenant_id: int) -> "QuerySet[Conversation]":
    """Return the tenant's conversations, newest first."""
    return owned_by(Conversation.objects.select_related("customer", "identity", "entrance", "group", "agent"), tenant_id)


def lines_after(conversation_id: UUID, *, seq: int, limit: int = PAGE) -> list[Line]:
    """Return the lines of a conversation behind a number, in order, with their authors and files (without the bytes)."""
    files = Prefetch("attachments", Attachment.objects.defer("content").order_by("pk"))
    rows = Line.objects.filter(conversation_id=conversation_id, seq__gt=seq).select_related("agent").prefetch_related(files)
    return list(rows.order_by("seq")[:limit])


def attachments(tenant_id: int) -> "QuerySet[Attachment]":
    """Return the tenant's files, without their bytes."""
    return owned_by(Attachment.objects.defer("content"), tenant_id)


def assignments(conversation_id: UUID) -> "QuerySet[Assignment]":
    """Return who held a conversation, and why, newest first."""
    return Assignment.objects.filter(conversation_id=conversation_id).select_related("agent")


def arrivals(tenant_id: int) -> "QuerySet[Arrival]":
    """Return the tenant's arrivals, newest first."""
    return owned_by(Arrival.objects.select_related("entrance"), tenant_id)


def latest_of(*, entrance_id: UUID, identity_id: UUID) -> Conversation | None:
    """Return what an identity writes at an entrance now, or wrote last."""
    rows = Conversation.objects.filter(entrance_id=entrance_id, identity_id=identity_id).select_related("agent", "entrance", "identity")
    return rows.order_by("-pk").first()


def states_of(identity_ids: Iterable[UUID], *, since: datetime) -> dict[UUID, tuple[Any, ...]]:
    """Return what shows whether anything has changed in the conversations of identities that are open, or were resolved since a time."""
    recent = Q(status__in=OPEN_STATUSES) | Q(resolved_at__gte=since)
    rows = Conversation.objects.filter(recent, identity_id__in=list(identity_ids)).order_by("pk")
    fields = ("pk", "last_seq", "customer_read_seq", "agent_read_seq", "status", "agent_id")
    found: dict[UUID, tuple[Any, ...]] = {}
    for identity_id, *state in rows.values_list("identity_id", *fields):
        found[identity_id] = (*found.get(identity_id, ()), *state)
    return found


def failed_by_tenant() -> dict[int, int]:
    """Count the arrivals that were given up, by tenant; a count of one small index."""
    rows = Arrival.objects.filter(state=ArrivalState.FAILED).order_by().values_list("tenant_id")
    return dict(rows.annotate(number=Count("pk")))


def failed(tenant_ids: Collection[int]) -> tuple[int, datetime | None]:
    """Return how many arrivals of some tenants were given up, and since when the first one is."""
    rows = Arrival.objects.filter(tenant_id__in=list(tenant_ids), state=ArrivalState.FAILED)
    found = rows.aggregate(number=Count("pk"), since=Min("finished_at"))
    return found["number"], found["since"]


def oldest_waiting(*, before: datetime) -> bool:
    """Return whether an arrival has waited since before a time; a probe of one index."""
    return Arrival.objects.filter(state=ArrivalState.PENDING, received_at__lt=before).order_by("pk").exists()
