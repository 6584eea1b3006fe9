"""The open streams of clients, one a connection: over it a client is told that something it listens to has changed.

A client asks with single calls and listens with a stream, both over one connection; the address and port it comes from say which stream
belongs to a call.
"""

import asyncio
from typing import Any
from uuid import uuid4

import structlog
from django.utils.translation import gettext as _

from configcenter.nacos.clients import MAX_AGENT, Client
from configcenter.nacos.fingerprints import Key
from configcenter.nacos.grpc import wire
from configcenter.nacos.listening import Listeners, Waiter
from configcenter.nacos.protocol import MAX_KEYS, Listened
from configcenter.nacos.routes import Call, identified
from configcenter.scopes import CONFIG_READ
from posthaste.lib.problems import Problem, TooMany

log = structlog.get_logger(__name__)
MAX_CONNECTIONS = 20_000
MAX_ADDRESS = 45
#: A stream without a call that shows credentials is closed after this time.
STRANGER_SECONDS = 60.0


class Connection:
    """One client's stream, what it listens to, and what it is yet to be told."""

    def __init__(self) -> None:
        self.agent = ""
        self.declared = ""  # the address that the client says is its own
        self.is_known = False
        self.waiter: Waiter | None = None
        self._names: dict[Key, Listened] = {}
        self._call: Call | None = None  # the latest that listened: shown again before something is told
        self._due: dict[Key, None] = {}
        self._has_due = asyncio.Event()

    def client(self, call: Call, caller: str) -> Client:
        """Return the client as gray releases see it."""
        addresses = (self.declared,) if self.declared else ()
        return Client(address=call.ip, caller=caller, agent=self.agent, transport="grpc", addresses=addresses)

    async def listen(self, listeners: Listeners, call: Call, client: Client, wanted: dict[Key, Listened]) -> set[Key]:
        """Listen to these keys too, and return those of which the client should have another text now.

        Raises:
            TooMany: more keys, or more listeners, than are allowed.
        """
        if len(self._names.keys() | wanted.keys()) > MAX_KEYS:
            raise TooMany(_("At most {n} at once.").format(n=MAX_KEYS))
        self._call = call
        if self.waiter is None:
            waiter = Waiter(client, {}, self._tell)
            listeners.enter(waiter)
            self.waiter = waiter
        has = {key: listened.md5 for key, listened in wanted.items()}
        self._names |= wanted
        listeners.add(self.waiter, has)  # before looking: what is published from here on is told
        return await listeners.differing(client, has)

    def fetched(self, key: Key, md5: str) -> None:
        """Note which text the client has now, for those who look at who listens."""
        if self.waiter is not None and key in self.waiter.has:
            self.waiter.has[key] = md5

    def forget(self, listeners: Listeners, keys: set[Key]) -> None:
        """Listen to these keys no longer."""
        if self.waiter is not None:
            listeners.drop(self.waiter, keys)
            for key in keys & self._names.keys():
                del self._names[key], self.waiter.has[key]

    def end(self, listeners: Listeners) -> None:
        """Listen to nothing any more."""
        if self.waiter is not None:
            listeners.leave(self.waiter)
            self.waiter = None

    def _tell(self, key: Key) -> None:
        self._due[key] = None
        self._has_due.set()

    async def write_changes(self, context: Any) -> None:
        """Tell the client of each change, for as long as its credentials are good."""
        while True:
            await self._has_due.wait()
            self._has_due.clear()
            if self._call is None:
                continue
            try:
                (await identified(self._call)).must(CONFIG_READ)
            except Problem:  # its next calls are refused with the reason
                return
            while self._due:
                key = next(iter(self._due))
                del self._due[key]
                if (listened := self._names.get(key)) is not None:
                    names = {"dataId": listened.data_id, "group": listened.group, "tenant": listened.tenant}
                    request = {"headers": {}, "requestId": uuid4().hex, "module": "config", **names}
                    await context.write(wire.write("ConfigChangeNotifyRequest", request))


class Connections:
    """The open streams of this process, by the address and port they come from."""

    def __init__(self, listeners: Listeners) -> None:
        self._listeners = listeners
        self._of: dict[str, Connection] = {}

    def find(self, peer: str) -> Connection | None:
        """Return the stream of a connection."""
        return self._of.get(peer)

    async def serve(self, requests: Any, context: Any) -> None:
        """Serve one stream until it ends, its credentials do, or it has shown none for a minute."""
        peer, connection = context.peer(), Connection()
        tasks = {
            asyncio.create_task(self._read(requests, peer, connection)),
            asyncio.create_task(connection.write_changes(context)),
        }
        try:
            done, _pending = await asyncio.wait(tasks, timeout=STRANGER_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if not done and connection.is_known:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if self._of.get(peer) is connection:
                del self._of[peer]
            connection.end(self._listeners)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _read(self, requests: Any, peer: str, connection: Connection) -> None:
        """Read what a client says: first who it is, later that it was told."""
        async for payload in requests:
            if payload.metadata.type != "ConnectionSetupRequest" or peer in self._of:
                continue
            if len(self._of) >= MAX_CONNECTIONS:
                log.warning("too many Nacos clients are connected", connections=len(self._of))
                return
            connection.agent = str(wire.body_of(payload).get("clientVersion") or "")[:MAX_AGENT]
            connection.declared = payload.metadata.clientIp[:MAX_ADDRESS]
            self._of[peer] = connection
