"""Traffic, faults that strike in the middle of it, and the totals at the end.

The recorder is a gateway process of its own: it writes every id it is asked to send into a file before it answers, so it
knows what reached "the provider" whatever dies; so does the listener with the events that are sent to it. The clients are
threads that remember every 202 they saw: some hand over single messages, which go straight to the broker, one hands over
batches, which the feeder moves.
"""

import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import urllib3
from urllib3.exceptions import HTTPError

from deploy.local.installation import free_port
from posthaste.env import ROOT
from tests import crowds
from tests.chaos.installation import Installation
from tests.chaos.table import Totals
from tests.integration.customer import Customer, number
from tests.integration.waiting import poll, reach

CLIENTS = 5
BATCH = 40
# Seconds. In the short form, beside which other tests run, there is a third of the traffic; each fault strikes in the midst of it.
BETWEEN_MESSAGES, BETWEEN_BATCHES = (0.03, 0.5) if "CHAOS_STRIKES" in os.environ else (0.1, 1.0)
AFTER_A_REFUSAL = 0.05
FLOW = 30  # messages accepted between two strikes, at least


class Recorder:
    """The independent gateway process."""

    def __init__(self, folder: Path, *, latency_ms: int = 5) -> None:
        self.port = free_port()
        self.log = folder / f"recorder-{self.port}.log"
        command = [sys.executable, "-m", "tests.peers.gateway", "--port", str(self.port), "--log", str(self.log)]
        self.process = subprocess.Popen(
            [*command, "--latency-ms", str(latency_ms)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        assert self.process.stdout is not None
        self.process.stdout.readline()  # it listens

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/send"

    def lines(self) -> list[list[str]]:
        """Return what it was asked: id, answer, and whether it took the message."""
        return [line.split() for line in self.log.read_text().splitlines()] if self.log.exists() else []

    def taken(self) -> Counter[str]:
        """Count the ids that the gateway took, whatever it answered."""
        return Counter(identifier for identifier, _answer, verdict in self.lines() if verdict == "taken")

    def script(self, **answer: Any) -> None:
        """Have the next requests answered in this way."""
        urllib3.request("POST", f"http://127.0.0.1:{self.port}/script", json=answer)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


class Listener:
    """The independent receiver of webhooks: a process that writes each event into a file before it answers, and checks signatures."""

    def __init__(self, folder: Path, customer: Customer) -> None:
        self.port = free_port()
        self.log = folder / f"listener-{self.port}.log"
        self.secret = customer.webhook(f"http://127.0.0.1:{self.port}/hooks")["secret"]
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "tests.peers.webhook_receiver", "--port", str(self.port), "--log", str(self.log)]
        self.process = subprocess.Popen([*command, "--secret", self.secret], cwd=ROOT, stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        self.process.stdout.readline()  # it listens

    def lines(self) -> list[list[str]]:
        """Return what it was told: event id, webhook-id, message or batch, type, and whether it took the event."""
        return [line.split() for line in self.log.read_text().splitlines()] if self.log.exists() else []

    def heard(self) -> set[tuple[str, str]]:
        """Return the messages (hex) and the types of the events that it took."""
        return {(subject.replace("-", ""), kind) for _event, _id, subject, kind, verdict in self.lines() if verdict == "taken"}

    def script(self, **answer: Any) -> None:
        """Have the next requests answered in this way."""
        urllib3.request("POST", f"http://127.0.0.1:{self.port}/script", json=answer)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


class Storm:
    """One run: a customer, its recorder, clients that talk until they are told to stop."""

    def __init__(self, installation: Installation, folder: Path) -> None:
        self.installation = installation
        installation.mend()
        self.recorder = Recorder(folder)
        self.customer = Customer(installation.stack)
        self.customer.provider("sms", "http", {"url": self.recorder.url, "timeout_seconds": 2})
        self.listener = Listener(folder, self.customer)
        self.totals = Totals()
        self.batches: dict[str, int] = {}  # id → rows that a client was told 202 for
        self._ended = threading.Event()
        self._lock = threading.Lock()
        talks = [self._send_one] * CLIENTS + [self._send_batch]
        self._clients = crowds.Crowd([partial(self._talk, talk) for talk in talks], name="client")

    # --- the clients -----------------------------------------------------------------------------------------

    def _talk(self, talk: Callable[[], float]) -> None:
        while not self._ended.is_set():
            try:
                pause = talk()
            except HTTPError as error:
                self._refused(type(error).__name__)
                pause = AFTER_A_REFUSAL
            self._ended.wait(pause)

    def _send_one(self) -> float:
        answer = self.customer.http.post("/api/messages/", {"channel": "sms", "recipient": number(), "body": "chaos"})
        if answer.status != 202:
            self._refused(str(answer.status))
            return AFTER_A_REFUSAL
        with self._lock:
            self.totals.accepted.add(answer.json()["trace_id"])
        return BETWEEN_MESSAGES

    def _send_batch(self) -> float:
        recipients = [{"recipient": number()} for _ in range(BATCH)]
        answer = self.customer.http.post("/api/messages/batch", {"channel": "sms", "body": "chaos", "recipients": recipients})
        if answer.status != 202:
            self._refused(str(answer.status))
            return AFTER_A_REFUSAL
        with self._lock:
            self.batches[answer.json()["batch_id"]] = answer.json()["accepted"]
        return BETWEEN_BATCHES

    def _refused(self, why: str) -> None:
        with self._lock:
            self.totals.refused[why] += 1

    # --- the run ---------------------------------------------------------------------------------------------

    def strike(self, faults: list[Callable[["Storm"], None]]) -> None:
        """Let traffic run, have one fault after the other strike at a random moment, and end the traffic."""
        self._clients.start()
        for fault in faults:
            self._traffic_flows()
            self._ended.wait(random.uniform(0.0, 0.4))
            fault(self)
        self._traffic_flows()
        self._ended.set()
        self._clients.join()

    def _traffic_flows(self) -> None:
        before = len(self.totals.accepted)
        reach(lambda: len(self.totals.accepted), before + FLOW, reason=lambda: f"traffic never came back: {self.totals.refused}")

    def final_totals(self) -> Totals:
        """Wait until nothing is in progress and compare what everybody saw."""
        self.installation.stack.wait_healthy()
        self.customer.all_settled()
        rows = self.customer.rows()
        self.totals.stored = {row["trace_id"]: row["status"] for row in rows}
        for batch, accepted in self.batches.items():
            ids = {row["trace_id"] for row in rows if row["batch_id"] == batch}
            assert len(ids) == accepted, f"batch {batch}: told {accepted}, stored {len(ids)}"
            self.totals.accepted |= ids
        self.totals.taken = self.recorder.taken()
        self._hear_everything()
        return self.totals

    def _hear_everything(self) -> None:
        """Wait until the listener was told of the state of every message, and note what it heard."""
        expected = {(identifier, f"message.{status}") for identifier, status in self.totals.stored.items()}
        with suppress(AssertionError):  # the totals say what is missing
            poll(lambda: not expected - self.listener.heard(), progress=lambda: len(self.listener.lines()), every=0.5)
        self.totals.untold = expected - self.listener.heard()
        self.totals.told = Counter(
            (event, webhook_id) for event, webhook_id, *_rest, verdict in self.listener.lines() if verdict == "taken"
        )
        self.totals.unknown_calls = {
            webhook_id
            for (webhook_id,) in self.installation.sql("SELECT webhook_id FROM messaging_webhookdelivery WHERE status = 'unknown'")
        }

    def close(self) -> None:
        self._ended.set()
        self.recorder.close()
        self.listener.kill()


def wait(seconds: float) -> None:
    """Wait for the length of an outage; what happens meanwhile is what is tested."""
    time.sleep(seconds)
