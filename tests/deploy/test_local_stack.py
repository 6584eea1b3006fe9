"""`make run`, started as a user starts it (without the installation, which needs the network)."""

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import redis
import urllib3

from deploy.local.installation import free_port
from posthaste.env import ROOT
from tests.guard import guard
from tests.patience import Patience
from tests.services import processes_below

READY_SECONDS = 240
# What would point the stack at the servers of the test run, or turn off what it makes itself.
FOREIGN = {"DATABASE_URL", "BROKER_URL", "REDIS_URL", "REDIS_PREFIX", "SECRET_KEY", "ENCRYPTION_KEYS", "OUTBOUND_ALLOWED_NETWORKS"}


def eventually(condition: Callable[[], object], seconds: float = 120) -> None:
    """Wait until a condition holds."""
    patience = Patience(seconds)
    while not condition():
        assert not patience.is_over(), "did not happen in time"
        time.sleep(0.1)


class Local:
    """One installation in a folder of its own."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.output = data.with_suffix(".output")
        self.port, self.ws_port = free_port(), free_port()
        kept = {name: value for name, value in os.environ.items() if name not in FOREIGN}
        self.environment = {**kept, "DATA_DIR": str(data), "PORT": str(self.port), "WS_PORT": str(self.ws_port), "WEB_WORKERS": "1"}

    def start(self, **changes: str) -> subprocess.Popen[bytes]:
        with self.output.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "deploy.local"],
                cwd=ROOT,
                env={**self.environment, **changes},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        guard().tell(f"+{process.pid}")
        return process

    def said(self) -> str:
        return self.output.read_text()

    def wait_ready(self, process: subprocess.Popen[bytes]) -> None:
        """Wait for the addresses to be printed, after the seconds that the start took."""
        eventually(lambda: "Ctrl-C" in self.said() or process.poll() is not None, READY_SECONDS)
        assert process.poll() is None, self.said()
        assert re.search(r"ready \(([\d.]+) s\)", self.said())

    def refusal(self, **changes: str) -> tuple[int, list[str]]:
        """Start it when it cannot start, and return the exit status and what was printed."""
        process = self.start(**changes)
        return process.wait(READY_SECONDS), self.said().splitlines()


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Local]:
    installation = Local(tmp_path / "data")
    yield installation
    eventually(lambda: not processes_below(installation.data))


def test_a_port_in_use_is_one_line_naming_the_port_and_its_variable(local: Local) -> None:
    with socket.create_server(("127.0.0.1", local.ws_port)):
        status, lines = local.refusal()
    assert status == 1
    assert len(lines) == 1
    assert f"port {local.ws_port}" in lines[0]
    assert "WS_PORT=" in lines[0]


@pytest.mark.parametrize(
    ("variable", "value"),
    [("PORT", "eighty"), ("DATABASE_URL", "mysql://localhost/x"), ("REDIS_URL", "localhost:6379"), ("WEB_WORKERS", "0")],
)
def test_a_wrong_variable_is_one_line_naming_it(local: Local, variable: str, value: str) -> None:
    status, lines = local.refusal(**{variable: value})
    assert status == 2
    assert len(lines) == 1
    assert variable in lines[0]


def test_both_servers_on_one_port_are_refused(local: Local) -> None:
    status, lines = local.refusal(WS_PORT=str(local.port))
    assert status == 1
    assert len(lines) == 1
    assert "PORT and WS_PORT" in lines[0]


def test_a_database_that_does_not_answer_is_named_and_everything_stops(local: Local) -> None:
    status, lines = local.refusal(DATABASE_URL=f"postgresql://nobody@127.0.0.1:{free_port()}/nothing")
    assert status == 1
    assert "DATABASE_URL" in lines[-1]
    assert "refused" in lines[-1]


@pytest.mark.timeout(900)
def test_the_local_stack_starts_heals_itself_stops_and_keeps_its_data(local: Local) -> None:
    process = local.start()
    local.wait_ready(process)
    demo_file = local.data / "demo.json"
    demo = json.loads(demo_file.read_text())
    assert set(demo) >= {"base_url", "ws_url", "api_key", "admin", "redis_url", "nacos_address", "nacos_grpc_address"}
    assert redis.Redis.from_url(demo["redis_url"]).config_get("dir") == {"dir": str(local.data / "valkey")}
    for address in ("ws_url", "redis_url", "nacos_address", "nacos_grpc_address"):
        assert demo[address] in local.said()
    assert demo["base_url"] == f"http://localhost:{local.port}"
    for path, mode in ((demo_file, 0o600), (local.data / "secrets.env", 0o600), (local.data, 0o700)):
        assert stat.S_IMODE(path.stat().st_mode) == mode, path
    said = local.said()
    assert demo["admin"]["password"] in said
    assert f"http://localhost:{local.port}/admin/" in said

    assert {listening_on(port) for port in (local.port, local.ws_port)} == {"0100007F"}, "127.0.0.1 only"

    # A second one in the same folder is refused and leaves the first alone.
    second = Local(local.data)
    second.output = local.data.with_suffix(".second")
    status, lines = second.refusal()
    assert (status, len(lines)) == (1, 1)
    assert "already runs" in lines[0]

    # What dies comes back, Valkey too.
    config = str(local.data / "run/supervisord.conf")

    def pid_of(name: str) -> int:
        state = subprocess.run(
            [sys.executable, "-m", "supervisor.supervisorctl", "-c", config, "pid", name], capture_output=True, text=True, check=False
        )
        return int(state.stdout) if state.stdout.strip().isdigit() else 0

    def main_process(name: str) -> int:
        tether = pid_of(name)
        return int(Path(f"/proc/{tether}/task/{tether}/children").read_text().split()[0])

    for name, find in (("app:worker", pid_of), ("valkey", pid_of), ("app:web", main_process)):
        before = pid_of(name)
        group = os.getpgid(before)
        os.kill(find(name), signal.SIGKILL)
        eventually(partial(_is_another, pid_of, name, before))
        eventually(partial(_has_ended, group))  # with all its children
    with redis.Redis(port=int((local.data / "valkey/port").read_text())) as client:
        eventually(partial(_answers, client))
    eventually(lambda: "worker had ended and was started again" in local.said())

    # The next start finds everything as it was, after it was killed without a chance to clean up.
    process.kill()
    process.wait()
    process = local.start()
    local.wait_ready(process)
    assert json.loads(demo_file.read_text()) == demo
    assert urllib3.request("GET", f"http://127.0.0.1:{local.port}/health", headers={"Host": "localhost"}).status == 200
    process.send_signal(signal.SIGTERM)
    assert process.wait(150) == 0, local.said()
    eventually(lambda: not processes_below(local.data))

    # It may be stopped while it starts, too.
    process = local.start()
    eventually(lambda: "Starting " in local.said() or process.poll() is not None, READY_SECONDS)
    process.send_signal(signal.SIGINT)
    assert process.wait(150) == 0, local.said()
    assert "Stopped" in local.said()
    assert json.loads(demo_file.read_text()) == demo


def listening_on(port: int) -> str:
    """Return the IPv4 address that a port is served on, in hexadecimal and reversed as proc_net_tcp(5) has it."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    (address,) = {row[1].partition(":")[0] for row in rows if row[3] == "0A" and row[1].endswith(f":{port:04X}")}
    return address


def _is_another(pid_of: Callable[[str], int], name: str, before: int) -> bool:
    return pid_of(name) not in (0, before)


def _has_ended(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
