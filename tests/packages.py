"""What the tests need from the system, and its installation with apt where that is possible."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

# Asked by the maintainer scripts of Debian's packages before they start a service (see invoke-rc.d(8)).
POLICY = Path("/usr/sbin/policy-rc.d")
DENY = "#!/bin/sh\n# Written for the length of an installation by Posthaste's tests: no package may start a service.\nexit 101\n"
APT_SECONDS = 900


def postgresql_binaries() -> Path | None:
    """Find the folder of the newest PostgreSQL server's programs."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    if versions:
        return versions[-1].parent
    found = shutil.which("postgres")
    return Path(found).resolve().parent if found and shutil.which("initdb") else None


def rabbitmq_server() -> Path | None:
    """Find RabbitMQ's own start script; Debian's wrapper in PATH insists on the system's node."""
    candidates = [Path("/usr/lib/rabbitmq/bin/rabbitmq-server"), *Path("/usr/lib/rabbitmq/lib").glob("*/sbin/rabbitmq-server")]
    found = shutil.which("rabbitmq-server")
    return next((path for path in candidates if path.exists()), Path(found) if found else None)


def rabbitmqctl() -> Path:
    """Find the script that gives a node orders: it stands beside the server's."""
    server = rabbitmq_server()
    assert server
    return server.with_name("rabbitmqctl")


def redis_server() -> Path | None:
    """Find the Redis (or Valkey) server."""
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    return Path(found) if found else None


def headless_chromium() -> Path | None:
    """Find the Chromium without a window, which opens a page with half the work of the whole one."""
    found = shutil.which("chromium-headless-shell")
    return Path(found) if found else None


def chromium() -> Path | None:
    """Find the browser that page tests drive."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    return headless_chromium() or (Path(found) if found else None)


def promtool() -> Path | None:
    """Find the program that checks and tries rules of Prometheus."""
    found = shutil.which("promtool")
    return Path(found) if found else None


def dovecot() -> Path | None:
    """Find the IMAP server that mailboxes are read from."""
    found = shutil.which("dovecot", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    return Path(found) if found and any(Path(folder, "dovecot/imap").exists() for folder in ("/usr/lib", "/usr/libexec")) else None


@dataclass(frozen=True, slots=True)
class Need:
    """Something from the system that a part of the tests uses."""

    package: str
    find: Callable[[], Path | None]
    without: str
    #: What does as well, at more cost, and its package.
    instead: Callable[[], Path | None] = lambda: None
    instead_package: str = ""


NEEDS = {
    "postgresql": Need("postgresql", postgresql_binaries, "the run on the production stack"),
    "rabbitmq": Need("rabbitmq-server", rabbitmq_server, "the run on the production stack"),
    "redis": Need("redis-server", redis_server, "the run on the production stack"),
    "chromium": Need("chromium-headless-shell", headless_chromium, "the tests of pages in a browser", chromium, "chromium"),
    "promtool": Need("prometheus", promtool, "the tests of the rules for Prometheus"),
    "dovecot": Need("dovecot-imapd", dovecot, "the tests of mailboxes"),
}
#: A part of the tests needs them, on whichever stack it runs.
TOOLS = ("chromium", "promtool", "dovecot")


@contextmanager
def services_denied() -> Iterator[None]:
    """Keep packages from starting their services while they are installed."""
    before = POLICY.read_bytes() if POLICY.exists() else None
    mode = POLICY.stat().st_mode if before is not None else 0
    POLICY.write_text(DENY)
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        if before is None:
            POLICY.unlink(missing_ok=True)
        else:
            POLICY.write_bytes(before)
            POLICY.chmod(mode)


def _apt(*arguments: str) -> str:
    """Run apt-get, and return what went wrong in one line, or an empty string."""
    command = ["apt-get", "-q", "-y", "-o", "DPkg::Lock::Timeout=120", *arguments]
    try:
        done = subprocess.run(
            command,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=APT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"apt-get {arguments[0]} took longer than {APT_SECONDS} s"
    if done.returncode == 0:
        return ""
    errors = [line for line in done.stdout.splitlines() if line.startswith(("E:", "dpkg: error"))]
    return (errors or done.stdout.splitlines() or [f"apt-get {arguments[0]} failed"])[-1]


def _install(packages: list[str]) -> str:
    if os.geteuid() != 0:
        return "not root, so it could not be installed"
    if not shutil.which("apt-get"):
        return "there is no apt-get here to install it with"
    print(f"Installing {', '.join(packages)} with apt", flush=True)
    with services_denied():
        return _apt("update") or _apt("install", "--no-install-recommends", *packages)


def ensure(names: Iterable[str]) -> dict[str, str]:
    """Install what is missing, and return for each thing still missing the reason."""
    missing = [name for name in names if not NEEDS[name].find()]
    if not missing:
        return {}
    reason = _install([NEEDS[name].package for name in missing])
    reasons = dict.fromkeys(missing, reason)
    if reason and len(missing) > 1 and os.geteuid() == 0:
        # One package that cannot be had must not keep the others away.
        reasons = {name: _install([NEEDS[name].package]) for name in missing}
    for name in missing:
        if reasons[name] and NEEDS[name].instead_package and not NEEDS[name].instead():
            reasons[name] = _install([NEEDS[name].instead_package])
    found = {name for name in missing if NEEDS[name].find() or NEEDS[name].instead()}
    return {name: reasons[name] or "installed, and still not found" for name in missing if name not in found}
