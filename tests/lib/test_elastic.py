import threading
from collections.abc import Iterator
from typing import Any

import pytest

from posthaste.lib.elastic import TaskPool, stopping
from tests import crowds
from tests.builders import poll


@pytest.fixture
def pool() -> Iterator[TaskPool]:
    stopping.clear()
    made = TaskPool(limit=4)
    made.start()
    yield made
    made.stop()
    stopping.clear()


class Work:
    """Jobs that wait until they are let go, and note that they were done."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.lock = threading.Lock()
        self.done: list[Any] = []
        self.begun: list[Any] = []

    def __call__(self, name: Any) -> None:
        with self.lock:
            self.begun.append(name)
        assert self.gate.wait(20)
        with self.lock:
            self.done.append(name)


def apply(pool: TaskPool, target: Any, *args: Any) -> None:
    pool.apply_async(target, args)


def test_jobs_are_done_by_as_many_threads_as_there_are(pool: TaskPool) -> None:
    work = Work()
    for n in range(10):
        apply(pool, work, n)
    poll(lambda: len(work.begun) == 4)
    assert pool.active_count == 4
    work.gate.set()
    poll(lambda: len(work.done) == 10)
    poll(lambda: (pool.active_count, pool.completed_tasks) == (0, 10))


def test_growing_starts_threads_at_once(pool: TaskPool) -> None:
    work = Work()
    for n in range(10):
        apply(pool, work, n)
    pool.grow(3)
    assert pool.num_processes == 7
    poll(lambda: len(work.begun) == 7)
    work.gate.set()
    poll(lambda: len(work.done) == 10)


def test_shrinking_ends_idle_threads(pool: TaskPool) -> None:
    pool.shrink(2)
    assert pool.num_processes == 2
    poll(lambda: len(pool._threads) == 2)


def test_shrinking_never_cuts_off_a_job(pool: TaskPool) -> None:
    work = Work()
    for n in range(4):
        apply(pool, work, n)
    poll(lambda: len(work.begun) == 4)
    pool.shrink(3)
    assert len(pool._threads) == 4, "all are busy, so none has ended"
    work.gate.set()
    poll(lambda: sorted(work.done) == [0, 1, 2, 3])
    poll(lambda: len(pool._threads) == 1)


def test_at_least_one_thread_stays(pool: TaskPool) -> None:
    pool.shrink(100)
    assert pool.num_processes == 1
    poll(lambda: len(pool._threads) == 1)
    work = Work()
    work.gate.set()
    apply(pool, work, "last")
    poll(lambda: work.done == ["last"])
    pool.shrink(1)
    assert pool.num_processes == 1


def test_threads_that_were_to_end_are_kept_when_the_pool_grows_again(pool: TaskPool) -> None:
    work = Work()
    for n in range(4):
        apply(pool, work, n)
    poll(lambda: len(work.begun) == 4)
    before = set(pool._threads)
    pool.shrink(3)
    pool.grow(3)
    assert set(pool._threads) == before, "no thread had ended, so none had to be started"
    work.gate.set()
    poll(lambda: len(work.done) == 4)
    for n in range(4, 8):
        apply(pool, work, n)
    poll(lambda: len(work.done) == 8)
    assert len(pool._threads) == 4


def test_growing_and_shrinking_while_busy_loses_no_job(pool: TaskPool) -> None:
    done: list[int] = []
    lock = threading.Lock()

    def note(n: int) -> None:
        with lock:
            done.append(n)

    sizes = [1, 30, 2, 17, 3, 50, 1, 9]
    for n in range(4000):
        apply(pool, note, n)
        if n % 50 == 0:
            wanted = sizes[n // 50 % len(sizes)]
            if wanted > pool.num_processes:
                pool.grow(wanted - pool.num_processes)
            else:
                pool.shrink(pool.num_processes - wanted)
    poll(lambda: len(done) == 4000)
    assert sorted(done) == list(range(4000))
    poll(lambda: len(pool._threads) == pool.num_processes)


def test_a_job_that_raises_does_not_take_its_thread_with_it(pool: TaskPool) -> None:
    def fail(error: BaseException) -> None:
        raise error

    for error in (ValueError("x"), SystemExit(1), KeyboardInterrupt()):
        for _ in range(4):
            apply(pool, fail, error)
    work = Work()
    for n in range(4):
        apply(pool, work, n)
    poll(lambda: len(work.begun) == 4, what="all four threads are still there")
    work.gate.set()


def test_stopping_finishes_what_is_under_way_and_leaves_the_rest_to_the_broker() -> None:
    stopping.clear()
    pool = TaskPool(limit=2)
    pool.start()
    work = Work()
    for n in range(6):
        apply(pool, work, n)
    poll(lambda: len(work.begun) == 2)
    stopper = crowds.start(pool.stop)
    poll(stopping.is_set)
    work.gate.set()
    stopper.join()
    stopping.clear()
    assert sorted(work.done) == sorted(work.begun)
    assert len(work.done) == 2
    assert not any(thread.is_alive() for thread in pool._threads)


def test_the_pools_figures_are_those_celery_shows(pool: TaskPool) -> None:
    info = pool._get_info()
    assert (info["threads"], info["active"]) == (4, 0)
