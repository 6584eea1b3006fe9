import os
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from posthaste.lib.groupcommit import GroupCommitter, TimedOut
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


def committer_of(writer: Any, **options: Any) -> GroupCommitter[Any, Any]:
    return GroupCommitter(writer, splits_on=(Refused,), **options)


def submit_all(committer: GroupCommitter[Any, Any], items: Sequence[Any]) -> list[Any]:
    """Submit from a thread each and give outcomes or errors in order."""

    def submit(item: Any) -> Any:
        try:
            return committer.submit(item, timeout_seconds=20)
        except Exception as error:  # noqa: BLE001
            return error

    with ThreadPoolExecutor(len(items)) as pool:
        return list(pool.map(submit, items))


def gathered(committer: GroupCommitter[Any, Any], writer: Writer, items: Sequence[Any]) -> list[Any]:
    """Let `items` gather while the first one is being written, so that they form a group."""
    writer.open.clear()
    writer.entered.clear()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(committer.submit, "first")
        assert writer.entered.wait(10)
        rest = ThreadPoolExecutor(1).submit(submit_all, committer, items)
        poll(lambda: len(committer._waiting) == len(items))
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
    gathered(committer_of(writer, most=10), writer, [f"{n}" for n in range(25)])
    assert [len(group) for group in writer.groups] == [1, 10, 10, 5]


def test_everybody_gets_the_outcome_of_his_own_item(writer: Writer) -> None:
    committer = committer_of(writer)
    items = [f"{n}" for n in range(200)]
    assert submit_all(committer, items) == [f"done {item}" for item in items]
    assert sorted(item for group in writer.groups for item in group) == sorted(items)


def test_one_bad_item_fails_alone(writer: Writer) -> None:
    bad = Refused("bad")
    outcomes = gathered(committer_of(writer), writer, ["a", bad, "b"])
    assert outcomes == ["done a", bad, "done b"]


def test_an_error_that_may_be_everybodys_is_everybodys_and_nothing_is_written_twice(writer: Writer) -> None:
    broken = Broken("connection lost while committing")
    outcomes = gathered(committer_of(writer), writer, ["a", broken, "b"])
    assert outcomes == [broken, broken, broken]
    assert len(writer.groups) == 2, "nobody knows whether it was stored: not a second time"


def test_an_exception_as_outcome_is_raised_to_the_one_it_belongs_to() -> None:
    bad = Refused("yours")
    committer: GroupCommitter[Any, Any] = GroupCommitter(lambda group: [bad if item == "b" else item for item in group], splits_on=())
    assert submit_all(committer, ["a", "b"]) == ["a", bad]


def test_a_writer_that_forgets_an_outcome_is_an_error_for_all() -> None:
    committer: GroupCommitter[Any, Any] = GroupCommitter(lambda _group: [], splits_on=())
    with pytest.raises(ValueError, match="zip"):
        committer.submit("a")


def test_the_committer_goes_on_after_an_error(writer: Writer) -> None:
    committer = committer_of(writer)
    for error in (Broken("x"), Refused("y")):
        with pytest.raises(type(error)):
            committer.submit(error)
        assert committer.submit("next") == "done next"


def test_who_waits_too_long_is_told_so(writer: Writer) -> None:
    writer.open.clear()
    committer = committer_of(writer)
    began = time.monotonic()
    with pytest.raises(TimedOut):
        committer.submit("slow", timeout_seconds=0.05)
    assert time.monotonic() - began < 5
    writer.open.set()
    assert committer.submit("next") == "done next"


def test_one_thread_writes_however_many_submit() -> None:
    writers: set[int] = set()

    def write(group: Sequence[Any]) -> list[Any]:
        writers.add(threading.get_ident())
        return list(group)

    committer: GroupCommitter[Any, Any] = GroupCommitter(write, splits_on=())
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


def test_whoever_does_not_wait_is_told_what_became_of_the_item_and_may_fail_at_hearing_it(writer: Writer) -> None:
    committer, told = committer_of(writer), list[Any]()
    bad = Refused()

    def fails(_outcome: Any) -> None:
        raise RuntimeError("whoever wanted it is gone")

    committer.post("deaf", fails)
    for item in ("a", bad, "b"):
        committer.post(item, told.append)
    poll(lambda: len(told) == 3)
    assert told == ["done a", bad, "done b"]
    assert committer.submit("next") == "done next"
