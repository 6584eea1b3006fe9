"""Load over HTTP from a process of its own: keep-alive connections, one epoll loop, bytes prepared beforehand.

    python -m benchmarks.load --port 8000 --path /api/messages/ --body '{"recipient": "+86138{n}"}' --seconds 5

Every `{n}` of the body becomes an eight-digit number never used before, so bodies are unique and equally long. With
`--rows N` the body's `{rows}` becomes N copies of `--row`, each with its own number; such bodies are built before the
clock starts. The loop reads only status line and length; it needs some 20 µs of CPU a request, and says how much it used.
"""

import argparse
import json
import select
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from posthaste.env import ROOT


@dataclass(slots=True)
class Load:
    """What a run of the client saw."""

    answered: int
    good: int
    seconds: float
    per_second: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    cpu_seconds: float
    began_at: float  # unix time of the first request that counts
    statuses: dict[str, int] = field(default_factory=dict)


class LoadFailed(Exception):
    """The server refused requests of the load."""


def percentile(values: list[float], percent: float) -> float:
    """Return a percentile by nearest rank, 0 where there are no values."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * int(percent * 100) // 10_000) - 1)] if ordered else 0.0


@dataclass(slots=True)
class _Client:
    socket: socket.socket
    buffer: bytes = b""
    sent_at: float = 0.0
    is_writing: bool = False
    unsent: memoryview = field(default_factory=lambda: memoryview(b""))


class _Run:
    """The epoll loop."""

    def __init__(self, options: argparse.Namespace, make: Callable[[], bytes | None]) -> None:
        self.options = options
        self.make = make
        self.poll = select.epoll()
        self.clients: dict[int, _Client] = {}
        self.latencies: list[float] = []
        self.statuses: Counter[str] = Counter()
        self.open = 0

    def connect(self) -> None:
        client = _Client(socket.create_connection((self.options.host, self.options.port), timeout=10))
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.socket.setblocking(False)
        self.clients[client.socket.fileno()] = client
        self.poll.register(client.socket, select.EPOLLIN)
        self.open += 1
        self.ask(client)

    def ask(self, client: _Client) -> None:
        request = self.make()
        if request is None:
            self.close(client)
            return
        client.sent_at = time.perf_counter()
        client.unsent = memoryview(request)
        self.push(client)

    def push(self, client: _Client) -> None:
        try:
            client.unsent = client.unsent[client.socket.send(client.unsent) :]
        except BlockingIOError:
            pass
        if bool(client.unsent) != client.is_writing:
            client.is_writing = not client.is_writing
            self.poll.modify(client.socket, select.EPOLLIN | (select.EPOLLOUT if client.is_writing else 0))

    def close(self, client: _Client) -> None:
        self.poll.unregister(client.socket)
        del self.clients[client.socket.fileno()]
        client.socket.close()
        self.open -= 1

    def read(self, client: _Client) -> None:
        try:
            data = client.socket.recv(65536)
        except BlockingIOError:
            return
        except ConnectionError:
            data = b""
        if not data:
            self.statuses["closed"] += 1
            self.close(client)
            self.connect()
            return
        client.buffer += data
        end = client.buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = client.buffer[:end].lower()
        at = head.find(b"\r\ncontent-length:")
        length = int(head[at + 17 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(client.buffer) < end + 4 + length or (at < 0 and b"chunked" in head and not client.buffer.endswith(b"0\r\n\r\n")):
            return
        now = time.perf_counter()
        self.statuses[head[9:12].decode()] += 1
        self.latencies.append(now - client.sent_at)
        client.buffer = b""
        self.ask(client)

    def go(self, until: Callable[[], bool]) -> None:
        for _ in range(self.options.clients):
            self.connect()
        while self.open and not until():
            for number, event in self.poll.poll(0.5):
                client = self.clients.get(number)
                if client is None:
                    continue
                if event & select.EPOLLOUT and client.unsent:
                    self.push(client)
                if event & ~select.EPOLLOUT:
                    self.read(client)


def _requests(options: argparse.Namespace) -> Callable[[], bytes | None]:
    numbers = iter(range(options.first, 100_000_000))
    left = iter(range(options.count)) if options.count else None
    headers = "".join(f"{line}\r\n" for line in ["Content-Type: application/json", *options.header])

    def head(length: int) -> str:
        return f"POST {options.path} HTTP/1.1\r\nHost: {options.host}\r\n{headers}Content-Length: {length}\r\n\r\n"

    def batch() -> bytes:
        rows = ",".join(options.row.replace("{n}", f"{next(numbers):08d}") for _ in range(options.rows))
        body = options.body.replace("{rows}", rows)
        return str(head(len(body)) + body).encode()

    if options.rows:
        ready = [batch() for _ in range(options.count)]
        return lambda: ready.pop() if ready else None
    length = len(options.body.replace("{n}", "12345678"))
    parts = (head(length) + options.body).encode().split(b"{n}")

    def single() -> bytes | None:
        if left is not None and next(left, None) is None:
            return None
        return (b"%08d" % next(numbers)).join(parts)

    return single


def main() -> None:
    """Make the load and print what it saw as JSON."""
    parser = argparse.ArgumentParser(description="HTTP load from one process.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", required=True)
    parser.add_argument("--header", action="append", default=[])
    parser.add_argument("--body", required=True)
    parser.add_argument("--row", default="")
    parser.add_argument("--rows", type=int, default=0)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=0.0, help="length of the run; or --count")
    parser.add_argument("--warm", type=float, default=0.0, help="seconds before it that do not count")
    parser.add_argument("--count", type=int, default=0, help="number of requests in all")
    parser.add_argument("--first", type=int, default=10_000_000)
    options = parser.parse_args()
    run = _Run(options, _requests(options))
    began_at, began, cpu = time.time(), time.perf_counter(), time.process_time()
    warm_until = began + options.warm
    state = {"warm": not options.warm, "last": 0}

    def over() -> bool:
        nonlocal began, began_at, cpu
        now = time.perf_counter()
        if not state["warm"] and now >= warm_until:
            state["warm"] = True
            run.latencies.clear()
            run.statuses.clear()
            began, began_at, cpu = now, time.time(), time.process_time()
        return bool(options.seconds) and now >= warm_until + options.seconds

    run.go(over)
    took = time.perf_counter() - began
    in_ms = [1000 * value for value in run.latencies]
    good = sum(count for status, count in run.statuses.items() if status.startswith("2"))
    answer: dict[str, Any] = {
        "answered": len(in_ms),
        "good": good,
        "seconds": took,
        "per_second": good / took,
        "p50_ms": percentile(in_ms, 50),
        "p99_ms": percentile(in_ms, 99),
        "max_ms": max(in_ms, default=0.0),
        "cpu_seconds": time.process_time() - cpu,
        "began_at": began_at,
        "statuses": dict(run.statuses),
    }
    print(json.dumps(answer))


_next_number = 10_000_000


def drive(
    port: int,
    path: str,
    *,
    body: str,
    numbers: int,
    headers: dict[str, str] | None = None,
    may_be_refused: bool = False,
    **options: object,
) -> Load:
    """Run the client as a process and return what it saw; `numbers` is how many different ones it may use.

    Raises:
        LoadFailed: not every answer was a success, or, where it may be refused by a limit, a 429.
    """
    global _next_number
    first = _next_number
    _next_number += numbers
    command = [sys.executable, "-m", "benchmarks.load", "--port", str(port), "--path", path, "--body", body, "--first", str(first)]
    for name, value in (headers or {}).items():
        command += ["--header", f"{name}: {value}"]
    for name, option in options.items():
        command += [f"--{name}", str(option)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True, timeout=900)
    seen = Load(**json.loads(done.stdout))
    refused = seen.statuses.get("429", 0) if may_be_refused else 0
    if seen.good + refused != sum(seen.statuses.values()) or not seen.good:
        raise LoadFailed(f"POST {path} on port {port}: {seen.statuses}")
    return seen


if __name__ == "__main__":
    main()
