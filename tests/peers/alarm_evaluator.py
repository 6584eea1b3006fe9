"""Processes that do nothing but evaluate one alarm, many times a second: its load is a number in Redis.

    python -m tests.peers.alarm_evaluator

Each line of its input starts one more, which prints its process id when it begins. Each is forked after the product was loaded, which
takes seconds. It has the rule `load` (above 100, at once, without a hold) and one receiver by e-mail.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

from posthaste.env import ROOT

LOAD_KEY = "test-load"
LEASE_SECONDS = 1.0
TURN_SECONDS = 0.05


def main() -> None:
    """Start an evaluator for each line until the input closes."""
    import django

    django.setup()
    # What these import is loaded once, and begins nothing.
    from monitor import figures  # noqa: F401
    from monitor.alarms import evaluator, lease  # noqa: F401
    from tests import builders  # noqa: F401

    assert threading.active_count() == 1, "only what has one thread can be forked"
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # those that were killed are gone at once
    for _line in sys.stdin:
        if not os.fork():
            os.setsid()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            evaluate()


def evaluate() -> None:
    """Evaluate until the process is killed."""
    from monitor import figures
    from monitor.alarms import evaluator, lease
    from monitor.alarms.configuration import alarms
    from monitor.alarms.rules import AlarmRule, Receiver, ReceiverKind
    from posthaste.lib import metrics, redis
    from posthaste.lib.metrics import metric
    from tests.builders import configure

    kept = {name: one for name, one in metrics._metrics.items() if name in ("up", "processes")}
    metrics._metrics.clear()
    metrics._metrics.update(kept)

    @metric("test_load", title="Load", help="What a test sets.")
    def load() -> float | None:
        value = redis.client().get(redis.key(LOAD_KEY))
        return None if value is None else float(value)

    rule = AlarmRule(name="load", metric="test_load", bound=100, for_seconds=0, repeat_minutes=0).model_copy(update={"hold_seconds": 0})
    receiver = Receiver(name="ops", kind=ReceiverKind.EMAIL, address="ops@example.com")
    configure(alarms, rules=[rule], receivers=[receiver], group_wait_seconds=0, group_interval_seconds=0, straight_after_seconds=300)
    lease.SECONDS = LEASE_SECONDS
    evaluator.EVERY_SECONDS = evaluator.BUSY_SECONDS = evaluator.STANDBY_SECONDS = evaluator.LEAST_SECONDS = TURN_SECONDS
    evaluator.FRESH_SECONDS = evaluator.SLOW_SECONDS = figures.KEEP_SECONDS = 0.0
    print(os.getpid(), flush=True)
    evaluator.Evaluator().run()


class Evaluators:
    """Some such processes, for a test that kills them."""

    def __init__(self, number: int, *, environment: Mapping[str, str]) -> None:
        self._starter = subprocess.Popen(
            [sys.executable, "-m", "tests.peers.alarm_evaluator"],
            cwd=ROOT,
            env={**os.environ, "DJANGO_SETTINGS_MODULE": "posthaste.settings", "LOG_LEVEL": "error", **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            bufsize=1,
            start_new_session=True,
        )
        self.processes: list[int] = []
        self.kills = 0
        for _ in range(number):
            self.processes.append(self._start())

    def _start(self) -> int:
        """Return the id of a new process, which evaluates."""
        assert self._starter.stdin
        assert self._starter.stdout
        self._starter.stdin.write("one more\n")
        said = self._starter.stdout.readline()
        assert said, "an evaluator did not start"
        return int(said)

    def kill(self, place: int) -> None:
        """Kill one, and start another in its place."""
        self._end(self.processes[place])
        self.processes[place] = self._start()
        self.kills += 1

    @staticmethod
    def _end(pid: int) -> None:
        from tests.builders import poll

        os.killpg(pid, signal.SIGKILL)
        poll(lambda: not Path(f"/proc/{pid}").exists(), what=f"process {pid} ends")

    def end(self) -> None:
        """Kill all."""
        for pid in self.processes:
            self._end(pid)
        assert self._starter.stdin
        assert self._starter.stdout
        self._starter.stdin.close()
        self._starter.wait(10)
        self._starter.stdout.close()


if __name__ == "__main__":
    main()
