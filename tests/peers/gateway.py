"""A gateway for texts over HTTP that takes everything, remembers everything, and fails on command.

In a test:

    with Gateway() as gateway:
        gateway.script(Answer(status=500), times=2)
        ...
        assert gateway.counts() == {"0192…": 1}

As a process: `python -m tests.peers.gateway --port 8099 --log received.log`. Each id asked to be sent is written to the
log as `<id> <status> taken|refused` in one system call before the answer goes out, so the log is right even when a process at
either end is killed. `GET /received` tells what came, `POST /script` takes the fields of Answer and `times`, `POST /reset` forgets.

Paths: `/send` (and any other: one message, its id in Idempotency-Key), `/bulk` (`{"messages": [{"id", "to", "text"}]}`),
`/messages/<id>` (200 if it was taken, 404 if not).
"""

import argparse
import asyncio
import contextlib
import json
import os
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, Self
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Answer:
    """What the gateway does with a request."""

    status: int = 200
    body: Any = None  # None: the usual answer; str or bytes are sent as they are, the rest as JSON
    headers: dict[str, str] = field(default_factory=dict)
    delay_ms: float = 0.0
    #: hang: never answer. reset: cut the connection. garbage: answer what is not HTTP. drip: a byte every 50 ms.
    action: Literal["answer", "hang", "reset", "garbage", "drip"] = "answer"
    #: Whether a message whose request ends in hang, reset, garbage or drip was taken all the same.
    taken: bool = True

    def takes(self) -> bool:
        return 200 <= self.status < 300 if self.action == "answer" else self.taken


@dataclass(frozen=True)
class Received:
    """One message as it was asked to be sent."""

    id: str
    to: str
    text: str
    path: str
    taken: bool
    at: float
    headers: dict[str, str]
    body: Any
    query: str = ""  # of the URL, as it came


class Gateway:
    """The server, in a thread of its own."""

    def __init__(
        self,
        *,
        port: int = 0,
        host: str = "127.0.0.1",
        log: str | None = None,
        latency_ms: float = 0.0,
        keep_bodies: bool = True,
        tls: Any = None,
    ) -> None:
        self.host, self.port, self.latency_ms, self.keep_bodies, self.tls = host, port, latency_ms, keep_bodies, tls
        self.records: list[Received] = []
        self.taken: Counter[str] = Counter()
        self.asked: Counter[str] = Counter()
        self.refusals: dict[str, str] = {}  # recipient → error code
        self.connections = 0
        self.in_progress = 0  # requests that have come and are not answered yet
        self.max_in_progress = 0
        self.on_message: Callable[[Received], None] | None = None
        self._script: deque[Answer] = deque()
        self._held: list[Callable[[], None]] | None = None  # answers kept back
        self._log = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644) if log else None
        self._loop = asyncio.new_event_loop()
        self._open: set[asyncio.Transport] = set()
        self._all_closed: asyncio.Event | None = None

    # Scripting and looking, from the test's thread.

    def script(self, answer: Answer, *, times: int = 1) -> None:
        """Answer the next requests in this way; what is scripted later comes later."""
        self._script.extend([answer] * times)

    def refuse(self, recipient: str, code: str) -> None:
        """Refuse every message to a recipient: HTTP 422 alone, an entry with error code in bulk."""
        self.refusals[recipient] = code

    def hold(self) -> None:
        """Take what comes and keep the answers back until they are released."""
        self._held = []

    def release(self) -> None:
        """Give the answers that were kept back, and answer at once again."""

        def give() -> None:
            held, self._held = self._held or [], None
            for answer in held:
                answer()

        self._loop.call_soon_threadsafe(give)

    def counts(self) -> dict[str, int]:
        """Return how often each id was taken."""
        return dict(self.taken)

    def doubles(self) -> dict[str, int]:
        return {id_: count for id_, count in self.taken.items() if count > 1}

    def reset(self) -> None:
        self.records.clear()
        self.taken.clear()
        self.asked.clear()
        self.refusals.clear()
        self._script.clear()

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self.host}:{self.port}/send"

    @property
    def bulk_url(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self.host}:{self.port}/bulk"

    # Running.

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), self.host, self.port, backlog=1024, ssl=self.tls)
        self.port = self._server.sockets[0].getsockname()[1]

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._loop.run_forever, name="gateway", daemon=True)
        self._thread.start()
        # There: this thread may have a loop that runs, as with a browser.
        asyncio.run_coroutine_threadsafe(self.start(), self._loop).result(60)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()
        if self._log is not None:
            os.close(self._log)

    async def _stop(self) -> None:
        self._server.close()
        if not self._open:
            return
        self._all_closed = asyncio.Event()
        for transport in list(self._open):
            transport.abort()
        await self._all_closed.wait()  # nothing may end the loop before it has closed them

    # Taking messages, in the server's thread.

    def handle(self, method: str, target: str, headers: dict[str, str], content: bytes) -> Answer:
        path, _, query = target.partition("?")
        if path == "/received":
            return self._report(int(parse_qs(query).get("limit", ["100"])[0]))
        if path == "/reset" and method == "POST":
            self.reset()
            return Answer(body={})
        if path == "/script" and method == "POST":
            fields = json.loads(content)
            self.script(times=fields.pop("times", 1), answer=Answer(**fields))
            return Answer(body={})
        if path.startswith("/messages/") and method == "GET":
            return Answer(status=200 if path.rsplit("/", 1)[1] in self.taken else 404, body={})
        answer = self._script.popleft() if self._script else Answer(delay_ms=self.latency_ms)
        try:
            body = json.loads(content) if content else {}
        except ValueError:
            body = content.decode("utf-8", "replace")
        if path == "/bulk" and isinstance(body, dict) and isinstance(body.get("messages"), list):
            return self._bulk(answer, path, headers, body["messages"])
        return self._single(answer, path, headers, body, query)

    def _single(self, answer: Answer, path: str, headers: dict[str, str], body: Any, query: str) -> Answer:
        id_ = headers.get("idempotency-key", "")
        to = body.get("to", "") if isinstance(body, dict) else ""
        refusal = self.refusals.get(to)
        if refusal:
            answer = Answer(status=422, body={"error": {"code": refusal}})
        self._record(id_, to, body.get("text", "") if isinstance(body, dict) else "", path, answer, headers, body, query)
        if answer.body is None and answer.takes():
            return Answer(answer.status, {"id": f"gw-{id_}"}, answer.headers, answer.delay_ms, answer.action, answer.taken)
        return answer

    def _bulk(self, answer: Answer, path: str, headers: dict[str, str], messages: list[Any]) -> Answer:
        results = []
        for message in messages:
            refusal = self.refusals.get(message.get("to", ""))
            own = Answer(status=422) if refusal else answer
            self._record(message["id"], message.get("to", ""), message.get("text", ""), path, own, headers, message)
            results.append(
                {"id": message["id"], "status": "refused", "code": refusal}
                if refusal
                else {"id": message["id"], "status": "ok", "message_id": f"gw-{message['id']}"}
            )
        if answer.body is None and answer.takes():
            return Answer(answer.status, {"results": results}, answer.headers, answer.delay_ms, answer.action, answer.taken)
        return answer

    def _record(self, id_: str, to: str, text: str, path: str, answer: Answer, headers: dict[str, str], body: Any, query: str = "") -> None:
        taken = answer.takes()
        if self._log is not None:
            what = answer.status if answer.action == "answer" else answer.action
            os.write(self._log, f"{id_} {what} {'taken' if taken else 'refused'}\n".encode())
        self.asked[id_] += 1
        if taken:
            self.taken[id_] += 1
        record = Received(id_, to, text, path, taken, time.time(), headers, body, query)
        if self.keep_bodies:
            self.records.append(record)
        if self.on_message is not None and taken:
            self.on_message(record)

    def _report(self, limit: int) -> Answer:
        return Answer(
            body={
                "asked": self.asked.total(),
                "taken": self.taken.total(),
                "distinct": len(self.taken),
                "doubles": self.doubles(),
                "connections": self.connections,
                "records": [
                    {"id": r.id, "to": r.to, "text": r.text, "path": r.path, "taken": r.taken, "at": r.at, "headers": r.headers}
                    for r in self.records[-limit:]
                ]
                if limit
                else [],
            }
        )


