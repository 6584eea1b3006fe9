"""Moments that are noted while a request is answered and written to the database a few seconds later, by a thread, all together.

    key_uses = LateWrites("key-uses", write, noted_every=timedelta(minutes=1))
    key_uses.note(key.pk, now)

For what tells when something was last used or read. Such a write must hold up no request and fail none: on SQLite others may hold the
database for long, and it may refuse writes while it still answers reads. What can't be written is tried again. A process that is killed
loses what it noted in its last seconds, which the next use makes good.
"""

import os
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import connection
from django.db.models import Case, DateTimeField, F, QuerySet, Value, When
from django.db.models.functions import Coalesce, Greatest

from posthaste.lib.process_state import on_reset

log = structlog.get_logger(__name__)
WRITTEN_EVERY_SECONDS = 3.0
MAX_ROWS = 500  # in one statement
#: An orderly end waits so long for the last writes.
FINISH_SECONDS = 2.0
Write = Callable[[Mapping[int, datetime]], object]


class LateWrites:
    """The moments of one kind that this process has noted, by row, and the thread that writes them while there are any to write."""

    def __init__(self, name: str, write: Write, *, noted_every: timedelta, every_seconds: float = WRITTEN_EVERY_SECONDS) -> None:
        self._name, self._write = name, write
        self._noted_every, self._every_seconds = noted_every, every_seconds
        self._lock = threading.Lock()
        self._noted: dict[int, datetime] = {}
        self._unwritten: dict[int, datetime] = {}
        self._thread: threading.Thread | None = None
        self._pid = 0
        self._ends = threading.Event()
        self._is_failing = False
        self.writes_here = True

    def note(self, row: int, now: datetime) -> None:
        """Note that something of a row happened now, at most once in `noted_every`."""
        last = self._noted.get(row)
        if last is not None and now - last <= self._noted_every:
            return
        with self._lock:
            self._noted[row] = self._unwritten[row] = now
            if self.writes_here and (self._thread is None or self._pid != os.getpid()):  # threads do not survive a fork
                self._pid = os.getpid()
                self._thread = threading.Thread(target=self._write_on, name=f"late-{self._name}", daemon=True)
                self._thread.start()

    def flush(self) -> None:
        """Write what is unwritten.

        Raises:
            DatabaseError, InterfaceError: the database is away or refuses. Whatever is raised, nothing noted is lost.
        """
        with self._lock:
            taken, self._unwritten = self._unwritten, {}
        try:
            for start in range(0, len(taken), MAX_ROWS):
                self._write(dict([*taken.items()][start : start + MAX_ROWS]))
        except BaseException:
            with self._lock:
                self._unwritten = taken | self._unwritten  # what was noted meanwhile is newer
            raise

    def finish(self) -> None:
        """Have what is unwritten written now, as the process ends."""
        self._ends.set()

    def wait(self, seconds: float) -> None:
        """Wait for the thread to end, so long at most."""
        if (thread := self._thread) is not None and self._pid == os.getpid():
            thread.join(max(0.0, seconds))

    @property
    def is_writing(self) -> bool:
        """Whether there is a thread that writes."""
        return self._thread is not None

    def forget(self) -> None:
        """Forget what was noted and not written."""
        with self._lock:
            self._noted.clear()
            self._unwritten.clear()

    def _write_on(self) -> None:
        try:
            while True:
                is_last = self._ends.wait(self._every_seconds)
                self._try()
                with self._lock:
                    if is_last or not self._unwritten:
                        self._thread = None
                        return
        finally:
            connection.close()

    def _try(self) -> None:
        try:
            self.flush()
            self._is_failing = False
        except Exception as error:  # noqa: BLE001 - the thread must outlive it, or nothing is written any more
            connection.close()
            if not self._is_failing:
                log.warning("moments not written yet", of=self._name, error=type(error).__name__)
            self._is_failing = True


def write_latest(rows: "QuerySet[Any]", field: str, moments: Mapping[int, datetime]) -> None:
    """Write the moment of each row into a field with one statement, unless a later one is there, as another process wrote it."""
    moment = Case(*(When(pk=row, then=Value(at)) for row, at in moments.items()), output_field=DateTimeField())
    rows.filter(pk__in=moments).update(**{field: Greatest(Coalesce(F(field), moment), moment)})


_all: list[LateWrites] = []
_never: set[int] = set()


def late_writes(name: str, write: Write, *, noted_every: timedelta) -> LateWrites:
    """Make those of this process that end with it in order."""
    made = LateWrites(name, write, noted_every=noted_every)
    made.writes_here = os.getpid() not in _never
    _all.append(made)
    on_reset(made.forget)
    return made


def finish() -> None:
    """Write all that is unwritten, as the process ends; wait for a moment at most."""
    ends_at = time.monotonic() + FINISH_SECONDS
    for each in _all:
        each.finish()
    for each in _all:
        each.wait(ends_at - time.monotonic())


def flush() -> None:
    """Write all that is unwritten now.

    Raises: as `LateWrites.flush`.
    """
    for each in _all:
        each.flush()


def never_here() -> None:
    """Start no thread in this process, so that only `flush` writes: for tests."""
    _never.add(os.getpid())
    for each in _all:
        each.writes_here = False
