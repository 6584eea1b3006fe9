"""What the tests of the monitoring share."""

from collections.abc import Iterator

import pytest

from monitor import figures
from posthaste.lib import redis


@pytest.fixture
def nothing_told() -> Iterator[None]:
    """Begin and end without what this and other tests, or their processes, told through Redis: it may last, or expire at any moment."""

    def forget() -> None:
        # The broker's own keys are left: they may be in the same database.
        if found := list(redis.client().scan_iter(match=redis.key("*"), count=1_000)):
            redis.client().delete(*found)
        figures.forget()

    forget()
    yield
    forget()
