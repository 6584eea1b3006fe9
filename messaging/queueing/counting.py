"""Once a second, beside feeding: count what waits, close batches that are through, and bring forward what need not wait any longer."""

from collections.abc import Callable
from datetime import datetime

from django.db import InterfaceError, OperationalError

from messaging.queueing import breaker_backlog, deferred, queue_statistics
from messaging.queueing.settling import settle_batches
from messaging.storage import tally_totals
from posthaste.lib import redis

TICK_MS = 900


def tick_in_turn(*, now: datetime) -> None:
    """Tick, unless a process has done so within the last second."""
    try:
        is_my_turn = redis.client().set(redis.key("tick"), 1, nx=True, px=TICK_MS)
    except redis.Unavailable:
        is_my_turn = True
    if is_my_turn:
        tick(now=now)


def tick(*, now: datetime) -> None:
    """Count what waits and close batches that are through."""
    steps: list[Callable[[], object]] = [
        lambda: queue_statistics.measure(now),
        lambda: deferred.pull_forward_if_changed(now=now),
        lambda: breaker_backlog.bring_forward(now=now),
        lambda: settle_batches(now=now),
        tally_totals.add_up,
    ]
    failed: list[Exception] = []
    for step in steps:
        try:
            step()
        except (OperationalError, InterfaceError):
            raise
        except Exception as error:  # noqa: BLE001 - the others go on
            failed.append(error)
    if failed:
        raise ExceptionGroup("some of the steps failed", failed)
