"""The ASGI process on the tests' own database, and calls to it that are not Nacos' client."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus, urlencode

import urllib3
from django.db import connection

from deploy.local.installation import free_port
from deploy.processes import commands
from posthaste.env import ROOT
from tests.guard import guard
from tests.patience import Patience

START_SECONDS = 60.0
STOP_SECONDS = 25.0  # a long poll takes 30
SEPARATORS = ("\x02", "\x01")


def database_url() -> str:
    """Return the address of the tests' database."""
    name = connection.settings_dict["NAME"]
    if connection.vendor == "sqlite":
        return f"sqlite:///{name}"
    return str(urllib3.util.parse_url(os.environ["DATABASE_URL"])._replace(path=f"/{name}"))


def _port_of_two() -> int:
    """Return a free port for HTTP; the one 1000 above it, for gRPC, is free too."""
    while True:
        port = free_port()
        with suppress(OSError, OverflowError), socket.create_server(("127.0.0.1", port + 1000)):
            return port


class NacosServer:
    """A running ws process."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.port = _port_of_two()
        self.address = f"127.0.0.1:{self.port}"
        self.url = f"http://{self.address}/nacos/v1"
        self.folder = folder
        self.environment = {**os.environ, "DATABASE_URL": database_url(), "DATA_DIR": str(folder), "LOG_FORMAT": "console"}
        self.environment |= {"WS_PORT": str(self.port), "NACOS_GRPC": "false", **environment}
        self.http = urllib3.PoolManager(maxsize=200, timeout=70.0, retries=False)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and return when it answers."""
        command = commands(port=1, ws_port=self.port, web_workers=1, host="127.0.0.1")["ws"]
        with (self.folder / "ws.log").open("ab") as log:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        guard().tell(f"+{self.process.pid}")
        patience = Patience(START_SECONDS)
        while True:
            with suppress(urllib3.exceptions.HTTPError):
                if self.http.request("GET", f"{self.url}/console/server/state").status == 200:
                    return
            assert self.process.poll() is None, (self.folder / "ws.log").read_text()
            assert not patience.is_over(), "the ws process does not answer"
            time.sleep(0.05)

    def stop(self) -> None:
        """End it."""
        assert self.process
        self.process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(STOP_SECONDS)
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, 9)
        self.process.wait(STOP_SECONDS)
        guard().tell(f"-{self.process.pid}")

    def kill(self) -> None:
        """End it as a crash does; it can be started again."""
        assert self.process
        os.killpg(self.process.pid, 9)
        self.process.wait(STOP_SECONDS)
        guard().tell(f"-{self.process.pid}")

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Let it stand still for the block: its connections look open, and nothing comes."""
        assert self.process
        os.killpg(self.process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(self.process.pid, signal.SIGCONT)

    def call(
        self, method: str, path: str, /, *, key: str = "", body: bytes | None = None, headers: dict[str, str] | None = None, **query: Any
    ) -> Any:
        """Make one call, with an API key where one is given."""
        sent = {**({"Authorization": f"Bearer {key}"} if key else {}), **(headers or {})}
        return self.http.request(method, f"{self.url}{path}?{urlencode(query)}", headers=sent, body=body)

    def listen(
        self, key: str, *watched: tuple[str, str], tenant: str = "", hang_up: bool = True, headers: dict[str, str] | None = None
    ) -> str:
        """Do one long poll for data ids and the md5 that is had of each, and return what changed, decoded."""
        word, line = SEPARATORS
        written = "".join(word.join((data_id, "DEFAULT_GROUP", md5, tenant)) + line for data_id, md5 in watched)
        sent = {"Long-Pulling-Timeout": "30000", "Content-Type": "application/x-www-form-urlencoded"}
        sent |= headers or {}
        sent |= {} if hang_up else {"Long-Pulling-Timeout-No-Hangup": "true"}
        answer = self.call("POST", "/cs/configs/listener", key=key, body=urlencode({"Listening-Configs": written}).encode(), headers=sent)
        assert answer.status == 200, answer.data
        return unquote_plus(answer.data.decode())


@contextmanager
def running(folder: Path, **environment: str) -> Iterator[NacosServer]:
    """Run one for the block."""
    server = NacosServer(folder, **environment)
    try:
        server.start()
        yield server
    finally:
        server.stop()
