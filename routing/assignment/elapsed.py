"""The time that goes on while a service waits for its turn, from the `now` that it was given."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta


def clock_from(now: datetime) -> Callable[[], datetime]:
    """Return a clock that shows `now` at first. Where others were waited for, what follows them must not seem to come before."""
    began = time.monotonic()
    return lambda: now + timedelta(seconds=time.monotonic() - began)
