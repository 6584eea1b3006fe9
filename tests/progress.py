"""A pytest plug-in that reports each test as it ends, and that does not let a thread keep the run from ending.

`python -m pytest -p tests.progress --progress=FILE` appends one line to FILE when a test begins and one when it has ended, so that
tests/run.py knows what has happened even when pytest never comes to its end. SIGUSR1 prints the stacks of all threads.
"""

import faulthandler
import os
import signal
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.stacks import stacks_of
from tests.stalls import Stalls

LEFT_THREADS = 70  # exit status: tests left threads that would have kept the process alive
EXIT_SECONDS = 10.0  # what the process may take to end when all is reported; one that leaves nothing ends at once
REASON_CHARACTERS = 300
PASSED, FAILED, SKIPPED, STARTED, AGAIN = "passed", "failed", "skipped", "started", "rerun"


@dataclass(slots=True)
class Counts:
    """Outcomes of tests."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    failures: list[str] = field(default_factory=list, compare=False)  # the tests that failed, each with the start of its reason
    again: list[str] = field(default_factory=list, compare=False)  # failed while the machine stood still, and ran again

    def __add__(self, other: "Counts") -> "Counts":
        numbers = (self.passed + other.passed, self.failed + other.failed, self.skipped + other.skipped)
        return Counts(*numbers, self.failures + other.failures, self.again + other.again)

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


def read(progress: Path) -> tuple[Counts, list[str]]:
    """Return the outcomes so far and the tests that have begun and not ended."""
    counts, running = Counts(), dict[str, None]()
    for line in progress.read_text().splitlines() if progress.exists() else []:
        outcome, _, about = line.partition(" ")
        test, _, reason = about.partition("\t")
        if outcome == STARTED:
            running[test] = None
            continue
        running.pop(test, None)
        told = f"{test}: {reason}" if reason else test
        if outcome == AGAIN:
            counts.again.append(told)
        else:
            setattr(counts, outcome, getattr(counts, outcome) + 1)
        if outcome == FAILED:
            counts.failures.append(told)
    return counts, list(running)


def reason_of(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Return the start of what a failure says, on one line."""
    crash = getattr(report.longrepr, "reprcrash", None)
    said = crash.message if crash else str(report.longrepr).strip()
    return " ".join(said[:REASON_CHARACTERS].split())


class Progress:
    """Write what happens to each test into a file."""

    def __init__(self, path: Path, errors: int) -> None:
        self.path = path
        self.errors = errors  # a descriptor that pytest's capturing does not replace
        self._outcomes: dict[str, str] = {}
        self._reasons: dict[str, str] = {}

    def _write(self, outcome: str, test: str, reason: str = "") -> None:
        with self.path.open("a") as file:
            file.write(f"{outcome} {test}\t{reason}\n" if reason else f"{outcome} {test}\n")

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._write(STARTED, nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remember the worst of setup, call and teardown."""
        outcomes = (report.outcome, self._outcomes.get(report.nodeid, PASSED))
        self._outcomes[report.nodeid] = next((worst for worst in (AGAIN, FAILED, SKIPPED) if worst in outcomes), PASSED)
        if report.outcome in (FAILED, AGAIN):
            self._reasons.setdefault(report.nodeid, reason_of(report))

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        self._write(self._outcomes.pop(nodeid, FAILED), nodeid, self._reasons.pop(nodeid, ""))

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Count a file that cannot be read as a failure, and one that skips itself as skipped."""
        if not report.passed:
            self._write(report.outcome, report.nodeid, reason_of(report) if report.failed else "")

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        """End the process when threads keep it from ending: all is reported and written by now."""
        ending = threading.Timer(EXIT_SECONDS, end_with_stacks, [self.errors])
        ending.daemon = True
        ending.start()


def end_with_stacks(errors: int) -> None:
    """Print the stacks of the threads that keep the process alive, and end it."""
    left = [one for one in threading.enumerate() if not one.daemon and one is not threading.main_thread()]
    text = f"\npytest did not end: {len(left)} threads that are not daemons were left.\n{stacks_of(left or [threading.main_thread()])}"
    os.write(errors, text.encode(errors="replace"))
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(LEFT_THREADS)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare where the progress is written, and where it stands that the machine runs."""
    parser.addoption("--progress", default="", help="a file that gets a line for each test as it begins and ends")
    parser.addoption("--looks", default="", help="a file that gets a line twice a second while the machine runs: see tests/stalls.py")


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Write the progress, and print all stacks at SIGUSR1."""
    if not (path := config.getoption("--progress")) or hasattr(config, "workerinput"):
        return
    capture = config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        errors = os.dup(2)
    faulthandler.register(signal.SIGUSR1, file=errors, all_threads=True)
    config.pluginmanager.register(Progress(Path(path), errors), "tests-progress")
    if looks := config.getoption("--looks"):
        config.pluginmanager.register(Stalls(Path(looks)), "tests-stalls")
