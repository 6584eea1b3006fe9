"""How long notices and drafts are kept."""

from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from jobs.registry import Blocking, job
from posthaste.lib import queues
from posthaste.lib.ids import first_id_at
from routing.models import Draft, Notice

READ_KEPT = timedelta(days=14)
KEPT = timedelta(days=90)
ROWS_A_STEP = 500


@job(
    "routing.clean_desk",
    title=_("Remove old notices of the desk"),
    purpose=_("Removes notices 14 days after they were read, and notices and drafts after 90 days."),
    cron="40 3 * * *",
    timeout=timedelta(minutes=10),
    blocking=Blocking.DISCARD,
    queue=queues.NOTIFICATION,
)
def clean_desk(*, now: datetime) -> None:
    """Remove what no agent looks at any more."""
    remove_old(now=now)


def remove_old(*, now: datetime) -> int:
    """Delete old notices and drafts, some rows at a time, and return how many."""
    # Ids of notices begin with the time at which they were told.
    read = Notice.objects.filter(read_at__lt=now - READ_KEPT, pk__lt=first_id_at(now - READ_KEPT))
    removed = 0
    for old in (read, Notice.objects.filter(pk__lt=first_id_at(now - KEPT)), Draft.objects.filter(changed_at__lt=now - KEPT)):
        rows: QuerySet[Any] = old
        while ids := list(rows.order_by("pk").values_list("pk", flat=True)[:ROWS_A_STEP]):
            removed += rows.filter(pk__in=ids).delete()[0]
    return removed
