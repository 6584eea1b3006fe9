"""Starts workers, beats and small programs from a process that has loaded the product: each costs a tenth of what its command line does.

    python -m tests.integration.preloaded

Each line of its input is an order, as JSON: `{"start": ["worker", …], "out": PATH, "err": PATH}` forks a process that goes on as
`python -m deploy.celery_process worker …` would, or with `{"program": TEXT, …}` as `python -c TEXT`, in a group of its own, and is answered
with its id; `{"status": PID}` is answered with its exit status, or null while it runs.
"""

import json
import os
import runpy
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from posthaste.env import ROOT

MODULE = "deploy.celery_process"
#: What workers and beats import only once they run.
LOADED = (
    *("celery.apps.beat", "celery.apps.worker", "celery.concurrency.thread", "celery.worker.consumer", "celery.worker.control"),
    *("celery.worker.autoscale", "celery.worker.strategy", "configcenter.services.watch", "jobs.scheduler", "messaging.webhooks.engine"),
    *("monitor.alarms.evaluator", "psycopg_pool"),
)
LOOK_SECONDS = 0.02


def load() -> None:
    """Import what workers and beats need, which begins nothing."""
    import django

    import deploy.celery_process  # noqa: F401 - also sets how often garbage is looked for while modules are loaded

    django.setup()
    from importlib import import_module

    from posthaste.celery import app

    app.loader.import_default_modules()
    app.finalize()
    for name in LOADED:
        import_module(name)


def main() -> None:
    """Follow orders until the input closes; a process that was forked goes on from here."""
    load()
    assert threading.active_count() == 1, "only what has one thread can be forked"
    for line in sys.stdin:
        order = json.loads(line)
        if "status" in order:
            pid, status = os.waitpid(order["status"], os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if pid else None
        elif not (answer := os.fork()):
            become(order)
            return
        os.write(1, f"{json.dumps(answer)}\n".encode())


def become(order: Mapping[str, Any]) -> None:
    """Be the process that was ordered."""
    os.setsid()
    for number, path in ((0, os.devnull), (1, order["out"]), (2, order["err"])):
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
        os.dup2(descriptor, number)
        os.close(descriptor)
    if "program" in order:
        exec(order["program"], {"__name__": "__main__"})
        return
    sys.argv = [MODULE, *order["start"]]
    sys.modules.pop(MODULE)  # runs as the main program now
    runpy.run_module(MODULE, run_name="__main__", alter_sys=True)


class Forked:
    """One such process, with what the tests need of subprocess.Popen."""

    def __init__(self, pid: int, starter: "Preloaded") -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._starter = starter

    def poll(self) -> int | None:
        """Return the exit status, or None while it runs."""
        if self.returncode is None:
            self.returncode = self._starter.ask(status=self.pid)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit status once it has ended."""
        began = time.monotonic()
        while (status := self.poll()) is None:
            if timeout is not None and time.monotonic() > began + timeout:
                raise subprocess.TimeoutExpired(MODULE, timeout)
            time.sleep(LOOK_SECONDS)
        return status

    def send_signal(self, number: int) -> None:
        """Signal it, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)


class Preloaded:
    """The process that has loaded the product, for one environment."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = dict(environment)
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.preloaded"],
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, **order: Any) -> Any:
        """Give an order and return the answer."""
        assert self._process.stdin
        assert self._process.stdout
        with self._lock:
            self._process.stdin.write(f"{json.dumps(order)}\n")
            return json.loads(self._process.stdout.readline())

    def start(self, out: Path, err: Path, **order: Any) -> Forked:
        """Start a process that appends what it says to these files."""
        return Forked(self.ask(out=str(out), err=str(err), **order), self)

    def close(self) -> None:
        """End it; what it has started goes on."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.send_signal(signal.SIGCONT)
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()


if __name__ == "__main__":
    main()
