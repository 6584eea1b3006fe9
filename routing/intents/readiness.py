"""The sentence encoder for those who can't wait while it loads: it loads in the background, and they do without it until then."""

import threading
import time
from collections.abc import Callable

import structlog

from posthaste.lib.process_state import on_reset

log = structlog.get_logger(__name__)
#: After it could not be loaded.
AGAIN_SECONDS = 600.0


def _load() -> None:
    from routing.intents.vectors import warm  # loads numpy

    warm()


class Readiness:
    """Whether something is loaded in this process. `load` does it in a thread, once; `clock` counts seconds."""

    def __init__(self, load: Callable[[], None] = _load, clock: Callable[[], float] = time.monotonic) -> None:
        self._load = load
        self._clock = clock
        self._lock = threading.Lock()
        self._is_ready = self._is_loading = False
        self._not_before = 0.0

    def is_ready(self) -> bool:
        """Return whether it is loaded, at once; the first call that finds it missing begins to load it."""
        with self._lock:
            if self._is_ready or self._is_loading or self._clock() < self._not_before:
                return self._is_ready
            self._is_loading = True
        threading.Thread(target=self._run, name="encoder", daemon=True).start()
        return False

    def _run(self) -> None:
        try:
            self._load()
        except Exception:
            log.exception("the sentence encoder could not be loaded; texts are compared by words", again_in_seconds=AGAIN_SECONDS)
            with self._lock:
                self._is_loading, self._not_before = False, self._clock() + AGAIN_SECONDS
        else:
            with self._lock:
                self._is_loading, self._is_ready = False, True

    def forget(self) -> None:
        """Ask anew; what is loaded stays loaded."""
        with self._lock:
            self._is_ready, self._not_before = False, 0.0


encoder = Readiness()
on_reset(encoder.forget)
