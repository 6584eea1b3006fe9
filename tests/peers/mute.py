"""A server that takes connections and never answers, as a machine whose disk hangs does."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Mute:
    """A port on which the kernel takes connections that no program reads from."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=200)
        self._listener.setblocking(False)
        self._taken: list[socket.socket] = []
        self.port = self._listener.getsockname()[1]

    @property
    def connections(self) -> int:
        """How many there have been."""
        with suppress(BlockingIOError):
            while True:
                self._taken.append(self._listener.accept()[0])
        return len(self._taken)

    def close(self) -> None:
        """End it with all connections."""
        for each in (self._listener, *self._taken):
            each.close()


@contextmanager
def mute() -> Iterator[Mute]:
    """Run one for the block."""
    server = Mute()
    try:
        yield server
    finally:
        server.close()
