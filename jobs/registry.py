"""The registry of jobs: a job is declared beside the function that it runs.

    @job(
        "reports.send_digest",
        title=_("Send the digest"),
        purpose=_("Sends each tenant the figures of the day before."),
        cron="0 6 * * *",
        timeout=timedelta(minutes=5),
        blocking=Blocking.DISCARD,
        queue=queues.NOTIFICATION,
    )
    def send_digest(*, now: datetime) -> None: ...

The decorator makes the Celery task and returns the function unchanged. The schedule of the beat process, the queue of each task and the
admin's pages come from here. An app's jobs are found through its `tasks.py`: they stand there, or it imports the modules they stand in.

What bounds a run: a run that waits longer than `expires` for a worker is dropped by the worker, and `blocking` keeps runs
apart through a distributed lock. Workers run tasks in threads, and a thread cannot be ended from outside, so `timeout` ends nothing: a
run that took longer is logged as a warning. A function that calls others over the network bounds those calls itself.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from inspect import Parameter, signature
from typing import Any, TypeVar

import structlog
from celery import shared_task
from celery.exceptions import NotRegistered
from celery.schedules import crontab
from django.db.models import TextChoices
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from posthaste.lib import locks, queues, redis

log = structlog.get_logger(__name__)
F = TypeVar("F", bound=Callable[..., Any])
Text = str | Promise
#: Longer ones would leave the calendar of Python.
MAX_INTERVAL = timedelta(days=3650)


class Blocking(TextChoices):
    """What happens to a run that is due while the one before it still runs."""

    DISCARD = "discard", _("Skipped")
    QUEUE = "queue", _("Waits for the running one")
    COVER = "cover", _("Takes over from the running one")
    OVERLAP = "overlap", _("Runs in parallel")


class Misfire(TextChoices):
    """What happens to runs that were due while no beat process ran."""

    RUN_ONCE = "run_once", _("Made up for once")
    SKIP = "skip", _("Skipped")


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """One job as it was declared. Exactly one of `every` and `cron` is set; times are UTC."""

    name: str  # of the Celery task: `app.verb`
    title: Text
    purpose: Text
    function: Callable[..., Any]
    every: timedelta | None
    cron: str
    timeout: timedelta  # how long a run may take at most
    expires: timedelta  # how long a run may wait for a worker
    blocking: Blocking
    misfire: Misfire
    queue: str
    entry: str  # its row in the beat's table
    own_lock: str  # of the function itself; empty: `run` holds one
    is_needed: Callable[[], bool] | None  # None: always

    @property
    def schedule(self) -> timedelta | crontab:
        """When it is due, as Celery understands it."""
        return self.every if self.every is not None else crontab.from_string(self.cron)

    @property
    def lock(self) -> str:
        """The name of the lock that keeps its runs apart."""
        return self.own_lock or f"job {self.name}"


_jobs: dict[str, Job] = {}
_queues: dict[str, str] = {}


def task(name: str, *, queue: str) -> Callable[[F], F]:
    """Make the function below a Celery task that the clock does not start, and name the queue that it waits in.

    Raises:
        ValueError: there is no such queue, or there is already a task of this name.
    """
    if queue not in queues.NAMES:
        raise ValueError(f"The task {name} names the queue {queue!r}; there are: {', '.join(queues.NAMES)}.")

    def declare(function: F) -> F:
        if name in _queues:
            raise ValueError(f"The task {name} is declared twice.")
        _queues[name] = queue
        shared_task(name=name)(function)
        return function

    return declare


def job(
    name: str,
    *,
    title: Text,
    purpose: Text,
    every: timedelta | None = None,
    cron: str = "",
    timeout: timedelta,
    expires: timedelta | None = None,
    blocking: Blocking = Blocking.DISCARD,
    misfire: Misfire = Misfire.RUN_ONCE,
    queue: str = queues.NOTIFICATION,
    entry: str = "",
    own_lock: str = "",
    is_needed: Callable[[], bool] | None = None,
) -> Callable[[F], F]:
    """Declare the function below as a job. It takes nothing, or the time of the run as the keyword `now`.

    `misfire` says what becomes of runs that were missed while no beat process ran. `expires` is by default the shorter of an hour and the
    time between two runs (a crontab: an hour). `own_lock` names the lock by which the function itself keeps its runs apart, so that no
    second one is taken around it. `is_needed` is a cheap question that the beat process asks before it publishes a run; a run that would
    find nothing to do is left out, which costs far less than a task.

    Raises:
        ValueError: the declaration contradicts itself, or there is already a job of this name.
    """
    if (every is None) == (not cron):
        raise ValueError(f"The job {name} needs a schedule: either every= or cron=.")
    if cron:
        try:
            crontab.from_string(cron)
        except ValueError as error:
            raise ValueError(f"The job {name} has no valid crontab in {cron!r}: {error}") from error
    for said, span in (("every", every), ("timeout", timeout), ("expires", expires)):
        if span is not None and span <= timedelta(0):
            raise ValueError(f"The job {name} needs a positive {said}=, not {span}.")
    if every is not None and every > MAX_INTERVAL:
        raise ValueError(f"The job {name} has every={every}; at most {MAX_INTERVAL.days} days are possible.")
    hour = timedelta(hours=1)

    def declare(function: F) -> F:
        if name in _jobs or (entry or name) in {known.entry for known in _jobs.values()}:
            raise ValueError(f"The job {name} is declared twice.")
        parameters = signature(function).parameters.values()
        optional = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
        needed = [each.name for each in parameters if each.default is each.empty and each.kind not in optional and each.name != "now"]
        if needed:
            raise ValueError(f"The job {name} is called without arguments or with now=; its function needs {', '.join(needed)}.")
        task(name, queue=queue)(_runner(name))
        _jobs[name] = Job(
            name=name,
            title=title,
            purpose=purpose,
            function=function,
            every=every,
            cron=cron,
            timeout=timeout,
            expires=expires or min(every or hour, hour),
            blocking=blocking,
            misfire=misfire,
            queue=queue,
            entry=entry or name,
            own_lock=own_lock,
            is_needed=is_needed,
        )
        return function

    return declare


def _runner(name: str) -> Callable[[], None]:
    def run_job() -> None:
        run(name, now=timezone.now())

    return run_job


def queues_of_tasks() -> Mapping[str, str]:
    """Return the queue of each task by the task's name."""
    return _queues


