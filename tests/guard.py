"""A small process that ends what a test run started, even when the run itself was killed with SIGKILL.

It reads lines from its standard input: `+PID` (a process group to end), `-PID` (ended in order), `folder PATH` (to remove).
When the input closes, which the kernel sees to in any case, it kills the groups and removes the folders that are left.
"""

import atexit
import os
import shutil
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from functools import cache
from pathlib import Path

from posthaste.env import ROOT


class Guard:
    """The run's side of the pipe."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.guard"], cwd=ROOT, stdin=subprocess.PIPE, text=True, bufsize=1, start_new_session=True
        )
        self.lock = threading.Lock()
        atexit.register(self.close)

    def tell(self, line: str) -> None:
        """Hand one line to the guard."""
        assert self.process.stdin
        with self.lock, suppress(BrokenPipeError, ValueError):
            self.process.stdin.write(f"{line}\n")

    def close(self) -> None:
        """Let the guard end what is left."""
        assert self.process.stdin
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait(10)


@cache
def guard() -> Guard:
    """Return the guard of this run, started at first use."""
    return Guard()


def keep_watch() -> None:
    """Do the guard's work until the input closes."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups: dict[int, None] = {}
    folders: list[Path] = []
    for line in sys.stdin:
        if line.startswith("folder "):
            folders.append(Path(line.removeprefix("folder ").rstrip("\n")))
        elif line.startswith("+"):
            groups[int(line[1:])] = None
        else:
            groups.pop(int(line[1:]), None)
    for group in reversed(groups):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    keep_watch()
