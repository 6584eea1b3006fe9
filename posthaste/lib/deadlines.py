"""A time limit on everything a thread sends and reads, however slowly the other side drips its bytes."""

import io
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

#: A socket's time-out may be longer than what is left by this share of the limit: setting it costs a system call.
SLACK = 0.05
TIMEVAL = "@ll"  # struct timeval


class _Progress(threading.local):
    """What the request of this thread has done so far."""

    sent: bool = False
    deadline: float | None = None
    slack: float = 0.0


_progress = _Progress()


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Bound everything this thread sends and reads inside the block to `seconds` in all."""
    _progress.sent = False
    _progress.deadline = time.monotonic() + seconds
    _progress.slack = SLACK * seconds
    try:
        yield
    finally:
        _progress.deadline = None


def something_was_sent() -> bool:
    """Return whether the latest request of this thread had begun to leave."""
    return _progress.sent


def note_sent() -> None:
    """Remember that this thread's request has begun to leave."""
    _progress.sent = True


def remaining(timeout: float | None) -> float | None:
    """Shrink a time-out to what `time_limit` leaves.

    Raises:
        TimeoutError: nothing is left.
    """
    if _progress.deadline is None:
        return timeout
    left = _progress.deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("time limit reached")
    return left if timeout is None else min(left, timeout)


def time_by_kernel(sock: socket.socket, seconds: float) -> None:
    """Let the kernel watch a plain socket's time-out instead of Python.

    Python asks with `poll` before each operation and gives up the interpreter both times; with a busy pool of threads the
    way back costs more than the operation. An operation that takes too long raises BlockingIOError. Not for TLS, which would
    try again without end.
    """
    micros = max(1, round(seconds * 1_000_000))
    span = struct.pack(TIMEVAL, *divmod(micros, 1_000_000))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, span)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, span)
    if sock.gettimeout() is not None:
        sock.settimeout(None)
    _watched[sock] = seconds


#: What the kernel watches, by socket: asking it would cost a system call, several times a message.
_watched: "WeakKeyDictionary[socket.socket, float]" = WeakKeyDictionary()


def _kernel_timeout(sock: socket.socket) -> float | None:
    """Return the time-out that the kernel watches, or None. TLS runs over another object than the plain socket's."""
    return _watched.get(sock) if sock.gettimeout() is None else None


def time_socket(sock: socket.socket, seconds: float) -> None:
    """Set a socket's time-out, watched or not."""
    watched = _kernel_timeout(sock)
    if watched is None:
        sock.settimeout(seconds)
    elif watched != seconds:
        time_by_kernel(sock, seconds)


def limit_socket(sock: Any) -> None:
    """Shrink a socket's time-out to what `time_limit` leaves, give or take SLACK.

    Raises:
        TimeoutError: nothing is left.
    """
    if _progress.deadline is None:
        return
    timeout = _kernel_timeout(sock) or sock.gettimeout()
    left = remaining(timeout)
    if left is not None and (timeout is None or timeout > left + _progress.slack):
        time_socket(sock, left)


class _DeadlineReader(socket.SocketIO):
    """Socket reads that shrink their time-out, so that a server dripping bytes cannot hold a thread for ever."""

    def readinto(self, buffer: Any) -> int | None:
        limit_socket(self._sock)  # type: ignore[attr-defined]
        number = super().readinto(buffer)
        if number is None:
            raise TimeoutError("timed out")
        return number


class DeadlineSocket:
    """The part of a socket that `http.client.HTTPResponse` and smtplib ask for."""

    def __init__(self, sock: Any) -> None:
        self.sock = sock

    def makefile(self, mode: str) -> io.BufferedReader:
        self.sock._io_refs += 1  # as socket.makefile does; SocketIO.close takes it back
        return io.BufferedReader(_DeadlineReader(self.sock, "r"))


def reading_file(sock: Any) -> io.BufferedReader:
    """Open a socket for reading so that `time_limit` bounds the sum of all reads."""
    return DeadlineSocket(sock).makefile("rb")
