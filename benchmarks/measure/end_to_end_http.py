"""20,000 through a real HTTP gateway that takes 50 ms, with a pool that grows from 10 to 100 by itself.

Ideal: every thread of the pool, at the size it has at each moment, makes a call every 50 ms and does nothing else.
"""

import sys
import threading
import time

from benchmarks.bench import Bench
from benchmarks.ours import BATCH_ROWS, Ours
from benchmarks.result import Comparison, Result
from benchmarks.rig import Program
from benchmarks.theirs import DjangoNaive
from benchmarks.waiting import wait
from deploy.local.installation import free_port
from tests.integration.stack import Http

LATENCY_MS = 50
EVERY = 0.2


class PoolWatch(threading.Thread):
    """Looks at the size of the pool while messages are sent."""

    def __init__(self, ours: Ours) -> None:
        super().__init__(daemon=True)
        self.ours = ours
        self.samples: list[tuple[float, int]] = []
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.wait(EVERY):
            self.samples.append((time.time(), self.ours.pool_threads()))

    def ideal_seconds(self, began: float, count: int) -> float:
        """Return the time in which the pool, as it was, could have made `count` calls."""
        made, at, threads = 0.0, began, 10
        for sampled_at, size in self.samples:
            step = (sampled_at - at) * threads * 1000 / LATENCY_MS
            if made + step >= count:
                break
            made, at, threads = made + step, sampled_at, size
        return at - began + (count - made) * LATENCY_MS / 1000 / max(1, threads)


def wait_for_small_pool(ours: Ours) -> None:
    """Wait until the pool has fallen back to its smallest size."""
    wait(lambda: ours.pool_threads() <= 10, "the pool did not fall back", progress=ours.pool_threads, every=0.5)


def gateway(bench: Bench, latency_ms: int = LATENCY_MS) -> tuple[Program, str]:
    """Start the gateway as a process and return its address."""
    port = free_port()
    command = [sys.executable, "-m", "tests.peers.gateway", "--port", str(port), "--latency-ms", str(latency_ms)]
    url = f"http://127.0.0.1:{port}"
    return Program("gateway", command, folder=bench.folder).wait_for(lambda: _answers(url)), url


def _answers(url: str) -> bool:
    try:
        return Http(url).get("/received", limit=0).status == 200
    except Exception as error:  # noqa: BLE001 - not yet
        raise OSError(str(error)) from None


def provider_config(url: str) -> dict[str, object]:
    """Return the configuration of a provider that speaks to the gateway."""
    return {"url": f"{url}/send", "message_id_path": "id", "timeout_seconds": 5}


def measure(bench: Bench) -> Result:
    """Measure ours and (a) in turn."""
    ours = bench.ours
    count, fewer = bench.size(20_000, step=BATCH_ROWS, least=1_000), bench.size(2_000, least=200)
    seconds: list[float] = []
    ideal: list[float] = []
    largest: list[float] = []
    cpu: list[float] = []
    a_cpu: list[float] = []
    a_rate: list[float] = []
    program, url = gateway(bench)
    with program, DjangoNaive(bench.services, bench.folder, processes=32, gateway_url=f"{url}/send") as naive:
        customer = ours.customer("sms", "http", provider_config(url))
        naive.start_worker()
        naive.freeze()
        for _ in range(bench.rounds):
            ours.clean()
            wait_for_small_pool(ours)
            Http(url).post("/reset")
            watch = PoolWatch(ours)
            before = ours.cpu()
            watch.start()
            began = ours.batches(customer, count).began_at
            seconds.append(ours.wait_terminal() - began)
            watch.over.set()
            cpu.append(1000 * (ours.cpu() - before) / count)
            received = Http(url).get("/received", limit=0).json()
            if received["distinct"] != count or received["doubles"]:
                raise AssertionError(f"the gateway took {received['distinct']} of {count}, twice: {len(received['doubles'])}")
            ideal.append(watch.ideal_seconds(began, count))
            largest.append(max((size for _, size in watch.samples), default=0))
            with bench.others_turn():
                naive.thaw()
                cpu_before = naive.cpu()
                seen = naive.singles(count=fewer)
                a_rate.append(fewer / (naive.wait_sent() - seen.began_at))
                a_cpu.append(1000 * (naive.cpu() - cpu_before) / fewer)
                naive.clean()
                naive.freeze()
    ours.clean()
    return Result(
        [
            Comparison(f"time for {count:,}", "s", seconds, "ideal for this pool", ideal, 0.667, higher_is_better=False),
            Comparison("CPU", "ms/message", cpu, "(a) Django + Celery", a_cpu, 4.0, higher_is_better=False),
            Comparison("accepted → sent", "messages/s", [count / s for s in seconds], "(a) with 32 processes", a_rate),
        ],
        notes=[
            f"the pool reached {max(largest):.0f} threads; ideal 0.667 × means: within 1.5 × of the ideal time",
            f"(a) measured on {fewer:,}; CPU: all processes of a side, servers not counted",
        ],
        details={"largest_pool": largest},
    )
