"""Watches the runs of this worker: their output, lease, time-out and whether people asked to stop them.

One thread, which lives only while a run does. A run in a process of its own gets SIGTERM when its time is over, and SIGKILL two seconds
later, with everything it started; all that dies with the worker too. A run in a thread can't be ended: it is marked as over, told so
(`current.run().check()`), and what it writes later is refused by its fence. While the database is away, ends are kept and stored later.
"""

import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import orjson
import structlog
from django.db import DatabaseError, InterfaceError, connection
from django.utils import timezone

from jobs.models import JobRun, RunState
from jobs.services import publishing, transitions
from jobs.services.current import CurrentRun
from jobs.services.run_log import Writer
from posthaste.env import ROOT

log = structlog.get_logger(__name__)
MAX_PROCESSES = 4
KILL_SECONDS = 2.0  # between SIGTERM and SIGKILL
START_SECONDS = 60.0  # a process that has not begun by then never will
LOOK_SECONDS = 0.2
FLUSH_SECONDS = 1.0
RENEW_SECONDS = 5.0
READ_BYTES = 256 * 1024
GONE = "gone"  # the run ended without this process
TIMED_OUT = "timed_out"
WORKER_STOPS = "worker_stops"
COMMAND = [sys.executable, "-m", "deploy.job_process"]
#: What a process of a run gets beside this process's environment.
extra_environment: dict[str, str] = {}


def worker_name() -> str:
    """Return who runs: host and process."""
    return f"{socket.gethostname()}:{os.getpid()}"


@dataclass
class Watched:
    """A run in progress in this worker."""

    run: JobRun
    current: CurrentRun
    deadline: float
    log: Writer
    lock: threading.Lock = field(default_factory=threading.Lock)  # of the log, which a thread writes while this one flushes
    process: subprocess.Popen[bytes] | None = None
    output: int = -1
    results: int = -1
    result: dict[str, Any] = field(default_factory=dict)
    received: bytes = b""
    ended_as: tuple[RunState, str] | None = None  # why it is being stopped
    outcome: tuple[RunState, str] | None = None  # of a run in a thread: what became of it
    kill_at: float | None = None
    is_over: bool = False


