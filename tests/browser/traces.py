"""Pages of messages on their way and at its end: one that waits behind an open breaker, a scheduled one, a deferred one, and so on."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.urls import reverse
from django.utils import timezone

from accounts.models import Tenant
from messaging.models import Batch, BatchStatus, Message, Status
from messaging.providers.breakers import force, of_provider
from tests.browser.scene import Scene
from tests.builders import TESTER, make_message, make_provider
from tracing.services import record

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
Line = tuple[str, float, *tuple[Any, ...]]


def _told(message: Message, lines: Sequence[Line]) -> Message:
    """Write the trace of a message: letter, seconds since it was accepted, words."""
    at = message.created_at
    record.append_now({message.pk: [record.line(code, message.pk, at + timedelta(seconds=after), *words) for code, after, *words in lines]})
    return message


def messages(tenant: Tenant) -> dict[str, Message]:
    """Make a message of each kind whose page differs, by name."""
    gateway = make_provider(tenant, channel="push", name="FCM gateway")
    second = make_provider(tenant, channel="push", name="Second gateway")
    name, other = record.word(gateway.name), record.word(second.name)
    force(name=of_provider(gateway.pk), to="open", by=TESTER)
    now = timezone.now()
    since = now - timedelta(minutes=9)
    behind_breaker = make_message(
        tenant, channel="push", at=since, due_at=now + timedelta(seconds=40), error_code="breaker:FCM gateway", claimed_at=now
    )
    for minute in range(1, 9):
        _told(behind_breaker, [("X", 60 * minute, "pending", f"breaker:{name}@0", 60_000)])
    deferred = make_message(tenant, channel="push", at=since, due_at=now + timedelta(hours=8), error_code="rule:quiet:night")
    unknown = make_message(
        tenant, channel="push", status=Status.UNKNOWN, at=since, provider=gateway, error_code="worker_lost",
        finished_at=since + timedelta(seconds=40),
        error_detail="The worker died while the provider was being called: it may have been sent.",
    )  # fmt: skip
    sent = make_message(
        tenant, channel="push", status=Status.SENT, at=since, provider=second, attempts=2, latency_ms=31_300,
        claimed_at=since + timedelta(seconds=31), sent_at=since + timedelta(seconds=31.3), finished_at=since + timedelta(seconds=31.3),
    )  # fmt: skip
    received = make_message(
        tenant, channel="push", status=Status.DELIVERED, at=since, provider=second, latency_ms=220,
        claimed_at=since + timedelta(seconds=0.1), sent_at=since + timedelta(seconds=0.22), finished_at=since + timedelta(seconds=6),
    )  # fmt: skip
    return {
        "message behind a breaker": behind_breaker,
        "scheduled message": make_message(tenant, channel="push", at=since, due_at=now + timedelta(hours=2)),
        "deferred message": _told(deferred, [("X", 0.4, "pending", "rule:quiet:night@3", 28_800_000)]),
        "message sent after two attempts": _told(
            sent,
            [
                ("A", 0, PARENT),
                ("C", 0.2, 1, 60),
                ("G", 0.21),
                ("E", 1.2, 980, name, "http_503", "w@3"),
                ("R", 1.2, 30_000),
                ("C", 31, 2, 30_900),
                ("M", 31, name, other, "breaker@3"),
                ("S", 31.3, 280, other, "l"),
                ("W", 31.9, 41, "Shop", "sent", "delivered"),
            ],
        ),
        "message recovered to unknown": _told(unknown, [("V", 40, "unknown", "worker_lost", 1, 200, 60)]),
        "received message": _told(received, [("C", 0.1, 1, 40), ("S", 0.22, 110, other, "o"), ("K", 6, "delivered"), ("I", 60)]),
    }


def trace_pages(scene: Scene) -> dict[str, str]:
    """Return the addresses of the pages by name: the messages, and a batch that stands still behind a breaker."""
    tenant = scene.tenant
    made = messages(tenant)
    now = timezone.now()
    batch = Batch.objects.create(
        tenant=tenant, name="Parcel notices", channel="push", accepted=12, status=BatchStatus.RUNNING, created_at=now - timedelta(minutes=3)
    )
    for number in range(12):
        state = Status.SENT if number < 4 else Status.PENDING
        waits = {"due_at": now + timedelta(seconds=50), "error_code": "breaker:FCM gateway"} if state == Status.PENDING else {}
        make_message(tenant, channel="push", status=state, at=now - timedelta(minutes=2), batch=batch, **waits)
    return {
        **{name: reverse("admin:messaging_message_change", args=[message.pk]) for name, message in made.items()},
        "batch that stands still": reverse("admin:messaging_batch_change", args=[batch.pk]),
    }
