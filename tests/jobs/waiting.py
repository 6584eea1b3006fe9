"""Waiting for what another thread or process does, with a deadline."""

import time
from collections.abc import Callable

from tests.patience import Patience


def wait_until(condition: Callable[[], object], *, seconds: float = 60.0) -> None:
    """Return as soon as the condition holds.

    Raises:
        AssertionError: it does not hold in time.
    """
    patience = Patience(seconds)
    while not condition():
        assert not patience.is_over(), f"did not happen within {seconds:.0f} s"
        time.sleep(0.05)
