"""What became of entries: how often they were shown, answered with, and helped. Counters only, so nothing is locked for long."""

from collections.abc import Collection
from uuid import UUID

from django.db.models import F

from routing.models import FaqEntry


def note_shown(entry_ids: Collection[UUID], *, tenant_id: int) -> None:
    """Count that entries were shown to a customer."""
    if entry_ids:
        FaqEntry.objects.filter(tenant_id=tenant_id, pk__in=entry_ids).update(shown=F("shown") + 1)


def note_answered(entry_id: UUID, *, tenant_id: int) -> None:
    """Count that the bot answered with an entry, which shows it too."""
    FaqEntry.objects.filter(tenant_id=tenant_id, pk=entry_id).update(shown=F("shown") + 1, answered=F("answered") + 1)


def note_opinion(entry_id: UUID, *, tenant_id: int, helpful: bool, instead: bool = False) -> None:
    """Count whether an entry helped; `instead`: the same customer had said the opposite before."""
    name, other = ("helpful", "unhelpful") if helpful else ("unhelpful", "helpful")
    changes = {name: F(name) + 1}
    rows = FaqEntry.objects.filter(tenant_id=tenant_id, pk=entry_id)
    if instead:
        rows = rows.filter(**{f"{other}__gt": 0})
        changes[other] = F(other) - 1
    rows.update(**changes)
