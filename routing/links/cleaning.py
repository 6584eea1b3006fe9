"""Housekeeping: links that expired long ago, and their clicks."""

from datetime import datetime, timedelta

from django.utils.translation import gettext_lazy as _

from jobs.registry import job
from posthaste.lib import queues
from posthaste.lib.ids import first_id_at
from routing.configuration import links_and_cache
from routing.models import LinkClick, SafeLink

ROWS_A_STEP = 500


@job(
    "routing.remove_old_links",
    title=_("Remove old links"),
    purpose=_("Removes links that expired, and clicks, when they are older than they are kept."),
    cron="40 3 * * *",
    timeout=timedelta(hours=1),
    queue=queues.NOTIFICATION,
)
def remove_old_links(*, now: datetime) -> int:
    """Remove what is too old, some rows at a time, and return the number of links."""
    moment = now - timedelta(days=links_and_cache.value.click_days)
    while old := list(LinkClick.objects.filter(pk__lt=first_id_at(moment)).order_by().values_list("pk", flat=True)[:ROWS_A_STEP]):
        LinkClick.objects.filter(pk__in=old).delete()
    removed = 0
    while ended := list(SafeLink.objects.filter(expires_at__lt=moment).order_by().values_list("pk", flat=True)[:ROWS_A_STEP]):
        LinkClick.objects.filter(link__in=ended).delete()
        removed += SafeLink.objects.filter(pk__in=ended).delete()[0]
    return removed
