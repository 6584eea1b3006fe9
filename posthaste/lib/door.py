"""One thread of this process at a time, one that waits, and the others need not come."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Door:
    """Guards work that covers all that was committed before it begins, such as going through a queue.

    Who waits begins later than now, and so does the work of all who come meanwhile: those are sent away, and hold no thread.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._inside = threading.Lock()
        self._has_waiter = False

    @contextmanager
    def enter(self) -> Iterator[bool]:
        """Wait for the turn, and keep it for the block; True: it is this thread's turn. False: another waits already, and does it too."""
        with self._guard:
            is_covered, self._has_waiter = self._has_waiter, True
        if is_covered:
            yield False
            return
        with self._inside:
            with self._guard:
                self._has_waiter = False
            yield True
