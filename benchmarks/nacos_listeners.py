"""What waiting Nacos clients cost: memory and CPU of the ws process, idle and when something is published that all of them listen to.

    python -m benchmarks.nacos_listeners [--listeners N] [--keys N] [--idle-seconds N] [--publishes N]

Every listener has a connection of its own, polls for 30 s at a time as the real clients do, and after a change gets the item and polls
again. The listeners run in this process, the ws process beside it, on the same machine.
"""

import argparse
import asyncio
import hashlib
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from statistics import median, quantiles
from urllib.parse import quote, urlencode

import urllib3

from benchmarks.rig import Program, cpu_seconds, new_database, resident_bytes
from deploy.local.installation import free_port
from deploy.processes import commands
from posthaste.env import ROOT
from tests.services import PostgreSQL, Redis, Services

WORD, LINE = "\x02", "\x01"
GROUP = "DEFAULT_GROUP"
WAIT_MS = 30_000
MIB = 1024 * 1024


def md5(text: str) -> str:
    """Return the fingerprint of a text."""
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


@dataclass
class Listener:
    """One client: a connection, what it watches, and when it was told."""

    port: int
    key: str
    own_keys: list[str]
    content: str
    told: "asyncio.Queue[float]"
    polls: int = 0
    stopped: bool = False
    streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = field(default=None, repr=False)

    async def ask(self, method: str, path: str, body: str = "", **headers: str) -> bytes:
        """Make one call on the connection and return the body of the answer."""
        if self.streams is None:
            self.streams = await asyncio.open_connection("127.0.0.1", self.port)
        reader, writer = self.streams
        sent = {
            "Host": "localhost",
            "Authorization": f"Bearer {self.key}",
            "Content-Type": "application/x-www-form-urlencoded",
            "Content-Length": str(len(body)),
            **headers,
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
        writer.write(f"{method} /nacos/v1{path} HTTP/1.1\r\n{head}\r\n{body}".encode())
        length = 0
        status = await reader.readline()
        assert b" 200 " in status, status
        while (line := await reader.readline()) != b"\r\n":
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        return await reader.readexactly(length)

    async def run(self) -> None:
        """Listen until it is stopped."""
        while not self.stopped:
            watched = [("shared", md5(self.content)), *((name, "") for name in self.own_keys)]
            written = "".join(WORD.join((name, GROUP, has, "")) + LINE for name, has in watched)
            self.polls += 1
            body = urlencode({"Listening-Configs": written})
            if await self.ask("POST", "/cs/configs/listener", body, **{"Long-Pulling-Timeout": str(WAIT_MS)}):
                self.content = (await self.ask("GET", f"/cs/configs?dataId=shared&group={GROUP}")).decode()
                self.told.put_nowait(time.perf_counter())


async def measure(options: argparse.Namespace, port: int, pid: int, key: str) -> None:
    """Run the listeners and print what they cost."""
    told: asyncio.Queue[float] = asyncio.Queue()

    async def publish(content: str) -> None:
        publisher = Listener(port, key, [], "", told)  # a new connection each time: an idle one is closed after 30 s
        await publisher.ask("POST", f"/cs/configs?dataId=shared&group={GROUP}&content={quote(content)}")

    await publish("start")
    before = resident_bytes(pid)
    listeners = [Listener(port, key, [f"own-{n}-{k}" for k in range(options.keys - 1)], "start", told) for n in range(options.listeners)]
    tasks = []
    for start in range(0, len(listeners), 100):
        tasks += [asyncio.create_task(listener.run()) for listener in listeners[start : start + 100]]
        await asyncio.sleep(0.2)
    await asyncio.sleep(3)
    print(f"{options.listeners} listeners of {options.keys} items each")
    waiting = resident_bytes(pid) - before
    print(f"memory: {before / MIB:.0f} MiB without, {waiting / MIB:+.1f} MiB with them: {waiting / options.listeners / 1024:.1f} KiB each")
    cpu, polls, began = cpu_seconds([pid]), sum(listener.polls for listener in listeners), time.perf_counter()
    await asyncio.sleep(options.idle_seconds)
    seconds = time.perf_counter() - began
    polls = sum(listener.polls for listener in listeners) - polls
    print(f"idle: {100 * (cpu_seconds([pid]) - cpu) / seconds:.1f} % of a core in {seconds:.0f} s, in which {polls} polls ended and began")
    lags: list[float] = []
    firsts, lasts, costs = [], [], []
    for number in range(options.publishes):
        cpu, began = cpu_seconds([pid]), time.perf_counter()
        await publish(f"text {number}")
        times = [await told.get() - began for _ in listeners]
        await asyncio.sleep(1)  # until all poll again
        costs.append(cpu_seconds([pid]) - cpu)
        firsts.append(times[0])
        lasts.append(times[-1])
        lags += times
    cuts = quantiles(lags, n=100)
    print(f"publish → new text in the client's hand: p50 {1000 * cuts[49]:.0f} ms, p99 {1000 * cuts[98]:.0f} ms,", end=" ")
    print(f"first {1000 * median(firsts):.0f} ms, last {1000 * median(lasts):.0f} ms (medians of {options.publishes} publishes)")
    each = median(costs) / options.listeners
    print(f"CPU of the ws process for a publish: {median(costs):.2f} s, {1000 * each:.2f} ms a listener (answer, get, next poll)")
    print(f"memory after {options.publishes} publishes: {(resident_bytes(pid) - before) / MIB:+.1f} MiB")
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def main() -> None:
    """Start what is needed and measure."""
    parser = argparse.ArgumentParser(description="What waiting Nacos clients cost.")
    parser.add_argument("--listeners", type=int, default=1_000)
    parser.add_argument("--keys", type=int, default=5, help="items that each listens to, one of them shared by all")
    parser.add_argument("--idle-seconds", type=int, default=35)
    parser.add_argument("--publishes", type=int, default=5)
    options = parser.parse_args()
    with Services((PostgreSQL, Redis)) as services:
        database = new_database(services, "nacos")
        redis_url = services["redis"].url
        environment = {"DATABASE_URL": database, "REDIS_URL": redis_url, "BROKER_URL": redis_url, "DATA_DIR": str(services.folder)}
        manage = [sys.executable, "manage.py"]
        subprocess.run([*manage, "migrate", "-v", "0"], cwd=ROOT, env={**os.environ, **environment}, check=True)
        made = subprocess.run(
            [*manage, "create_tenant", "shop"], cwd=ROOT, env={**os.environ, **environment}, check=True, capture_output=True, text=True
        )
        port = free_port()
        command = commands(port=1, ws_port=port, web_workers=1, host="127.0.0.1")["ws"]
        with Program("ws", command, folder=services.folder, environment=environment) as program:
            ask = urllib3.PoolManager(retries=False)

            def answers() -> bool:
                try:
                    return ask.request("GET", f"http://127.0.0.1:{port}/health").status == 200
                except urllib3.exceptions.HTTPError:
                    return False

            program.wait_for(answers)
            asyncio.run(measure(options, port, program.pid, made.stdout.split()[-1]))


if __name__ == "__main__":
    main()
