"""The baselines as running processes."""

import json
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from signal import SIGCONT, SIGSTOP
from typing import Any, Self

import psycopg
import urllib3

from benchmarks.load import Load, drive
from benchmarks.ours import TEXT
from benchmarks.rig import BASELINE_PYTHON, Program, cpu_seconds, new_database, purge
from benchmarks.waiting import wait
from deploy.local.installation import free_port
from posthaste.env import ROOT
from tests.services import Services

BASELINES = "benchmarks.baselines"
PYTHON = str(BASELINE_PYTHON)


class BaselineFailed(Exception):
    """A command of a baseline ended with an error."""


def run_command(command: list[str], environment: dict[str, str]) -> str:
    """Run one of the baselines' commands to its end and return what it printed.

    Raises:
        BaselineFailed: with the end of what it said.
    """
    done = subprocess.run(
        command, cwd=ROOT, env={"PATH": "/usr/bin:/bin", **environment}, capture_output=True, text=True, check=False, timeout=600
    )
    if done.returncode:
        raise BaselineFailed(f"{' '.join(command[1:])}: {done.stderr[-1500:]}")
    return done.stdout


class Baseline:
    """An API process, which is started at once, and workers, which are started when they are wanted."""

    name = ""
    queue = ""

    def __init__(self, services: Services, folder: Path, **environment: str) -> None:
        self.folder = folder / self.name
        self.folder.mkdir(exist_ok=True)
        self.port = free_port()
        self.database_url = new_database(services, self.name)
        self.broker_url = services["rabbitmq"].url
        self.environment = {"DATABASE_URL": self.database_url, "BROKER_URL": self.broker_url, **environment}
        self.programs: list[Program] = []
        self._open = ExitStack()

    def prepare_command(self) -> list[str]:
        raise NotImplementedError

    def web_command(self) -> list[str]:
        raise NotImplementedError

    def worker_command(self) -> list[str]:
        raise NotImplementedError

    def __enter__(self) -> Self:
        with self._open:
            self.run(self.prepare_command())
            purge(self.broker_url, self.queue)
            self.start("web", self.web_command()).wait_for(self._answers)
            self.connection = self._open.enter_context(psycopg.connect(self.database_url, autocommit=True))
            self._open = self._open.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def _answers(self) -> bool:
        try:
            return urllib3.request("GET", f"http://127.0.0.1:{self.port}/", timeout=2.0, retries=False).status < 600
        except urllib3.exceptions.HTTPError:
            return False

    def run(self, command: list[str]) -> str:
        """Run one of the baseline's commands to its end and return what it printed."""
        return run_command(command, self.environment)

    def start(self, name: str, command: list[str]) -> Program:
        """Start a process of the baseline."""
        program = Program(name, command, folder=self.folder, environment=self.environment)
        self._open.callback(program.stop)
        self.programs.append(program)
        return program

    def start_worker(self) -> None:
        """Start the worker and send some messages, so that everything is connected."""
        self.start("worker", self.worker_command())
        time.sleep(4)
        self.singles(count=256)
        self.wait_sent()
        self.clean()

    def freeze(self) -> None:
        """Stop the processes from using the machine until `thaw`."""
        for program in self.programs:
            program.signal(SIGSTOP)

    def thaw(self) -> None:
        """Let the processes go on."""
        for program in self.programs:
            program.signal(SIGCONT)

    def cpu(self) -> float:
        """Return the CPU seconds of all its processes."""
        return cpu_seconds([program.pid for program in self.programs])

    def singles(self, *, seconds: float = 0.0, count: int = 0, warm: float = 0.0, body: str = TEXT) -> Load:
        """Let 64 clients hand over single texts."""
        return drive(
            self.port,
            "/api/messages/",
            body=body,
            headers={"Authorization": "Bearer key"},
            numbers=count or int((seconds + warm) * 50_000),
            seconds=seconds,
            count=count,
            warm=warm,
        )

    def clean(self) -> None:
        """Forget all messages."""
        self.connection.execute("TRUNCATE message")
        purge(self.broker_url, self.queue)

    def wait_sent(self) -> float:
        """Wait until everything is sent and return the unix time of the last one."""
        look = "SELECT 1 FROM message WHERE status IN ('pending', 'sending') LIMIT 1"
        moved = "SELECT coalesce(sum(n_tup_upd), 0) FROM pg_stat_user_tables"
        wait(
            lambda: not self.connection.execute(look).fetchone(),
            f"{self.name}: messages are still in progress",
            progress=lambda: self.connection.execute(moved).fetchone(),
        )
        row = self.connection.execute("SELECT extract(epoch FROM max(sent_at)) FROM message").fetchone()
        assert row
        return float(row[0])


class DjangoNaive(Baseline):
    """Baseline (a)."""

    name = "django_naive"
    queue = "naive.send"

    def __init__(self, services: Services, folder: Path, *, processes: int = 4, gateway_url: str = "") -> None:
        self.processes = processes
        settings = f"{BASELINES}.django_naive.settings"
        super().__init__(services, folder, DJANGO_SETTINGS_MODULE=settings, GATEWAY_URL=gateway_url)

    def prepare_command(self) -> list[str]:
        return [PYTHON, "-m", "django", "migrate", "--run-syncdb", "--verbosity", "0"]

    def web_command(self) -> list[str]:
        granian = [PYTHON, "-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(self.port)]
        size = ["--workers", "2", "--blocking-threads", "32", "--no-ws", "--http", "1"]
        return [*granian, *size, f"{BASELINES}.django_naive.wsgi:application"]

    def worker_command(self) -> list[str]:
        calm = ["--without-mingle", "--without-gossip", "--loglevel", "WARNING"]
        return [PYTHON, "-m", "celery", "-A", f"{BASELINES}.django_naive.celery", "worker", "-c", str(self.processes), *calm]


class FastapiPika(Baseline):
    """Baseline (b)."""

    name = "fastapi_pika"
    queue = "fastapi.send"

    def prepare_command(self) -> list[str]:
        return [PYTHON, "-m", f"{BASELINES}.fastapi_pika.prepare"]

    def web_command(self) -> list[str]:
        uvicorn = [PYTHON, "-m", "uvicorn", "--host", "127.0.0.1", "--port", str(self.port), "--workers", "2"]
        return [*uvicorn, "--loop", "uvloop", "--http", "httptools", "--no-access-log", f"{BASELINES}.fastapi_pika.app:app"]

    def worker_command(self) -> list[str]:
        return [PYTHON, "-m", f"{BASELINES}.fastapi_pika.consumer"]


class PostOffice:
    """Baseline (c): no server of its own; commands that run to their end."""

    def __init__(self, services: Services, smtp_port: int = 25) -> None:
        self.environment = {"DATABASE_URL": new_database(services, "post_office"), "SMTP_PORT": str(smtp_port)}
        self._run("prepare")

    def _run(self, *arguments: str) -> str:
        command = [PYTHON, "-m", f"{BASELINES}.post_office.run", *arguments]
        return run_command(command, self.environment)

    def step(self, name: str, count: int) -> dict[str, Any]:
        """Queue or send mails (`queue`, `send`) and return `{"seconds", "cpu_seconds", "began_at", "ended_at"}`."""
        answer: dict[str, Any] = json.loads(self._run(name, str(count)).splitlines()[-1])
        return answer
