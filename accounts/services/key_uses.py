"""When API keys were last used: noted in memory while a request is answered, and written by a thread a few seconds later.

So no request waits for this write: on SQLite others may hold the database, and it may refuse writes while it still answers reads. What
can't be written is tried again. A process that is killed loses the uses of its last seconds, which the next use makes good.
"""

import os
import threading
from collections.abc import Mapping
from datetime import datetime, timedelta

import structlog
from django.db import DatabaseError, InterfaceError, connection
from django.db.models import Case, DateTimeField, F, Value, When
from django.db.models.functions import Coalesce, Greatest

from accounts.models import ApiKey
from posthaste.lib.process_state import on_reset

log = structlog.get_logger(__name__)
NOTED_EVERY = timedelta(minutes=1)
WRITTEN_EVERY_SECONDS = 3.0
MAX_KEYS = 500  # in one statement
#: An orderly end waits so long for the last write.
FINISH_SECONDS = 2.0


class KeyUses:
    """The uses that this process has noted, and the thread that writes them while there are any to write."""

    def __init__(self, *, every_seconds: float = WRITTEN_EVERY_SECONDS) -> None:
        self._every_seconds = every_seconds
        self._lock = threading.Lock()
        self._noted: dict[int, datetime] = {}
        self._unwritten: dict[int, datetime] = {}
        self._thread: threading.Thread | None = None
        self._pid = 0
        self._ends = threading.Event()
        self._is_failing = False
        self.writes_here = True

    def note(self, key_id: int, now: datetime) -> None:
        """Note that a key was used, at most once a minute."""
        last = self._noted.get(key_id)
        if last is not None and now - last <= NOTED_EVERY:
            return
        with self._lock:
            self._noted[key_id] = self._unwritten[key_id] = now
            if self.writes_here and (self._thread is None or self._pid != os.getpid()):  # threads do not survive a fork
                self._pid = os.getpid()
                self._thread = threading.Thread(target=self._write_on, name="key-uses", daemon=True)
                self._thread.start()

    def flush(self) -> None:
        """Write what is unwritten.

        Raises:
            DatabaseError, InterfaceError: the database is away or refuses; it stays unwritten.
        """
        with self._lock:
            taken, self._unwritten = self._unwritten, {}
        try:
            for start in range(0, len(taken), MAX_KEYS):
                _write(dict([*taken.items()][start : start + MAX_KEYS]))
        except (DatabaseError, InterfaceError):
            with self._lock:
                self._unwritten = taken | self._unwritten  # what was noted meanwhile is newer
            raise

    def finish(self) -> None:
        """Write what is unwritten now, as the process ends; wait for a moment at most."""
        self._ends.set()
        if (thread := self._thread) is not None and self._pid == os.getpid():
            thread.join(FINISH_SECONDS)

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
        except (DatabaseError, InterfaceError) as error:
            connection.close()
            if not self._is_failing:
                log.warning("uses of API keys not written yet", error=type(error).__name__)
            self._is_failing = True


def _write(uses: Mapping[int, datetime]) -> None:
    """Write when each key was used, unless another process has written a later use."""
    used_at = Case(*(When(pk=key_id, then=Value(at)) for key_id, at in uses.items()), output_field=DateTimeField())
    ApiKey.objects.filter(pk__in=uses).update(last_used_at=Greatest(Coalesce(F("last_used_at"), used_at), used_at))


key_uses = KeyUses()
on_reset(key_uses.forget)


def never_here() -> None:
    """Start no thread in this process, so that only `flush` writes: for tests."""
    key_uses.writes_here = False
