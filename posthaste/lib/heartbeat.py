"""Which processes are alive: each writes a key that expires soon, with what it knows of itself."""

import os
import shutil
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import orjson

from posthaste import __version__, env
from posthaste.lib import process_notes, redis

SECONDS = 1.5
EXPIRES_SECONDS = 5
FORGET_SECONDS = 60  # a name is taken out of the register so long after its last sign of life
KINDS = ("web", "send", "aux", "beat", "ws")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_started: set[tuple[int, str]] = set()
#: Called with each sign of life, for what a process publishes about as often.
on_beat: list[Callable[[], None]] = []


@dataclass(frozen=True, slots=True)
class Process:
    """A live process as it told of itself a moment ago."""

    kind: str
    host: str
    pid: int
    started_at: float  # seconds since 1970
    memory_bytes: int  # resident; what forks share counts in each of them
    disk_used_percent: float  # of the file system that DATA_DIR is on
    disk_free_bytes: int
    version: str = ""


def _register() -> str:
    return redis.key("alive")


def _key(name: str) -> str:
    return redis.key("alive", name)


def start(kind: str) -> None:
    """Keep this process's sign of life fresh from a daemon thread; calling it again does nothing."""
    if (os.getpid(), kind) in _started:
        return
    _started.add((os.getpid(), kind))
    began = time.time()

    def beat() -> None:
        pause = threading.Event()
        while True:
            try:
                note = report(look(kind, started_at=began), takes_note=True)
                for publish in on_beat:
                    publish()
                process_notes.obey(note)
            except (redis.Unavailable, OSError):
                pass  # the health page says so already
            pause.wait(SECONDS)

    threading.Thread(target=beat, name=f"heartbeat-{kind}", daemon=True).start()


def look(kind: str, *, started_at: float) -> Process:
    """Say what this process is at this moment."""
    with open("/proc/self/statm", "rb") as statm:
        memory = int(statm.read().split()[1]) * PAGE_BYTES
    folder = env.load().data_dir
    disk = shutil.disk_usage(folder if folder.exists() else "/")
    # What is reserved for the superuser counts as used, as in `df`.
    used_percent = round(100.0 * disk.used / max(1, disk.used + disk.free), 1)
    return Process(kind, socket.gethostname(), os.getpid(), started_at, memory, used_percent, disk.free, __version__)


def report(process: Process, *, takes_note: bool = False) -> bytes | None:
    """Tell that a process lives, and return the note to this one that was left meanwhile, in one round trip.

    Raises:
        posthaste.lib.redis.Unavailable: Redis is away.
    """
    name, now = f"{process.kind}:{process.host}:{process.pid}", time.time()
    pipeline = redis.client().pipeline(transaction=False)
    pipeline.set(_key(name), orjson.dumps(asdict(process)), px=int(EXPIRES_SECONDS * 1000))
    pipeline.zadd(_register(), {name: now})
    pipeline.zremrangebyscore(_register(), "-inf", now - FORGET_SECONDS)
    if takes_note:
        process_notes.take(pipeline, process.kind)
    answers: Any = pipeline.execute()
    return answers[-1] if takes_note else None


def processes() -> list[Process]:
    """Return the live processes by kind, host and process id.

    Raises:
        posthaste.lib.redis.Unavailable: Redis is away.
    """
    client = redis.client()
    names: Any = client.zrange(_register(), 0, -1)
    told: Any = client.mget([_key(name.decode()) for name in names]) if names else []
    found = [Process(**orjson.loads(value)) for value in told if value]
    return sorted(found, key=lambda process: (process.kind, process.host, process.pid))


def alive() -> dict[str, int]:
    """Count the live processes of each kind.

    Raises:
        posthaste.lib.redis.Unavailable: Redis is away.
    """
    counts = dict.fromkeys(KINDS, 0)
    for process in processes():
        counts[process.kind] = counts.get(process.kind, 0) + 1
    return counts
