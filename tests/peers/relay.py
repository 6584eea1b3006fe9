"""A relay before a server, which can fall silent or break its connections, while the server itself serves others as ever."""

import selectors
import socket
import threading
from queue import SimpleQueue
from typing import Self, cast


class Relay:
    """Passes bytes on in both directions; `connections` counts those that were ever made."""

    def __init__(self, host: str, port: int) -> None:
        self._target = host, port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0
        self.is_silent = False
        self._pairs: dict[socket.socket, socket.socket] = {}
        self._asked_to_cut: SimpleQueue[threading.Event] = SimpleQueue()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="relay", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(5)
        self._listener.close()
        self._close_all()

    def cut(self) -> None:
        """Break all connections, and return when that is done. The thread does it, which may just be waiting for them."""
        done = threading.Event()
        self._asked_to_cut.put(done)
        assert done.wait(60), "the relay does not run"

    def _close_all(self) -> None:
        for one in self._pairs:
            one.close()
        self._pairs.clear()

    def _serve(self) -> None:
        while not self._over.is_set():
            while not self._asked_to_cut.empty():
                self._close_all()
                self._asked_to_cut.get().set()
            with selectors.DefaultSelector() as ready:
                for one in (self._listener, *self._pairs):
                    ready.register(one, selectors.EVENT_READ)
                found = [key.fileobj for key, _events in ready.select(0.02)]
            for end in found:
                one = cast(socket.socket, end)
                if self.is_silent:
                    continue
                if one is self._listener:
                    self._open()
                else:
                    self._pass_on(one)

    def _open(self) -> None:
        near, far = self._listener.accept()[0], socket.create_connection(self._target)
        self.connections += 1
        self._pairs |= {near: far, far: near}

    def _pass_on(self, one: socket.socket) -> None:
        other = self._pairs.get(one)
        try:
            data = one.recv(65536) if other else b""
            if other and data:
                other.sendall(data)
                return
        except OSError:
            pass
        for end in (one, other):
            if end:
                end.close()
                self._pairs.pop(end, None)
