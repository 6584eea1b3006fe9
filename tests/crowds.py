"""Threads of a test, which end with it: callers that run at once (`at_once`, `start`), and a pool (`pool`).

A thread that does not end in time fails the test with its stack, and cannot keep the process from ending.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from django.db import connections

from tests.stacks import stacks_of

JOIN_SECONDS = 60.0  # generous: a test that passes never waits for it


class StillRunning(AssertionError):
    """Threads of a crowd did not end in time."""


class Crowd:
    """A thread a call; all begin at the same moment, behind a barrier, unless `together` is false.

    The threads are daemons, so that one which hangs cannot keep the process from ending, and close their database connections.
    """

    def __init__(self, calls: Sequence[Callable[[], Any]], *, name: str = "crowd", together: bool = True) -> None:
        self._results: list[Any] = [None] * len(calls)
        self._errors: list[BaseException] = []
        self._barrier = threading.Barrier(len(calls) if together else 1)
        self._threads = [
            threading.Thread(target=self._run, args=(number, call), name=f"{name}-{number}", daemon=True)
            for number, call in enumerate(calls)
        ]

    def _run(self, number: int, call: Callable[[], Any]) -> None:
        try:
            self._barrier.wait(JOIN_SECONDS)
            self._results[number] = call()
        except BaseException as error:  # noqa: BLE001 - raised again by join()
            self._errors.append(error)
        finally:
            connections.close_all()

    def start(self) -> "Crowd":
        """Start all threads."""
        for thread in self._threads:
            thread.start()
        return self

    def join(self, seconds: float = JOIN_SECONDS) -> list[Any]:
        """Wait for all threads and return their results in the order of the calls.

        Raises: the first error of a call; StillRunning, with the stacks, when one has not ended after `seconds`.
        """
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        if self._errors:
            raise self._errors[0]
        _must_have_ended(self._threads, seconds)
        return self._results

    @property
    def is_running(self) -> bool:
        """Whether a call has not returned yet."""
        return any(thread.is_alive() for thread in self._threads)


def _must_have_ended(threads: Sequence[threading.Thread], seconds: float) -> None:
    if left := [thread for thread in threads if thread.is_alive()]:
        raise StillRunning(f"not ended after {seconds:.0f} s:\n{stacks_of(left)}")


def start(*calls: Callable[[], Any], name: str = "crowd") -> Crowd:
    """Start calls in threads and return them, to be joined."""
    return Crowd(calls, name=name).start()


def at_once(*calls: Callable[[], Any], seconds: float = JOIN_SECONDS) -> list[Any]:
    """Run calls at the same moment and return their results in order; the first error is raised again."""
    return start(*calls).join(seconds)


@contextmanager
def pool(threads: int, *, seconds: float = JOIN_SECONDS) -> Iterator[ThreadPoolExecutor]:
    """Yield an executor whose threads end with the block.

    Raises: StillRunning, with the stacks, when a call has not ended `seconds` after the block. The standard executor waits forever.
    """
    executor = ThreadPoolExecutor(threads, "pool-of-a-test")
    try:
        yield executor
    finally:
        executor.shutdown(wait=False)
        deadline = time.monotonic() + seconds
        for thread in (begun := list(executor._threads)):
            thread.join(max(0.0, deadline - time.monotonic()))
        _must_have_ended(begun, seconds)
