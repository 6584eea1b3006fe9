"""A failure counts, unless the whole machine stood still when it came about; then the test runs again, and the run says so."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from posthaste.env import ROOT
from tests.progress import Counts
from tests.run import printed
from tests.stalls import AFTERMATH_SECONDS, Stalls, longest_stall

FAILS_ONCE = """
import os, pathlib, signal, time
def test_fails_once():
    tried = pathlib.Path(__file__).with_name("tried")
    if tried.exists():
        return
    tried.touch()
    {meanwhile}
    assert False, "not in time"
"""
#: Its parent looks at the clock for the run: while it is stopped, it looks as though the machine were.
STANDS_STILL = "os.kill(os.getppid(), signal.SIGSTOP); time.sleep(3.5); os.kill(os.getppid(), signal.SIGCONT)"
RUN = """
import sys
from pathlib import Path
from tests.runner.test_run import run
counts = run(Path(sys.argv[1]), Path(sys.argv[2]).read_text())
print(f"COUNTED {counts}")
print(f"AGAIN {counts.again}")
"""


def told(folder: Path, meanwhile: str) -> list[str]:
    """Run a test that fails at its first run and passes at its second, in a process of its own, and return what was counted."""
    (folder / "code").write_text(FAILS_ONCE.format(meanwhile=meanwhile))
    command = [sys.executable, "-c", RUN, str(folder), str(folder / "code")]
    done = subprocess.run(command, cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, check=True, timeout=300)
    return [line for line in done.stdout.splitlines() if line.startswith(("COUNTED", "AGAIN"))]


def test_a_test_that_failed_while_the_machine_stood_still_runs_again_and_is_named(tmp_path: Path) -> None:
    assert told(tmp_path, STANDS_STILL) == [
        "COUNTED 1 passed, 0 failed, 0 skipped",
        "AGAIN ['test_it.py::test_fails_once: AssertionError: not in time assert False']",
    ]


def test_any_other_failure_counts_although_the_test_would_pass_the_next_time(tmp_path: Path) -> None:
    assert told(tmp_path, "pass") == ["COUNTED 0 passed, 1 failed, 0 skipped", "AGAIN []"]


def test_what_ran_again_in_a_lane_is_said_at_the_end_of_all_of_them() -> None:
    said = b"=== run again, as the machine stood still: test_it.py::test_one: not in time\n1 passed, 0 failed, 0 skipped\n"
    counts = printed(io.BytesIO(said))
    assert counts == Counts(passed=1)
    assert counts.again == ["test_it.py::test_one: not in time"]


@pytest.mark.parametrize(
    ("began", "ended", "expected"),
    [
        (90.0, 101.0, 30.0),  # within the test
        (110.0, 140.0, 30.0),  # a part of it
        (130.0 + AFTERMATH_SECONDS / 2, 200.0, 30.0),  # shortly before
        (131.0 + AFTERMATH_SECONDS, 200.0, 0.0),  # long over
        (90.0, 99.5, 0.0),  # after its end
    ],
)
def test_only_a_long_gap_at_the_time_of_the_test_counts(began: float, ended: float, expected: float, tmp_path: Path) -> None:
    looks = tmp_path / "looks"
    looks.write_text("90.0\n92.0\n94.0\n96.0\n98.0\n100.0\n130.0\n132.0\n")
    assert longest_stall(looks, began, ended) == pytest.approx(expected)
    assert longest_stall(tmp_path / "none", began, ended) == 0


def test_a_test_that_passed_is_not_looked_into(tmp_path: Path) -> None:
    """It would wait for the next look, half a second a test."""
    assert not Stalls(tmp_path).stood_still(None)
    with pytest.raises(IsADirectoryError):
        Stalls(tmp_path).stood_still(AssertionError())
