"""A thread that looks for what is due, and a thread for each thing that it finds, in a process that works until it is asked to end."""

import os
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from uuid import UUID

import structlog
from django.db import InterfaceError, OperationalError, connection

from posthaste.lib.elastic import stopping

log = structlog.get_logger(__name__)


class Dispatcher(ABC):
    """The thread that looks, and the threads of what was found, each known by an id."""

    #: What it looks for, for logs and as the name of its thread.
    name: str
    #: Seconds until the next look after an error of the database, and after any other.
    away_seconds: float
    failed_seconds: float

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._threads: dict[UUID, threading.Thread] = {}
        self._started_in = 0  # the process

    @abstractmethod
    def look(self) -> float:
        """Start what is due, and return the seconds until the next look."""

    def start(self) -> None:
        """Start looking in this process, in a daemon thread. Calling it again does nothing."""
        if self._started_in != os.getpid():
            self._started_in = os.getpid()
            threading.Thread(target=self.run, name=self.name, daemon=True).start()

    def run(self) -> None:
        """Look until the process is asked to end."""
        while not stopping.is_set():
            try:
                wait = self.look()
            except (OperationalError, InterfaceError) as error:
                log.warning(f"{self.name} wait for the database", error=type(error).__name__)
                wait = self.away_seconds
            except Exception:
                log.exception(f"looking for {self.name} failed")
                wait = self.failed_seconds
            finally:
                connection.close()
            stopping.wait(wait)

    def busy(self) -> set[UUID]:
        """Return what has a thread now."""
        with self._lock:
            return set(self._threads)

    def begin(self, key: UUID, serve: Callable[[], None]) -> None:
        """Give something found a thread, which ends with `serve`; that handles its errors itself."""
        thread = threading.Thread(target=self._serve, args=[key, serve], name=f"{self.name}-turn", daemon=True)
        with self._lock:
            self._threads[key] = thread
        thread.start()

    def _serve(self, key: UUID, serve: Callable[[], None]) -> None:
        try:
            serve()
        finally:
            connection.close()
            with self._lock:
                self._threads.pop(key, None)

    def join(self, seconds: float) -> bool:
        """Wait for the threads of what was found, and return whether all have ended."""
        until = time.monotonic() + seconds
        with self._lock:
            threads = list(self._threads.values())
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))
        return not any(thread.is_alive() for thread in threads)
