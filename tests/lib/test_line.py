import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from posthaste.lib.line import Line

Tell = Callable[[Any], None]


def through_a_line(
    work: Callable[[Any, Tell], None], items: list[Any], *, after: Callable[[], None] = lambda: None, **options: Any
) -> list[Any]:
    """Put items into a line, as an event loop does, and return their outcomes or errors in order."""

    async def run() -> list[Any]:
        line: Line[Any, Any] = Line(asyncio.get_running_loop(), work, after=after, **options)
        return await asyncio.wait_for(asyncio.gather(*(line.put(item) for item in items), return_exceptions=True), 20)

    return asyncio.run(run())


def test_every_item_gets_its_own_outcome_whoever_tells_it() -> None:
    def work(item: int, tell: Tell) -> None:
        if item % 3:
            tell(item * 2)
        else:
            threading.Thread(target=tell, args=(item * 2,)).start()

    assert through_a_line(work, list(range(500))) == [2 * n for n in range(500)]


def test_an_item_that_fails_fails_alone() -> None:
    def work(item: int, tell: Tell) -> None:
        tell(10 // item)

    first, second, third = through_a_line(work, [1, 0, 2], threads=1)
    assert (first, third) == (10, 5)
    assert isinstance(second, ZeroDivisionError)


def test_a_slow_item_holds_up_only_those_that_were_taken_with_it() -> None:
    others_are_done = threading.Event()
    done: list[int] = []

    def work(item: int, tell: Tell) -> None:
        if item == 0:
            assert others_are_done.wait(10)
        else:
            done.append(item)
            if len(done) >= 20:
                others_are_done.set()
        tell(item)

    assert through_a_line(work, list(range(40)), threads=2, most=4) == list(range(40))


def test_whoever_gave_up_is_not_told_and_the_line_goes_on() -> None:
    async def run() -> Any:
        may_end = threading.Event()

        def work(item: str, tell: Tell) -> None:
            if item == "slow":
                may_end.wait(10)
            tell(item)

        line: Line[str, str] = Line(asyncio.get_running_loop(), work, after=lambda: None, threads=1)
        slow = line.put("slow")
        slow.cancel()
        may_end.set()
        return await asyncio.wait_for(line.put("next"), 10)

    assert asyncio.run(run()) == "next"


def test_a_thread_tidies_up_after_what_it_took_and_survives_failing_at_it() -> None:
    tidied: list[str] = []

    def after() -> None:
        tidied.append(threading.current_thread().name)
        raise RuntimeError("the connection was closed already")

    def work(item: int, tell: Tell) -> None:
        tell(item)

    async def run() -> None:
        line: Line[int, int] = Line(asyncio.get_running_loop(), work, after=after, threads=1, name="tidy")
        for n in range(3):
            assert await asyncio.wait_for(line.put(n), 10) == n

    asyncio.run(run())
    assert set(tidied) == {"tidy-0"}


@pytest.mark.parametrize("threads", [1, 4])
def test_nothing_is_told_after_the_loop_has_closed(threads: int) -> None:
    may_end, told = threading.Event(), threading.Event()

    def work(item: int, tell: Tell) -> None:
        may_end.wait(10)
        tell(item)
        told.set()

    async def run() -> None:
        Line(asyncio.get_running_loop(), work, after=lambda: None, threads=threads).put(1)

    asyncio.run(run())
    may_end.set()
    assert told.wait(10)
