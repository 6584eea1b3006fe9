"""The product as it runs in production: every process started from its command line, against given servers.

Workers and beats that are started beside the first of their kind, or again, are forked from a process that has loaded the product: loading
it takes two seconds, and tests start some hundred of them.
"""

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import urllib3

from deploy.local.installation import free_port, port_is_free
from deploy.processes import Health, commands
from posthaste.env import ROOT
from tests.guard import guard
from tests.integration.preloaded import MODULE, Forked, Preloaded
from tests.integration.waiting import poll, sizes

# How long nothing may move while processes start and end, and the longest wait.
START_QUIET_SECONDS, START_SECONDS = 90.0, 400.0
STOP_QUIET_SECONDS, STOP_SECONDS = 60.0, 300.0
#: How long an answer may take: longer than a virtual machine is stopped for.
ANSWER_SECONDS = 120.0
WEB_WORKERS = 2
METRICS_TOKEN = "scraper-of-the-tests-0123456789"
# Waits that are long in production, because machines are slow to recover there, and that a test would sit through.
QUICK: Mapping[str, Mapping[str, Any]] = {
    "retry_policy": {"lease_seconds": 5, "base_seconds": 0.2},
    "queues": {"orphan_seconds": 10},
    # Tests hand over more than a tenant may by default; those of the limits publish rules of their own.
    "flow_rules": {"rules": []},
}


def free_ports(number: int) -> int:
    """Find so many ports in a row that nothing listens on, below those that outgoing connections get, and return the first."""
    while True:
        first = random.randrange(15_000, 30_000)
        if all(port_is_free(first + place) for place in range(number)):
            return first


class NotHealthy(Exception):
    """The stack did not become healthy in time."""


class Http:
    """Calls to the web process with an API key; answers are urllib3's (`.status`, `.json()`, `.headers`)."""

    def __init__(self, base_url: str, api_key: str = "") -> None:
        self.base_url = base_url
        self.api_key = api_key
        self.pool = urllib3.PoolManager(maxsize=64, timeout=ANSWER_SECONDS, retries=False)

    def request(
        self, method: str, path: str, *, body: object = None, headers: dict[str, str] | None = None, key: str | None = None, **fields: Any
    ) -> urllib3.BaseHTTPResponse:
        """Make one call; `body` is sent as JSON, `fields` as the query string, `key` replaces the API key."""
        sent = {**({"Authorization": f"Bearer {key or self.api_key}"} if key != "" else {}), **(headers or {})}
        query = "?" + "&".join(f"{name}={value}" for name, value in fields.items()) if fields else ""
        return self.pool.request(method, f"{self.base_url}{path}{query}", headers=sent, redirect=False, json=body)

    def get(self, path: str, **options: Any) -> urllib3.BaseHTTPResponse:
        return self.request("GET", path, **options)

    def post(self, path: str, body: object = None, **options: Any) -> urllib3.BaseHTTPResponse:
        return self.request("POST", path, body={} if body is None else body, **options)


