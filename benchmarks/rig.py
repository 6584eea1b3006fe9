"""The servers, processes and clocks of a measurement."""

import os
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Self

import amqp
import psycopg
from psycopg import sql

from benchmarks.smtp_sink import taken
from benchmarks.waiting import wait
from deploy.local.installation import free_port
from posthaste.env import ROOT
from tests.guard import guard
from tests.services import PostgreSQL, RabbitMQ, Redis, Service, Services

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
# Where the baselines' packages are; see the Makefile.
BASELINE_PYTHON = ROOT / ".venv-bench/bin/python"


class DurablePostgreSQL(PostgreSQL):
    """As in production: what is committed survives a power cut."""

    def command(self) -> list[str]:
        options = {
            "fsync": "on",
            "synchronous_commit": "on",
            "full_page_writes": "on",
            "shared_buffers": "512MB",
            "max_wal_size": "4GB",
        }
        return [*super().command(), *(part for name, value in options.items() for part in ("-c", f"{name}={value}"))]


def start_services(*, durable: bool) -> Services:
    """Make the three servers, to be used as a context."""
    kinds: tuple[type[Service], ...] = (DurablePostgreSQL if durable else PostgreSQL, RabbitMQ, Redis)
    return Services(kinds)


def new_database(services: Services, name: str) -> str:
    """Make an empty database and return its address."""
    postgresql = services["postgresql"]
    assert isinstance(postgresql, PostgreSQL)
    with psycopg.connect(postgresql.url_of("postgres"), autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return postgresql.url_of(name)


def purge(url: str, queue: str) -> None:
    """Empty a queue of RabbitMQ, if it is there."""
    host, _, path = url.removeprefix("amqp://guest:guest@").partition("/")
    with amqp.Connection(host, "guest", "guest", virtual_host=path or "/") as connection, suppress(amqp.exceptions.NotFound):
        connection.channel().queue_purge(queue)


# --- processes ------------------------------------------------------------------------------------------------


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat from the third on; see proc(5)."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def tree(roots: list[int]) -> list[int]:
    """Return processes and all their descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, IndexError):
            children.setdefault(int(_stat(int(entry.name))[1]), []).append(int(entry.name))
    found, todo = [], list(roots)
    while todo:
        pid = todo.pop()
        found.append(pid)
        todo += children.get(pid, [])
    return found


def cpu_seconds(roots: list[int]) -> float:
    """Return the CPU time used so far by processes, their descendants, and those of them that have ended."""
    total = 0
    for pid in tree(roots):
        with suppress(OSError):
            total += sum(int(value) for value in _stat(pid)[11:15])
    return total / TICKS


def resident_bytes(root: int) -> int:
    """Return the resident memory of a process and its descendants."""
    total = 0
    for pid in tree([root]):
        with suppress(OSError):
            total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
    return total


class Program:
    """A process that runs beside us and surely ends with us."""

    def __init__(self, name: str, command: list[str], *, folder: Path, environment: dict[str, str] | None = None) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        guard().tell(f"+{self.process.pid}")

    @property
    def pid(self) -> int:
        return self.process.pid

    def signal(self, number: signal.Signals) -> None:
        """Signal the process and its children."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def stop(self) -> None:
        """End it: in order, or after five seconds by force."""
        self.signal(signal.SIGCONT)
        if self.process.poll() is None:
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(5)
        self.signal(signal.SIGKILL)
        self.process.wait(10)
        guard().tell(f"-{self.pid}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def wait_for(self, is_ready: Callable[[], object]) -> Self:
        """Wait until the process does its work: while it writes its log or uses the processor, it is on its way."""

        def ready_or_ended() -> bool:
            with suppress(OSError):
                return bool(is_ready()) or self.process.poll() is not None
            return self.process.poll() is not None

        wait(ready_or_ended, f"{self.name} did not start", progress=lambda: (self.log.stat().st_size, cpu_seconds([self.process.pid])))
        if self.process.poll() is not None:
            tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-30:])
            raise RuntimeError(f"{self.name} did not start:\n{tail}")
        return self


def smtp_sink(folder: Path, python: str) -> tuple[Program, int]:
    """Start the mail server that forgets everything, and return its port."""
    port = free_port()
    program = Program("smtp-sink", [python, "-m", "benchmarks.smtp_sink", "--port", str(port)], folder=folder)
    return program.wait_for(lambda: taken(port) == 0), port
