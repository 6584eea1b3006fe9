"""Faults while a job runs: its worker is killed, the database goes away and comes back."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from posthaste import env
from tests.integration.customer import asked
from tests.integration.stack import Stack, stat_of
from tests.integration.waiting import poll, sizes
from tests.jobs import misbehaving
from tests.services import PostgreSQL, Service, Services, Valkey

PROCESSES = ("web", "worker-aux", "beat")


class Jobs:
    """An installation with the misbehaving jobs, its servers its own."""

    def __init__(self, stack: Stack, database: Service | None) -> None:
        self.stack = stack
        self.database = database
        self.dies_at = Path(stack.environment["DIES_AT"])
        self.ids = {job["task"]: job["id"] for job in stack.http.get("/api/jobs/").json()}

    def change(self, task: str, **fields: Any) -> None:
        answer = self.stack.http.request("PATCH", f"/api/jobs/{self.ids[task]}/", body=fields)
        assert answer.status == 200, answer.data

    def run(self, task: str, **parameters: Any) -> str:
        """Start a run and return its address."""
        answer = self.stack.http.post(f"/api/jobs/{self.ids[task]}/run/", {"parameters": parameters})
        assert answer.status == 201, answer.data
        return f"/api/jobs/runs/{answer.json()[0]['id']}/"

    def state(self, run: str) -> tuple[str, str]:
        answer = self.stack.http.get(run)
        return (answer.json()["state"], answer.json()["error"]) if answer.status == 200 else (str(answer.status), "")

    def log(self, run: str) -> str:
        return str(self.stack.http.get(f"{run}log/").json().get("text", ""))

    def said(self, run: str, text: str) -> str:
        """Wait until the log has a text, and return it."""
        poll(lambda: text in self.log(run), reason=lambda: f"{self.state(run)}\n{self.log(run)}\n{self.stack.log_tail('worker-aux')}")
        return self.log(run)

    def ended(self, run: str, state: str, error: str = "") -> None:
        """Wait for the end of a run: it must be this one."""
        poll(
            lambda: self.state(run)[0] not in ("waiting", "running", "503"),
            progress=lambda: self.state(run),
            reason=lambda: self.stack.log_tail("worker-aux"),
        )
        assert self.state(run) == (state, error), self.log(run)

    def run_in_a_worker_that_dies(self, task: str, place: str) -> str:
        """Start a run whose worker is killed where its end is stored, wait for that, and return the run's address."""
        self.dies_at.write_text(place)
        run = self.run(task)
        poll(
            lambda: not self.stack.is_running("worker-aux"),
            progress=lambda: self.state(run),
            reason=lambda: self.stack.log_tail("worker-aux"),
        )
        assert not self.dies_at.exists()
        return run

    def followers(self, task: str, run: str) -> list[tuple[str, str, str]]:
        """Return trigger, state and error of the runs of a job that followed a run."""
        return self.runs(task).get(run.strip("/").rpartition("/")[2], [])

    def open_runs(self) -> list[str]:
        """Return the names of the jobs of this app with a run that waits or goes on."""
        return [task for task in self.ids if task.startswith("misbehaving.") and self._has_open_runs(task)]

    def _has_open_runs(self, task: str) -> bool:
        return any(state in ("waiting", "running") for runs in self.runs(task).values() for _trigger, state, _error in runs)

    def runs(self, task: str) -> dict[str, list[tuple[str, str, str]]]:
        """Return trigger, state and error of the runs of a job, by the id of the run that they follow ("": none)."""
        found: dict[str, list[tuple[str, str, str]]] = {}
        for run in self.stack.http.get(f"/api/jobs/{self.ids[task]}/runs/", limit=100).json()["results"]:
            found.setdefault(run["parent_id"] or "", []).append((run["trigger"], run["state"], run["error"]))
        return found

    def is_open(self, run: str) -> bool:
        return self.state(run)[0] in ("waiting", "running")


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jobs]:
    """Start servers that may be stopped, and the processes that jobs need, with the misbehaving app installed."""
    folder = tmp_path_factory.mktemp("jobs")
    is_postgresql = env.load().is_postgresql
    with Services([PostgreSQL, Valkey] if is_postgresql else [Valkey]) as services:
        database, address = services["postgresql"] if is_postgresql else None, services["valkey"].url
        environment = {
            **misbehaving.write(folder),
            "DATABASE_URL": database.url if database else f"sqlite:///{folder}/jobs.sqlite3",
            "BROKER_URL": address,
            "REDIS_URL": address,
        }
        stack = Stack(environment, folder)
        try:
            stack.prepare()
            for name in PROCESSES:
                stack.start(name)
            poll(
                lambda: _has(stack, "misbehaving.wait"),
                progress=lambda: sizes(*map(stack.log, PROCESSES)),
                reason=lambda: stack.log_tail("beat"),
            )
            yield Jobs(stack, database)
        finally:
            stack.stop()


def _has(stack: Stack, task: str) -> bool:
    try:
        return task in {job["task"] for job in stack.http.get("/api/jobs/").json()}
    except Exception:  # noqa: BLE001 - the server is starting
        return False


@pytest.fixture
def whole(jobs: Jobs) -> Jobs:
    """Give each test what earlier ones may have stopped."""
    if jobs.database and (jobs.database.process is None or jobs.database.process.poll() is not None):
        jobs.database.start()
    for name in PROCESSES:
        if not jobs.stack.is_running(name):
            jobs.stack.start(name)
    return jobs


