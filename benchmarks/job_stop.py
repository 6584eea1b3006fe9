"""How soon a busy loop is dead when its time is over, and how soon a run begins when it is due.

    python -m benchmarks.job_stop [--rounds 10] [--output FILE]

Real processes (web, worker-aux, beat) on servers of their own. The busy loop, and a child that it has started, ignore SIGTERM and may run
for 2 s; both must be gone 5 s after it began. What is due is fired every 5 s by beat and prints when its function began, in a
process of its own that had to start for it; the same is shown for the moment at which a worker took it.
"""

import argparse
import json
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.result import Comparison, Result
from benchmarks.waiting import wait
from tests.integration.customer import asked
from tests.integration.stack import Stack, stat_of
from tests.jobs import misbehaving
from tests.services import EMBEDDED, Services

LIMIT_SECONDS, BOUND_SECONDS, EVERY_SECONDS = 2, 5.0, 5
PROCESSES = ("web", "worker-aux", "beat")
OFTEN = f"""
from datetime import timedelta
from django.utils import timezone
from django_celery_beat.models import PeriodicTask, PeriodicTasks
from jobs.models import Plan
from jobs.services import plans
from jobs.services.plans import When
when = plans.columns_of(When(every=timedelta(seconds={EVERY_SECONDS})), zone="UTC")
row = PeriodicTask.objects.create(name="often", task="misbehaving.say", **when)
now = timezone.now()
Plan.objects.create(job=row, anchor=now, cursor=now, is_edited=True)
PeriodicTasks.update_changed()
print(row.pk)
"""


def _jobs(stack: Stack) -> dict[str, int]:
    try:
        return {job["task"]: job["id"] for job in stack.http.get("/api/jobs/").json()}
    except Exception:  # noqa: BLE001 - the server is starting
        return {}


def _run(stack: Stack, job: int, **parameters: Any) -> str:
    answer = stack.http.post(f"/api/jobs/{job}/run/", {"parameters": parameters})
    assert answer.status == 201, answer.data
    return f"/api/jobs/runs/{answer.json()[0]['id']}/"


def stop_seconds(stack: Stack, job: int, mark: Path) -> float:
    """Run the busy loop, and return the seconds from its beginning until all its processes are gone."""
    mark.unlink(missing_ok=True)
    run = _run(stack, job, mark=str(mark))
    wait(
        lambda: mark.exists() and len(mark.read_text().split()) == 4,
        "the loop did not begin",
        progress=lambda: stack.log_tail("worker-aux"),
    )
    began, *pids = mark.read_text().split()
    while any((stat_of(int(pid)) or ["Z"])[0] != "Z" for pid in pids):
        time.sleep(0.01)
    took = time.time() - float(began)
    wait(lambda: stack.http.get(run).json()["state"] == "timed_out", "it did not time out", progress=lambda: stack.http.get(run).json())
    return took


def start_seconds(stack: Stack, job: int, rounds: int) -> tuple[list[float], list[float]]:
    """Let beat fire a job, and return the seconds from each fire time until a worker took the run, and until its function began."""

    def runs() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = stack.http.get(f"/api/jobs/{job}/runs/?state=succeeded").json()["results"]
        return found

    wait(lambda: len(runs()) > rounds, "beat fires nothing", progress=lambda: len(runs()), every=1.0)
    taken, began = [], []
    for run in runs()[:rounds]:
        nominal = datetime.fromisoformat(run["nominal_at"])
        text = stack.http.get(f"/api/jobs/runs/{run['id']}/log/").json()["text"]
        said = next(line.split()[1] for line in text.splitlines() if line.startswith("began "))
        taken.append((datetime.fromisoformat(run["started_at"]) - nominal).total_seconds())
        began.append((datetime.fromisoformat(said) - nominal).total_seconds())
    return taken, began


def measure(*, rounds: int) -> Result:
    """Start the processes, and measure both."""
    with tempfile.TemporaryDirectory() as path, Services(EMBEDDED) as services:
        folder = Path(path)
        stack = Stack({**services.environment(), **misbehaving.write(folder)}, folder)
        try:
            stack.prepare()
            for name in PROCESSES:
                stack.start(name)
            wait(lambda: "misbehaving.spin" in _jobs(stack), "the jobs are not there", progress=lambda: stack.log_tail("beat"))
            spin = _jobs(stack)["misbehaving.spin"]
            answer = stack.http.request("PATCH", f"/api/jobs/{spin}/", body={"timeout_seconds": LIMIT_SECONDS})
            assert answer.status == 200, answer.data
            stopped = [stop_seconds(stack, spin, folder / "mark") for _round in range(rounds)]
            taken, began = start_seconds(stack, int(asked(stack, OFTEN)), rounds)
        finally:
            stack.stop()
    return Result(
        [
            Comparison(
                f"busy loop with a limit of {LIMIT_SECONDS} s, dead", "s", stopped, "", [BOUND_SECONDS], 1.0, higher_is_better=False
            ),
            Comparison("taken by a worker after its fire time", "s", taken, "no bound", []),
            Comparison("function begins after its fire time", "s", began, "no bound", []),
        ]
    )


def main() -> None:
    """Read the command line, measure, and print."""
    parser = argparse.ArgumentParser(description="Measures how soon a run that is over ends, and how soon one that is due begins.")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    result = measure(rounds=options.rounds)
    print(result.table("job_stop"))
    if options.output:
        options.output.write_text(json.dumps(result.as_dict(), indent=2))


if __name__ == "__main__":
    main()