class Stack:
    """web, ws, worker, worker-aux and beat, each in a process group of its own, on free ports, with logs in a folder.

    `environment` holds at least DATABASE_URL, BROKER_URL and REDIS_URL; `configuration` is published as soon as everything runs.
    """

    def __init__(self, environment: dict[str, str], folder: Path, *, configuration: Mapping[str, Mapping[str, Any]] = QUICK) -> None:
        self.configuration = configuration
        self.folder = folder
        self.port, self.ws_port = free_port(), free_port()
        self.metrics_port = free_ports(2)
        self.base_url = f"http://127.0.0.1:{self.port}"
        self.ws_url = f"ws://127.0.0.1:{self.ws_port}"
        self.environment = {
            **os.environ,
            "OUTBOUND_ALLOWED_NETWORKS": "127.0.0.0/8,::1/128",
            "DATA_DIR": str(folder),
            "METRICS_TOKEN": METRICS_TOKEN,
            "PORT": str(self.port),
            "WS_PORT": str(self.ws_port),
            "LOG_FORMAT": "console",
            "LOG_LEVEL": "info",
            "PYTHONUNBUFFERED": "1",
            "PYTHONFAULTHANDLER": "1",
            **environment,
        }
        self._usual_environment = dict(self.environment)  # tests change it for single processes
        self.commands = commands(
            port=self.port, ws_port=self.ws_port, web_workers=WEB_WORKERS, host="127.0.0.1", metrics_port=self.metrics_port
        )
        self.usual = tuple(self.commands)  # the names of what always runs
        self.processes: dict[str, subprocess.Popen[bytes] | Forked] = {}
        self._preloaded: Preloaded | None = None
        self.demo: dict[str, Any] = {}
        self.mended = ""  # what had to be, at the start

    def __enter__(self) -> Self:
        try:
            self.prepare()
            for name in self.commands:
                self.start(name)
            self.wait_healthy()
            try:
                self.configure_all()
            except urllib3.exceptions.TimeoutError as error:
                # One test less is better than all of them; but what hung has to be found.
                self.mended = f"web, which was healthy, did not answer ({error}):\n{self.stacks('web')}"
                self.start("web")
                self.wait_healthy()
                self.configure_all()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def log(self, name: str) -> Path:
        """Return the path of a process's log."""
        return self.folder / f"{name}.log"

    def log_tail(self, name: str, lines: int = 30) -> str:
        """Return the end of a process's log."""
        path = self.log(name)
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) if path.exists() else ""

    def _spawn(self, name: str, command: list[str]) -> subprocess.Popen[bytes]:
        with self.log(name).open("ab") as log:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        guard().tell(f"+{process.pid}")
        return process

    def preloaded(self) -> Preloaded:
        """Return the process that has loaded the product, started at first use."""
        if self._preloaded is None:
            self._preloaded = Preloaded(self._usual_environment)
            guard().tell(f"+{self._preloaded.pid}")
        return self._preloaded

    def prepare(self) -> None:
        """Migrate, load the demo, and keep its addresses and secrets in `self.demo`."""
        output = self.folder / "demo.json"
        arguments = ["--output", str(output), "--base-url", self.base_url, "--ws-url", self.ws_url]
        process = self._spawn("prepare", [sys.executable, "-m", "deploy.local.prepare", *arguments])
        poll(
            lambda: process.poll() is not None,
            progress=lambda: (sizes(self.log("prepare")), cpu_time(process.pid)),
            quiet_seconds=START_QUIET_SECONDS,
            cap_seconds=START_SECONDS,
            reason=lambda: f"preparing the database does not end:\n{self.log_tail('prepare')}",
        )
        guard().tell(f"-{process.pid}")
        if process.returncode:
            raise NotHealthy(f"preparing the database failed:\n{self.log_tail('prepare')}")
        self.demo = json.loads(output.read_text())

    @property
    def http(self) -> Http:
        """Calls with the demo's API key."""
        if not hasattr(self, "_http"):
            self._http = Http(self.base_url, self.demo["api_key"])
        return self._http

    def publish(self, module: str, **changes: Any) -> int:
        """Publish a module with some fields changed, as an operator does, and return the revision that has it."""
        address = f"/api/config/modules/{module}/"
        content = {**self.http.get(address).json()["effective"], **changes}
        answer = self.http.post(f"{address}publish/", {"content": content, "comment": "test"})
        if answer.status == 409 and answer.json()["code"] == "nothing_to_publish":
            return 0
        assert answer.status == 201, answer.data
        return int(answer.json()["revision"])

    def configure_all(self) -> None:
        """Publish what the tests run with."""
        for module, changes in self.configuration.items():
            self.configure(module, **changes)

    def configure(self, module: str, **changes: Any) -> None:
        """Publish a module with some fields changed and return when every process runs it."""
        revision = self.publish(module, **changes)

        def revisions() -> list[int]:
            return sorted(instance["revision"] for instance in self.http.get("/api/config/instances/").json())

        poll(
            lambda: all(applied >= revision for applied in revisions()),
            progress=revisions,
            every=0.02,
            reason=f"{module} is not applied everywhere",
        )

    def stacks(self, name: str) -> str:
        """End a process that does not answer, and return the stacks of all threads of it and its children, from its log."""
        group = self.processes[name].pid
        for number in (signal.SIGABRT, signal.SIGCONT):
            os.killpg(group, number)
        with suppress(subprocess.TimeoutExpired):
            self.processes[name].wait(STOP_QUIET_SECONDS)
        self.kill(name)
        return self.log_tail(name, 400)

    def start(self, name: str, label: str | None = None, command: list[str] | None = None) -> None:
        """Start a process, or under another label one more of its kind (a worker; servers need ports)."""
        label = label or name
        if self.is_running(label):
            raise RuntimeError(f"{label} already runs")
        # Two workers of one name on one machine would take each other's orders.
        named = [f"{label}@%h" if label != name and part.endswith("@%h") else part for part in self.commands[name]]
        self.commands.setdefault(label, command or named)
        can_fork = name in self.processes and self.commands[label][:3] == [sys.executable, "-m", MODULE]
        if can_fork and self.environment == (preloaded := self.preloaded()).environment:
            log = self.log(label)
            self.processes[label] = forked = preloaded.start(log, log, start=self.commands[label][3:])
            guard().tell(f"+{forked.pid}")
        else:
            self.processes[label] = self._spawn(label, self.commands[label])

    def is_running(self, name: str) -> bool:
        """Return whether a process was started and has not ended."""
        return name in self.processes and self.processes[name].poll() is None

    def send_signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to the process alone, not to its children (SIGTERM asks for an orderly end)."""
        self.processes[name].send_signal(number)

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Signal a process with all its children, by default kill them, and wait until they have ended."""
        process = self.processes[name]
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        if number not in (signal.SIGSTOP, signal.SIGCONT):
            process.wait(STOP_QUIET_SECONDS)
            guard().tell(f"-{process.pid}")

    def end(self, name: str) -> None:
        """End a process in order, and by force when that takes too long."""
        if self.is_running(name):
            self.send_signal(name, signal.SIGCONT)
            self.send_signal(name, signal.SIGTERM)
            self._wait_for_the_end(name)
        if name in self.processes:
            self.kill(name)

    def restart(self, name: str) -> None:
        """Start a process again, after ending it in order when it still runs."""
        self.end(name)
        self.start(name)

    def stop(self) -> None:
        """End all processes, all at the same time."""
        for name in self.processes:
            if self.is_running(name):
                self.send_signal(name, signal.SIGCONT)
                self.send_signal(name, signal.SIGTERM)
        self._wait_for_the_end(*self.processes)
        for name in self.processes:
            self.kill(name)
        if self._preloaded:
            self._preloaded.close()
            guard().tell(f"-{self._preloaded.pid}")
            self._preloaded = None

    def _wait_for_the_end(self, *names: str) -> None:
        """Wait until processes have ended, or nothing moves in them."""
        with suppress(AssertionError):
            poll(
                lambda: not any(self.is_running(name) for name in names),
                progress=lambda: sizes(*map(self.log, names)),
                quiet_seconds=STOP_QUIET_SECONDS,
                cap_seconds=STOP_SECONDS,
            )

    def complaint(self) -> str:
        """Say what is not well, or return an empty string."""
        return Health(port=self.port, ws_port=self.ws_port).complaint()

    def wait_healthy(self) -> None:
        """Return when every process works.

        A process that was killed counts as alive for the five seconds its last sign of life is valid.

        Raises:
            NotHealthy: with the end of the logs of what does not.
        """
        complaint = ""

        def is_over() -> bool:
            nonlocal complaint
            complaint = self.complaint()
            return not complaint or bool(self._ended())

        with suppress(AssertionError):
            poll(
                is_over,
                progress=lambda: (complaint, sizes(*map(self.log, self.processes))),
                quiet_seconds=START_QUIET_SECONDS,
                cap_seconds=START_SECONDS,
                every=0.1,
            )
        if complaint:
            ended = self._ended()
            tails = "".join(f"\n--- {name}\n{self.log_tail(name)}" for name in ended or self.processes)
            raise NotHealthy(f"{complaint}; ended: {', '.join(ended) or 'none'}{tails}")

    def _ended(self) -> list[str]:
        return [name for name in self.processes if not self.is_running(name)]


def stat_of(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat from the state on (proc_pidstat_of(5), field 3); empty: no such process."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return []


def cpu_time(pid: int) -> list[str]:
    """Return the clock ticks a process has computed: one that works moves them, even if it says nothing."""
    return stat_of(pid)[11:13]
