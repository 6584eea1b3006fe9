"""How many messages the broker should hold: what leaves it within a moment.

    window = rate × hold_seconds

with the rate at which messages left the broker during the last second, and `hold_seconds` from the module *queues*. That is little enough
that the last message waits for a moment only, and enough to keep the workers busy until the feeder looks again. When the feeder finds
the broker all but empty although more is waiting, the window was too small: it doubles where threads are idle, so that the first second
of a big batch takes a few looks to find its pace, and grows a little where all of them have work in their hands. A route that was fed
before is remembered with its rate: there the second look goes straight to it.
"""

from collections import deque
from math import ceil

RATE_SECONDS = 1.0
FEWEST = 5
MAX_AHEAD = 2
EMPTY_SHARE = 0.1  # what is left of the window when it was too small
GROW_IDLE, GROW_BUSY = 2.0, 1.25
EASE = 0.8  # how quickly a doubled window comes back to what the rate asks for


class DrainRate:
    """The drain of the broker, as the feeder sees it from look to look. Times are monotonic seconds."""

    def __init__(self) -> None:
        self.window = 0
        self._left: deque[tuple[float, int]] = deque()  # (time, messages that left since the time before)
        self._began = self._last = self._calm_at = 0.0

    def note(self, clock: float, *, left: int) -> None:
        """Note that so many messages have left the broker since the last time."""
        if not self._last or clock - self._last > 2 * RATE_SECONDS:
            self._left.clear()  # there was no look for a while
            self._began = clock
        else:
            self._left.append((clock, max(0, left)))
        self._last = clock
        while self._left and clock - self._left[0][0] > RATE_SECONDS:
            self._left.popleft()

    @property
    def per_second(self) -> float | None:
        """Messages that left the broker a second; None before there is anything to go by."""
        span = min(RATE_SECONDS, self._last - self._began)
        return sum(number for _at, number in self._left) / span if span > 0.05 else None

    @property
    def told_per_second(self) -> float | None:
        """The same for people and for decisions that take their time: None until a whole second was measured.

        The first looks follow each other within milliseconds, and what leaves between two of them says nothing of a second.
        """
        return self.per_second if self._last - self._began >= RATE_SECONDS else None

    @property
    def is_settled(self) -> bool:
        """Whether more has been waiting for long enough that the rate tells what the workers can do, not what there was to do."""
        return self._last - max(self._began, self._calm_at) >= RATE_SECONDS

    def adapt(
        self, *, content: int, is_waiting: bool, threads: int, busy: int, capacity: int, hold_seconds: float, expected: float = 0.0
    ) -> int:
        """Return how many messages the broker should hold now, with `content` in it and more waiting or not.

        `expected` is the rate known from earlier, in messages a second; 0: not known.
        """
        if not threads:
            self.window = 0
            return capacity  # no worker runs: a full broker is in no one's way
        if not is_waiting:
            self._calm_at = self._last
        steady = int((self.per_second or 0.0) * hold_seconds)
        if not self.window or not is_waiting:
            wider = 2 * threads
        elif content <= self.window * EMPTY_SHARE:
            wider = max(ceil(self.window * (GROW_IDLE if busy < threads else GROW_BUSY)), int(expected * hold_seconds))
        else:
            wider = int(self.window * EASE)
        if self.is_settled:
            wider = min(wider, max(2 * threads, MAX_AHEAD * steady))  # the rate is known: a slow feeder is no reason for more
        self.window = max(FEWEST, min(capacity, max(steady, wider)))
        return self.window
