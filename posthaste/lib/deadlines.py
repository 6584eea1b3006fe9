"""A time limit on everything a thread sends and reads, however slowly the other side drips its bytes."""

import io
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class _Progress(threading.local):
    """What the request of this thread has done so far."""

    sent: bool = False
    deadline: float | None = None


_progress = _Progress()


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """This function will bound everything this thread sends and reads inside the block to `seconds` in all."""
    _progress.sent = False
    _progress.deadline = time.monotonic() + seconds
    try:
        yield
    finally:
        _progress.deadline = None


def something_was_sent() -> bool:
    """This function will tell whether the latest request of this thread had begun to leave."""
    return _progress.sent


def note_sent() -> None:
    """This function will remember that this thread's request has begun to leave."""
    _progress.sent = True


def remaining(timeout: float | None) -> float | None:
    """This function will shrink a time-out to what `time_limit` leaves.

    Raises:
        TimeoutError: nothing is left.
    """
    if _progress.deadline is None:
        return timeout
    left = _progress.deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("time limit reached")
    return left if timeout is None else min(left, timeout)


class _DeadlineReader(socket.SocketIO):
    """Socket reads that shrink their time-out, so that a server dripping bytes cannot hold a thread for ever."""

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(remaining(self._sock.gettimeout()))  # type: ignore[attr-defined]
        return super().readinto(buffer)


class DeadlineSocket:
    """The part of a socket that `http.client.HTTPResponse` and smtplib ask for."""

    def __init__(self, sock: Any) -> None:
        self.sock = sock

    def makefile(self, mode: str) -> io.BufferedReader:
        self.sock._io_refs += 1  # as socket.makefile does; SocketIO.close takes it back
        return io.BufferedReader(_DeadlineReader(self.sock, "r"))


def reading_file(sock: Any) -> io.BufferedReader:
    """This function will open a socket for reading so that `time_limit` bounds the sum of all reads."""
    return DeadlineSocket(sock).makefile("rb")


def limit_socket(sock: Any) -> None:
    """This function will shrink a socket's time-out to what `time_limit` leaves.

    Raises:
        TimeoutError: nothing is left.
    """
    sock.settimeout(remaining(sock.gettimeout()))
