"""Traces that have ended, exported to an OTLP receiver by a job of `worker-aux`, away from accept and deliver.

What if the process dies: the position in the stream is moved on after an export, so the last chunk is exported once more, with the same
span ids. If the receiver is away, traces wait in the stream up to its bound. Those that the receiver refuses are counted and left out.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.utils.translation import gettext_lazy as _

from jobs.registry import Blocking, job
from messaging import traces
from messaging.models import Message
from messaging.storage.unreadable import readable
from posthaste.lib import queues, redis
from tracing import checks, otlp, selectors
from tracing.otlp import Ended
from tracing.services import ended as ended_traces
from tracing.services.ended import END, RECEIPT
from tracing.traces import assemble, parent_of

log = structlog.get_logger(__name__)
ENTRIES = 20  # of the stream at once; each has at most a hundred messages
MAX_ROUNDS = 50  # in one run


@job(
    "messaging.export_traces",
    title=_("Export traces"),
    purpose=_("Sends the traces of messages that have ended to the OTLP receiver, if one is configured."),
    every=timedelta(seconds=2),
    timeout=timedelta(minutes=2),
    expires=timedelta(seconds=10),
    blocking=Blocking.DISCARD,
    queue=queues.NOTIFICATION,
    is_needed=ended_traces.is_exported,
)
def export_traces(*, now: datetime) -> int:
    """Export what has ended since the last run and return the number of messages."""
    if not ended_traces.is_exported():
        return 0
    if not checks.is_installed():
        log.error("traces are not exported: install requirements-otel.txt, or leave OTLP_ENDPOINT empty")
        return 0
    exported, limit = 0, ENTRIES
    try:
        for _round in range(MAX_ROUNDS):
            entries = ended_traces.read(ended_traces.position(), limit=limit)
            if not entries:
                break
            ends = list(dict.fromkeys(pk for _at, kinds in entries for pk in kinds.get(END, ())))
            whole = set(ends)
            receipts = [pk for _at, kinds in entries for pk in kinds.get(RECEIPT, ()) if pk not in whole]
            number, refused = len(ends) + len(receipts), 0
            try:
                otlp.export([*_ended(ends, now=now), *_ended(receipts, now=now, receipt_only=True)])
            except otlp.ExportRefused:
                if len(entries) > 1:
                    limit = 1  # the others may be taken
                    continue
                log.error("the OTLP receiver refused traces; they are left out", messages=number)
                refused = number
            ended_traces.move_past([at for at, _kinds in entries], refused=refused)
            exported += number - refused
    except otlp.ExportFailed:
        log.warning("the OTLP receiver did not take the traces; they are sent again")
    except redis.Unavailable:
        pass  # they wait there
    return exported


def _ended(ids: Sequence[UUID], *, now: datetime, receipt_only: bool = False) -> list[Ended]:
    """Return the traces of messages with what their rows tell; those whose rows are gone are left out."""
    if not ids:
        return []
    wanted = Message.objects.filter(pk__in=ids).select_related("provider", "template_version__template")
    rows = {row.pk: row for row in readable(wanted.defer("body", "variables", "metadata", "provider__config", "provider__receipt_secret"))}
    recorded = dict(zip(ids, selectors.events_of(ids), strict=True))
    batches = list({row.batch_id for row in rows.values() if row.batch_id})
    parents = {pk: parent_of(events) for pk, events in zip(batches, selectors.events_of(batches), strict=True)}
    found = []
    for pk, row in rows.items():
        trace = assemble(traces.times_of(row), recorded[pk], now=now)
        parent = parent_of(recorded[pk]) or (parents.get(row.batch_id, "") if row.batch_id else "")
        found.append(
            Ended(trace=trace, name=f"message {row.channel}", attributes=_attributes(row), parent=parent, receipt_only=receipt_only)
        )
    return found


def _attributes(row: Message) -> dict[str, str | int | bool]:
    """Return what a span says of its message: nothing of its recipient, its text or its variables."""
    found: dict[str, str | int | bool | None] = {
        "posthaste.message.id": str(row.pk),
        "posthaste.tenant.id": row.tenant_id,
        "posthaste.channel": row.channel,
        "posthaste.priority": row.priority,
        "posthaste.status": row.status,
        "posthaste.attempts": row.attempts,
        "posthaste.batch.id": str(row.batch_id) if row.batch_id else None,
        "posthaste.template": row.template_version.template.name if row.template_version else None,
        "posthaste.provider": row.provider.name if row.provider else None,
        "posthaste.sandbox": row.is_sandbox or None,
    }
    return {name: value for name, value in found.items() if value is not None}
