"""Tickets: an item, and the way its outcome takes back to the caller, who waits in a thread, left a function, or awaits a future."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

import structlog

log = structlog.get_logger(__name__)
Item = TypeVar("Item")
Outcome = TypeVar("Outcome")


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


class Waiting(Ticket[Item, Outcome]):
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
        outcome = self._outcome
        del self._outcome  # an error refers to this frame, which refers to the ticket
        try:
            if isinstance(outcome, BaseException):
                raise outcome
            return outcome
        finally:
            del outcome


class Callback(Ticket[Item, Outcome]):
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


class Awaited(Ticket[Item, Outcome]):
    """The caller is a coroutine."""

    __slots__ = ("_inbox", "future")

    def __init__(self, item: Item, inbox: "Inbox[Outcome]") -> None:
        self.item = item
        self._inbox = inbox
        self.future: asyncio.Future[Outcome] = inbox.loop.create_future()

    def publish(self, outcome: Outcome | BaseException) -> None:
        self._inbox.add(self.future, outcome)


class Inbox(Generic[Outcome]):
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
