"""The port until its first client. The server is loaded then: grpcio takes 10 MiB, and its threads wake several times a second.

Clients sign in over HTTP before they connect, and the answer waits for the server (`ready`), so they find it listening. One that comes
with a token from before a restart connects first: its connection is held until the server listens, then closed, and the client connects
again, as it does after any lost connection.

Where a certificate is set, clients are expected, and what is wrong with it should be known at once: the server is loaded at the start.
"""

import asyncio
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import structlog

log = structlog.get_logger(__name__)


class Entrance:
    """Listens in place of the server until that is needed. It belongs to one event loop."""

    def __init__(self, host: str, port: int, certificate: tuple[str, str] = ("", "")) -> None:
        """`certificate` names the files of the chain and of the key, as `server.certificate_in` takes them."""
        self._host = host
        self._port = port
        self._certificate = certificate
        self._listener: asyncio.Server | None = None
        self._loading: asyncio.Task[None] | None = None
        self._stop: Any = None

    async def open(self) -> None:
        """Take the port. Where that is not possible the log says why, and everything else goes on."""
        try:
            missing = [name for name in ("grpc", "google.protobuf") if find_spec(name) is None]
        except ModuleNotFoundError as error:  # the package around it
            missing = [str(error.name)]
        if missing:
            log.error("Nacos gRPC is off: grpcio or protobuf is not installed", missing=missing)
            return
        if self._certificate[0]:
            await self._load()
            return
        try:
            self._listener = await asyncio.start_server(self._hold, self._host, self._port)
        except OSError as error:
            log.error("Nacos gRPC port not available, clients of Nacos 2 and 3 cannot connect", port=self._port, error=str(error))

    async def ready(self) -> None:
        """Return when clients are served, or never will be. The first call loads the server."""
        if self._listener is None:
            return
        if self._loading is None:
            self._loading = asyncio.create_task(self._load())
        await asyncio.shield(self._loading)

    async def close(self) -> None:
        """End the server and its streams."""
        self._leave()
        if self._loading is not None:
            await self._loading
        if self._stop is not None:
            await self._stop()

    def _leave(self) -> None:
        if self._listener is not None:
            self._listener.close()

    async def _hold(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self.ready()
        finally:
            writer.close()

    async def _load(self) -> None:
        try:
            server = await asyncio.to_thread(import_module, f"{__package__}.server")
            self._leave()
            started = await server.start(self._host, self._port, server.certificate_in(*self._certificate))
        except Exception:
            log.exception("Nacos gRPC is off: its server does not start")  # HTTP and WebSocket go on
            self._leave()
            return
        if started is not None:

            async def stop() -> None:
                await server.stop(started)

            self._stop = stop
