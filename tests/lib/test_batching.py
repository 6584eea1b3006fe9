import asyncio
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import pytest

from posthaste.lib.batching import Batcher, Combiner, TimedOut, one_by_one, together
from tests import crowds
from tests.builders import poll


class Refused(Exception):
    """One item is bad."""


class Broken(Exception):
    """The connection is lost."""


class Writer:
    """A slow store that keeps what it was given, group by group."""

    def __init__(self) -> None:
        self.groups: list[list[Any]] = []
        self.open = threading.Event()
        self.open.set()
        self.entered = threading.Event()

    def __call__(self, group: Sequence[Any]) -> list[Any]:
        self.entered.set()
        assert self.open.wait(10)
        self.groups.append(list(group))
        for item in group:
            if isinstance(item, Exception):
                raise item
        return [f"done {item}" for item in group]


@pytest.fixture
def writer() -> Writer:
    return Writer()


_made: list[Batcher[Any, Any]] = []


def kept(batcher: Batcher[Any, Any]) -> Batcher[Any, Any]:
    """Have a batcher's threads end with the test."""
    _made.append(batcher)
    return batcher


@pytest.fixture(autouse=True)
def _batchers_end() -> Iterator[None]:
    """End the threads of what the test has made."""
    yield
    for batcher in _made:
        batcher.close()
    _made.clear()


def committer_of(writer: Any, **options: Any) -> Batcher[Any, Any]:
    return kept(Batcher(together(writer, splits_on=(Refused,)), **options))


def submit_all(committer: Batcher[Any, Any], items: Sequence[Any]) -> list[Any]:
    """Submit from a thread each and give outcomes or errors in order."""

    def submit(item: Any) -> Any:
        try:
            return committer.submit(item, timeout_seconds=20)
        except Exception as error:  # noqa: BLE001
            return error

    with crowds.pool(len(items)) as pool:
        return list(pool.map(submit, items))


def gathered(committer: Batcher[Any, Any], writer: Writer, items: Sequence[Any]) -> list[Any]:
    """Let `items` gather while the first one is being written, so that they form a group."""
    writer.open.clear()
    writer.entered.clear()
    with crowds.pool(2) as pool:
        first = pool.submit(committer.submit, "first")
        assert writer.entered.wait(10)
        rest = pool.submit(submit_all, committer, items)
        poll(lambda: committer.queued == len(items))
        writer.open.set()
        assert first.result(10) == "done first"
        return list(rest.result(20))


def test_a_lone_item_is_written_at_once(writer: Writer) -> None:
    assert committer_of(writer).submit("a") == "done a"
    assert writer.groups == [["a"]]


def test_what_arrives_while_a_group_is_written_forms_the_next_group(writer: Writer) -> None:
    committer = committer_of(writer)
    outcomes = gathered(committer, writer, [f"{n}" for n in range(30)])
    assert outcomes == [f"done {n}" for n in range(30)]
    assert [len(group) for group in writer.groups] == [1, 30]


def test_a_group_has_at_most_so_many_items(writer: Writer) -> None:
    gathered(committer_of(writer, max_batch=10), writer, [f"{n}" for n in range(25)])
    assert [len(group) for group in writer.groups] == [1, 10, 10, 5]


def test_every_caller_gets_the_outcome_of_its_own_item(writer: Writer) -> None:
    committer = committer_of(writer)
    items = [f"{n}" for n in range(200)]
    assert submit_all(committer, items) == [f"done {item}" for item in items]
    assert sorted(item for group in writer.groups for item in group) == sorted(items)


def test_one_bad_item_fails_alone(writer: Writer) -> None:
    bad = Refused("bad")
    outcomes = gathered(committer_of(writer), writer, ["a", bad, "b"])
    assert outcomes == ["done a", bad, "done b"]


def test_an_error_that_may_concern_all_fails_all_and_nothing_is_written_twice(writer: Writer) -> None:
    broken = Broken("connection lost while committing")
    outcomes = gathered(committer_of(writer), writer, ["a", broken, "b"])
    assert outcomes == [broken, broken, broken]
    assert len(writer.groups) == 2, "it is not known whether it was stored: not a second time"


def test_an_exception_as_outcome_is_raised_to_the_one_it_belongs_to() -> None:
    bad = Refused("yours")
    committer: Batcher[Any, Any] = kept(Batcher(together(lambda group: [bad if item == "b" else item for item in group])))
    assert submit_all(committer, ["a", "b"]) == ["a", bad]


def test_a_writer_that_forgets_an_outcome_is_an_error_for_all() -> None:
    committer: Batcher[Any, Any] = kept(Batcher(together(lambda _group: [])))
    with pytest.raises(ValueError, match="zip"):
        committer.submit("a")


def test_the_committer_goes_on_after_an_error(writer: Writer) -> None:
    committer = committer_of(writer)
    for error in (Broken("x"), Refused("y")):
        with pytest.raises(type(error)):
            committer.submit(error)
        assert committer.submit("next") == "done next"


