"""A note for one process, which finds it within two seconds: how operators reach a worker without the broker.

The thread of the heartbeat looks for it. A note is taken by the process that it names, once, and expires if that is gone.
"""

import os
import signal
import socket
from typing import Any

from posthaste.lib import redis

SHUTDOWN = "shutdown"
EXPIRES_SECONDS = 10


def _key(kind: str, host: str, pid: int) -> str:
    return redis.key("process-note", kind, f"{host}:{pid}")


def leave(*, kind: str, host: str, pid: int, note: str) -> None:
    """Leave a note for a process.

    Raises:
        posthaste.lib.redis.Unavailable: Redis is away.
    """
    redis.client().set(_key(kind, host, pid), note, ex=EXPIRES_SECONDS)


def take(pipeline: Any, kind: str) -> None:
    """Look for a note to this process, in a pipeline whose answer is for `obey`."""
    pipeline.execute_command("GETDEL", _key(kind, socket.gethostname(), os.getpid()))


def obey(note: bytes | None) -> None:
    """Do what a note says: end, as when the supervisor asks for it."""
    if note == SHUTDOWN.encode():
        os.kill(os.getpid(), signal.SIGTERM)