def jobs() -> list[Job]:
    """Return all jobs by name."""
    return sorted(_jobs.values(), key=lambda found: found.name)


def find(name: str) -> Job | None:
    """Return the job of a task's name, or None where the task is none."""
    return _jobs.get(name)


def is_needed(name: str) -> bool:
    """Return whether a run of a job has anything to do, as far as a cheap question can tell; in doubt it has."""
    found = _jobs.get(name)
    if found is None or found.is_needed is None:
        return True
    try:
        return found.is_needed()
    except Exception as error:  # noqa: BLE001 - what is away now may be back when the run begins
        log.info("not known whether a job is needed, so it runs", job=name, error=type(error).__name__)
        return True


def beat_schedule() -> dict[str, dict[str, Any]]:
    """Return the schedule of all jobs in the form of Celery's setting of that name."""
    return {
        found.entry: {"task": found.name, "schedule": found.schedule, "options": {"expires": found.expires.total_seconds()}}
        for found in jobs()
    }


def route(name: str, *_args: Any, **_options: Any) -> Mapping[str, str] | None:
    """Route a task to the queue that it was declared with; Celery calls this for every task that is published.

    Raises:
        celery.exceptions.NotRegistered: no task has this name.
    """
    if name in _queues:
        return {"queue": _queues[name]}
    if name.startswith("celery."):  # its own go where it wants them
        return None
    raise NotRegistered(name)


def run(name: str, *, now: datetime) -> bool:
    """Run a job as its blocking strategy says, and return whether it ran.

    While Redis is away there are no locks: the job runs all the same, as every job is safe to run twice.
    """
    found = _jobs[name]
    if found.blocking is Blocking.OVERLAP or found.own_lock:
        _call(found, now)
        return True
    with ExitStack() as held:
        try:
            if found.blocking is Blocking.COVER:
                locks.force_release(found.lock)  # the older run sees so in its lock's `check`, and the fence refuses what it writes
            wait_seconds = found.timeout.total_seconds() if found.blocking is Blocking.QUEUE else 0.0
            held.enter_context(locks.simple(found.lock, wait_seconds=wait_seconds))
        except locks.NotAcquired:
            log.info("job left out: its last run goes on", job=name)
            return False
        except redis.Unavailable:
            pass
        _call(found, now)
    return True


def _call(found: Job, now: datetime) -> None:
    began = time.monotonic()
    try:
        found.function(**({"now": now} if "now" in signature(found.function).parameters else {}))
    finally:
        took = time.monotonic() - began
        if took > found.timeout.total_seconds():
            log.warning("job ran longer than its time-out", job=found.name, seconds=round(took, 1))
