"""Traffic, a fault that strikes in the middle of it many times over, and the closing of the books.

The recorder is a gateway process of its own: it writes every id it is asked to send into a file before it answers, so it
knows what reached "the provider" whatever dies. The clients are threads that remember every 202 they saw.
"""

import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from urllib3.exceptions import HTTPError

from deploy.local.installation import free_port
from posthaste.env import ROOT
from tests.integration.customer import Customer, number, poll
from tests.integration.stack import Stack
from tests.services import Services

CLIENTS = 6
SETTLE_SECONDS = 120.0


@dataclass(frozen=True)
class Installation:
    """What a fault may hurt."""

    services: Services
    stack: Stack


@dataclass
class Books:
    """What everybody saw."""

    accepted: set[str] = field(default_factory=set)  # ids that a client was told 202 for
    stored: dict[str, str] = field(default_factory=dict)  # id → status in the database
    taken: Counter[str] = field(default_factory=Counter)  # id → times the provider took it
    refused: Counter[str] = field(default_factory=Counter)  # what clients were told otherwise

    @property
    def lost(self) -> set[str]:
        """Accepted, and neither at the provider nor shown to be in doubt."""
        shown = ("unknown", "failed", "expired", "cancelled")
        return {i for i in self.accepted if i not in self.taken and self.stored.get(i) not in shown}

    @property
    def doubled(self) -> set[str]:
        """At the provider more than once, although nobody resent them."""
        return {i for i, times in self.taken.items() if times > 1}

    def row(self, fault: str, strikes: int) -> str:
        """One line of the table."""
        states = Counter(self.stored.values())
        return (
            f"| {fault} | {strikes} | {len(self.accepted):,} | {states['sent'] + states['delivered']:,} | {states['unknown']} "
            f"| {len(self.lost)} | {len(self.doubled)} |"
        )


class Recorder:
    """The independent gateway process."""

    def __init__(self, folder: Path, *, latency_ms: int = 5) -> None:
        self.log = folder / f"recorder-{free_port()}.log"
        self.port = free_port()
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.peers.gateway",
                "--port",
                str(self.port),
                "--log",
                str(self.log),
                "--latency-ms",
                str(latency_ms),
            ],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        assert self.process.stdout is not None
        self.process.stdout.readline()  # it listens

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/send"

    def taken(self) -> Counter[str]:
        """This function will count the ids that the gateway took (answers of 2xx, and what it took without answering)."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return Counter(identifier for identifier, answer in (line.split() for line in lines) if answer.startswith("2") or answer == "hang")

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


class Storm:
    """One run: a customer, its recorder, clients that talk until they are told to stop."""

    def __init__(self, installation: Installation, folder: Path, *, idempotent: bool = False, latency_ms: int = 5) -> None:
        self.installation = installation
        self.recorder = Recorder(folder, latency_ms=latency_ms)
        self.customer = Customer(installation.stack)
        config = {"url": self.recorder.url, "timeout_seconds": 2, "idempotent": idempotent}
        self.customer.provider("sms", "http", config)
        self.books = Books()
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._clients = [threading.Thread(target=self._talk, daemon=True) for _ in range(CLIENTS)]

    def _talk(self) -> None:
        while not self._ended.is_set():
            try:
                answer = self.customer.http.post("/api/messages/", {"channel": "sms", "recipient": number(), "body": "chaos"})
            except HTTPError as error:
                with self._lock:
                    self.books.refused[type(error).__name__] += 1
                self._ended.wait(0.05)
                continue
            with self._lock:
                if answer.status == 202:
                    self.books.accepted.add(answer.json()["trace_id"])
                else:
                    self.books.refused[str(answer.status)] += 1
            self._ended.wait(0.005 if answer.status == 202 else 0.05)

    def strike(self, fault: Callable[[], None], *, times: int) -> None:
        """This function will let traffic run, strike at random moments, and end the traffic."""
        for client in self._clients:
            client.start()
        for _ in range(times):
            self._traffic_flows()
            self._ended.wait(random.uniform(0.0, 0.4))
            fault()
        self._traffic_flows()
        self._ended.set()
        for client in self._clients:
            client.join()

    def _traffic_flows(self) -> None:
        before = len(self.books.accepted)
        poll(lambda: len(self.books.accepted) >= before + 40, seconds=90, reason=f"traffic never came back: {self.books.refused}")

    def close_the_books(self) -> Books:
        """This function will wait until nothing is in progress and compare what everybody saw."""
        self.installation.stack.wait_healthy()

        poll(lambda: self.customer.in_progress() == 0, seconds=SETTLE_SECONDS, every=0.5, reason="messages are still in progress")
        self.books.stored = {row["trace_id"]: row["status"] for row in self.customer.rows()}
        self.books.taken = self.recorder.taken()
        return self.books

    def close(self) -> None:
        self._ended.set()
        self.recorder.close()


def wait(seconds: float) -> None:
    """The length of an outage: what is tested is what happens meanwhile."""
    time.sleep(seconds)
