"""A run of the tests always ends, says why, and counts."""

import io
import os
from pathlib import Path

import pytest

from tests.integration.stack import stat_of
from tests.progress import Counts
from tests.run import Deadline, counted, printed

LONG = Deadline(quiet_seconds=100, whole_seconds=100)


def run(folder: Path, code: str, deadline: Deadline = LONG, *more: str) -> Counts:
    """Run pytest on one file, without this project's configuration but for plugins named in more arguments."""
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "test_it.py").write_text(code)
    arguments = ["-c", str(folder / "pytest.ini"), "-p", "no:django", "-p", "no:cacheprovider", *more, str(folder)]
    return counted(arguments, dict(os.environ), deadline)


def test_outcomes_are_those_of_the_tests(tmp_path: Path) -> None:
    code = """
import pytest
@pytest.fixture
def broken():
    yield
    raise RuntimeError
def test_good(): pass
def test_bad(): assert False
def test_skipped(): pytest.skip("no")
def test_torn_down_badly(broken): pass
"""
    counts = run(tmp_path, code)
    assert counts == Counts(passed=1, failed=2, skipped=1)
    assert counts.failures == ["test_it.py::test_bad: assert False", "test_it.py::test_torn_down_badly: RuntimeError"]


def test_what_failed_in_a_lane_is_said_at_the_end_of_all_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    said = b"=== production stack: 1 passed, 1 failed\n=== failed: test_it.py::test_bad: assert 1 == 2\n1 passed, 1 failed, 0 skipped\n"
    counts = printed(io.BytesIO(said))
    assert counts == Counts(passed=1, failed=1)
    assert counts.failures == ["test_it.py::test_bad: assert 1 == 2"]
    assert "test_bad" not in capsys.readouterr().out, "said once, by the run of all"


def test_a_file_that_cannot_be_read_is_a_failure(tmp_path: Path) -> None:
    assert run(tmp_path, "import nothing_of_that_name") == Counts(failed=1)


def test_a_thread_that_would_keep_the_process_alive_fails_the_run_and_its_stack_is_printed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    code = """
import threading, time
def sleeps_long():
    time.sleep(1000)
def test_leaves_a_thread():
    threading.Thread(target=sleeps_long, name="left behind").start()
"""
    counts = run(tmp_path, code)
    printed = capfd.readouterr()
    assert counts == Counts(passed=1, failed=1)
    assert "Thread left behind:" in printed.err
    assert "in sleeps_long" in printed.err


@pytest.mark.parametrize("daemon", [False, True])
def test_a_test_that_leaves_a_thread_behind_fails_with_its_stack_and_those_after_it_run(
    daemon: bool, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code = f"""
import threading, time
def sleeps_long():
    time.sleep(1000)
def test_leaves_a_thread():
    threading.Thread(target=sleeps_long, name="left behind", daemon={daemon}).start()
def test_leaves_one_that_lives_as_long_as_the_process():
    threading.Thread(target=sleeps_long, name="flow-keeper", daemon=True).start()
def test_leaves_one_that_is_about_to_end():
    threading.Thread(target=time.sleep, args=(0.2,)).start()
"""
    monkeypatch.setenv("THREADS_END_SECONDS", "1")
    counts = run(tmp_path, code, LONG, "-p", "tests.left_threads")
    printed = capfd.readouterr()
    # Its own test passed; the fixture failed after it. One that is no daemon fails the whole run as well, which it keeps from ending.
    assert counts == Counts(passed=2, failed=1 if daemon else 2)
    assert "threads are left behind:\nThread left behind:" in printed.out
    assert "in sleeps_long" in printed.out
    assert "flow-keeper" not in printed.out


def test_a_test_that_never_ends_is_ended_with_the_stacks_and_what_is_known_so_far(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    code = """
import threading
def test_good(): pass
def test_never_ends():
    threading.Event().wait()
def test_after(): pass
"""
    counts = run(tmp_path, code, Deadline(quiet_seconds=5, whole_seconds=1000))
    printed = capfd.readouterr()
    assert counts == Counts(passed=1, failed=1)
    assert "no test has begun or ended for 5 s" in printed.out
    assert "So far: 1 passed, 0 failed, 0 skipped; not ended: test_it.py::test_never_ends" in printed.out
    assert "in test_never_ends" in printed.err


def test_a_process_with_a_session_of_its_own_ends_with_the_run_that_left_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = f"""
import subprocess
def test_leaves_a_process():
    process = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    open({str(tmp_path / "pid")!r}, "w").write(str(process.pid))
"""
    monkeypatch.setattr("tests.run.TIDY_SECONDS", 0.5)
    assert run(tmp_path, code) == Counts(passed=1)
    # Its parent has ended, so it stays as a zombie until the init process looks.
    assert next(iter(stat_of(int((tmp_path / "pid").read_text()))), "Z") == "Z"


def test_a_run_that_goes_on_and_on_is_ended_as_a_whole(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code = """
import pytest, time
@pytest.mark.parametrize("n", range(10_000))
def test_short(n): time.sleep(0.2)
"""
    counts = run(tmp_path, code, Deadline(quiet_seconds=1000, whole_seconds=6))
    assert counts.passed > 0
    assert counts.failed == 1
    assert "the run has taken 6 s" in capfd.readouterr().out
