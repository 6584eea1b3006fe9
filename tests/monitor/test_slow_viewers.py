"""A viewer that reads nothing, before the real WebSocket server: it is let go, and the others get every push meanwhile."""

import asyncio
import json
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from messaging.statistics.live import STEP, STEPS
from posthaste.lib import redis
from tests.configcenter.nacos_server import NacosServer, running
from tests.monitor.test_live import Someone
from tests.services import Redis

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_stacks]
WELL = 4
DEADLINE_SECONDS = 90.0  # a test that passes waits for the server to give up writing, which is a few seconds
#: A snapshot of more than the kernel keeps for a connection (tcp_wmem), so that the server has to wait for the reader.
SNAPSHOT_BYTES = 12_000_000
FRAMES = 8  # a second each: longer than the server waits for a viewer that takes nothing (hub.WRITE_SECONDS)


def fill(tenant_id: int, now: int) -> None:
    """Let the last quarter of an hour be large: the channel of each of its points has a very long name."""
    pipeline = redis.client().pipeline(transaction=False)
    for second in range(now - STEP * STEPS, now, STEP):
        pipeline.hincrby(redis.key("n", second), f"{tenant_id}:{'x' * (SNAPSHOT_BYTES // STEPS)}:sent", 1)
    pipeline.execute()


class Watching:
    """A viewer that takes what comes: the number and the type of each frame."""

    def __init__(self) -> None:
        self.got: dict[int, str] = {}

    async def look(self, url: str, headers: dict[str, str]) -> None:
        async with connect(url, additional_headers=headers, compression=None, max_size=None, ping_interval=None) as socket:
            async for text in socket:
                frame = json.loads(text)
                if frame["status"] == "live":
                    self.got[frame["number"]] = frame["type"]


async def stuck(server: NacosServer, url: str, headers: dict[str, str]) -> tuple[ClientConnection, int]:
    """Connect, take nothing from then on, and return the connection with its port."""
    plain = socket.socket()
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    plain.setblocking(False)
    await asyncio.get_running_loop().sock_connect(plain, ("127.0.0.1", server.port))
    port = plain.getsockname()[1]
    connection = await connect(url, sock=plain, additional_headers=headers, compression=None, max_size=None, ping_interval=None)
    connection.transport.pause_reading()
    return connection, port


def is_held(server: NacosServer, port: int) -> bool:
    """Return whether the server still has the connection from that port."""
    assert server.process
    parent = psutil.Process(server.process.pid)
    found = [each for process in (parent, *parent.children(recursive=True)) for each in process.net_connections("tcp")]
    return any(each.raddr and each.raddr.port == port for each in found)


async def until(condition: Callable[[], Any], said: Callable[[], object]) -> None:
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not condition():  # noqa: ASYNC110 - what is waited for happens in another process
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise AssertionError(f"not within {DEADLINE_SECONDS:.0f} s: {said()}") from None


async def end_of(connection: ClientConnection) -> int | None:
    """Read on, and return the code that the connection ended with; None: it was cut."""
    connection.transport.resume_reading()
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            while True:
                await connection.recv()
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd else None


def test_a_viewer_that_reads_nothing_is_let_go_and_the_others_get_every_push(tmp_path: Path, own_redis: Redis) -> None:
    one = Someone()

    async def run(server: NacosServer) -> tuple[list[dict[int, str]], int | None]:
        url, headers = f"ws://{server.address}/ws/statistics/", one.by_key
        fill(one.tenant.pk, int(redis.client().time()[0]))
        well = [Watching() for _ in range(WELL)]
        tasks = [asyncio.create_task(each.look(url, headers)) for each in well]
        await until(lambda: all(each.got for each in well), lambda: [task for task in tasks if task.done()])
        connection, port = await stuck(server, url, headers)
        since = max(number for each in well for number in each.got)
        await until(
            lambda: all(len([number for number in each.got if number > since]) >= FRAMES for each in well), lambda: [w.got for w in well]
        )
        await until(lambda: not is_held(server, port), lambda: "the server still writes to the one that reads nothing")
        code = await end_of(connection)
        got = [{number: kind for number, kind in each.got.items() if number > since} for each in well]
        for task in tasks:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks, return_exceptions=True)
        return got, code

    with running(tmp_path, REDIS_URL=own_redis.url_of(0)) as server:
        got, code = asyncio.run(run(server))
    assert code in (1013, None)
    assert {kind for each in got for kind in each.values()} == {"update"}, "a viewer that falls behind gets everything anew"
    everything = set().union(*got)
    missed = [sorted(everything - set(each)) for each in got]
    # The last frame may be under way to some when the test ends.
    assert all(len(numbers) <= 1 for numbers in missed), missed
