"""A process that does nothing but evaluate one alarm, many times a second: its load is a number in Redis.

    python -m tests.peers.alarm_evaluator

It has the rule `load` (above 100, at once, without a hold) and one receiver by e-mail. It prints `up` when it begins.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping

from posthaste.env import ROOT

LOAD_KEY = "test-load"
LEASE_SECONDS = 1.0
TURN_SECONDS = 0.05


def main() -> None:
    """Evaluate until the process is killed."""
    import django

    django.setup()
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
    print("up", flush=True)
    evaluator.Evaluator().run()


class Evaluators:
    """Some such processes, for a test that kills them."""

    def __init__(self, number: int, *, environment: Mapping[str, str]) -> None:
        self._environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "posthaste.settings", "LOG_LEVEL": "error", **environment}
        self.processes = [self._start() for _ in range(number)]
        self.kills = 0

    def _start(self) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "tests.peers.alarm_evaluator"],
            cwd=ROOT,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )

    def wait_up(self) -> None:
        """Return when all evaluate."""
        for process in self.processes:
            assert process.stdout
            assert process.stdout.readline() == "up\n", "an evaluator did not start"

    def kill(self, place: int) -> None:
        """Kill one, and start another in its place."""
        self._end(self.processes[place])
        self.processes[place] = self._start()
        self.kills += 1

    @staticmethod
    def _end(process: "subprocess.Popen[str]") -> None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)
        if process.stdout:
            process.stdout.close()

    def end(self) -> None:
        """Kill all."""
        for process in self.processes:
            self._end(process)


if __name__ == "__main__":
    main()
