"""Runs in processes of their own: real processes, which time-outs and people really end."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import current_app
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from jobs import registry
from jobs.models import JobRun, Plan, RunState
from jobs.services import execution, fence, parameters, publishing, run_log, schedule, transitions
from jobs.services import supervisor as supervision
from jobs.services.fence import Overtaken
from jobs.services.supervisor import supervisor
from posthaste import env
from posthaste.env import ROOT
from tests.builders import TESTER
from tests.jobs.builders import make_plan
from tests.jobs.waiting import wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(180)]
#: Jobs of the process under test: an app's module that only it loads.
SITE = """
import os, signal, sys, time
from datetime import timedelta
from jobs.registry import job

DECLARED = {"title": "Test", "purpose": "Test.", "every": timedelta(hours=1), "timeout": timedelta(seconds=30)}

@job("tests.says", **DECLARED)
def says(*, now, shard, shards, word: str = "hello", times: int = 1):
    for number in range(times):
        print(f"{word} {number} {shard}/{shards} {now.isoformat()}")

@job("tests.spins", **DECLARED)
def spins():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = os.fork()
    if child:
        print(f"child {child}", flush=True)
        print("spinning", flush=True)
    while True:
        try:
            while True:
                pass
        except BaseException:
            pass

@job("tests.fails", **DECLARED)
def fails():
    raise ValueError("boom")

@job("tests.forks", **DECLARED)
def forks():
    child = os.fork()
    if child == 0:
        while True:
            time.sleep(1)
    print(f"child {child}", flush=True)
    time.sleep(60)
"""


def database_url() -> str:
    found = settings.DATABASES["default"]
    name = connection.settings_dict["NAME"]
    if connection.vendor == "sqlite":
        return f"sqlite:///{name}"
    return env.load().database_url.rpartition("/")[0] + f"/{name}" if found else ""


@pytest.fixture(autouse=True)
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give the process a module with jobs, and this test the same jobs."""
    (tmp_path / "jobs_of_the_test.py").write_text(SITE)
    (tmp_path / "run.py").write_text(
        "import sys\nimport django\nimport os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'posthaste.settings')\n"
        "django.setup()\nimport jobs_of_the_test\nfrom deploy import job_process\nstatus = job_process.main()\n"
        "sys.stdout.flush()\nsys.stderr.flush()\nos._exit(status)\n"
    )
    monkeypatch.setattr(supervision, "COMMAND", [sys.executable, str(tmp_path / "run.py")])
    monkeypatch.setitem(supervision.extra_environment, "DATABASE_URL", database_url())
    monkeypatch.setitem(supervision.extra_environment, "PYTHONPATH", f"{ROOT}:{tmp_path}")
    monkeypatch.setattr(publishing, "publish", lambda _runs: None)
    known = set(registry._queues)
    scope: dict[str, object] = {}
    exec(compile(SITE, "jobs_of_the_test", "exec"), scope)
    yield
    for name in set(registry._queues) - known:
        current_app.tasks.pop(name, None)
        registry._queues.pop(name)
        registry._jobs.pop(name)
        parameters._shape.cache_clear()


def begin(task: str, *, number: int = 0, **fields: object) -> JobRun:
    """Start a run as a worker would."""
    plan = Plan.objects.filter(job__task=task).first() or make_plan(f"job {task}", task=task, **fields)  # type: ignore[arg-type]
    run = schedule.run_job(row=plan.job, by=TESTER, now=timezone.now())[0]
    execution.carry_out(str(run.pk))
    return run


def ended(run: JobRun, seconds: float = 60.0) -> JobRun:
    def is_over() -> bool:
        run.refresh_from_db()
        return run.state not in (RunState.WAITING, RunState.RUNNING)

    wait_until(is_over, seconds=seconds)
    return run


def text_of(run: JobRun) -> str:
    run.refresh_from_db()
    return run_log.read(run.pk, start=0, size=run.log_size).text


def pid_of(run: JobRun) -> int:
    found = supervisor._watched.get(run.pk)
    return found.process.pid if found is not None and found.process is not None else 0


def child_of(run: JobRun) -> int:
    """Return the process that a run has started, once its log tells it."""
    return int(next(line for line in text_of(run).splitlines() if line.startswith("child ")).split()[1])


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_run_in_a_process_gets_its_time_shard_and_parameters_and_its_output_is_kept() -> None:
    plan = make_plan("says", task="tests.says")
    run = schedule.run_job(row=plan.job, given={"word": "ünï", "times": 3}, by=TESTER, now=timezone.now())[0]
    execution.carry_out(str(run.pk))
    assert ended(run).state == "succeeded", text_of(run)
    expected = [f"ünï {number} 0/1 {run.nominal_at.isoformat()}" for number in range(3)]
    assert [line for line in text_of(run).splitlines() if "ünï" in line] == expected


def test_a_run_that_raises_fails_with_its_error_and_traceback() -> None:
    run = ended(begin("tests.fails"))
    assert (run.state, run.error) == ("failed", "ValueError: boom")
    assert "Traceback" in text_of(run)


def test_a_busy_loop_that_ignores_signals_is_dead_soon_after_its_time_out_with_its_child_and_its_writes_are_refused() -> None:
    run = begin("tests.spins", timeout_seconds=2)
    wait_until(lambda: "spinning" in text_of(run), seconds=60)
    pids, began = [pid_of(run), child_of(run)], time.monotonic()
    assert all(map(is_running, pids))
    wait_until(lambda: not any(map(is_running, pids)), seconds=20)
    took = time.monotonic() - began
    assert ended(run).state == "timed_out"
    assert took < 5.0 + 2.0  # two for a machine that does other things; benchmarks/job_stop.py measures it alone
    assert "spinning" in text_of(run), "the log of a killed run is readable"
    with pytest.raises(Overtaken), transaction.atomic():
        fence.check(execution.current_of(run))


def test_a_run_is_stopped_by_hand_with_everything_it_started() -> None:
    run = begin("tests.forks")
    wait_until(lambda: "child" in text_of(run), seconds=60)
    child = child_of(run)
    assert is_running(child)
    schedule.stop_run(run=run, by=TESTER, now=timezone.now())
    assert (ended(run).state, run.error) == ("killed", f"Stopped by {TESTER}.")
    wait_until(lambda: not is_running(child), seconds=20)


def test_a_run_whose_process_is_killed_from_elsewhere_fails_and_says_so() -> None:
    run = begin("tests.spins")
    wait_until(lambda: "spinning" in text_of(run), seconds=60)
    os.kill(pid_of(run), signal.SIGKILL)
    assert (ended(run).state, run.error) == ("failed", "The process ended: SIGKILL")


def test_a_run_that_was_given_up_elsewhere_is_ended_here() -> None:
    run = begin("tests.spins")
    wait_until(lambda: "spinning" in text_of(run), seconds=60)
    pid = pid_of(run)
    transitions.finish(
        run.pk, token=run.token or JobRun.objects.get(pk=run.pk).token, state=RunState.FAILED, error="worker_lost", now=timezone.now()
    )
    wait_until(lambda: not is_running(pid), seconds=20)
    wait_until(lambda: not supervisor._watched, seconds=20)
    assert ended(run).error == "worker_lost"
