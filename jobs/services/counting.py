"""Runs of jobs that are due more often than once a minute: counted in Redis, and a row only where one failed, at most one a minute."""

import time
import traceback
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import structlog
from django.db import DatabaseError, InterfaceError
from django.utils import timezone

from jobs import registry
from jobs.models import JobRun, Plan, RunState, Trigger
from jobs.services import execution, supervisor
from jobs.services.run_log import Writer
from posthaste.lib import redis

log = structlog.get_logger(__name__)
ROW_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Counted:
    """What is known of a job whose runs are only counted."""

    runs: int
    failures: int
    last_at: datetime | None
    last_ms: int | None


def _key(name: str) -> str:
    return redis.key("jobs", "counts", name)


def run_counted(name: str) -> None:
    """Run a job whose runs are only counted, and count it."""
    began, now = time.monotonic(), timezone.now()
    try:
        ran = registry.run(name, now=now)
    except Exception as error:
        _count(name, began, failed=True)
        _keep_failure(name, error, now=now)
        raise
    if ran:
        _count(name, began, failed=False)


def _count(name: str, began: float, *, failed: bool) -> None:
    with suppress(redis.Unavailable):
        pipe = redis.client().pipeline(transaction=False)
        pipe.hincrby(_key(name), "runs", 1)
        if failed:
            pipe.hincrby(_key(name), "failures", 1)
        pipe.hset(_key(name), mapping={"last_at": time.time(), "last_ms": round((time.monotonic() - began) * 1000)})
        pipe.execute()


def _keep_failure(name: str, error: Exception, *, now: datetime) -> None:
    """Store a failed run with its traceback, unless one was stored within the last minute."""
    try:
        if not redis.client().set(redis.key("jobs", "failed", name), 1, nx=True, ex=ROW_SECONDS):
            return
        plan = Plan.objects.select_related("job").filter(job__task=name).order_by("pk").first()
        if plan is None:
            return
        run = JobRun.objects.create(
            job=plan.job,
            task=name,
            nominal_at=now,
            trigger=Trigger.CLOCK,
            state=RunState.FAILED,
            due_at=now,
            published_at=now,
            started_at=now,
            ended_at=timezone.now(),
            worker=supervisor.worker_name(),
            error=execution.error_text(error),
        )
        _write_log(run.pk, "".join(traceback.format_exception(error)))
    except (redis.Unavailable, DatabaseError, InterfaceError) as away:
        log.warning("a failed run is not kept", job=name, error=type(away).__name__)


def _write_log(run_id: UUID, text: str) -> None:
    writer = Writer(run_id)
    writer.write(text)
    writer.flush()


def counted(names: Iterable[str]) -> dict[str, Counted]:
    """Return what was counted of these jobs, by their tasks' names.

    Raises:
        posthaste.lib.redis.Unavailable: Redis is away.
    """
    asked = list(names)
    pipe = redis.client().pipeline(transaction=False)
    for name in asked:
        pipe.hgetall(_key(name))
    return {name: _read(found) for name, found in zip(asked, pipe.execute(), strict=True)} if asked else {}


def _read(found: dict[bytes, bytes]) -> Counted:
    last_at = found.get(b"last_at")
    return Counted(
        runs=int(found.get(b"runs", 0)),
        failures=int(found.get(b"failures", 0)),
        last_at=datetime.fromtimestamp(float(last_at), tz=UTC) if last_at else None,
        last_ms=int(found[b"last_ms"]) if b"last_ms" in found else None,
    )
