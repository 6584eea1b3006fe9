"""The official Nacos clients for gRPC, apart from our own packages: their versions exclude each other.

They share one environment with what they depend on; each version is in a folder of its own, which goes before it.
"""

import fcntl
import hashlib
import json
import os
import queue
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from posthaste.env import ROOT
from tests.guard import guard
from tests.patience import Patience

VERSIONS = ("2.0.9", "3.2.0")  # the last needs what the others do, and more
PEERS = ROOT / "tests/peers"
CONSTRAINTS = PEERS / "nacos_clients.txt"
INSTALL_SECONDS = 600
ANSWER_SECONDS = 30.0
LONGEST_SECONDS = 120.0  # an answer that comes late on a machine that stood still is one
#: What pip says when it reaches no index, or one that has nothing of the kind.
NOT_REACHED = re.compile(r"connection broken|from versions: none|Could not fetch URL|timed out", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Installed:
    """A version of the client, and the Python and the folder that it runs with."""

    version: str
    python: Path
    folder: Path


def installed(version: str, cache: Path) -> Installed:
    """Return a version of the client, installed in the cache unless it is there; skip the test where it can't be had."""
    pins = hashlib.sha256(CONSTRAINTS.read_bytes() + sys.version.encode()).hexdigest()[:12]
    environment, folder = cache / f"environment-{pins}", cache / f"client-{version}"
    python = environment / "bin/python"
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another run of the tests may be at it
        if not (environment / "complete").exists():
            _run("venv", "--clear", "--without-pip", str(environment))
            _install(python, VERSIONS[-1], f"--constraint={CONSTRAINTS}")
            (environment / "complete").touch()
        if not folder.exists():
            part = folder.with_suffix(".part")
            _install(python, version, "--no-deps", "--upgrade", f"--target={part}")
            part.rename(folder)
    return Installed(version, python, folder)


def _install(python: Path, version: str, *options: str) -> None:
    package = f"nacos-sdk-python=={version}"
    error = _run("pip", f"--python={python}", "install", "-q", "--no-compile", "--retries=1", "--timeout=20", *options, package)
    if NOT_REACHED.search(error):
        pytest.skip(f"{package} can't be installed: {error.strip().splitlines()[-1]}")
    assert not error, error


def _run(module: str, *arguments: str) -> str:
    """Run a module of Python's and return what it says when it fails, or an empty string."""
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False)
    return (done.stderr or done.stdout or f"exit status {done.returncode}") if done.returncode else ""


class OfficialClient:
    """A running client."""

    def __init__(self, client: Installed, address: str, password: str, folder: Path, *certificate: Path) -> None:
        folder.mkdir(exist_ok=True)
        command = [client.python, PEERS / "nacos_grpc_client.py", address, password, folder, *certificate]
        with (folder / "errors").open("wb") as errors:
            self.process = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env={**os.environ, "HOME": str(folder), "PYTHONPATH": str(client.folder)},
                start_new_session=True,
            )
        guard().tell(f"+{self.process.pid}")
        self._folder = folder
        self._answers: queue.Queue[dict[str, Any]] = queue.Queue()
        self._told: queue.Queue[dict[str, Any]] = queue.Queue()
        self._reader = threading.Thread(target=self._read, name="nacos-client", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            said = json.loads(line)
            (self._told if "told" in said else self._answers).put(said)
        self._answers.put({"error": "ended"})

    def answer(self) -> Any:
        """Return the next answer; the message of an error as an exception."""
        answer = self._answers.get(timeout=LONGEST_SECONDS)
        if "error" in answer:
            raise ClientError(answer["error"], answer.get("message") or (self._folder / "errors").read_text())
        return answer["answer"]

    def ask(self, name: str, data_id: str = "app", **fields: str) -> Any:
        """Make one call and return its answer."""
        assert self.process.stdin
        self.process.stdin.write(json.dumps([name, {"data_id": data_id, **fields}]) + "\n")
        self.process.stdin.flush()
        return self.answer()

    def wait_until_told(self, content: str, *, seconds: float = ANSWER_SECONDS) -> None:
        """Wait until the client has been told of this text; earlier ones may be left out or come first."""
        patience, seen = Patience(seconds), []
        while content not in seen:
            try:
                seen.append(self._told.get(timeout=0.2)["told"])
            except queue.Empty:
                if patience.is_over():
                    pytest.fail(f"not told of {content!r} within {seconds} s, only of {seen}")

    def end(self) -> None:
        """End it."""
        self.process.kill()
        self.process.wait(10)
        self._reader.join(10)
        for stream in (self.process.stdin, self.process.stdout):
            assert stream
            stream.close()
        guard().tell(f"-{self.process.pid}")


class ClientError(Exception):
    """The client refused, or ended: Nacos' code of the error, and what it says."""


@contextmanager
def connected(client: Installed, address: str, password: str, folder: Path, *certificate: Path) -> Iterator[OfficialClient]:
    """Run a client for the block, from when it is connected."""
    running = OfficialClient(client, address, password, folder, *certificate)
    try:
        assert running.answer() == client.version
        yield running
    finally:
        running.end()
