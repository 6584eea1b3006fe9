"""Wait for what a measurement needs, for as long as something moves: a busy machine is slow, not broken."""

from collections.abc import Callable

from benchmarks.machine import others
from tests.integration.waiting import poll

CAP_SECONDS = 3600.0


class TookTooLong(Exception):
    """Nothing moved any more before what was waited for had come."""


def wait(until: Callable[[], object], what: str, *, progress: Callable[[], object], every: float = 0.1) -> None:
    """Return when `until` holds.

    Raises:
        TookTooLong: for a minute nothing has moved; it says what else was running on the machine.
    """
    try:
        poll(until, progress=progress, cap_seconds=CAP_SECONDS, every=every, reason=what)
    except AssertionError as error:
        raise TookTooLong(f"{error}; beside it ran: {others()}") from None
