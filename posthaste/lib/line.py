"""From an event loop to a few threads and back, with as few changes between them as the load allows.

A thread takes what has gathered since it last looked; what is done is told to the loop once for all that is done. So under load a
request costs a share of a change of threads, where a thread for each request costs several, and each waits its turn for the interpreter.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

import structlog

log = structlog.get_logger(__name__)
Item = TypeVar("Item")
Outcome = TypeVar("Outcome")


class Line(Generic[Item, Outcome]):
    """`work(item, tell)` is called by one of the threads; `tell(outcome)` may be called by any thread, at once or later.

    A slow item holds up those that the same thread took with it, at most `most`, and no others. `after` is called when a thread has done
    what it took.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        work: Callable[[Item, Callable[[Outcome], None]], None],
        *,
        after: Callable[[], None],
        threads: int = 2,
        most: int = 16,
        name: str = "line",
    ) -> None:
        self._loop = loop
        self._work = work
        self._after = after
        self._most = most
        self._waiting: deque[tuple[Item, asyncio.Future[Outcome]]] = deque()
        self._wake = threading.Condition()
        self._done: deque[tuple[asyncio.Future[Outcome], Outcome | BaseException]] = deque()
        self._is_told = False
        for number in range(threads):
            threading.Thread(target=self._run, name=f"{name}-{number}", daemon=True).start()

    def put(self, item: Item) -> "asyncio.Future[Outcome]":
        """Hand an item over and return the future of its outcome. The event loop calls it."""
        future: asyncio.Future[Outcome] = self._loop.create_future()
        with self._wake:
            self._waiting.append((item, future))
            self._wake.notify()
        return future

    def _run(self) -> None:
        while True:
            with self._wake:
                while not self._waiting:
                    self._wake.wait()
                taken = [self._waiting.popleft() for _ in range(min(len(self._waiting), self._most))]
            for item, future in taken:
                self._do(item, future)
            try:
                self._after()
            except Exception:
                log.exception("tidying up failed")

    def _do(self, item: Item, future: "asyncio.Future[Outcome]") -> None:
        def tell(outcome: Outcome) -> None:
            self._tell(future, outcome)

        try:
            self._work(item, tell)
        except Exception as error:  # noqa: BLE001 - raised where the outcome is awaited
            self._tell(future, error)

    def _tell(self, future: "asyncio.Future[Outcome]", outcome: Outcome | BaseException) -> None:
        self._done.append((future, outcome))
        if self._is_told:
            return  # the loop has not begun to deliver: it will find this one too
        self._is_told = True
        try:
            self._loop.call_soon_threadsafe(self._deliver)
        except RuntimeError:  # the loop is closed, nobody waits any more
            self._done.clear()

    def _deliver(self) -> None:
        self._is_told = False
        while self._done:
            future, outcome = self._done.popleft()
            if future.done():  # whoever waited has given up
                continue
            if isinstance(outcome, BaseException):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)
