"""Housekeeping: old events, the log of deliveries, recordings that no tenant reads, secrets that were replaced."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import groupby

from django.db.models import Exists, OuterRef, Q
from django.utils.translation import gettext_lazy as _

from jobs.registry import Blocking, job
from messaging.configuration import webhooks
from messaging.models import Event, EventRecording, WebhookDelivery, WebhookEndpoint
from posthaste.lib import queues

ROWS_A_STEP = 5_000


@job(
    "messaging.remove_old_events",
    entry="remove old events",
    title=_("Remove old events"),
    purpose=_("Removes events and entries of the webhook log that are older than they are kept."),
    every=timedelta(minutes=15),
    timeout=timedelta(minutes=10),
    expires=timedelta(minutes=10),
    blocking=Blocking.DISCARD,
    queue=queues.NOTIFICATION,
    stoppable=False,  # short steps every few minutes; a process each time would cost more than the work
)
def remove_old_events(*, now: datetime) -> int:
    """Remove what is too old, some rows at a time, and return the number of events."""
    moment = now - timedelta(days=webhooks.value.keep_days)
    WebhookEndpoint.objects.filter(previous_secret_until__lte=now).update(previous_secret="", previous_secret_until=None)
    endpoints = WebhookEndpoint.objects.filter(tenant_id=OuterRef("tenant_id"))
    EventRecording.objects.filter(~Exists(endpoints), Q(read_at=None) | Q(read_at__lt=moment)).delete()
    while old := list(WebhookDelivery.objects.filter(at__lt=moment).order_by("at").values_list("pk", flat=True)[:ROWS_A_STEP]):
        WebhookDelivery.objects.filter(pk__in=old).delete()
    removed = 0
    while step := _remove_some(moment):
        removed += step
    return removed


def _remove_some(moment: datetime) -> int:
    """Remove the old ones of the first rows, and return their number."""
    first = Event.objects.order_by("position").values_list("position", "tenant_id", "occurred_at")[:ROWS_A_STEP]
    old = [(position, tenant_id) for position, tenant_id, occurred_at in first if occurred_at < moment]
    if not old:
        return 0
    _note_missing(old)  # first, so that a reader is never told less than is missing
    number: int = 0
    for start in range(0, len(old), 500):  # SQLite takes no more values at once
        number += Event.objects.filter(pk__in=[position for position, _tenant in old[start : start + 500]]).delete()[0]
    return number


def _note_missing(old: Sequence[tuple[int, int]]) -> None:
    by_tenant = sorted((tenant_id, position) for position, tenant_id in old)
    for tenant_id, positions in groupby(by_tenant, key=lambda pair: pair[0]):
        last = max(position for _tenant, position in positions)
        EventRecording.objects.filter(tenant_id=tenant_id, missing_until__lt=last).update(missing_until=last)
