"""Carrying out a recorded run: in a process of its own, or in the thread that took its task."""

import logging
import threading
import traceback
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from django.utils import timezone

from jobs import registry
from jobs.models import JobRun, RunState
from jobs.registry import Job
from jobs.services import current, parameters, transitions
from jobs.services.current import CurrentRun, Stopped
from jobs.services.supervisor import Watched, supervisor, worker_name
from posthaste.lib.locks import LockLost

log = structlog.get_logger(__name__)


def carry_out(run_id: str) -> None:
    """Begin a run if it is its turn. A run in a process of its own goes on after this has returned."""
    identifier = UUID(run_id)
    task = JobRun.objects.filter(pk=identifier).values_list("task", flat=True).first()
    found = registry.find(task or "")
    if found is not None and found.stoppable and not supervisor.has_room():
        return  # it waits, and is published again
    run = transitions.claim(identifier, worker=worker_name(), now=timezone.now())
    if run is None:
        return
    assert found is not None  # the claim ends what is not installed
    entered = current_of(run)
    if found.stoppable:
        supervisor.start_process(run, entered)
    else:
        _in_this_thread(run, entered, found)


def current_of(run: JobRun) -> CurrentRun:
    """Return a run as its code sees it."""
    return CurrentRun(run.pk, run.fence, run.token, run.nominal_at, run.shard, run.shards)


def _in_this_thread(run: JobRun, entered: CurrentRun, found: Job) -> None:
    watched = supervisor.watch(run, entered)
    state, error = RunState.SUCCEEDED, ""
    try:
        with current.within(entered), _logging_to(watched):
            ran = call(found, run, locked=not found.keeps_runs)
        if not ran:
            state, error = RunState.DISCARDED, transitions.OVERLAPS
    except Exception as caught:  # noqa: BLE001 - whatever a job raises is its result
        state, error = RunState.FAILED, error_text(caught)
        with watched.lock:
            watched.log.write(traceback.format_exc())
        log.warning("job failed", job=found.name, run=str(run.pk), error=type(caught).__name__)
    supervisor.end(watched, state, error)


def call(found: Job, run: JobRun, *, locked: bool = False) -> bool:
    """Call the function of a job for a run, and return whether it ran: `locked` keeps it apart from runs that are only counted.

    Raises:
        posthaste.lib.problems.Invalid: the run's parameters do not fit the function any more.
    """
    given = parameters.checked(found, run.parameters)
    now: datetime = run.nominal_at
    if locked:
        return registry.run(found.name, now=timezone.now(), given=given)
    registry.call(found, now=now, given=given, shard=run.shard, shards=run.shards)
    return True


def error_text(error: BaseException) -> str:
    """Say in one line what went wrong."""
    if isinstance(error, Stopped | LockLost):
        return f"The run was overtaken: {type(error).__name__}"
    return f"{type(error).__name__}: {error}"[: transitions.MAX_ERROR]


class _logging_to:  # noqa: N801 - a context manager
    """Copies what the calling thread logs into a run's log."""

    def __init__(self, watched: Watched) -> None:
        self._handler = _RunHandler(watched)

    def __enter__(self) -> None:
        root = logging.getLogger()
        if root.handlers and (formatter := root.handlers[0].formatter) is not None:
            self._handler.setFormatter(formatter)
        root.addHandler(self._handler)

    def __exit__(self, *_: Any) -> None:
        logging.getLogger().removeHandler(self._handler)


class _RunHandler(logging.Handler):
    def __init__(self, watched: Watched) -> None:
        super().__init__()
        self._watched = watched
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread != self._thread:
            return
        try:
            line = self.format(record)
        except Exception:  # noqa: BLE001 - a line that can't be formatted must not end a job
            return
        with self._watched.lock:
            self._watched.log.write(f"{line}\n")
