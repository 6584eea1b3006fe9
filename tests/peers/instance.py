"""Processes that do nothing but watch the configuration, as every process of the product does beside its work.

    python -m tests.peers.instance KIND[,name=value…] …

One process for each kind, with these labels; the kind `deaf` has no Redis. Each prints `KIND seen RELEASE TIME` when it first sees a
release of the module `thread_pools`, and `KIND torn` should it ever see half of one: two fields that every publish of ours keeps 90
apart.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping

import django

from posthaste import env
from posthaste.env import ROOT

APART = 90
READS = 50
DEAF = "deaf"
NOBODY = "redis://127.0.0.1:1/0"


def say(*words: object) -> None:
    """Write one line at once: several processes share the pipe."""
    os.write(sys.stdout.fileno(), (" ".join(map(str, words)) + "\n").encode())


def watch_it(kind: str, labels: list[str]) -> None:
    """Read without end what is in force."""
    from configcenter import hot
    from configcenter.services import loading, watch

    env.load().instance_labels = labels
    if kind == DEAF:
        env.load().redis_url = NOBODY
    handle = hot.module("thread_pools")

    @handle.listen
    def fails(_value: object) -> None:
        raise RuntimeError("a listener that always fails")

    watch.start(kind)
    say(kind, "source", loading.loader.state.source, handle.value.max_threads)
    seen = 0
    while True:
        for _ in range(READS):
            value = handle.value
            if value.max_threads - value.min_threads != APART:
                say(kind, "torn", value)
        if handle.now.release != seen:
            seen = handle.now.release
            say(kind, "seen", seen, time.time())
        time.sleep(0.002)


def main() -> None:
    """Set Django up once and become as many processes as there are kinds."""
    django.setup()
    for argument in sys.argv[1:]:
        if os.fork() == 0:
            kind, *labels = argument.split(",")
            watch_it(kind, labels)
    signal.pause()


class Watching:
    """Such processes, for tests and benchmarks: what each of them said."""

    def __init__(self, *kinds: str, environment: Mapping[str, str]) -> None:
        self.kinds = [kind.partition(",")[0] for kind in kinds]
        self.said: list[list[str]] = []
        self._seen: dict[str, list[tuple[int, float]]] = {kind: [] for kind in self.kinds}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.peers.instance", *kinds],
            cwd=ROOT,
            env={**os.environ, "DJANGO_SETTINGS_MODULE": "posthaste.settings", "LOG_LEVEL": "error", **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._listen, daemon=True)
        self._reader.start()

    def _listen(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            kind, what, *rest = line.split()
            self.said.append([kind, what, *rest])
            if what == "seen":
                self._seen[kind].append((int(rest[0]), float(rest[1])))

    def sources(self) -> dict[str, str]:
        """Return where each process that is up had its first values from."""
        return {kind: rest[0] for kind, what, *rest in list(self.said) if what == "source"}

    def are_up(self) -> bool:
        """Return whether all of them are."""
        assert self.process.poll() is None, "they ended"
        return len(self.sources()) == len(self.kinds)

    def seen_at(self, kind: str, number: int) -> float:
        """Return when a process first saw this release or a later one; 0.0: not yet."""
        found = 0.0
        for release, at in reversed(self._seen[kind]):
            if release < number:
                break
            found = at
        return found

    def all_saw(self, number: int) -> float:
        """Return when the last process saw this release; 0.0: not all have."""
        times = [self.seen_at(kind, number) for kind in self.kinds]
        return max(times) if all(times) else 0.0

    def torn(self) -> int:
        """Count how often half of an update was seen."""
        return sum(what == "torn" for _kind, what, *_rest in list(self.said))

    def end(self) -> None:
        """End all of them."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)
        self._reader.join(10)
        if self.process.stdout:
            self.process.stdout.close()


if __name__ == "__main__":
    main()
