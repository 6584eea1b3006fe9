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

A job that is due once a minute or less often keeps its runs: each is a row with its log (`jobs.services`), in a process of its own that
can be stopped, unless the declaration says `stoppable=False`. What is due more often is only counted, and runs in a thread of the worker; a
distributed lock keeps these runs apart, and no time-out can end one.
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
from django.utils.functional import Promise

from jobs.policies import Blocking as Blocking
from jobs.policies import Misfire as Misfire
from posthaste.lib import locks, queues, redis
from posthaste.lib.crontab import check_cron
from posthaste.lib.zones import zone

log = structlog.get_logger(__name__)
F = TypeVar("F", bound=Callable[..., Any])
Text = str | Promise
#: What a function may take without being told by the one who starts a run.
GIVEN = frozenset({"now", "shard", "shards"})
#: A job that is due more often keeps no row a run.
KEPT_FROM = timedelta(minutes=1)
#: Longer ones would leave the calendar of Python.
MAX_INTERVAL = timedelta(days=3650)


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """One job as it was declared. Exactly one of `every` and `cron` is set."""

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
    time_zone: str = "UTC"
    calendar: str = ""
    retries: int = 0
    retry_delay: timedelta = timedelta(minutes=1)
    shards: int = 1
    stoppable: bool = True  # a run lives in a process of its own

    @property
    def keeps_runs(self) -> bool:
        """Whether each run is a row with a log."""
        return self.every is None or self.every >= KEPT_FROM

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
    time_zone: str = "UTC",
    calendar: str = "",
    retries: int = 0,
    retry_delay: timedelta = timedelta(minutes=1),
    shards: int = 1,
    stoppable: bool | None = None,
) -> Callable[[F], F]:
    """Declare the function below as a job.

    It may take the fire time of the run as the keyword `now`, `shard` and `shards` (this is shard 0…shards-1 of so many), and parameters
    with defaults, which people may set when they start or schedule a run. Their types are those of the signature.

    `shards` above 1, or 0 for one for each live worker, fires so many runs at once. `stoppable=False` runs it in a thread of the worker,
    which saves a second of processor time a run, but then neither a person nor its time-out can end a run.

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
            check_cron(cron)
        except ValueError as error:
            raise ValueError(f"The job {name} has no valid crontab in {cron!r}: {error}") from error
    for said, span in (("every", every), ("timeout", timeout), ("expires", expires)):
        if span is not None and span <= timedelta(0):
            raise ValueError(f"The job {name} needs a positive {said}=, not {span}.")
    if every is not None and every > MAX_INTERVAL:
        raise ValueError(f"The job {name} has every={every}; at most {MAX_INTERVAL.days} days are possible.")
    if zone(time_zone) is None:
        raise ValueError(f"The job {name} names the time zone {time_zone!r}, which does not exist.")
    is_frequent = every is not None and every < KEPT_FROM
    if is_frequent and (stoppable or retries or shards != 1):
        raise ValueError(f"The job {name} is due so often that its runs are only counted: no stoppable=, retries= or shards=.")
    hour = timedelta(hours=1)

    def declare(function: F) -> F:
        if name in _jobs or (entry or name) in {known.entry for known in _jobs.values()}:
            raise ValueError(f"The job {name} is declared twice.")
        parameters = signature(function).parameters.values()
        optional = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
        needed = [each.name for each in parameters if each.default is each.empty and each.kind not in optional and each.name not in GIVEN]
        if needed:
            raise ValueError(f"The job {name} is called by the clock; give a default to {', '.join(needed)}.")
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
            time_zone=time_zone,
            calendar=calendar,
            retries=retries,
            retry_delay=retry_delay,
            shards=shards,
            stoppable=not is_frequent if stoppable is None else stoppable,
        )
        return function

    return declare


class _Executors:
    """What carries out a run; `jobs.tasks` puts it here, as it lies above the registry."""

    recorded: Callable[[str], None]
    counted: Callable[[str], None]


executors = _Executors()


def _runner(name: str) -> Callable[[str | None], None]:
    def run_job(run: str | None = None) -> None:
        """Carry out the run with that id, or one that is only counted."""
        if run is None:
            executors.counted(name)
        else:
            executors.recorded(run)

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


def frequent() -> list[Job]:
    """Return the jobs whose runs are only counted."""
    return [found for found in jobs() if not found.keeps_runs]


def parameters_of(found: Job) -> list[Parameter]:
    """Return what a person may set for a run."""
    kinds = (Parameter.KEYWORD_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
    return [each for each in signature(found.function).parameters.values() if each.kind in kinds and each.name not in GIVEN]


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


def run(name: str, *, now: datetime, given: Mapping[str, Any] | None = None) -> bool:
    """Run a job under its distributed lock as its blocking strategy says, and return whether it ran.

    While Redis is away there are no locks: the job runs all the same, as every job is safe to run twice.
    """
    found = _jobs[name]
    if found.blocking is Blocking.OVERLAP or found.own_lock:
        call(found, now=now, given=given)
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
        call(found, now=now, given=given)
    return True


def call(found: Job, *, now: datetime, given: Mapping[str, Any] | None = None, shard: int = 0, shards: int = 1) -> None:
    """Call a job's function with what it takes of the fire time, its shard and the parameters `given`."""
    taken = signature(found.function).parameters
    offered = {"now": now, "shard": shard, "shards": shards, **(given or {})}
    began = time.monotonic()
    try:
        found.function(**{name: value for name, value in offered.items() if name in taken})
    finally:
        took = time.monotonic() - began
        if took > found.timeout.total_seconds():
            log.warning("job ran longer than its time-out", job=found.name, seconds=round(took, 1))
