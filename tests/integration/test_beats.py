"""Several beat processes, killed at random: each fire time has exactly one run, and none is missed."""

import json
import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest

from tests.integration.customer import asked
from tests.integration.stack import Stack
from tests.integration.waiting import poll

TIMES = 200
EVERY_MS = 200
KILLS = 8
BEATS = ("beat", "beat-second", "beat-third")

MAKE = f"""
from datetime import timedelta
from django.utils import timezone
from django_celery_beat.models import PeriodicTask, PeriodicTasks
from jobs.models import Plan
from jobs.services import plans
from jobs.services.plans import When
when = plans.columns_of(When(every=timedelta(milliseconds={EVERY_MS})), zone="UTC")
row = PeriodicTask.objects.create(name="often", task="jobs.remove_old_runs", **when)
now = timezone.now()
Plan.objects.create(job=row, anchor=now, cursor=now, is_edited=True, blocking="overlap")
PeriodicTasks.update_changed()
print(now.isoformat())
"""
ASK = """
import json
from jobs.models import JobRun
rows = JobRun.objects.filter(job__name="often").order_by("nominal_at").values_list("nominal_at", "state", "attempt", "trigger")
print(json.dumps([[at.isoformat(), *rest] for at, *rest in rows]))
"""
STOP = """
from django_celery_beat.models import PeriodicTask, PeriodicTasks
PeriodicTask.objects.filter(name="often").update(enabled=False)
PeriodicTasks.update_changed()
print("stopped")
"""
REMOVE = """
from django_celery_beat.models import PeriodicTask
PeriodicTask.objects.filter(name="often").delete()
print("removed")
"""


STATES = """
SELECT state FROM jobs_jobrun JOIN django_celery_beat_periodictask AS job ON job.id = jobs_jobrun.job_id WHERE job.name = 'often'
"""


def states(stack: Stack) -> list[str]:
    """Return the states of all runs without starting a program, which would take longer than the beats may live."""
    url = stack.environment["DATABASE_URL"]
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"), timeout=20)) as database:
            return sorted(state for (state,) in database.execute(STATES))
    with psycopg.connect(url) as connection:
        return sorted(state for (state,) in connection.execute(STATES))


def number_of_runs(stack: Stack) -> int:
    return len(states(stack))


def runs(stack: Stack) -> list[list[Any]]:
    found: list[list[Any]] = json.loads(asked(stack, ASK))
    return found


@pytest.fixture
def three_beats(stack: Stack) -> Iterator[Stack]:
    for label in BEATS[1:]:
        stack.start("beat", label=label)
    yield stack
    asked(stack, REMOVE)
    for label in BEATS[1:]:
        stack.end(label)
        del stack.processes[label]
    if not stack.is_running("beat"):
        stack.start("beat")


def test_three_beats_that_are_killed_at_random_fire_two_hundred_times_once_each(three_beats: Stack) -> None:
    stack, chance = three_beats, random.Random(7)
    began = datetime.fromisoformat(asked(stack, MAKE).strip())
    killed = seen = 0

    def kill_one() -> bool:
        """Kill one as soon as the others have gone on since the last time."""
        nonlocal killed, seen
        fired = number_of_runs(stack)
        if fired > seen:
            seen, label = fired, chance.choice(BEATS)
            stack.kill(label)
            killed += 1
            stack.start("beat", label=label)
        return fired >= TIMES and killed >= KILLS

    poll(kill_one, progress=lambda: number_of_runs(stack), every=2.0, reason="the beats fire no more")
    asked(stack, STOP)

    poll(lambda: set(states(stack)) == {"succeeded"}, progress=lambda: states(stack), every=0.5, reason="not every run succeeded")
    fired = [datetime.fromisoformat(at) for at, *_rest in runs(stack)]
    assert killed >= KILLS
    assert len(fired) >= TIMES
    assert fired == [began + timedelta(milliseconds=EVERY_MS * (number + 1)) for number in range(len(fired))]
