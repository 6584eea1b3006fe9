"""Remembering for a moment that something is away, so that callers are told at once instead of waiting each for a time-out."""

import threading
import time

from django.db import InterfaceError, OperationalError


class Outage:
    """Known to be away: everybody is told so at once, but for one who may try whenever the rest is over."""

    def __init__(self, *, rest_seconds: float) -> None:
        self._rest_seconds = rest_seconds
        self._lock = threading.Lock()
        self._until: float | None = None

    def noticed(self) -> None:
        """This function will note a failure."""
        with self._lock:
            self._until = time.monotonic() + self._rest_seconds

    def over(self) -> None:
        """This function will note a success."""
        if self._until is not None:
            with self._lock:
                self._until = None

    def spares(self) -> bool:
        """This function will tell whether the caller should not even try. After each rest one caller may, for all others."""
        if self._until is None:
            return False
        with self._lock:
            if self._until is None:
                return False
            if time.monotonic() < self._until:
                return True
            self._until = time.monotonic() + self._rest_seconds
            return False


#: The database, as this process sees it.
database = Outage(rest_seconds=1.0)


def is_connection_lost(error: BaseException) -> bool:
    """This function will tell whether a database error means that the server can't be reached, not that it refused a statement.

    PostgreSQL gives a SQLSTATE for what it refuses; classes 08 and 57P are about the connection and the shutdown itself.
    """
    if not isinstance(error, OperationalError | InterfaceError):
        return False
    state = getattr(error.__cause__, "sqlstate", None)
    return state is None or state.startswith(("08", "57P"))