class Supervisor:
    """The watched runs of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._watched: dict[Any, Watched] = {}
        self._to_start: list[Watched] = []
        self._thread: threading.Thread | None = None
        self._stops = False

    def has_room(self) -> bool:
        """Return whether another process may be started."""
        with self._lock:
            return not self._stops and sum(one.run.is_stoppable for one in self._watched.values()) < MAX_PROCESSES

    def watch(self, run: JobRun, current: CurrentRun) -> Watched:
        """Watch a run that the caller carries out in its own thread."""
        return self._add(Watched(run, current, time.monotonic() + run.timeout_seconds, Writer(run.pk)))

    def start_process(self, run: JobRun, current: CurrentRun) -> None:
        """Carry out a run in a process of its own; returns at once."""
        self._add(Watched(run, current, time.monotonic() + START_SECONDS, Writer(run.pk)))

    def end(self, watched: Watched, state: RunState, error: str) -> None:
        """Store the log and the end of a run of a thread. If the database is away, that is done when it is back."""
        watched.outcome = (state, error)
        try:
            with watched.lock:
                watched.log.flush()
            self._write_end(watched)
        except (DatabaseError, InterfaceError) as away:
            log.warning("the end of a run waits for the database", run=str(watched.run.pk), error=type(away).__name__)
            connection.close()

    def stop(self, seconds: float = 8.0) -> None:
        """End the processes of all runs, as the worker is about to end; they count as failed, and are tried again where they may be."""
        with self._lock:
            self._stops = True
            thread = self._thread
        if thread is not None:
            thread.join(seconds)

    def _add(self, watched: Watched) -> Watched:
        with self._lock:
            self._watched[watched.run.pk] = watched
            if watched.run.is_stoppable:
                self._to_start.append(watched)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="job-supervisor", daemon=True)
                self._thread.start()
        return watched

    # --- the thread ------------------------------------------------------------------------------------------

    def _work(self) -> None:
        selector = selectors.DefaultSelector()
        next_flush = next_renewal = time.monotonic()
        try:
            while True:
                with self._lock:
                    starting, self._to_start = self._to_start, []
                    watched = list(self._watched.values())
                    if not watched:
                        self._thread = None
                        return
                try:
                    for one in starting:
                        self._start(one, selector)
                    self._read(selector)
                    clock = time.monotonic()
                    for one in watched:
                        self._look(one, clock, selector)
                    if clock >= next_flush:
                        renews = clock >= next_renewal
                        self._with_database(watched, renews)
                        next_flush = clock + FLUSH_SECONDS
                        next_renewal = clock + RENEW_SECONDS if renews else next_renewal
                except Exception:
                    log.exception("watching runs failed")
                    time.sleep(LOOK_SECONDS)
        finally:
            selector.close()
            connection.close()

    def _start(self, one: Watched, selector: selectors.BaseSelector) -> None:
        output, output_end = os.pipe()
        results, results_end = os.pipe()
        try:
            one.process = subprocess.Popen(
                [*COMMAND, str(one.run.pk), str(one.run.token), str(results_end)],
                cwd=ROOT,
                env={**os.environ, **extra_environment, "PYTHONUNBUFFERED": "1"},
                stdin=subprocess.PIPE,  # never written to: it ends with this process, and the run with it
                stdout=output_end,
                stderr=output_end,
                pass_fds=[results_end],
                start_new_session=True,  # a process group of its own, so that all it starts can be killed with it
            )
        except OSError as error:
            one.ended_as, one.is_over = (RunState.FAILED, f"{type(error).__name__}: {error}"), True
            os.close(output)
            os.close(results)
        else:
            one.output, one.results = output, results
            for fd in (output, results):
                os.set_blocking(fd, False)
                selector.register(fd, selectors.EVENT_READ, one)
        finally:
            os.close(output_end)
            os.close(results_end)

    def _read(self, selector: selectors.BaseSelector) -> None:
        if not selector.get_map():
            time.sleep(LOOK_SECONDS)
            return
        for key, _events in selector.select(LOOK_SECONDS):
            self._take(key.data, key.fd, selector)

    def _take(self, one: Watched, fd: int, selector: selectors.BaseSelector) -> None:
        try:
            data = os.read(fd, READ_BYTES)
        except BlockingIOError:
            return
        if not data:
            selector.unregister(fd)
            os.close(fd)
            if fd == one.output:
                one.output = -1
            else:
                one.results = -1
        elif fd == one.output:
            one.log.write_bytes(data)
        else:
            one.received += data
            *lines, one.received = one.received.split(b"\n")
            for line in lines:
                with suppress(orjson.JSONDecodeError):
                    one.result |= orjson.loads(line)
            if one.result.pop("began", False) and one.ended_as is None:
                one.deadline = time.monotonic() + one.run.timeout_seconds

    def _look(self, one: Watched, clock: float, selector: selectors.BaseSelector) -> None:
        """Stop a run whose time is over, and note one whose process has ended."""
        if one.ended_as is None and clock >= one.deadline:
            one.ended_as = (RunState.TIMED_OUT, TIMED_OUT)
        if one.ended_as is None and self._stops and one.process is not None:
            one.ended_as = (RunState.FAILED, WORKER_STOPS)
        if one.ended_as is not None:
            one.current.lost.set()
        if one.process is None:
            return
        ended = one.process.poll() is not None
        if one.ended_as is not None and not ended:
            if one.kill_at is None:
                one.kill_at = clock + KILL_SECONDS
                self._signal(one, signal.SIGTERM)
            elif clock >= one.kill_at:
                self._signal(one, signal.SIGKILL)
        if ended and not one.is_over:
            self._signal(one, signal.SIGKILL)  # what it has left behind in its group
            for fd in (one.output, one.results):
                while fd != -1 and fd in (one.output, one.results) and self._has_more(fd):
                    self._take(one, fd, selector)
            for fd in (one.output, one.results):
                if fd != -1:
                    selector.unregister(fd)
                    os.close(fd)
            one.output = one.results = -1
            if one.process.stdin is not None:
                one.process.stdin.close()
            one.is_over = True

    @staticmethod
    def _has_more(fd: int) -> bool:
        with selectors.DefaultSelector() as ready:
            ready.register(fd, selectors.EVENT_READ)
            return bool(ready.select(0))

    @staticmethod
    def _signal(one: Watched, number: signal.Signals) -> None:
        if one.process is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(one.process.pid, number)

    # --- the database ----------------------------------------------------------------------------------------

    def _with_database(self, watched: list[Watched], renews: bool) -> None:
        """Store logs, learn who is to stop, renew leases and write ends. What fails is tried again a second later."""
        try:
            for one in watched:
                with one.lock:
                    one.log.flush()
            self._ask(watched)
            if renews:
                ids = [one.run.pk for one in watched]
                until = timezone.now() + transitions.LEASE
                JobRun.objects.filter(pk__in=ids, state=RunState.RUNNING, worker=worker_name()).update(lease_until=until)
            for one in watched:
                self._write_end(one)
        except (DatabaseError, InterfaceError) as error:
            log.warning("runs wait for the database", error=type(error).__name__)
            connection.close()

    def _ask(self, watched: list[Watched]) -> None:
        found = {
            row[0]: row[1:]
            for row in JobRun.objects.filter(pk__in=[one.run.pk for one in watched]).values_list(
                "pk", "state", "token", "stop_asked_at", "stop_reason"
            )
        }
        for one in watched:
            state, token, asked_at, reason = found.get(one.run.pk, (GONE, 0, None, ""))
            if one.ended_as is None and (state != RunState.RUNNING or token != one.run.token):
                one.ended_as = (RunState.KILLED, GONE)
            elif one.ended_as is None and asked_at is not None:
                one.ended_as = (RunState.KILLED, reason)

    def _write_end(self, one: Watched) -> None:
        if one.process is not None and not one.is_over:
            return
        end = one.ended_as or one.outcome or (self._outcome(one) if one.process is not None else None)
        if end is None:
            return  # its thread goes on
        state, error = end
        followers = transitions.finish(one.run.pk, token=one.run.token, state=state, error=error, now=timezone.now())
        with self._lock:
            self._watched.pop(one.run.pk, None)
        publishing.publish(followers or [])

    @staticmethod
    def _outcome(one: Watched) -> tuple[RunState, str]:
        assert one.process is not None
        status = one.process.returncode
        if status == 0 and one.result.get("ok"):
            return RunState.SUCCEEDED, ""
        if error := one.result.get("error"):
            return RunState.FAILED, str(error)
        name = signal.Signals(-status).name if -status in set(signal.Signals) else f"exit status {status}"
        return RunState.FAILED, f"The process ended: {name}"


supervisor = Supervisor()
