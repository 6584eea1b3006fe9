"""Several beat processes, killed at random: each fire time has exactly one run, and none is missed."""

import json
import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.integration.customer import asked
from tests.integration.stack import Stack
from tests.integration.waiting import poll

TIMES = 200
EVERY_MS = 200
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
    killed = 0

    def kill_one() -> bool:
        nonlocal killed
        label = chance.choice(BEATS)
        if stack.is_running(label):
            stack.kill(label)
            killed += 1
            stack.start("beat", label=label)
        return len(runs(stack)) >= TIMES

    poll(kill_one, progress=lambda: len(runs(stack)), every=2.5, reason="the beats fire no more")
    asked(stack, STOP)

    def all_done() -> bool:
        return {state for _at, state, *_rest in runs(stack)} == {"succeeded"}

    poll(all_done, progress=lambda: sorted(state for _at, state, *_rest in runs(stack)), every=0.5, reason="not every run succeeded")
    fired = [datetime.fromisoformat(at) for at, *_rest in runs(stack)]
    assert killed > 5
    assert len(fired) >= TIMES
    assert fired == [began + timedelta(milliseconds=EVERY_MS * (number + 1)) for number in range(len(fired))]