def is_running(pid: int) -> bool:
    return (stat_of(pid) or ["Z"])[0] != "Z"


def test_a_run_whose_worker_is_killed_is_lost_with_all_its_processes_and_the_next_one_runs(whole: Jobs) -> None:
    jobs = whole
    run = jobs.run("misbehaving.spin", pause=60, words="so far so good")
    pids = [int(pid) for pid in jobs.said(run, "so far so good").split("pids ")[1].split()[:3]]
    assert all(map(is_running, pids))
    jobs.stack.kill("worker-aux")  # with SIGKILL; the run's processes are in a group of their own
    poll(lambda: not any(map(is_running, pids)), reason="the run outlives its worker")
    jobs.stack.start("worker-aux")
    jobs.ended(run, "failed", "worker_lost")
    assert "so far so good" in jobs.log(run)
    again = jobs.run("misbehaving.spin", pause=60, words="once more")
    jobs.said(again, "once more")
    assert jobs.stack.http.post(f"{again}stop/").status == 200
    jobs.ended(again, "killed", f"Stopped by key:{jobs.stack.http.api_key.split('_')[2]}.")


def test_the_group_of_a_run_whose_guard_is_killed_ends_with_it(whole: Jobs) -> None:
    run = whole.run("misbehaving.spin", pause=60, words="guarded")
    guard, *others = (int(pid) for pid in whole.said(run, "guarded").split("pids ")[1].split()[:3])
    os.kill(guard, 9)
    poll(lambda: not any(map(is_running, others)), reason="the run outlives its guard")
    whole.ended(run, "failed", "The process ended: SIGKILL")


@pytest.mark.parametrize("place", ["before", "inside"])
def test_a_worker_that_is_killed_before_the_end_of_a_run_is_stored_leaves_one_end_and_one_retry(whole: Jobs, place: str) -> None:
    jobs = whole
    jobs.change("misbehaving.say", retries=1, retry_delay_seconds=1, child_id=None)
    run = jobs.run_in_a_worker_that_dies("misbehaving.say", place)
    assert jobs.state(run) == ("running", ""), "nothing of the end is stored"
    jobs.stack.start("worker-aux")
    jobs.ended(run, "failed", "worker_lost")
    poll(lambda: jobs.followers("misbehaving.say", run) == [("retry", "succeeded", "")], reason=lambda: jobs.runs("misbehaving.say"))
    assert not jobs.open_runs()


def test_a_worker_that_is_killed_after_the_end_of_a_run_is_stored_leaves_its_child_to_others(whole: Jobs) -> None:
    jobs = whole
    jobs.change("misbehaving.say", retries=1, retry_delay_seconds=1, child_id=jobs.ids["misbehaving.wait"])
    jobs.change("misbehaving.wait", timeout_seconds=60)
    run = jobs.run_in_a_worker_that_dies("misbehaving.say", "after")
    assert jobs.state(run) == ("succeeded", "")
    jobs.stack.start("worker-aux")
    poll(lambda: jobs.followers("misbehaving.wait", run) == [("child", "succeeded", "")], reason=lambda: jobs.runs("misbehaving.wait"))
    assert jobs.state(run) == ("succeeded", "")
    assert jobs.followers("misbehaving.say", run) == []
    assert not jobs.open_runs()


def test_what_became_of_a_run_while_the_database_was_away_is_stored_when_it_is_back(whole: Jobs, tmp_path: Path) -> None:
    jobs, go = whole, tmp_path / "go"
    if jobs.database is None:
        pytest.skip("SQLite has no server that could be away")
    run = jobs.run("misbehaving.wait", path=str(go))
    jobs.said(run, "waiting")
    jobs.database.stop()
    go.touch()
    poll(lambda: "runs wait for the database" in jobs.stack.log_tail("worker-aux", 200), progress=lambda: jobs.stack.log_tail("worker-aux"))
    jobs.database.start()
    jobs.ended(run, "succeeded")
    assert "waited" in jobs.log(run)
    assert jobs.stack.is_running("worker-aux")
    assert jobs.stack.is_running("beat")


def test_a_run_that_timed_out_while_the_database_was_away_writes_nothing_when_it_is_back(whole: Jobs, tmp_path: Path) -> None:
    jobs, go, written = whole, tmp_path / "go", tmp_path / "written"
    if jobs.database is None:
        pytest.skip("SQLite has no server that could be away")
    jobs.change("misbehaving.write_late", timeout_seconds=3)
    jobs.change("misbehaving.wait", timeout_seconds=3)
    late = jobs.run("misbehaving.write_late", path=str(go), written=str(written))
    poll(Path(f"{written}.began").exists, reason="the run does not begin")
    process = jobs.run("misbehaving.wait", path=str(tmp_path / "never"))
    jobs.said(process, "waiting")
    jobs.database.stop()
    poll(Path(f"{written}.lost").exists, reason="the time-out needs the database")
    jobs.database.start()
    go.touch()
    poll(written.exists, reason="the late run does not end")
    assert written.read_text() == "Overtaken"
    jobs.ended(late, "timed_out", "timed_out")
    jobs.ended(process, "timed_out", "timed_out")
    assert "late" not in asked(jobs.stack, "from accounts.models import Tenant\nprint(list(Tenant.objects.values_list('slug', flat=True)))")
