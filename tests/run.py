"""`make test`: the whole suite on the production stack, and beside it the tests marked `both_stacks` on the embedded one.

    python -m tests.run [--stack production|embedded] [arguments of pytest]

Three lanes run at the same time, as each spends much of its time waiting: beside the tests of the code on the production stack, those
of the running product, and the embedded stack with some slow folders after it; what they say is printed after the other's.

The last line is the sum of all runs, `N passed, N failed, N skipped`; before it stands what failed in all of them. Exit status 0:
nothing failed and something ran.

Each run of pytest has a deadline: when no test has begun or ended for a quarter of an hour, or the run has taken an hour
(`--hours`), the stacks of all threads and what is known so far are printed, the servers are stopped, and the run has failed. A test that
failed while the whole machine stood still runs again, and is named (tests/stalls.py).
"""

import argparse
import os
import re
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from posthaste.env import ROOT
from tests import packages, prepared
from tests.guard import guard
from tests.progress import LEFT_THREADS, Counts, read
from tests.services import EMBEDDED, PRODUCTION, Service, ServiceFailed, Services
from tests.stalls import EVERY_SECONDS, Looks

NO_TESTS = 5  # pytest's exit status
EMBEDDED_LANE = "embedded"
#: What runs beside the rest of the production stack, so that all take about as long: folders of tests on a stack of their own. Before
#: its folders the embedded lane has the tests marked `both_stacks`.
LANES = {EMBEDDED_LANE: ("benchmarks", "browser"), "running": ("chaos", "deploy", "integration")}
LANE = "--lane"
FAILURE = "=== failed: "
AGAIN = "=== run again, as the machine stood still: "
LAST_LINE = re.compile(r"(\d+) passed, (\d+) failed, (\d+) skipped")
STOP_SECONDS = 60.0
TIDY_SECONDS = 10.0
STACKS_SECONDS = 2.0  # from the signal until the stacks are printed


@dataclass(frozen=True, slots=True)
class Deadline:
    """What a run of pytest may take: until the first test begins, then from one that begins or ends to the next, and in all."""

    start_seconds: float = 900.0
    quiet_seconds: float = 900.0  # longer than the longest test may take
    whole_seconds: float = 3600.0


def share_bytecode() -> None:
    """Keep compiled modules in a folder of this user's where Python is told to leave none beside the sources.

    A run starts the product a few hundred times, and each process would compile all of it again; so would the next run.
    """
    if os.environ.pop("PYTHONDONTWRITEBYTECODE", "") and "PYTHONPYCACHEPREFIX" not in os.environ:
        folder = Path(tempfile.gettempdir()) / f"posthaste-tests-bytecode-{os.getuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.is_symlink() or folder.stat().st_uid != os.getuid() or folder.stat().st_mode & 0o077:
            # What is in there would be run: it is not taken from someone else.
            folder = Path(tempfile.mkdtemp(prefix="posthaste-tests-bytecode-"))
            guard().tell(f"folder {folder}")
        os.environ["PYTHONPYCACHEPREFIX"] = str(folder)


def environment_of(services: Services) -> dict[str, str]:
    """Return the variables for one run of pytest."""
    return {
        **os.environ,
        **services.environment(),
        "DATA_DIR": str(services.folder / "data"),
        "SECRET_KEY": secrets.token_urlsafe(48),
        # The peers that tests send to listen on the loopback interface.
        "OUTBOUND_ALLOWED_NETWORKS": "127.0.0.0/8,::1/128",
        "LOG_FORMAT": "console",
        "LOG_LEVEL": "warning",
        "PYTHONUNBUFFERED": "1",
    }


