"""Celery's entrances: each loads nothing, decides nothing, calls one service. Adding one: see docs/architecture.md."""

from uuid import UUID

from celery import shared_task
from django.utils import timezone

from messaging.delivery import deliver as delivery
from messaging.delivery import recover
from messaging.intake import idempotency
from messaging.queueing import feed as feeding
from messaging.receipts import sandbox
from messaging.storage import partitions, store
from posthaste import env


@shared_task(name="messaging.deliver")
def deliver(ids: list[str]) -> None:
    """Sends the messages that are still queued."""
    delivery.deliver([UUID(identifier) for identifier in ids])


@shared_task(name="messaging.feed")
def feed() -> None:
    """Moves what is due into the broker, for as long as anything waits."""
    feeding.keep_feeding()


@shared_task(name="messaging.recover")
def recover_lost() -> None:
    """Takes back what dead workers and lost tasks left behind."""
    recover.recover(now=store.database_time())


@shared_task(name="messaging.look_up_unknown")
def look_up_unknown() -> None:
    """Asks providers about messages whose outcome is not known."""
    recover.look_up_unknown(now=timezone.now())


@shared_task(name="messaging.sandbox_receipts")
def sandbox_receipts(entries: list[list[str]]) -> None:
    """Applies the receipts that the sandbox promised."""
    sandbox.apply_sandbox_receipts(entries, now=timezone.now())


@shared_task(name="messaging.maintain_partitions")
def maintain_partitions() -> None:
    """Makes the days to come and ends the retention of old ones."""
    partitions.maintain(now=timezone.now(), retention_days=env.load().message_retention_days)


@shared_task(name="messaging.forget_idempotency_keys")
def forget_idempotency_keys() -> None:
    """Removes idempotency keys older than a day."""
    idempotency.forget_idempotency_keys(now=timezone.now())
