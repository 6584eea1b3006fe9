"""Reads of entrances and contact ways, each limited to a tenant."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from django.db.models import Count, Q, QuerySet

from routing.models import ContactWay, Entrance, KfCursor, Mailbox, SkillGroup, Welcome


def entrances(tenant_id: int) -> "QuerySet[Entrance]":
    """Return the tenant's entrances."""
    return Entrance.objects.filter(tenant_id=tenant_id)


def contact_ways(tenant_id: int) -> "QuerySet[ContactWay]":
    """Return the tenant's contact ways, with the number of welcome messages by what became of them."""
    return with_welcomes(ContactWay.objects.filter(tenant_id=tenant_id))


def with_welcomes(ways: "QuerySet[ContactWay]") -> "QuerySet[ContactWay]":
    """Return contact ways with the number of welcome messages by what became of them, as `welcomes_<state>`."""
    counts = {f"welcomes_{state}": Count("welcomes", filter=Q(welcomes__state=state)) for state in Welcome.State.values}
    return ways.select_related("group", "entrance").annotate(**counts)


def group_named(tenant_id: int, name: str) -> SkillGroup | None:
    """Return the tenant's skill group of that short name."""
    return SkillGroup.objects.filter(tenant_id=tenant_id, name=name).first()


def unreadable(tenant_ids: Collection[int], *, wanted_before: datetime) -> list[tuple[Entrance, str]]:
    """Return the entrances in use whose mailbox can't be read, with the error, and those whose messages WeCom does not hand out."""
    own = {"entrance__tenant__in": list(tenant_ids), "entrance__is_enabled": True, "entrance__tenant__is_active": True}
    boxes = Mailbox.objects.filter(**own).exclude(error="").select_related("entrance").order_by("pk")
    late = KfCursor.objects.filter(**own, wanted_at__lt=wanted_before).select_related("entrance").order_by("pk")
    found = {box.entrance: box.error for box in boxes} | {cursor.entrance: "" for cursor in late}
    return list(found.items())


def mailbox_of(entrance_id: UUID) -> Mailbox | None:
    """Return how far the mailbox of an entrance is; None: no process has looked into it yet."""
    return Mailbox.objects.filter(entrance_id=entrance_id).first()