def started_by(token: str) -> list[int]:
    """Return the processes that inherited a token in their environment, whatever session they made of their own."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):  # it has just ended
            if token.encode() in path.read_bytes():
                found.append(int(path.parent.name))
    return found


def end_all(token: str) -> None:
    """Give what a command left behind a moment to end, as guards do when they have tidied up, and kill the rest."""
    deadline = time.monotonic() + TIDY_SECONDS
    while left := started_by(token):
        if time.monotonic() > deadline:
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)


@contextmanager
def guarded(command: list[str], environment: dict[str, str], output: IO[bytes] | None = None) -> Iterator["subprocess.Popen[bytes]"]:
    """Start a command that ends with us, whatever ends us, wait for it at the end of the block, and leave nothing that it started."""
    token = f"TESTS_RUN_{secrets.token_hex(8)}"
    # In a process group of its own, which the guard can end; so what interrupts us has to be passed on.
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**environment, token: "1"},
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT if output else None,
        start_new_session=True,
    )
    guard().tell(f"+{process.pid}")
    try:
        yield process
        process.wait()
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                process.wait(STOP_SECONDS)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        guard().tell(f"-{process.pid}")
        end_all(token)


def overdue(process: "subprocess.Popen[bytes]", progress: Path, looks: Looks, deadline: Deadline) -> str:
    """Wait for the end of pytest and return "", or the reason once it is over its deadline; note at each look that the machine runs."""
    began = moved = time.monotonic()
    size = 0
    while True:
        looks.look()
        with suppress(subprocess.TimeoutExpired):
            process.wait(EVERY_SECONDS)
            return ""
        now = time.monotonic()
        if progress.exists() and (grown := progress.stat().st_size) != size:
            began = began if size else now
            size, moved = grown, now
        quiet_seconds = deadline.quiet_seconds if size else deadline.start_seconds
        if now - moved > quiet_seconds:
            return f"no test has begun or ended for {quiet_seconds:.0f} s"
        if size and now - began > deadline.whole_seconds:
            return f"the run has taken {deadline.whole_seconds:.0f} s"


def counted(arguments: list[str], environment: dict[str, str], deadline: Deadline) -> Counts:
    """Run pytest and return the outcomes; a run that broke or had to be ended has one failure more than its tests."""
    with tempfile.TemporaryDirectory() as folder:
        progress, looks = Path(folder) / "progress", Path(folder) / "looks"
        command = [sys.executable, "-m", "pytest", "-p", "tests.progress", f"--progress={progress}", f"--looks={looks}", *arguments]
        with guarded(command, environment) as process:
            reason = overdue(process, progress, Looks(looks), deadline)
            if reason:
                print(f"\n=== Ended, as {reason}. The stacks of all threads:", flush=True)
                process.send_signal(signal.SIGUSR1)
                time.sleep(STACKS_SECONDS)
                os.killpg(process.pid, signal.SIGKILL)
        counts, running = read(progress)
    if reason:
        print(f"=== So far: {counts}; not ended: {', '.join(running) or 'none'}", flush=True)
    if reason or process.returncode == LEFT_THREADS or (process.returncode not in (0, NO_TESTS) and not counts.failed):
        counts.failed += 1
        counts.failures.append(reason or f"pytest ended with {process.returncode}")
    return counts


def run_pytest(name: str, kinds: Iterable[type[Service]], arguments: list[str], deadline: Deadline) -> Counts:
    """Start the servers of a stack, run pytest against them, and stop them."""
    print(f"\n=== {name} stack: starting {', '.join(kind.name for kind in kinds)}", flush=True)
    began = time.monotonic()
    try:
        prepared.prepare(kinds)
        with Services(kinds) as services:
            (services.folder / "data").mkdir()
            counts = counted(["-rs", "--durations=10", "--durations-min=1", *arguments], environment_of(services), deadline)
    except ServiceFailed as error:
        print(f"The {name} stack could not be started: {error}", flush=True)
        counts = Counts(failed=1, failures=[f"the {name} stack: {error}"])
    # Never in the form of the last line, which must be the only one of its kind.
    print(f"=== {name} stack: {counts} in {time.monotonic() - began:.0f} s", flush=True)
    return counts


def only_both_stacks(arguments: list[str]) -> list[str]:
    """Narrow pytest's arguments to the tests marked for both stacks, within what -m already asks for."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("-m", dest="marks", default="")
    chosen, rest = parser.parse_known_args(arguments)
    return [*rest, "-m", f"({chosen.marks}) and both_stacks" if chosen.marks else "both_stacks"]


def names_tests(arguments: list[str]) -> bool:
    """Return whether the caller names files or folders of tests; then they are all that is run."""
    return any(not argument.startswith("-") and (ROOT / argument.partition("::")[0]).exists() for argument in arguments)