def test_a_caller_that_waits_too_long_gets_a_time_out(writer: Writer) -> None:
    writer.open.clear()
    committer = committer_of(writer)
    with pytest.raises(TimedOut):
        committer.submit("slow", timeout_seconds=0.05)
    writer.open.set()
    assert committer.submit("next") == "done next"


def test_one_thread_writes_however_many_submit() -> None:
    writers: set[int] = set()

    def write(group: Sequence[Any]) -> list[Any]:
        writers.add(threading.get_ident())
        return list(group)

    committer: Batcher[Any, Any] = kept(Batcher(together(write)))
    submit_all(committer, list(range(50)))
    assert len(writers) == 1
    assert threading.get_ident() not in writers


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # forking with threads is what is tried here
def test_a_forked_process_gets_a_writer_of_its_own(writer: Writer) -> None:
    committer = committer_of(writer)
    committer.submit("parent")
    child = os.fork()
    if child == 0:  # pragma: no cover - the child
        try:
            os._exit(0 if committer.submit("child", timeout_seconds=10) == "done child" else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert committer.submit("parent again") == "done parent again"


def test_a_callback_gets_the_outcome_and_may_fail(writer: Writer) -> None:
    committer, told = committer_of(writer), list[Any]()
    bad = Refused()

    def fails(_outcome: Any) -> None:
        raise RuntimeError("its caller is gone")

    committer.post("gone", fails)
    for item in ("a", bad, "b"):
        committer.post(item, told.append)
    poll(lambda: len(told) == 3)
    assert told == ["done a", bad, "done b"]
    assert committer.submit("next") == "done next"


# --- from an event loop and back ---------------------------------------------------------------------------------------

Publish = Callable[[Any], None]


def pool_of(work: Callable[[Any, Publish], None], *, after: Callable[[], None] = lambda: None, **options: Any) -> Batcher[Any, Any]:
    """Make a batcher for the running event loop."""
    return kept(Batcher(one_by_one(work, after=after), **{"threads": 2, "max_batch": 16, "loop": asyncio.get_running_loop(), **options}))


def through_a_pool(
    work: Callable[[Any, Publish], None], items: list[Any], *, after: Callable[[], None] = lambda: None, **options: Any
) -> list[Any]:
    """Hand items to a pool, as an event loop does, and return their outcomes or errors in order."""

    async def run() -> list[Any]:
        batcher: Batcher[Any, Any] = pool_of(work, after=after, **options)
        return await asyncio.wait_for(asyncio.gather(*(batcher.submit_async(item) for item in items), return_exceptions=True), 20)

    return asyncio.run(run())


def test_every_item_gets_its_own_outcome_from_whichever_thread() -> None:
    def work(item: int, publish: Publish) -> None:
        if item % 3:
            publish(item * 2)
        else:
            crowds.start(partial(publish, item * 2))

    assert through_a_pool(work, list(range(500))) == [2 * n for n in range(500)]


def test_an_item_that_fails_fails_alone() -> None:
    def work(item: int, publish: Publish) -> None:
        publish(10 // item)

    first, second, third = through_a_pool(work, [1, 0, 2], threads=1)
    assert (first, third) == (10, 5)
    assert isinstance(second, ZeroDivisionError)


def test_a_slow_item_holds_up_only_those_that_were_taken_with_it() -> None:
    others_are_done = threading.Event()
    done: list[int] = []

    def work(item: int, publish: Publish) -> None:
        if item == 0:
            assert others_are_done.wait(10)
        else:
            done.append(item)
            if len(done) >= 20:
                others_are_done.set()
        publish(item)

    assert through_a_pool(work, list(range(40)), threads=2, max_batch=4) == list(range(40))


def test_an_outcome_that_is_no_longer_awaited_is_dropped_and_the_pool_goes_on() -> None:
    async def run() -> Any:
        may_end = threading.Event()

        def work(item: str, publish: Publish) -> None:
            if item == "slow":
                may_end.wait(10)
            publish(item)

        batcher = pool_of(work, threads=1)
        slow = batcher.submit_async("slow")
        slow.cancel()
        may_end.set()
        return await asyncio.wait_for(batcher.submit_async("next"), 10)

    assert asyncio.run(run()) == "next"


def test_a_thread_tidies_up_after_what_it_took_and_survives_failing_at_it() -> None:
    tidied: list[str] = []

    def after() -> None:
        tidied.append(threading.current_thread().name)
        raise RuntimeError("the connection was closed already")

    def work(item: int, publish: Publish) -> None:
        publish(item)

    async def run() -> None:
        batcher = pool_of(work, after=after, threads=1, name="tidy")
        for n in range(3):
            assert await asyncio.wait_for(batcher.submit_async(n), 10) == n

    asyncio.run(run())
    assert set(tidied) == {"tidy-0"}


@pytest.mark.parametrize("threads", [1, 4])
def test_an_outcome_after_the_loop_has_closed_is_dropped(threads: int) -> None:
    may_end, told = threading.Event(), threading.Event()

    def work(item: int, publish: Publish) -> None:
        may_end.wait(10)
        publish(item)
        told.set()

    async def run() -> None:
        pool_of(work, threads=threads).submit_async(1)

    asyncio.run(run())
    may_end.set()
    assert told.wait(10)


# --- one wake-up for many ---------------------------------------------------------------------------------------------


def test_an_event_loop_is_woken_once_for_all_outcomes_that_are_ready() -> None:
    async def run() -> tuple[list[int], int]:
        loop = asyncio.get_running_loop()
        calls: list[Any] = []
        call_soon = loop.call_soon_threadsafe

        def counted(*args: Any) -> Any:
            calls.append(args)
            return call_soon(*args)

        loop.call_soon_threadsafe = counted  # type: ignore[method-assign,assignment]
        is_done, tickets = threading.Event(), list[Publish]()

        def work(item: int, publish: Publish) -> None:
            tickets.append(publish)
            if len(tickets) == 100:
                for number, ticket in enumerate(tickets):
                    ticket(number)
                is_done.set()

        batcher = pool_of(work, threads=1)
        futures = [batcher.submit_async(n) for n in range(100)]
        assert is_done.wait(10)  # the loop stands still meanwhile
        return list(await asyncio.wait_for(asyncio.gather(*futures), 10)), len(calls)

    outcomes, calls = asyncio.run(run())
    assert outcomes == list(range(100))
    assert calls == 1


def test_a_writer_is_woken_once_for_a_group(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    committer = committer_of(writer)
    committer.submit("first")
    notified: list[int] = []
    notify = committer._wake.notify

    def counted(number: int = 1) -> None:
        notified.append(1)
        notify(number)

    monkeypatch.setattr(committer._wake, "notify", counted)
    gathered(committer, writer, [f"{n}" for n in range(30)])
    assert [len(group) for group in writer.groups] == [1, 1, 30]
    assert len(notified) == 2


# --- callers that handle the batch themselves -------------------------------------------------------------------------


def combiner_of(writer: Any, *, max_batch: int = 200) -> Combiner[Any, Any]:
    return Combiner(writer, max_batch=max_batch)


def combined(combiner: Combiner[Any, Any], writer: Writer, items: Sequence[Any]) -> list[Any]:
    """Let `items` gather while the first call is made, and return their outcomes or errors."""

    def submit(item: Any) -> Any:
        try:
            return combiner.submit(item)
        except Exception as error:  # noqa: BLE001
            return error

    writer.open.clear()
    writer.entered.clear()
    with crowds.pool(1 + len(items)) as pool:
        first = pool.submit(submit, "first")
        assert writer.entered.wait(10)
        rest = [pool.submit(submit, item) for item in items]
        poll(lambda: combiner.queued == len(items))
        writer.open.set()
        assert first.result(10) == "done first"
        return [one.result(20) for one in rest]


def test_a_lone_caller_makes_its_call_in_its_own_thread() -> None:
    threads: list[int] = []

    def write(group: Sequence[Any]) -> list[Any]:
        threads.append(threading.get_ident())
        return list(group)

    before = threading.active_count()
    combiner = combiner_of(write)
    assert [combiner.submit(n) for n in range(3)] == [0, 1, 2]
    assert (set(threads), threading.active_count()) == ({threading.get_ident()}, before)


def test_callers_that_come_meanwhile_share_the_next_call_and_get_their_own_outcome(writer: Writer) -> None:
    items = [f"{n}" for n in range(20)]
    assert combined(combiner_of(writer), writer, items) == [f"done {item}" for item in items]
    assert [len(group) for group in writer.groups] == [1, 20]


def test_a_shared_call_carries_at_most_so_many(writer: Writer) -> None:
    combined(combiner_of(writer, max_batch=8), writer, [f"{n}" for n in range(20)])
    assert [len(group) for group in writer.groups] == [1, 8, 8, 4]


def test_a_shared_call_that_fails_fails_for_all_that_share_it_and_the_next_one_is_made(writer: Writer) -> None:
    broken, combiner = Broken(), combiner_of(writer)
    assert combined(combiner, writer, ["a", broken]) == [broken, broken]
    assert combiner.submit("next") == "done next"


def test_one_call_is_made_at_a_time() -> None:
    inside, most = 0, 0

    def write(group: Sequence[Any]) -> list[Any]:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        inside -= 1
        return list(group)

    combiner = combiner_of(write)
    with crowds.pool(16) as pool:
        assert list(pool.map(combiner.submit, range(2_000))) == list(range(2_000))
    assert most == 1


# --- end --------------------------------------------------------------------------------------------------------------


def test_closing_handles_what_is_queued_ends_the_threads_and_the_next_item_starts_new_ones(writer: Writer) -> None:
    ended: list[str] = []
    committer = committer_of(writer, name="closing", at_end=lambda: ended.append(threading.current_thread().name))
    writer.open.clear()
    received: list[Any] = []
    for item in ("a", "b"):
        committer.post(item, received.append)
    writer.open.set()
    committer.close()
    assert received == ["done a", "done b"]
    assert ended == ["closing-0"]
    assert not [thread for thread in threading.enumerate() if thread.name == "closing-0"]
    assert committer.submit("next") == "done next"
    committer.close()
    committer.close()
