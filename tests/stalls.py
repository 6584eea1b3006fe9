"""Times at which the whole machine stood still, and what a failure at such a time is worth.

Virtual machines are stopped for half a minute now and then, with all servers, processes and tests on them; leases, heartbeats and time-outs
that no installation would miss are over then. tests/run.py, which does next to nothing, notes twice a second that it could look
(`Looks`). A test that fails while there was a gap between two looks has told nothing of the product: it runs again, and the last lines of
the run name it (pytest-rerunfailures, with this as its only condition). Every other failure counts at once.
"""

import time
from itertools import pairwise
from pathlib import Path

import pytest

EVERY_SECONDS = 0.5
#: From one look to the next. A process that only sleeps waits milliseconds for its turn, however busy the machine is.
STALL_SECONDS = 2.5
#: A stall may break a lease or a connection that is met only later.
AFTERMATH_SECONDS = 20.0
RUNS_AGAIN = 2
KNOWN_WITHIN_SECONDS = 10.0


class Looks:
    """Writes when it looked into a file, a time of the monotonic clock a line."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def look(self) -> None:
        """Note that the machine runs."""
        with self._path.open("a") as file:
            file.write(f"{time.monotonic():.2f}\n")


def longest_stall(path: Path, began: float, ended: float) -> float:
    """Return the longest gap, in seconds, between looks of which a part or the aftermath lies within two times; 0 where none was long."""
    looks = [float(line) for line in path.read_text().splitlines()] if path.exists() else []
    gaps = [
        after - before
        for before, after in pairwise(looks)
        if after - before > STALL_SECONDS and before < ended and after > began - AFTERMATH_SECONDS
    ]
    return max(gaps, default=0.0)


class Stalls:
    """The plug-in that lets tests run again that failed while the machine stood still."""

    def __init__(self, looks: Path) -> None:
        self._looks = looks
        self._began = time.monotonic()

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Give each test the one reason for which it may run again."""
        for item in items:
            item.add_marker(pytest.mark.flaky(reruns=RUNS_AGAIN, condition=self.stood_still))

    def pytest_runtest_logstart(self) -> None:
        """Remember when the test began; called for each time that it runs."""
        self._began = time.monotonic()

    def stood_still(self, error: BaseException | None) -> bool:
        """Return whether the machine stood still since a test that failed began, or shortly before. It is asked after each test."""
        if error is None:
            return False
        ended = time.monotonic()
        while self._last_look() < ended and time.monotonic() < ended + KNOWN_WITHIN_SECONDS:
            time.sleep(EVERY_SECONDS / 5)  # a stall is written down only after it
        return longest_stall(self._looks, self._began, ended) > 0

    def _last_look(self) -> float:
        return float(self._looks.read_text().splitlines()[-1]) if self._looks.exists() else float("-inf")
