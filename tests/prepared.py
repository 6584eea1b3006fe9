"""Databases that are migrated once for a run and copied wherever one is needed: migrating takes ten seconds, and a run needs a dozen.

The first that needs one makes it, with the command that an installation is migrated with; the others wait. What is copied is migrated
again all the same, which finds nothing to do.
"""

import fcntl
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from posthaste.env import ROOT
from tests.guard import guard
from tests.services import PREPARED, PostgreSQL, Service, ServiceFailed

#: As Django names what stands behind a connection.
POSTGRESQL, SQLITE = "postgresql", "sqlite"


@contextmanager
def folder() -> Iterator[None]:
    """Name a folder for this run and what it starts, for as long as the block runs."""
    path = tempfile.mkdtemp(prefix="posthaste-tests-prepared-")
    Path(path).chmod(0o755)  # servers that run as another user must get through
    guard().tell(f"folder {path}")
    os.environ[PREPARED] = path
    try:
        yield
    finally:
        del os.environ[PREPARED]
        shutil.rmtree(path, ignore_errors=True)


def prepared(vendor: str) -> Path | None:
    """Return the migrated SQLite database or the PostgreSQL cluster with one, if the run has it."""
    path = Path(os.environ.get(PREPARED, "")) / vendor
    return path if PREPARED in os.environ and path.exists() else None


def prepare(kinds: Iterable[type[Service]]) -> None:
    """Make what a stack of these servers copies, unless it is there or the run copies nothing.

    Raises: ServiceFailed
    """
    if PREPARED not in os.environ:
        return
    if PostgreSQL in kinds:
        _once(POSTGRESQL, _make_cluster)
    else:
        _once(SQLITE, _make_file)


def _once(name: str, make: Callable[[Path], Path]) -> None:
    """Make something in a folder and move it to its name when it is whole; one process at a time."""
    place = Path(os.environ[PREPARED])
    with (place / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / name).exists():
            making = place / f"{name}.new"
            making.mkdir(mode=0o755)
            make(making).rename(place / name)
            shutil.rmtree(making, ignore_errors=True)


def _make_cluster(making: Path) -> Path:
    server = PostgreSQL(making)
    try:
        server.start()
        _migrate(server.url, making)
    finally:
        server.stop()
    return server.data


def _make_file(making: Path) -> Path:
    path = making / SQLITE
    _migrate(f"sqlite:///{path}", making)
    return path


def _migrate(url: str, making: Path) -> None:
    environment = {**os.environ, "DATABASE_URL": url, "DATA_DIR": str(making), "SECRET_KEY": secrets.token_urlsafe(48)}
    command = [sys.executable, "manage.py", "migrate", "--verbosity=0", "--skip-checks"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ServiceFailed(f"migrate ended with {done.returncode}:\n{done.stdout}{done.stderr}")
