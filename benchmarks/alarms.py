"""How long after a worker stops its alarm is told, and after it starts again its end.

    python -m benchmarks.alarms [--rounds 5]

Starts the whole installation on SQLite and Valkey, with a receiver of webhooks, and ends and starts the worker again and again. A round's
time is from the moment the worker's process has ended to the notice's arrival; the end's from the moment a new worker was started, and
holds the start itself and the thirty seconds that the metric must stay clear. The aim is 30 seconds for the first. There is no baseline:
the bound is absolute.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.result import Comparison, Result
from tests.integration.stack import Stack
from tests.peers.gateway import Gateway
from tests.services import Services, Valkey

MAX_SECONDS = 30.0
WAIT_SECONDS = 300.0
RULE = "no-consumers"


def arrived(gateway: Gateway, status: str) -> float:
    """Wait for the next notice of a status about the worker, and return when it came."""
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        for record in list(gateway.records):
            told: dict[str, Any] = record.body["metadata"]
            if told["status"] == status and any(alarm["rule"] == RULE for alarm in told["alarms"]):
                return time.monotonic()
        time.sleep(0.02)
    sys.exit(f"no notice: {status}")


def measure(rounds: int, folder: Path, redis_url: str) -> Result:
    """Stop and start the worker so often, and return the times."""
    environment = {"DATABASE_URL": f"sqlite:///{folder}/alarms.sqlite3", "BROKER_URL": redis_url, "REDIS_URL": redis_url}
    told, ended = [], []
    with Gateway() as gateway, Stack(environment, folder) as stack:
        receiver = {"name": "hook", "kind": "webhook", "address": gateway.url, "least_severity": "critical"}
        stack.configure("alarms", receivers=[receiver])
        for _ in range(rounds):
            gateway.records.clear()
            stack.kill("worker")
            began = time.monotonic()
            told.append(arrived(gateway, "firing") - began)
            began = time.monotonic()
            stack.start("worker")
            ended.append(arrived(gateway, "resolved") - began)
            stack.wait_healthy()
    return Result(
        [
            Comparison("worker stopped → notice", "s", told, "", [MAX_SECONDS], target=1.0, higher_is_better=False),
            Comparison("worker started → end told", "s", ended, "", [], higher_is_better=False),
        ]
    )


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description="Measures how soon alarms are told.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", type=Path, help="file for the figures as JSON")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Services((Valkey,)) as services:
        result = measure(options.rounds, Path(folder), services["valkey"].url)
    print(result.table("alarms"))
    if options.output:
        options.output.write_text(json.dumps(result.as_dict(), indent=1))
    if not result.comparisons[0].reached or max(result.comparisons[0].ours) > MAX_SECONDS:
        sys.exit("a notice came later than the aim")


if __name__ == "__main__":
    main()
