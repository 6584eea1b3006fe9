"""The processes of the product: how each is started, and how one sees that all are well.

    python -m deploy.processes NAME            becomes the process: web, ws, worker, worker-aux or beat
    python -m deploy.processes --check NAME    exit status 0 when that server (web or ws) answers and is well

Containers use both forms; `make run` and the tests take the command lines from here, so that all run the same.
"""

import argparse
import ipaddress
import os
import sys
from dataclasses import dataclass
from typing import Any

import urllib3

from posthaste import env

# Named in /health/ready of the web process, which counts their heartbeats.
COUNTED_PROCESSES = ("send", "aux", "beat")


def commands(
    *, port: int, ws_port: int, web_workers: int, host: str, metrics_port: int = 0, metrics_host: str = "127.0.0.1"
) -> dict[str, list[str]]:
    """Return the command line of every process, by its name in the design. `metrics_port`: of granian's own metrics; 0: none."""

    def metrics(place: int) -> list[str]:
        return ["--metrics", "--metrics-address", metrics_host, "--metrics-port", str(metrics_port + place)] if metrics_port else []

    celery = [sys.executable, "-m", "deploy.celery_process"]
    return {
        "web": [
            *(sys.executable, "-m", "deploy.preloaded", "--host", host, "--port", str(port)),
            *("--interface", "rsgi", "--workers", str(web_workers)),
            # A worker that is told to stop while it is still starting does not hear it; do not wait for it forever.
            *("--no-ws", "--http", "1", "--workers-kill-timeout", "25", *metrics(0), "posthaste.rsgi:application"),
        ],
        "ws": [
            *(sys.executable, "-m", "granian", "--host", host, "--port", str(ws_port)),
            *("--interface", "asgi", "--ws", "--http", "1"),
            # Each waiting client (WebSocket, long poll) counts as a request in progress; nearly all of them only sleep.
            *("--backlog", "2048", "--backpressure", "20000"),
            # A restart need not outwait the long polls: their clients ask again, and miss nothing.
            *("--workers-kill-timeout", "3", *metrics(1), "posthaste.asgi:application"),
        ],
        "worker": [*celery, "worker", "-n", "send@%h", "-Q", "message.send", "--autoscale=100,10"],
        "worker-aux": [*celery, "worker", "-n", "aux@%h", "-Q", "ai.process,notification,delayed", "-c", "8"],
        "beat": [*celery, "beat"],
    }


def commands_of(settings: env.Environment) -> dict[str, list[str]]:
    """Return the command lines as the environment says."""
    return commands(
        port=settings.port,
        ws_port=settings.ws_port,
        web_workers=settings.web_workers,
        host=settings.host,
        metrics_port=settings.server_metrics_port,
        metrics_host=settings.server_metrics_host,
    )


@dataclass(frozen=True, slots=True)
class Health:
    """Asks the two servers how they are, under a host name that ALLOWED_HOSTS has."""

    port: int
    ws_port: int
    host_name: str = "localhost"
    host: str = "127.0.0.1"  # what the servers listen on

    def complaint(self) -> str:
        """Say what is not well yet, or return an empty string when everything is."""
        problem = self.ask("web", self.port)[1]
        if problem:
            return problem
        web, problem = self.ask("web", self.port, path="/health/ready")
        counts = web.get("processes") or {}
        missing = [name for name in COUNTED_PROCESSES if not counts.get(name)]
        if counts and missing:
            return f"no sign of life yet from: {', '.join(missing)}"
        return problem or self.ask("ws", self.ws_port)[1]

    def ask(self, name: str, port: int, path: str = "/health") -> tuple[dict[str, Any], str]:
        """Return a server's answer, and a complaint when that is not a good one."""
        try:
            url = f"http://{reachable(self.host)}:{port}{path}"
            answer = urllib3.request("GET", url, headers={"Host": self.host_name}, timeout=5.0, retries=False, redirect=False)
            body = answer.json()
        except urllib3.exceptions.HTTPError:
            return {}, f"{name} does not answer on port {port}"
        except ValueError:
            return {}, f"{name} answers {path} with status {answer.status} and no JSON"
        if answer.status != 200 or not isinstance(body, dict) or body.get("status") != "ok":
            return body if isinstance(body, dict) else {}, f"{name} says: {body}"
        return body, ""


def reachable(host: str) -> str:
    """Return the host part of an address under which this machine reaches a server that listens on `host`."""
    address = ipaddress.ip_address(host)
    if address.is_unspecified:
        return "127.0.0.1"
    return f"[{address}]" if address.version == 6 else str(address)


def host_name(allowed_hosts: list[str]) -> str:
    """Pick a host name that Django answers to."""
    return next((name for name in allowed_hosts if not name.startswith(("*", "."))), "localhost")


def main() -> None:
    """Replace this Python process by one of the product, or check one."""
    settings = env.load_for_django()
    known = commands_of(settings)
    parser = argparse.ArgumentParser(description="Runs or checks one process of Posthaste.")
    parser.add_argument("--check", action="store_true", help="ask it how it is instead of running it (web, ws)")
    parser.add_argument("name", choices=known)
    options = parser.parse_args()
    if not options.check:
        os.execv(known[options.name][0], known[options.name])
    health = Health(port=settings.port, ws_port=settings.ws_port, host_name=host_name(settings.allowed_hosts), host=settings.host)
    complaint = health.ask(options.name, settings.ws_port if options.name == "ws" else settings.port)[1]
    if complaint:
        sys.exit(complaint)


if __name__ == "__main__":
    main()
