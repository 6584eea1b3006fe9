"""The tasks of messaging. Its jobs are declared beside what they run, so their modules are imported here to be found.

A task loads nothing and decides nothing: it calls one service. Adding a job: see docs/extend.md.
"""

from uuid import UUID

from django.utils import timezone

from jobs.registry import task
from messaging import trace_export  # noqa: F401 - a job
from messaging.delivery import deliver as delivery
from messaging.delivery import recover  # noqa: F401 - jobs
from messaging.intake import idempotency  # noqa: F401 - a job
from messaging.providers import certificates  # noqa: F401 - a job
from messaging.queueing import feed  # noqa: F401 - a job
from messaging.receipts import sandbox
from messaging.statistics import rollups  # noqa: F401 - jobs
from messaging.storage import never_due, partitions  # noqa: F401 - jobs
from messaging.webhooks import cleaning  # noqa: F401 - a job
from posthaste.lib import queues


@task("messaging.deliver", queue=queues.SEND)
def deliver(ids: list[str]) -> None:
    """Send the messages that are still queued."""
    delivery.deliver([UUID(identifier) for identifier in ids])


@task("messaging.sandbox_receipts", queue=queues.NOTIFICATION)
def sandbox_receipts(entries: list[list[str]]) -> None:
    """Apply the receipts that the sandbox promised."""
    sandbox.apply_sandbox_receipts(entries, now=timezone.now())
