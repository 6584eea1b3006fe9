"""Which processes are alive: each writes a key that expires soon."""

import os
import socket
import threading

from posthaste.lib import redis

SECONDS = 1.5
EXPIRES_SECONDS = 5
KINDS = ("web", "send", "aux", "beat", "ws")
_started: set[tuple[int, str]] = set()


def start(kind: str) -> None:
    """Keep this process's sign of life fresh from a daemon thread; calling it again does nothing."""
    if (os.getpid(), kind) in _started:
        return
    _started.add((os.getpid(), kind))
    name = redis.key("alive", kind, f"{socket.gethostname()}:{os.getpid()}")

    def beat() -> None:
        pause = threading.Event()
        while True:
            try:
                redis.call("SET", name, 1, "EX", EXPIRES_SECONDS)
            except redis.Unavailable:
                pass  # the health page says so already
            pause.wait(SECONDS)

    threading.Thread(target=beat, name=f"heartbeat-{kind}", daemon=True).start()


def alive() -> dict[str, int]:
    """Count the live processes of each kind."""
    counts = dict.fromkeys(KINDS, 0)
    for name in redis.client().scan_iter(match=redis.key("alive", "*"), count=200):
        kind = name.decode().split(":")[2]
        counts[kind] = counts.get(kind, 0) + 1
    return counts
