"""Group commit: items are handed in, one thread writes what is waiting, and all are told together.

While one group is being written the next one gathers, so the group size follows the load by itself: a lone caller
waits for nothing, sixty-four callers share one commit (DeWitt et al., "Implementation techniques for main memory
database systems", 1984, section 5).
"""

import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import structlog

log = structlog.get_logger(__name__)
Item = TypeVar("Item")
Outcome = TypeVar("Outcome")


class TimedOut(Exception):
    """The group was not written in time; it is not known whether it will be."""


class _Waiting(Generic[Item, Outcome]):
    __slots__ = ("item", "outcome", "tell")

    def __init__(self, item: Item, tell: "Callable[[Outcome | BaseException], None]") -> None:
        self.item = item
        self.outcome: Outcome | BaseException = TimedOut()
        self.tell = tell


class GroupCommitter(Generic[Item, Outcome]):
    """One writer thread a process.

    `write` takes the items of a group, in order, and returns one outcome (or exception) for each. If it raises one of
    `splits_on` for a group of several, every item is written by itself, so that one bad item fails alone. Other errors
    are everybody's: after a lost connection nobody can tell whether the commit went through.
    """

    def __init__(
        self,
        write: Callable[[Sequence[Item]], Sequence[Outcome | BaseException]],
        *,
        splits_on: tuple[type[Exception], ...],
        most: int = 500,
        name: str = "committer",
    ) -> None:
        self._write = write
        self._splits_on = splits_on
        self._most = most
        self._name = name
        self._waiting: deque[_Waiting[Item, Outcome]] = deque()
        self._wake = threading.Condition()
        self._pid = 0

    def submit(self, item: Item, *, timeout_seconds: float = 30.0) -> Outcome:
        """Wait until the item's group is written and return its outcome.

        Raises:
            TimedOut: not within the time.
            Exception: whatever `write` said about this item.
        """
        released = threading.Lock()  # cheaper than an Event: one acquire, one release
        released.acquire()
        entry: _Waiting[Item, Outcome] = _Waiting(item, lambda _outcome: released.release())
        self._add(entry)
        if not released.acquire(timeout=timeout_seconds):
            raise TimedOut
        if isinstance(entry.outcome, BaseException):
            raise entry.outcome
        return entry.outcome

    def post(self, item: Item, tell: Callable[[Outcome | BaseException], None]) -> None:
        """Hand an item in and wait for nothing: the writer calls `tell` with its outcome. It should not take long."""
        self._add(_Waiting(item, tell))

    def _add(self, entry: "_Waiting[Item, Outcome]") -> None:
        with self._wake:
            if self._pid != os.getpid():  # first use in this process: threads do not survive a fork
                self._pid = os.getpid()
                self._waiting.clear()
                threading.Thread(target=self._run, name=self._name, daemon=True).start()
            self._waiting.append(entry)
            if len(self._waiting) == 1:
                self._wake.notify()

    def _run(self) -> None:
        while True:
            with self._wake:
                while not self._waiting:
                    self._wake.wait()
                group = [self._waiting.popleft() for _ in range(min(len(self._waiting), self._most))]
            try:
                self._commit(group)
            finally:
                for entry in group:
                    self._tell(entry)

    @staticmethod
    def _tell(entry: "_Waiting[Item, Outcome]") -> None:
        try:
            entry.tell(entry.outcome)
        except Exception:
            log.exception("telling an outcome failed")

    def _commit(self, group: list[_Waiting[Item, Outcome]]) -> None:
        try:
            for entry, outcome in zip(group, self._write([entry.item for entry in group]), strict=True):
                entry.outcome = outcome
        except Exception as error:  # noqa: BLE001 - handed to whoever waits
            if len(group) > 1 and isinstance(error, self._splits_on):
                for entry in group:
                    self._commit([entry])
                return
            for entry in group:
                entry.outcome = error
