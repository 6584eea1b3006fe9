"""Who handles a batch: threads of its own (`Batcher`), or one of the callers (`Combiner`)."""

import asyncio
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import structlog

from posthaste.lib.batching.handlers import Handler, Write, outcomes_of
from posthaste.lib.batching.tickets import Awaited, Callback, Inbox, Ticket, TimedOut, Waiting

log = structlog.get_logger(__name__)
Item = TypeVar("Item")
Outcome = TypeVar("Outcome")

TIMEOUT_SECONDS = 30.0


class _Gathering(Generic[Item, Outcome]):
    """Tickets that no batch has taken yet."""

    def __init__(self, max_batch: int) -> None:
        self._max_batch = max_batch
        self._reset()
        _gatherings.add(self)

    def _reset(self) -> None:
        """Begin anew: when it is made, and in the child of a fork, where the lock may have been held by a thread that is gone."""
        self._lock = threading.Lock()
        self._tickets: deque[Any] = deque()

    @property
    def queued(self) -> int:
        """How many items wait for a batch."""
        return len(self._tickets)

    def _take(self, number: int) -> list[Any]:
        tickets = self._tickets
        return [tickets.popleft() for _ in range(min(len(tickets), number))]


_gatherings: "weakref.WeakSet[_Gathering[Any, Any]]" = weakref.WeakSet()


def _reset_after_fork() -> None:
    for gathering in _gatherings:
        gathering._reset()


os.register_at_fork(after_in_child=_reset_after_fork)


class Batcher(_Gathering[Item, Outcome]):
    """Threads that handle batches; they start with the first item.

    `at_end` is called by each thread when it ends. A slow item holds up those in its batch, at most `max_batch`, and with several
    threads no others.
    """

    def __init__(
        self,
        handle: Handler[Item, Outcome],
        *,
        threads: int = 1,
        max_batch: int = 500,
        name: str = "batcher",
        loop: asyncio.AbstractEventLoop | None = None,
        at_end: Callable[[], None] | None = None,
    ) -> None:
        self._handle = handle
        self._number = threads
        self._name = name
        self._inbox: Inbox[Outcome] | None = Inbox(loop) if loop is not None else None
        self._at_end = at_end
        super().__init__(max_batch)

    def _reset(self) -> None:
        super()._reset()
        self._wake = threading.Condition(self._lock)
        self._threads: list[threading.Thread] = []
        self._is_closing = False

    def submit(self, item: Item, *, timeout_seconds: float = TIMEOUT_SECONDS) -> Outcome:
        """Wait until the item has been handled and return its outcome.

        Raises:
            TimedOut: It was not handled within the time.
            Exception: The outcome is an error.
        """
        ticket: Waiting[Item, Outcome] = Waiting(item)
        self._add(ticket)
        ticket.wait(timeout_seconds)
        return ticket.result()

    def post(self, item: Item, receive: Callable[[Outcome | BaseException], None]) -> None:
        """Hand an item in without waiting. The thread that has the outcome calls `receive`, which must be quick."""
        self._add(Callback(item, receive))

    def submit_async(self, item: Item) -> "asyncio.Future[Outcome]":
        """Hand an item in and return the future of its outcome. Only for the event loop that the batcher was made with."""
        assert self._inbox is not None
        ticket: Awaited[Item, Outcome] = Awaited(item, self._inbox)
        self._add(ticket)
        return ticket.future

    def close(self, *, wait: bool = True) -> None:
        """Handle what is queued, then end the threads.

        With `wait` it returns when they have ended, and an item that comes later starts new ones. Without, it is for good: an event loop
        that stops must not be held up.
        """
        with self._lock:
            threads, self._is_closing = self._threads, True
            self._wake.notify_all()
        if not wait:
            return
        for thread in threads:
            thread.join()
        with self._lock:
            self._threads, self._is_closing = [], False
            if self._tickets:
                self._start()

    def _start(self) -> None:
        self._threads = [threading.Thread(target=self._run, name=f"{self._name}-{n}", daemon=True) for n in range(self._number)]
        for thread in self._threads:
            thread.start()

    def _add(self, ticket: Ticket[Item, Outcome]) -> None:
        with self._lock:
            if not self._threads:
                self._start()
            self._tickets.append(ticket)
            # One thread needs one wake-up a batch. Of several each item wakes one: the first may be kept by a slow item.
            if self._number > 1 or len(self._tickets) == 1:
                self._wake.notify()

    def _run(self) -> None:
        while batch := self._next():
            try:
                self._handle(batch)
            except Exception:
                log.exception("handling a batch failed", batcher=self._name)
        if self._at_end is not None:
            self._at_end()

    def _next(self) -> "list[Ticket[Item, Outcome]]":
        with self._lock:
            while not self._tickets:
                if self._is_closing:
                    return []
                self._wake.wait()
            return self._take(self._max_batch)


class Combiner(_Gathering[Item, Outcome]):
    """Threads that ask at the same time share a call; one of them makes it, one call at a time."""

    def __init__(self, write: Write[Item, Outcome], *, max_batch: int) -> None:
        self._write = write
        super().__init__(max_batch)

    def _reset(self) -> None:
        super()._reset()
        self._is_busy = False

    def submit(self, item: Item) -> Outcome:
        """Have the item written with those that come at the same time and return its outcome.

        Raises:
            Exception: The outcome is an error, or the call of its batch failed.
        """
        ticket: Waiting[Item, Outcome] = Waiting(item)
        with self._lock:
            is_first = not self._is_busy
            if is_first:
                self._is_busy = True
            else:
                self._tickets.append(ticket)
        batch = [ticket]
        if not is_first:
            ticket.wait()
            if not ticket.leads:
                return ticket.result()
            with self._lock:
                batch += self._take(self._max_batch - 1)
        outcomes: Sequence[Outcome | BaseException] = [TimedOut()] * len(batch)
        try:
            outcomes = outcomes_of(self._write, [other.item for other in batch])
        finally:  # the next leader first: its call can begin while the others are released
            with self._lock:
                following = self._tickets.popleft() if self._tickets else None
                self._is_busy = following is not None
            if following is not None:
                following.lead()
            for other, outcome in zip(batch[1:], outcomes[1:], strict=True):
                other.publish(outcome)
        own = outcomes[0]
        try:
            if isinstance(own, BaseException):
                raise own
            return own
        finally:
            del own, outcomes, ticket, batch  # an error and a frame that refer to each other wait for the garbage collector
