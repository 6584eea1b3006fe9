"""What a benchmark module is given."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.ours import BACKGROUND, Ours
from tests.services import Services

NOBODY_FEEDS_SECONDS = 3.0
LIFT = 1_000_000  # a queue capacity that nothing reaches


@dataclass(slots=True)
class Bench:
    """The servers, our side, and the size of what is to be measured."""

    services: Services
    folder: Path
    ours: Ours
    rounds: int
    scale: float

    def size(self, full: int, *, step: int = 1, least: int = 1) -> int:
        """Return a number of messages at the wanted scale, a multiple of `step`."""
        return max(least, int(full * self.scale) // step * step)

    def seconds(self, full: float) -> float:
        """Return the length of a run at the wanted scale."""
        return max(1.0, full * min(1.0, self.scale))

    @property
    def is_quick(self) -> bool:
        return self.scale < 0.1

    @contextmanager
    def accept_only(self) -> Iterator[None]:
        """Have the web process alone; what it publishes stays in the broker and is forgotten at the end."""
        self.ours.limits(queue_capacity=LIFT)
        self.ours.freeze(BACKGROUND)
        time.sleep(NOBODY_FEEDS_SECONDS)  # until accept knows that its room is no longer set
        try:
            yield
        finally:
            self.ours.clean()
            self.ours.limits(queue_capacity=10_000)
            self.ours.thaw()

    @contextmanager
    def others_turn(self) -> Iterator[None]:
        """Keep our processes from using the machine."""
        self.ours.freeze()
        try:
            yield
        finally:
            self.ours.thaw()