class _Connection(asyncio.Protocol):
    """HTTP/1.1 with keep-alive, just enough of it. A framework would cost more than the work."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.buffer = b""
        self.busy = False

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.gateway.connections += 1
        self.gateway._open.add(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.gateway._open.discard(self.transport)
        if self.gateway._all_closed is not None and not self.gateway._open:
            self.gateway._all_closed.set()

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        self._next()

    def _next(self) -> None:
        while not self.busy:
            head, found, rest = self.buffer.partition(b"\r\n\r\n")
            if not found:
                return
            first, *lines = head.decode("latin-1").split("\r\n")
            headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            length = int(headers.get("content-length") or 0)
            if len(rest) < length:
                return
            content, self.buffer = rest[:length], rest[length:]
            method, target, _ = first.split(" ", 2)
            self.gateway.in_progress += 1
            self.gateway.max_in_progress = max(self.gateway.max_in_progress, self.gateway.in_progress)
            try:
                answer = self.gateway.handle(method, target, headers, content)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                answer = Answer(status=400, body={"error": str(error)})
            if self.gateway._held is not None:
                self.busy = True
                self.gateway._held.append(partial(self._write, answer))
            elif answer.delay_ms:
                self.busy = True
                asyncio.get_running_loop().call_later(answer.delay_ms / 1000, self._write, answer)
            else:
                self._write(answer)

    def _write(self, answer: Answer) -> None:
        self.gateway.in_progress -= 1
        self.busy = False
        if self.transport.is_closing():
            return
        match answer.action:
            case "hang":
                self.busy = True
                return
            case "reset":
                self.transport.abort()
                return
            case "garbage":
                self.transport.write(b"\x00\x01 this is not HTTP\r\n\r\n")
                self.transport.close()
                return
        body = (
            answer.body
            if isinstance(answer.body, bytes)
            else answer.body.encode()
            if isinstance(answer.body, str)
            else json.dumps(answer.body or {}).encode()
        )
        headers = {"Content-Type": "application/json", "Content-Length": str(len(body)), **answer.headers}
        raw = (
            f"HTTP/1.1 {answer.status} Status\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers.items()) + "\r\n"
        ).encode() + body
        if answer.action == "drip":
            self.busy = True
            self._drip(raw)
            return
        self.transport.write(raw)
        if self.buffer:
            asyncio.get_running_loop().call_soon(self._next)

    def _drip(self, raw: bytes) -> None:
        if raw and not self.transport.is_closing():
            self.transport.write(raw[:1])
            asyncio.get_running_loop().call_later(0.05, self._drip, raw[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=8099)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--log", help="file that each id is appended to")
    parser.add_argument("--latency-ms", type=float, default=0.0)
    options = parser.parse_args()
    gateway = Gateway(port=options.port, host=options.host, log=options.log, latency_ms=options.latency_ms, keep_bodies=False)

    async def serve() -> None:
        await gateway.start()
        print(f"gateway: {gateway.url} and {urlsplit(gateway.bulk_url).path}, what came: /received", flush=True)
        await asyncio.Event().wait()

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve())


if __name__ == "__main__":
    main()
