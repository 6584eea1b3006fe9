"""Pools of threads and the processes that have them."""

import os
import socket

from django.utils import timezone

from configcenter.services import instances
from configcenter.services.instances import Identity, State
from messaging.queueing import pool_control, queue_statistics
from tests.architecture.audit_entrances.world import USER, Event, World, nobodys
from tests.builders import TESTER

POOL = "host:1"
PLACE = f"{socket.gethostname()}:{os.getpid()}"


def a_pool(_w: World) -> None:
    figures = {"instance": POOL, "threads": 10, "active_count": 0, "completed_tasks": 0, "queue_usage_percent": 0.0, "queue_size": 0}
    queue_statistics.report_pool(POOL, figures, alive_seconds=60)


def a_held_pool(w: World) -> None:
    a_pool(w)
    pool_control.hold(instance=POOL, threads=3, seconds=60, by=TESTER)


def a_worker(_w: World) -> None:
    instances.report(who=Identity(socket.gethostname(), "aux"), state=State(), started_at=timezone.now())


PROCESSES = [
    Event(
        "pool.hold",
        lambda w: POOL,
        ((USER, lambda w: w.page("monitor-queues", verb="hold", instance=POOL, threads="20", minutes="5")),),
        tenant=nobodys,
        before=a_pool,
    ),
    Event(
        "pool.release",
        lambda w: POOL,
        ((USER, lambda w: w.page("monitor-queues", verb="release", instance=POOL)),),
        tenant=nobodys,
        before=a_held_pool,
    ),
    Event(
        "instance.shutdown",
        lambda w: f"aux:{PLACE}",
        ((USER, lambda w: w.page("monitor-instances", instance=f"{PLACE}:aux", name=PLACE)),),
        tenant=nobodys,
        before=a_worker,
    ),
]