def run_lane(lane: str, arguments: list[str], deadline: Deadline) -> Counts:
    """Run what a lane has, one after the other."""
    counts = Counts()
    if lane == EMBEDDED_LANE:
        counts += run_pytest("embedded", EMBEDDED, only_both_stacks(arguments), deadline)
    if not names_tests(arguments):
        counts += run_pytest("production", PRODUCTION, [*arguments, *(f"tests/{folder}" for folder in LANES[lane])], deadline)
    return counts


def run_lanes(arguments: list[str], deadline: Deadline) -> Counts:
    """Run all lanes beside each other, print what they say one after the other, and count the outcomes of all."""
    lanes = [EMBEDDED_LANE] if names_tests(arguments) else list(LANES)
    beside = [] if names_tests(arguments) else [f"--ignore=tests/{folder}" for lane in lanes for folder in LANES[lane]]
    with ExitStack() as files:
        outputs = [files.enter_context(tempfile.TemporaryFile()) for _ in lanes]
        with ExitStack() as running:
            for lane, output in zip(lanes, outputs, strict=True):
                command = [sys.executable, "-m", "tests.run", f"{LANE}={lane}", f"--hours={deadline.whole_seconds / 3600}", *arguments]
                running.enter_context(guarded(command, dict(os.environ), output))
            counts = run_pytest("production", PRODUCTION, [*arguments, *beside], deadline)
            print("=== what ran beside it: waiting for its end", flush=True)
        return sum(map(printed, outputs), counts)


def printed(output: IO[bytes]) -> Counts:
    """Print what a lane said and return its counts, which are its last line."""
    output.seek(0)
    *lines, last = output.read().decode(errors="replace").rstrip().splitlines() or [""]
    failures = [line.removeprefix(FAILURE) for line in lines if line.startswith(FAILURE)]
    again = [line.removeprefix(AGAIN) for line in lines if line.startswith(AGAIN)]
    print("\n".join(line for line in lines if not line.startswith((FAILURE, AGAIN))), flush=True)
    found = LAST_LINE.fullmatch(last)
    if not found:
        print(last)
        return Counts(failed=1, failures=[*failures, last], again=again)
    passed, failed, skipped = map(int, found.groups())
    return Counts(passed, failed, skipped, failures, again)


def main() -> int:
    """Run the tests and return the exit status."""
    parser = argparse.ArgumentParser(description="Runs the tests against real servers of its own.", allow_abbrev=False)
    parser.add_argument("--stack", choices=["production", "embedded"], help="everything on this stack, and nothing on the other one")
    parser.add_argument(LANE, choices=LANES, help=argparse.SUPPRESS)
    parser.add_argument("--hours", type=float, default=1.0, help="what one run of pytest may take (default: 1)")
    options, arguments = parser.parse_known_args()
    deadline = Deadline(whole_seconds=options.hours * 3600)
    # So that a CI's time limit ends as an exception here, and everything is stopped in order.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))

    if not names_tests(arguments):  # a few tests start few processes
        share_bytecode()
    wanted = list(packages.TOOLS) if options.stack == "embedded" else list(packages.NEEDS)
    missing = packages.ensure(wanted)
    servers_missing = [name for name in missing if name not in packages.TOOLS]
    left_out = [f"{packages.NEEDS[name].without}: {name} is missing ({reason})" for name, reason in missing.items()]

    counts = Counts()
    # A few tests need one database; a lane has the folder of the run that started it.
    with nullcontext() if options.lane or names_tests(arguments) else prepared.folder():
        if options.stack == "embedded":
            counts += run_pytest("embedded", EMBEDDED, arguments, deadline)
        elif servers_missing:
            # Everything, so that what can be tested is; tests that need the other servers skip themselves and say so.
            counts += run_pytest("embedded", EMBEDDED, arguments, deadline)
        elif options.stack == "production":
            counts += run_pytest("production", PRODUCTION, arguments, deadline)
        elif options.lane:
            counts += run_lane(options.lane, arguments, deadline)
        else:
            counts += run_lanes(arguments, deadline)

    for line in left_out:
        print(f"Left out {line}")
    if not counts.passed + counts.failed:
        print("No test ran.")
    for test in counts.again:
        print(f"{AGAIN}{test}")
    for failure in counts.failures:
        print(f"{FAILURE}{failure}")
    print(counts, flush=True)
    return 0 if counts.passed and not counts.failed else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
