"""What belongs to one local installation: its folder, its secrets, its ports."""

import errno
import fcntl
import json
import os
import secrets
import socket
import tempfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from posthaste import env
from posthaste.env import Environment

DEFAULT_VALKEY_PORT = 6390
# The demo's receivers (a local SMTP server, a local gateway) live on the loopback interface, which is refused otherwise.
LOCAL_NETWORKS = "127.0.0.0/8,::1/128"
#: Which installation a process works on: who gives another of these means another installation.
IDENTITY = ("SECRET_KEY", "ENCRYPTION_KEYS", "DATABASE_URL", "BROKER_URL", "REDIS_URL", "REDIS_PREFIX")
#: What commands beside the running stack need to know of it besides.
KEPT = (*IDENTITY, "PUBLIC_URL", "PORT", "WS_PORT", "HTTPS", "ALLOWED_HOSTS", "OUTBOUND_ALLOWED_NETWORKS")
# The kernel takes no longer address for a Unix socket.
LONGEST_SOCKET_PATH = 100


class CannotStart(Exception):
    """The local stack cannot start; the message is the one line that the user reads."""


def port_is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Return whether a server could listen on the port now."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        # Without this, connections of the server before, still in TIME_WAIT, would look like a port in use.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            if error.errno == errno.EADDRNOTAVAIL:
                raise CannotStart(f"HOST={host} is no address of this machine; use 127.0.0.1, or 0.0.0.0 for all of them.") from None
            raise
        return True


def free_port() -> int:
    """Find a port of the loopback interface that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(slots=True)
class Installation:
    """The folder DATA_DIR and what the local stack keeps in it."""

    settings: Environment
    data: Path = field(init=False)
    _lock: TextIO | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.data = self.settings.data_dir.resolve()

    @property
    def run(self) -> Path:
        return self.data / "run"

    @property
    def logs(self) -> Path:
        return self.data / "logs"

    @property
    def valkey(self) -> Path:
        return self.data / "valkey"

    @property
    def demo(self) -> Path:
        return self.data / "demo.json"

    @property
    def variables(self) -> Path:
        return self.data / "environment.json"

    @property
    def ws_url(self) -> str:
        return f"ws://localhost:{self.settings.ws_port}/ws/statistics/"

    def addresses(self, *, redis_url: str) -> dict[str, str]:
        """Return the addresses, beside those of the pages, that scripts find in `demo.json`."""
        found = {"redis_url": redis_url, "nacos_address": f"localhost:{self.settings.ws_port}"}
        if self.settings.nacos_grpc:
            found["nacos_grpc_address"] = f"localhost:{self.settings.ws_port + 1000}"
        return found

    @property
    def pidfile(self) -> Path:
        return self.run / "supervisord.pid"

    @property
    def config(self) -> Path:
        return self.run / "supervisord.conf"

    @property
    def socket(self) -> Path:
        path = self.run / "supervisor.sock"
        if len(str(path)) <= LONGEST_SOCKET_PATH:
            return path
        return Path(tempfile.gettempdir()) / f"posthaste-{os.getuid()}-{zlib.crc32(str(self.data).encode()):08x}.sock"

    @property
    def starts_valkey(self) -> bool:
        """Whether this installation runs a Valkey of its own: REDIS_URL was not given."""
        return "redis_url" not in self.settings.model_fields_set

    def make_folders(self) -> None:
        """Make the folders, readable by their owner only."""
        # The last one is STATIC_ROOT: it stays empty here, and whitenoise warns when it is missing.
        for folder in (self.data, self.run, self.logs, self.valkey, self.data / "static"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.data.chmod(0o700)

    def claim(self) -> None:
        """Mark the installation as running until this process ends.

        Raises: CannotStart when another `make run` holds it.
        """
        self._lock = (self.run / "lock").open("a+")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.seek(0)
            raise CannotStart(f"it already runs from {self.data} (process {self._lock.read().strip()}); stop that one first.") from None
        self._lock.truncate(0)
        self._lock.write(f"{os.getpid()}\n")
        self._lock.flush()

    def check_ports(self) -> None:
        """Make sure that the addresses the servers need are free.

        Raises: CannotStart naming the port and the variable that changes it.
        """
        if self.settings.port == self.settings.ws_port:
            raise CannotStart(f"PORT and WS_PORT are both {self.settings.port}; give the two servers different ports.")
        for variable, port in (("PORT", self.settings.port), ("WS_PORT", self.settings.ws_port)):
            if not port_is_free(port, self.settings.host):
                raise CannotStart(
                    f"port {port} is in use (or not allowed); stop what listens there, or choose another, {variable}={port + 100} make run"
                )

    def valkey_port(self) -> int:
        """Choose Valkey's port: the one of the last start if it is free, else the default, else any."""
        remembered = self.valkey / "port"
        last = int(remembered.read_text()) if remembered.exists() else DEFAULT_VALKEY_PORT
        port = next((port for port in (last, DEFAULT_VALKEY_PORT) if port_is_free(port)), None) or free_port()
        remembered.write_text(f"{port}\n")
        return port

    def secrets(self) -> dict[str, str]:
        """Return the installation's own SECRET_KEY and ENCRYPTION_KEYS, made at its first start."""
        path = self.data / "secrets.env"
        if not path.exists():
            made = {"SECRET_KEY": secrets.token_urlsafe(48), "ENCRYPTION_KEYS": secrets.token_urlsafe(32)}
            unfinished = path.with_suffix(".new")
            unfinished.touch(mode=0o600)
            unfinished.write_text("".join(f"{name}={value}\n" for name, value in made.items()))
            unfinished.rename(path)  # a start that dies here leaves no half of the secrets
        return dict(line.split("=", 1) for line in path.read_text().split())

    def environment(self, *, valkey_port: int | None) -> dict[str, str]:
        """Return the variables of the product's processes: the caller's, and defaults for what they lack."""
        given = self.settings.model_fields_set
        variables = {"DATA_DIR": str(self.data), "PYTHONUNBUFFERED": "1"}
        for name, value in self.secrets().items():
            if name.lower() not in given:
                variables[name] = value
        if "outbound_allowed_networks" not in given:
            variables["OUTBOUND_ALLOWED_NETWORKS"] = LOCAL_NETWORKS
        if "log_format" not in given:
            variables["LOG_FORMAT"] = "console"
        if valkey_port is not None:
            variables["REDIS_URL"] = f"redis://127.0.0.1:{valkey_port}/0"
        whole = {**os.environ, **variables}
        self._keep({name: whole[name] for name in KEPT if whole.get(name)})
        return whole

    def _keep(self, variables: dict[str, str]) -> None:
        unfinished = self.variables.with_suffix(".new")
        unfinished.touch(mode=0o600)
        unfinished.write_text(json.dumps(variables, indent=2))
        unfinished.rename(self.variables)


def adopt() -> None:
    """Let this process work on the installation that `make run` made in DATA_DIR, if there is one.

    Its keys, its database and its Valkey are used together or not at all. A caller who sets one of them to something else in the
    environment means another installation, and gets nothing of this one.
    """
    settings = env.load()
    try:
        kept = json.loads(Installation(settings).variables.read_text())
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        raise CannotStart(f"{Installation(settings).variables} can't be read ({error}); start `make run` once more.") from None
    if any(os.environ.get(name) not in (None, "", kept.get(name)) for name in IDENTITY):
        return
    for name, value in kept.items():
        if not os.environ.get(name):
            os.environ[name] = value
    env.load.cache_clear()
