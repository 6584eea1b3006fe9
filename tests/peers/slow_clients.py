"""Clients without a key that send a request's head, and then a byte of its body now and then."""

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self
from uuid import uuid4

from urllib3.util import parse_url

EVERY_SECONDS = 0.5


class SlowClients:
    """Keep so many requests to the address of receipts open; one that was ended is begun anew."""

    def __init__(self, base_url: str, count: int) -> None:
        address = parse_url(base_url)
        self._address = (address.host or "127.0.0.1", address.port or 80)
        head = f"POST /api/receipts/{uuid4()}/ HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Type: application/json\r\nContent-Length: 1000"
        self._head = f"{head}\r\n\r\n{{".encode()
        self._count = count
        self._clients: list[socket.socket] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._talk, name="slow-clients")
        self.ended = 0  # requests that the server answered or cut off

    def __enter__(self) -> Self:
        self._clients = [self._begun() for _ in range(self._count)]
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._over.set()
        self._thread.join()
        for client in self._clients:
            client.close()

    def _begun(self) -> socket.socket:
        client = socket.create_connection(self._address, timeout=10)
        client.sendall(self._head)
        client.setblocking(False)
        return client

    def _talk(self) -> None:
        while not self._over.wait(EVERY_SECONDS):
            for place, client in enumerate(self._clients):
                with suppress(OSError):  # while the server is away there is none
                    if self._is_over(client):
                        client.close()
                        self.ended += 1
                        self._clients[place] = self._begun()

    @staticmethod
    def _is_over(client: socket.socket) -> bool:
        try:
            client.send(b" ")
            client.recv(1)
        except BlockingIOError:
            return False
        except OSError:
            return True
        return True
