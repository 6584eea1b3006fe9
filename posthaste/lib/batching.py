"""Batching: callers hand in items one at a time, and what has gathered is handled together.

A batch costs one commit, one round trip or one change of threads where its items would cost one each. Its size follows the load
automatically: while one batch is handled the next one gathers, so a lone caller waits for nothing and sixty-four callers share one
commit (DeWitt et al., "Implementation techniques for main memory database systems", 1984, section 5).

Who handles a batch:

* `Batcher`: threads of its own. One thread, where batches must not overlap (the writer of a group commit); a few, where a slow item
  must not hold up all others.
* `Combiner`: the first caller, and then one of those that came meanwhile ("flat combining", Hendler et al., SPAA 2010). No other
  thread takes part, so a lone caller pays for no change of threads at all.

How a caller gets its outcome: it waits in its thread (`submit`), passes a callback (`post`), or awaits a future (`submit_async`). An
event loop is woken once for all outcomes that are ready, not once for each.

What if it fails: an error is the outcome of the items it concerns, and the next batch is handled as usual. After a fork the child
starts with an empty queue and threads of its own; what the parent had queued stays with the parent.
"""

import asyncio
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import structlog

log = structlog.get_logger(__name__)
Item = TypeVar("Item")
Outcome = TypeVar("Outcome")

TIMEOUT_SECONDS = 30.0


class TimedOut(Exception):
    """The item was not handled in time; it is not known whether it will be."""


class Ticket(Generic[Item, Outcome]):
    """An item, and the way back to its caller."""

    __slots__ = ("item",)

    def __init__(self, item: Item) -> None:
        self.item = item

    def publish(self, outcome: Outcome | BaseException) -> None:
        """Pass the outcome on; any thread may call this, once. It never raises."""
        raise NotImplementedError


class _Waiting(Ticket[Item, Outcome]):
    """The caller is a thread that waits."""

    __slots__ = ("_outcome", "_released", "leads")

    def __init__(self, item: Item) -> None:
        self.item = item
        self.leads = False  # it handles the next batch, see Combiner
        self._outcome: Outcome | BaseException
        self._released = threading.Lock()  # cheaper than an Event: one acquire, one release
        self._released.acquire()

    def publish(self, outcome: Outcome | BaseException) -> None:
        self._outcome = outcome
        self._released.release()

    def lead(self) -> None:
        self.leads = True
        self._released.release()

    def wait(self, timeout_seconds: float = -1) -> None:
        if not self._released.acquire(timeout=timeout_seconds):
            raise TimedOut

    def result(self) -> Outcome:
        if isinstance(self._outcome, BaseException):
            raise self._outcome
        return self._outcome


class _Callback(Ticket[Item, Outcome]):
    """The caller has left a function."""

    __slots__ = ("_receive",)

    def __init__(self, item: Item, receive: Callable[[Outcome | BaseException], None]) -> None:
        self.item = item
        self._receive = receive

    def publish(self, outcome: Outcome | BaseException) -> None:
        try:
            self._receive(outcome)
        except Exception:
            log.exception("the receiver of an outcome failed")


class _Awaited(Ticket[Item, Outcome]):
    """The caller is a coroutine."""

    __slots__ = ("_inbox", "future")

    def __init__(self, item: Item, inbox: "_Inbox[Outcome]") -> None:
        self.item = item
        self._inbox = inbox
        self.future: asyncio.Future[Outcome] = inbox.loop.create_future()

    def publish(self, outcome: Outcome | BaseException) -> None:
        self._inbox.add(self.future, outcome)


