"""Remembering that something is away, so that callers are told at once instead of waiting each for a time-out.

While it is away a thread in the background asks for it; no caller is held up to find out.
"""

import threading
from collections.abc import Callable

from django.db import InterfaceError, OperationalError, connection

from posthaste.lib.process_state import on_reset


class Outage:
    """Known to be away from the first failure until the probe, or anybody else, succeeds."""

    def __init__(self, probe: Callable[[], bool], *, every_seconds: float = 0.25) -> None:
        self._probe = probe
        self._every_seconds = every_seconds
        self._lock = threading.Lock()
        self._is_back = threading.Event()
        self._is_back.set()
        self._asks = False

    def mark_down(self) -> None:
        """Note a failure."""
        with self._lock:
            self._is_back.clear()
            if not self._asks:
                self._asks = True
                threading.Thread(target=self._ask, name="outage", daemon=True).start()

    def mark_up(self) -> None:
        """Note a success."""
        self._is_back.set()

    def is_down(self) -> bool:
        """Return whether the caller should not even try."""
        return not self._is_back.is_set()

    def _ask(self) -> None:
        while True:
            if self._probe():
                self._is_back.set()
            with self._lock:
                if self._is_back.is_set():
                    self._asks = False
                    return
            self._is_back.wait(self._every_seconds)


def _database_answers() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        if pool := getattr(connection, "pool", None):
            pool.check()  # those that broke while idle are replaced before they are handed out
    except Exception:  # noqa: BLE001 - whatever it is, asking must go on
        return False
    else:
        return True
    finally:
        connection.close()


#: The database, as this process sees it.
database = Outage(_database_answers)
on_reset(database.mark_up)


def is_connection_lost(error: BaseException) -> bool:
    """Return whether a database error means that the server can't be reached, not that it refused a statement.

    PostgreSQL gives a SQLSTATE for what it refuses; classes 08 and 57P are about the connection and the shutdown itself.
    """
    if not isinstance(error, OperationalError | InterfaceError):
        return False
    state = getattr(error.__cause__, "sqlstate", None)
    return state is None or state.startswith(("08", "57P"))
