"""A Celery pool of threads that grows and shrinks while it works.

Celery's own `threads` pool has a fixed size. Here `grow(n)` starts n threads at once and `shrink(n)` asks n threads to
end after what they are doing: a send in progress is never cut off. On a warm shutdown (SIGTERM) `stopping` is set, so
that a task which works through many messages hands back the rest; tasks that had not begun are left unacknowledged
and the broker delivers them elsewhere.
"""

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any

from celery.concurrency.base import BasePool, apply_target
from celery.signals import worker_shutting_down

#: Set as soon as the process has been asked to end.
stopping = threading.Event()


@worker_shutting_down.connect(weak=False)  # type: ignore[untyped-decorator]
def _announce(**_kwargs: Any) -> None:
    stopping.set()


class TaskPool(BasePool):  # type: ignore[misc]  # Celery has no types
    """Elastic thread pool; `num_processes` is the number of threads it wants to have."""

    body_can_be_buffer = True
    signal_safe = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._jobs: SimpleQueue[tuple[Callable[..., Any], tuple[Any, ...]] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._threads: set[threading.Thread] = set()
        self._wanted = 0
        self._surplus = 0
        self._serial = 0
        self.active_count = 0
        self.completed_tasks = 0

    def on_start(self) -> None:
        self.grow(self.limit or 1)

    @property
    def num_processes(self) -> int:
        return self._wanted

    def grow(self, n: int = 1) -> None:
        """Add n threads."""
        with self._lock:
            self._wanted += n
            revived = min(n, self._surplus)  # threads that were asked to end but have not yet
            self._surplus -= revived
            for _ in range(n - revived):
                self._serial += 1
                thread = threading.Thread(target=self._work, name=f"pool-{self._serial}", daemon=True)
                self._threads.add(thread)
                thread.start()
            self.limit = self._wanted

    def shrink(self, n: int = 1) -> None:
        """Let n threads end when they are free; at least one stays."""
        with self._lock:
            n = min(n, self._wanted - 1)
            self._wanted -= n
            self._surplus += n
            self.limit = self._wanted
        for _ in range(n):
            self._jobs.put(None)  # wakes an idle thread

    def _leave(self) -> bool:
        with self._lock:
            if self._surplus > 0:
                self._surplus -= 1
                self._threads.discard(threading.current_thread())
                return True
            return False

    def _work(self) -> None:
        while True:
            job = self._jobs.get()
            if job is not None:
                with self._lock:
                    self.active_count += 1
                try:
                    target, args = job
                    apply_target(target, *args)
                except BaseException:  # noqa: BLE001 - Celery has logged it; the thread must live on
                    pass
                finally:
                    with self._lock:
                        self.active_count -= 1
                        self.completed_tasks += 1
                job = target = args = None  # type: ignore[assignment]  # hold nothing while idle
            if stopping.is_set() or self._leave():
                return

    def on_apply(
        self,
        target: Callable[..., Any],
        args: Any = None,
        kwargs: Any = None,
        callback: Callable[..., Any] | None = None,
        accept_callback: Callable[..., Any] | None = None,
        **_options: Any,
    ) -> None:
        self._jobs.put((target, (args, kwargs, callback, accept_callback)))

    def on_stop(self) -> None:
        stopping.set()
        try:
            while True:
                self._jobs.get_nowait()  # not begun: the broker still has it
        except Empty:
            pass
        with self._lock:
            threads = list(self._threads)
        for _ in threads:
            self._jobs.put(None)
        for thread in threads:
            thread.join()

    on_terminate = on_stop

    def _get_info(self) -> dict[str, Any]:
        return {**super()._get_info(), "threads": len(self._threads), "active": self.active_count}
