"""Connection pools for `requests` whose connections are made by the guard of `posthaste.lib.guard`."""

import http.client
import socket
import time
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from posthaste.lib.deadlines import DeadlineSocket, limit_socket, note_sent
from posthaste.lib.guard import Guard
from posthaste.lib.http import MAX_IDLE_SECONDS


class _DeadlineResponse(http.client.HTTPResponse):
    """An answer whose reading `time_limit` bounds."""

    def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(DeadlineSocket(sock), *args, **kwargs)  # type: ignore[arg-type]


class _Guarded:
    """A urllib3 connection that is made by the guard and remembers that it has sent."""

    guard: Guard
    sock: Any
    last_used: float = 0.0
    response_class = _DeadlineResponse

    def _new_conn(self) -> socket.socket:
        timeout = self.timeout if isinstance(self.timeout, int | float) else None  # type: ignore[attr-defined]
        return self.guard.connect(self._dns_host, self.port, timeout=timeout, socket_options=self.socket_options)  # type: ignore[attr-defined]

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()  # type: ignore[attr-defined]
        note_sent()
        limit_socket(self.sock)
        super().send(data)  # type: ignore[misc]


class _FreshPool:
    """A pool that does not hand out connections that have been idle for long."""

    def _get_conn(self, timeout: float | None = None) -> Any:
        connection = super()._get_conn(timeout)  # type: ignore[misc]
        if connection.sock is not None and time.monotonic() - connection.last_used > MAX_IDLE_SECONDS:
            connection.close()
        return connection

    def _put_conn(self, connection: Any) -> None:
        if connection is not None:
            connection.last_used = time.monotonic()
        super()._put_conn(connection)  # type: ignore[misc]


def pool_classes(guard: Guard) -> dict[str, type[HTTPConnectionPool]]:
    """Return urllib3 pool classes whose connections go through the guard."""
    return {
        "http": type(
            "GuardedPool",
            (_FreshPool, HTTPConnectionPool),
            {"ConnectionCls": type("GuardedConnection", (_Guarded, HTTPConnection), {"guard": guard})},
        ),
        "https": type(
            "GuardedTLSPool",
            (_FreshPool, HTTPSConnectionPool),
            {"ConnectionCls": type("GuardedTLSConnection", (_Guarded, HTTPSConnection), {"guard": guard})},
        ),
    }