class _Inbox(Generic[Outcome]):
    """Outcomes on their way to an event loop, which is woken once for all that are ready."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._ready: deque[tuple[asyncio.Future[Outcome], Outcome | BaseException]] = deque()
        self._is_called = False

    def add(self, future: "asyncio.Future[Outcome]", outcome: Outcome | BaseException) -> None:
        self._ready.append((future, outcome))
        if self._is_called:
            return  # the loop has not begun to deliver: it will find this one too
        self._is_called = True
        try:
            self.loop.call_soon_threadsafe(self._deliver)
        except RuntimeError:  # the loop is closed: nothing awaits these any more
            self._ready.clear()

    def _deliver(self) -> None:
        self._is_called = False
        while self._ready:
            future, outcome = self._ready.popleft()
            if future.done():  # its caller has given up
                continue
            if isinstance(outcome, BaseException):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)


# --- how a batch is handled -------------------------------------------------------------------------------------------

Handler = Callable[[Sequence[Ticket[Item, Outcome]]], None]
Write = Callable[[Sequence[Item]], Sequence[Outcome | BaseException]]
Publish = Callable[[Outcome | BaseException], None]


def _outcomes(
    write: Write[Item, Outcome], items: Sequence[Item], splits_on: tuple[type[Exception], ...] = ()
) -> list[Outcome | BaseException]:
    try:
        return [outcome for _item, outcome in zip(items, write(items), strict=True)]
    except Exception as error:  # noqa: BLE001 - it is the outcome
        if len(items) > 1 and isinstance(error, splits_on):
            return [_outcomes(write, [item], splits_on)[0] for item in items]
        return [error] * len(items)


def together(write: Write[Item, Outcome], *, splits_on: tuple[type[Exception], ...] = ()) -> Handler[Item, Outcome]:
    """Make a handler that passes all items of a batch to one call.

    `write` takes the items in order and returns one outcome or exception for each. If it raises one of `splits_on` for several items,
    each is written alone, so that one bad item fails alone. Any other error is the outcome of all: after a lost connection it is not
    known whether the commit went through.
    """

    def handle(batch: Sequence[Ticket[Item, Outcome]]) -> None:
        outcomes: Sequence[Outcome | BaseException] = [TimedOut()] * len(batch)
        try:
            outcomes = _outcomes(write, [ticket.item for ticket in batch], splits_on)
        finally:
            for ticket, outcome in zip(batch, outcomes, strict=True):
                ticket.publish(outcome)

    return handle


def one_by_one(work: Callable[[Item, Publish[Outcome]], None], *, after: Callable[[], None] | None = None) -> Handler[Item, Outcome]:
    """Make a handler that works through a batch.

    `work(item, publish)` may call `publish` at once, or leave that to another thread. `after` is called at the end of each batch.
    """

    def handle(batch: Sequence[Ticket[Item, Outcome]]) -> None:
        for ticket in batch:
            try:
                work(ticket.item, ticket.publish)
            except Exception as error:  # noqa: BLE001 - it is the outcome
                ticket.publish(error)
        if after is not None:
            after()

    return handle


# --- who handles it ---------------------------------------------------------------------------------------------------


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
        self._inbox: _Inbox[Outcome] | None = _Inbox(loop) if loop is not None else None
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
        ticket: _Waiting[Item, Outcome] = _Waiting(item)
        self._add(ticket)
        ticket.wait(timeout_seconds)
        return ticket.result()

    def post(self, item: Item, receive: Callable[[Outcome | BaseException], None]) -> None:
        """Hand an item in without waiting. The thread that has the outcome calls `receive`, which must be quick."""
        self._add(_Callback(item, receive))

    def submit_async(self, item: Item) -> "asyncio.Future[Outcome]":
        """Hand an item in and return the future of its outcome. Only for the event loop that the batcher was made with."""
        assert self._inbox is not None
        ticket: _Awaited[Item, Outcome] = _Awaited(item, self._inbox)
        self._add(ticket)
        return ticket.future

    def close(self) -> None:
        """Handle what is queued, then end the threads and wait for them. An item that comes later starts new ones."""
        with self._lock:
            threads, self._is_closing = self._threads, True
            self._wake.notify_all()
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
        ticket: _Waiting[Item, Outcome] = _Waiting(item)
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
            outcomes = _outcomes(self._write, [other.item for other in batch])
        finally:  # the next leader first: its call can begin while the others are released
            with self._lock:
                following = self._tickets.popleft() if self._tickets else None
                self._is_busy = following is not None
            if following is not None:
                following.lead()
            for other, outcome in zip(batch[1:], outcomes[1:], strict=True):
                other.publish(outcome)
        own = outcomes[0]
        if isinstance(own, BaseException):
            raise own
        return own
