"""`make run`: starts the local stack, says where it is, keeps it running, and stops it at Ctrl-C or SIGTERM.

Exit status: 0 stopped as asked, 1 it could not start or fell over, 2 a variable is wrong.
"""

import json
import signal
import subprocess
import sys
import time
import xmlrpc.client
from contextlib import suppress
from types import FrameType

import redis

from deploy.local.installation import CannotStart, Installation
from deploy.local.supervision import Supervisor, stop_leftover, tail, write_config
from deploy.processes import Health, commands_of, host_name
from posthaste import env
from posthaste.env import ROOT

VALKEY_SECONDS = 60.0  # reading a large append-only file takes its time
HEALTHY_SECONDS = 90.0
LOOK_SECONDS = 1.0
# A process that ended this often before it was ever well will not become well by itself.
TRIES = 3


class Stop(BaseException):
    """The user asked to stop."""


def _ask_to_stop(_number: int, _frame: FrameType | None) -> None:
    # The second Ctrl-C of an impatient user must not interrupt the orderly end.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    raise Stop


def say(text: str) -> None:
    print(text, flush=True)


def prepare(installation: Installation, environment: dict[str, str]) -> None:
    """Migrate and load the demo.

    Raises: CannotStart with the last line of what went wrong.
    """
    settings = installation.settings
    log = installation.logs / "prepare.log"
    arguments = ["--output", str(installation.demo), "--base-url", settings.public_url, "--ws-url", installation.ws_url]
    others = installation.addresses(redis_url=environment.get("REDIS_URL", settings.redis_url))
    arguments += [f"--address={name}={value}" for name, value in others.items()]
    with log.open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "deploy.local.prepare", *arguments],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            status = process.wait()
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
    if status:
        raise CannotStart(f"the database could not be prepared: {tail(log, 1)} (everything it said is in {log})")


def wait_for_valkey(supervisor: Supervisor, url: str) -> None:
    """Return when Valkey has read its data and answers."""
    deadline = time.monotonic() + VALKEY_SECONDS
    log = supervisor.installation.logs / "valkey.log"
    with redis.Redis.from_url(url, socket_timeout=2) as client:
        while True:
            with suppress(redis.RedisError):
                client.ping()
                return
            if supervisor.process.poll() is not None or time.monotonic() > deadline:
                raise CannotStart(f"Valkey does not answer: {tail(log, 1)} (its log is {log})")
            time.sleep(0.05)


def wait_until_healthy(supervisor: Supervisor, health: Health) -> None:
    """Return when every process works.

    Raises: CannotStart with the end of the log of a process that does not.
    """
    deadline = time.monotonic() + HEALTHY_SECONDS
    pids: dict[str, set[int]] = {}
    while complaint := health.complaint():
        states = supervisor.states()
        for name, state in states.items():
            if state["pid"]:
                pids.setdefault(name, set()).add(state["pid"])
        hopeless = [name for name, seen in pids.items() if len(seen) >= TRIES]
        if hopeless or time.monotonic() > deadline:
            down = hopeless or [name for name, state in states.items() if state["statename"] != "RUNNING"] or _named_in(complaint)
            logs = supervisor.installation.logs
            tails = "".join(f"\n--- the end of {logs / name}.log\n{tail(logs / f'{name}.log')}" for name in down)
            raise CannotStart(f"{', '.join(down)} did not become healthy: {complaint}{tails}")
        time.sleep(0.2)


def _named_in(complaint: str) -> list[str]:
    """Guess from a complaint about health whose log explains it."""
    hints = {"send": "worker", "aux": "worker-aux", "beat": "beat", "ws": "ws", "web": "web"}
    return [process for hint, process in hints.items() if hint in complaint]


def announce(installation: Installation, seconds: float) -> None:
    """Print where everything is and who may log in."""
    settings = installation.settings
    base = settings.public_url
    demo = json.loads(installation.demo.read_text())
    rows = {
        "Admin": f"{base}/admin/",
        "API": f"{base}/api/",
        "API reference": f"{base}/docs",
        "Health": f"{base}/health/ready",
        "WebSocket": demo["ws_url"],
        "Nacos": demo["nacos_address"] + (f"  (gRPC: {demo['nacos_grpc_address']})" if "nacos_grpc_address" in demo else ""),
        "Valkey" if installation.starts_valkey else "Redis": demo["redis_url"],
        "Demo login": f"{demo['admin']['username']} / {demo['admin']['password']}",
        "Demo agents": f"{demo['admin']['username']}, mei and tom, with the same password, at {base}/desk/",
        "Demo API key": demo["api_key"],
        "For scripts": f"{installation.demo}  (all of the above as JSON)",
        "Logs": f"{installation.logs}/",
    }
    say(f"\nPosthaste is ready ({seconds:.1f} s).\n")
    for name, value in rows.items():
        say(f"  {name:<14} {value}")
    say("\nCtrl-C stops everything; data is kept for the next start, `make clean` removes it.")


def watch(supervisor: Supervisor) -> None:
    """Report of every process that died and came back, until supervisord itself ends.

    Raises: CannotStart when supervisord is gone.
    """
    pids: dict[str, int] = {}
    history, seen = supervisor.installation.logs / "supervisord.log", -1.0
    while supervisor.process.poll() is None:
        with suppress(OSError, xmlrpc.client.Error):
            changed = history.stat().st_mtime  # it writes down every start and end, so it is asked only then
            states = supervisor.states() if changed != seen or not pids else {}
            seen = changed
            for name, state in states.items():
                if state["pid"] and pids.setdefault(name, state["pid"]) != state["pid"]:
                    pids[name] = state["pid"]
                    log = supervisor.installation.logs / f"{name}.log"
                    say(f"{time.strftime('%H:%M:%S')}  {name} had ended and was started again (its log: {log})")
        time.sleep(LOOK_SECONDS)
    raise CannotStart(f"supervisord ended by itself; see {supervisor.installation.logs / 'supervisord.log'}")


def run() -> None:
    """Start everything and watch it until the user stops it (raises Stop)."""
    began = time.monotonic()
    settings = env.load()
    installation = Installation(settings)
    try:
        installation.make_folders()
    except OSError as error:
        raise CannotStart(f"DATA_DIR={installation.data} cannot be used: {error.strerror}") from None
    installation.claim()
    stop_leftover(installation)
    installation.check_ports()
    valkey_port = installation.valkey_port() if installation.starts_valkey else None
    environment = installation.environment(valkey_port=valkey_port)
    processes = commands_of(settings)
    write_config(installation, commands=processes, valkey_port=valkey_port)
    supervisor = Supervisor(installation, environment)
    try:
        supervisor.wait_ready(time.monotonic() + 20)
        if valkey_port is not None:
            wait_for_valkey(supervisor, environment["REDIS_URL"])
        say("Preparing the database")
        prepare(installation, environment)
        say(f"Starting {', '.join(processes)}")
        supervisor.start_application()
        health = Health(port=settings.port, ws_port=settings.ws_port, host_name=host_name(settings.allowed_hosts), host=settings.host)
        wait_until_healthy(supervisor, health)
        announce(installation, time.monotonic() - began)
        watch(supervisor)
    except Stop:
        say("\nStopping")
        raise
    finally:
        supervisor.stop()


def main() -> int:
    """Run the local stack and return the exit status."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _ask_to_stop)
    try:
        run()
    except Stop:
        say("Stopped")
    except CannotStart as error:
        print(f"Posthaste cannot start: {error}", file=sys.stderr, flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
