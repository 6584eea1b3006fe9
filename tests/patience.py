"""How long to wait, on machines that may stand still meanwhile."""

import time

STEP_SECONDS = 5.0  # as which a longer time between two looks counts


class Watch:
    """Counts the seconds between looks.

    Virtual machines are stopped for a minute now and then. Time in which we could not look is no time in which nothing happened.
    """

    def __init__(self) -> None:
        self._counted = 0.0
        self._last = time.monotonic()

    def read(self) -> float:
        """Count the time since the last look, and return all that was counted."""
        now = time.monotonic()
        self._counted += min(now - self._last, STEP_SECONDS)
        self._last = now
        return self._counted


class Patience:
    """Seconds of waiting, spent as one looks (see `Watch`)."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._watch = Watch()

    def is_over(self) -> bool:
        """Return whether all is spent."""
        return self._watch.read() > self._seconds
