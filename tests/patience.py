"""How long to wait, on machines that may stand still meanwhile."""

import time

STEP_SECONDS = 5.0  # as which a longer time between two looks counts


class Patience:
    """Seconds of waiting, spent as one looks.

    Virtual machines are stopped for a minute now and then. Time in which we could not look is no time in which nothing happened.
    """

    def __init__(self, seconds: float) -> None:
        self._left = seconds
        self._last = time.monotonic()

    def is_over(self) -> bool:
        """Count the time since the last look, and return whether all is spent."""
        now = time.monotonic()
        self._left -= min(now - self._last, STEP_SECONDS)
        self._last = now
        return self._left < 0
