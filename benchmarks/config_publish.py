"""How long a publish takes until every process runs it, and whether anybody ever reads half of one.

    python -m benchmarks.config_publish [--processes 10] [--publishes 200] [--torn-processes 20] [--torn-publishes 1000]

Against a durable PostgreSQL and Redis of its own. First part: one publish after the other, each awaited in all processes; the lag is from
the begin of the publish (so with its commit) to the moment the last process reads the new value. Then the same with the notice
switched off, which is what a Redis that is away leaves: the poll. Second part: publishes as fast as they go while all processes read
without end two fields that must agree.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from statistics import quantiles
from typing import Any

import orjson

from accounts.services.audit import Actor
from benchmarks.rig import DurablePostgreSQL
from posthaste.env import ROOT
from tests.peers.instance import APART, DEAF, Watching
from tests.services import Redis, Services

POLLED = 10


def line(lags: list[float]) -> str:
    """Write percentiles in milliseconds."""
    cuts = quantiles(lags, n=100, method="inclusive")
    return f"p50 {cuts[49] * 1000:.0f} ms, p99 {cuts[98] * 1000:.0f} ms, longest {max(lags) * 1000:.0f} ms"


def wait(condition: Callable[[], Any], *, seconds: float) -> Any:
    """Ask until the answer is true and return it."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        if time.monotonic() > deadline:
            sys.exit(f"not within {seconds} s")
        time.sleep(0.005)
    return answer


def text(threads: int) -> str:
    """Write a value of which two fields agree."""
    return orjson.dumps({"min_threads": threads, "max_threads": threads + APART}).decode()


class Publisher:
    """Publishes in this process, as a web process does."""

    def __init__(self) -> None:
        import django

        django.setup()
        from configcenter.services import items, releases

        self._item: Any = items.module_item("thread_pools")
        self._publish: Any = releases.publish

    def publish(self, number: int) -> int:
        """Publish one value and return the number of the release."""
        release = self._publish(item=self._item, content=text(2 + number % 700), comment="", by=Actor.command("benchmark"))
        return int(release.number)


def await_each(publisher: Publisher, watching: Watching, publishes: int) -> list[float]:
    """Publish one after the other and return the lag of each."""
    lags = []
    for number in range(publishes):
        began = time.time()
        release = publisher.publish(number)
        lags.append(wait(lambda release=release: watching.all_saw(release), seconds=30) - began)  # type: ignore[misc]
    return lags


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    for name, default in (("processes", 10), ("publishes", 200), ("torn-processes", 20), ("torn-publishes", 1000)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    with Services([DurablePostgreSQL, Redis]) as services, tempfile.TemporaryDirectory() as folder:
        os.environ.update(
            {
                "DATABASE_URL": services["postgresql"].url,
                "REDIS_URL": services["redis"].url,
                "DJANGO_SETTINGS_MODULE": "posthaste.settings",
                "DATA_DIR": folder,
                "DATABASE_POOL_SIZE": "2",
                "LOG_LEVEL": "error",
            }
        )
        subprocess.run([sys.executable, "manage.py", "migrate", "-v0"], cwd=ROOT, check=True)
        publisher = Publisher()

        watching = Watching(*(f"p{number}" for number in range(options.processes)), environment={})
        wait(watching.are_up, seconds=120)
        print(f"{options.processes} processes, {options.publishes} publishes: {line(await_each(publisher, watching, options.publishes))}")
        watching.end()

        watching = Watching(DEAF, environment={})
        wait(watching.are_up, seconds=120)
        print(f"without Redis, {POLLED} publishes: {line(await_each(publisher, watching, POLLED))}")
        watching.end()

        watching = Watching(*(f"p{number}" for number in range(options.torn_processes)), environment={})
        wait(watching.are_up, seconds=120)
        began = time.time()
        release = 0
        for number in range(options.torn_publishes):
            release = publisher.publish(number)
        took = time.time() - began
        lag = wait(lambda: watching.all_saw(release), seconds=60) - time.time()
        print(
            f"{options.torn_processes} processes, {options.torn_publishes} publishes in {took:.1f} s: half of an update was read "
            f"{watching.torn()} times; the last one was everywhere {max(0.0, lag) * 1000:.0f} ms after it was published"
        )
        watching.end()


if __name__ == "__main__":
    main()
