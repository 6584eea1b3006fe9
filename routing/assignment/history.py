"""How long it is kept which agent had which conversation."""

from datetime import datetime

from posthaste.lib.ids import first_id_at
from routing.models import Assignment

ROWS_A_STEP = 500


def delete_ended(*, before: datetime) -> int:
    """Delete the assignments that ended before a moment, some rows at a time, and return how many; who has one now stays."""
    # Their ids begin with the time at which they began, so the primary key finds those that may be old.
    old = Assignment.objects.filter(pk__lt=first_id_at(before), ended_at__lt=before).order_by("pk").values_list("pk", flat=True)
    removed = 0
    while ids := list(old[:ROWS_A_STEP]):
        removed += Assignment.objects.filter(pk__in=ids).delete()[0]
    return removed
