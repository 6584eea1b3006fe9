"""Ratings of a tenant, read: the list, and figures by agent, group and day."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db.models import Avg, Count, F, Q, QuerySet
from django.db.models.functions import TruncDate

from accounts.tenancy import owned_by
from routing.models import Satisfaction

#: From this score on a customer counts as satisfied.
SATISFIED = 4


class By(StrEnum):
    """What figures are told apart by."""

    ALL = "all"
    AGENT = "agent"
    GROUP = "group"
    DAY = "day"


@dataclass(frozen=True, slots=True)
class Figure:
    """What the customers of one agent, group or day said. `key` is its id or date; None: of no agent or group, or of all."""

    key: UUID | date | None
    asked: int
    answered: int
    satisfied: int
    average: float | None

    @property
    def satisfied_percent(self) -> float | None:
        """The part of those who answered that is satisfied; None if no one did."""
        return round(100 * self.satisfied / self.answered, 1) if self.answered else None

    @property
    def answered_percent(self) -> float | None:
        """The part of those who were asked that answered; None if no one was."""
        return round(100 * self.answered / self.asked, 1) if self.asked else None


def ratings(tenant_id: int) -> "QuerySet[Satisfaction]":
    """Return the tenant's ratings, those asked last first; what was asked and not answered has no score."""
    return owned_by(Satisfaction.objects.select_related("agent", "group", "conversation"), tenant_id)


def figures(tenant_id: int, *, by: By = By.ALL, start: datetime, end: datetime, zone: ZoneInfo | None = None, **only: Any) -> list[Figure]:
    """Return the figures of what was asked in a span of time; `only` are conditions, such as `group_id`. Days are those of the zone."""
    rows: Any = Satisfaction.objects.filter(tenant_id=tenant_id, asked_at__gte=start, asked_at__lt=end, **only).order_by()
    counted = {
        "asked": Count("pk"),
        "answered": Count("pk", filter=Q(score__isnull=False)),
        "satisfied": Count("pk", filter=Q(score__gte=SATISFIED)),
        "average": Avg("score"),
    }
    if by == By.ALL:
        return [_figure(None, rows.aggregate(**counted))]
    if by == By.DAY:
        found = rows.annotate(key=TruncDate("asked_at", tzinfo=zone)).values("key")
    else:
        found = rows.values(key=F("agent_id" if by == By.AGENT else "group_id"))
    return [_figure(row.pop("key"), row) for row in found.annotate(**counted).order_by("key")]


def _figure(key: Any, row: dict[str, Any]) -> Figure:
    average = row["average"]
    return Figure(key, row["asked"], row["answered"], row["satisfied"], None if average is None else round(float(average), 2))
