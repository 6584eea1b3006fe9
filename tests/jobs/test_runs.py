"""Runs: begun once, kept apart, tried again, followed by others, overtaken; and their logs."""

from datetime import datetime, timedelta
from threading import Event, Thread
from typing import Any

import pytest
import structlog
from django.db import OperationalError, connection, transaction
from django.utils import timezone

from jobs import registry
from jobs.models import JobRun, LogChunk, Plan, RunState, Trigger
from jobs.policies import Blocking
from jobs.services import counting, current, execution, fence, history, publishing, run_log, schedule, transitions
from jobs.services.fence import Overtaken
from jobs.services.supervisor import supervisor
from posthaste.lib.ids import first_id_at
from posthaste.lib.problems import Conflict, Invalid
from tests.builders import TESTER
from tests.crowds import at_once
from tests.jobs.builders import declared, make_plan
from tests.jobs.waiting import wait_until

pytestmark = pytest.mark.django_db
log = structlog.get_logger(__name__)


@pytest.fixture(autouse=True)
def published(monkeypatch: pytest.MonkeyPatch) -> list[JobRun]:
    """Collect what is published instead of handing it to the broker."""
    runs: list[JobRun] = []
    monkeypatch.setattr(publishing, "publish", lambda found: runs.extend(found))
    return runs


def start(plan: Plan, now: datetime | None = None, **given: Any) -> JobRun:
    return schedule.run_job(row=plan.job, given=given or None, by=TESTER, now=now or timezone.now())[0]


def claim(run: JobRun, now: datetime | None = None) -> JobRun | None:
    return transitions.claim(run.pk, worker="test", now=now or timezone.now())


def state(run: JobRun) -> tuple[str, str]:
    run.refresh_from_db()
    return run.state, run.error


def finish(run: JobRun, to: RunState, error: str = "") -> list[JobRun] | None:
    return transitions.finish(run.pk, token=run.token, state=to, error=error, now=timezone.now())


@pytest.mark.django_db(transaction=True)
def test_a_task_that_is_delivered_to_several_workers_begins_its_run_once() -> None:
    run = start(make_plan())
    claimed = at_once(*[lambda: claim(run)] * 6)
    assert sum(found is not None for found in claimed) == 1


@pytest.mark.parametrize(
    ("blocking", "begins", "second", "first"),
    [
        (Blocking.DISCARD, False, ("discarded", "overlaps"), None),
        (Blocking.QUEUE, False, ("waiting", ""), None),
        (Blocking.OVERLAP, True, ("running", ""), None),
    ],
)
def test_a_run_that_is_due_while_one_goes_on(blocking: str, begins: bool, second: tuple[str, str], first: None) -> None:
    plan = make_plan(blocking=blocking)
    older, newer = start(plan), start(plan)
    assert claim(older) is not None
    assert (claim(newer) is not None) is begins
    assert state(newer) == second
    assert state(older) == ("running", "")


def test_a_queued_run_is_published_when_the_running_one_ends() -> None:
    plan = make_plan(blocking=Blocking.QUEUE)
    older, newer = start(plan), start(plan)
    running = claim(older)
    assert running is not None
    claim(newer)
    assert finish(running, RunState.SUCCEEDED) == [newer]
    assert claim(newer) is not None


def test_a_run_that_takes_over_has_the_older_one_stopped_and_its_late_write_refused() -> None:
    plan = make_plan(blocking=Blocking.COVER)
    older, newer = start(plan), start(plan)
    running = claim(older)
    assert running is not None
    assert not running.is_stoppable
    assert claim(newer) is not None
    assert state(older) == ("killed", "covered")
    with pytest.raises(Overtaken), transaction.atomic():
        fence.check(execution.current_of(running))


def test_a_failed_run_is_tried_again_later_each_time_after_twice_as_long() -> None:
    plan = make_plan(retries=2, retry_delay_seconds=10)
    run = start(plan)
    delays = []
    for attempt in (1, 2, 3):
        claimed = claim(run, now=run.due_at)
        assert claimed is not None
        ended = timezone.now()
        transitions.finish(run.pk, token=claimed.token, state=RunState.FAILED, error="boom", now=ended)
        follower = JobRun.objects.filter(parent_id=run.pk, trigger=Trigger.RETRY).first()
        assert (follower is None) is (attempt == 3)
        if follower is not None:
            delays.append(round((follower.due_at - ended).total_seconds()))
            assert claim(follower) is None, "not before its time"
            run = follower
    assert delays == [10, 20]


def test_a_sharded_job_starts_the_following_one_once_when_all_its_shards_have_succeeded() -> None:
    child = make_plan("child", shards=2)
    plan = make_plan("parent", child_id=child.pk, shards=3, retries=1)
    now = timezone.now()

    def ended(run: JobRun, to: RunState) -> list[tuple[int, int, Any]]:
        run.refresh_from_db()
        begun = claim(run, now=run.due_at)
        assert begun is not None
        return [(each.job_id, each.shard, each.parent_id) for each in finish(begun, to) or [] if each.trigger == Trigger.CHILD]

    def fire() -> list[JobRun]:
        return schedule.run_job(row=plan.job, by=TESTER, now=now)

    assert ended(fire()[0], RunState.SUCCEEDED) == []
    first, second, third = fire()
    assert [ended(run, to) for run, to in ((first, RunState.SUCCEEDED), (second, RunState.FAILED), (third, RunState.SUCCEEDED))] == [
        [],
        [],
        [],
    ]
    retried = JobRun.objects.get(trigger=Trigger.RETRY)
    assert ended(retried, RunState.SUCCEEDED) == [(child.pk, 0, retried.pk), (child.pk, 1, retried.pk)]
    assert JobRun.objects.filter(job=child.job).count() == 2


@pytest.mark.django_db(transaction=True)
def test_two_last_shards_that_succeed_at_once_start_the_following_job_once() -> None:
    child = make_plan("child")
    plan = make_plan("parent", child_id=child.pk, shards=8)
    begun = [found for run in schedule.run_job(row=plan.job, by=TESTER, now=timezone.now()) if (found := claim(run))]
    assert len(begun) == 8
    at_once(*[lambda run=run: finish(run, RunState.SUCCEEDED) for run in begun])
    assert JobRun.objects.filter(job=child.job).count() == 1


def test_a_success_starts_the_following_job_once_and_a_failure_does_not() -> None:
    child = make_plan("child")
    plan = make_plan("parent", child_id=child.pk)
    for to, expected in ((RunState.FAILED, 0), (RunState.SUCCEEDED, 1)):
        run = claim(start(plan))
        assert run is not None
        followers = finish(run, to) or []
        assert [(each.job_id, each.trigger, each.parent_id) for each in followers] == [(child.pk, "child", run.pk)] * expected
        assert finish(run, to) is None, "an end counts once"


def test_a_run_whose_worker_is_lost_fails_and_its_late_end_changes_nothing() -> None:
    run = claim(start(make_plan()), now=timezone.now())
    assert run is not None
    publishing.end_lost(now=timezone.now() + timedelta(seconds=31))
    assert state(run) == ("failed", "worker_lost")
    assert finish(run, RunState.SUCCEEDED) is None
    with pytest.raises(Overtaken), transaction.atomic():
        fence.check(execution.current_of(run))


def test_a_run_whose_job_is_deleted_writes_nothing_more() -> None:
    run = claim(start(make_plan()))
    assert run is not None
    schedule.delete_job(row=run.job, by=TESTER)
    assert not JobRun.objects.exists()
    with pytest.raises(Overtaken), transaction.atomic():
        fence.check(execution.current_of(run))


def test_a_run_that_no_worker_took_in_time_is_skipped() -> None:
    run = start(make_plan())
    JobRun.objects.update(trigger=Trigger.CLOCK)
    assert claim(run, now=timezone.now() + timedelta(hours=2)) is None
    assert state(run) == ("skipped", "expired")


def test_stopping_a_waiting_run_ends_it_and_an_ended_one_can_not_be_stopped() -> None:
    run = start(make_plan())
    schedule.stop_run(run=run, by=TESTER, now=timezone.now())
    assert state(run) == ("killed", f"Stopped by {TESTER}.")
    assert claim(run) is None
    with pytest.raises(Conflict):
        schedule.stop_run(run=run, by=TESTER, now=timezone.now())


def test_parameters_are_checked_against_the_functions_signature() -> None:
    plan = make_plan()
    assert start(plan, keep_days="7").parameters == {"keep_days": 7}
    for wrong in ({"keep_days": "many"}, {"unknown": 1}, {"keep_days": -5}, {"keep_days": 10**30}):
        with pytest.raises(Invalid):
            start(plan, **wrong)


# --- in a thread -------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_run_in_a_thread_keeps_what_it_logs_and_its_error() -> None:
    def tidy(*, now: datetime, number: int = 1) -> None:
        log.warning("tidying", number=number)
        if number > 1:
            raise ValueError("too many")

    with declared("tests.tidy", tidy, stoppable=False):
        plan = make_plan(task="tests.tidy")
        good, bad = start(plan), start(plan, number=2)
        for run in (good, bad):
            execution.carry_out(str(run.pk))
        assert state(good) == ("succeeded", "")
        assert state(bad) == ("failed", "ValueError: too many")
        assert "tidying" in run_log.read(good.pk, start=0, size=good.log_size).text
        text = run_log.read(bad.pk, start=0, size=bad.log_size).text
        assert "tidying" in text
        assert "Traceback" in text


@pytest.mark.django_db(transaction=True)
def test_a_run_in_a_thread_that_times_out_is_over_and_its_late_write_is_refused() -> None:
    go_on, seen = Event(), list[str]()

    def slow(*, now: datetime) -> None:
        run = current.run()
        assert run is not None
        run.lost.wait(30)
        go_on.wait(30)
        try:
            with fence.guarded_run():
                LogChunk.objects.create(run_id=run.id, position=10**9, text="late")
        except Overtaken:
            seen.append("refused")

    with declared("tests.slow", slow, stoppable=False):
        run = start(make_plan(task="tests.slow", timeout_seconds=1))

        def carry_out() -> None:
            try:
                execution.carry_out(str(run.pk))
            finally:
                connection.close()

        thread = Thread(target=carry_out)
        thread.start()
        wait_until(lambda: state(run) == ("timed_out", "timed_out"))
        go_on.set()
        thread.join(30)
        assert seen == ["refused"]
        assert state(run) == ("timed_out", "timed_out")
        assert not LogChunk.objects.filter(text="late").exists()


@pytest.mark.django_db(transaction=True)
def test_the_end_of_a_run_in_a_thread_is_stored_when_the_database_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    is_away, finish_run = Event(), transitions.finish

    def finish_unless_away(*args: Any, **kwargs: Any) -> Any:
        if is_away.is_set():
            raise OperationalError("the database is away")
        return finish_run(*args, **kwargs)

    def work(*, now: datetime) -> None:
        is_away.set()

    monkeypatch.setattr(transitions, "finish", finish_unless_away)
    with declared("tests.work", work, stoppable=False):
        run = start(make_plan(task="tests.work"))
        execution.carry_out(str(run.pk))
        assert state(run) == ("running", "")
        is_away.clear()
        wait_until(lambda: state(run) == ("succeeded", ""))


@pytest.mark.django_db(transaction=True)
def test_a_frequent_job_is_counted_and_only_a_failure_is_kept_at_most_one_a_minute() -> None:
    outcome = [True]

    def quick() -> None:
        if not outcome[0]:
            raise ValueError("boom")

    with declared("tests.quick", quick, every=timedelta(seconds=1)):
        plan = make_plan(task="tests.quick", every=timedelta(seconds=1), keeps_runs=False)
        before = counting.counted(["tests.quick"])["tests.quick"]
        for _turn in range(3):
            counting.run_counted("tests.quick")
        outcome[0] = False
        for _turn in range(3):
            with pytest.raises(ValueError, match="boom"):
                counting.run_counted("tests.quick")
        after = counting.counted(["tests.quick"])["tests.quick"]
        assert (after.runs - before.runs, after.failures - before.failures) == (6, 3)
        runs = JobRun.objects.filter(job_id=plan.pk)
        assert [(run.state, run.error) for run in runs] == [("failed", "ValueError: boom")]
        assert registry.find("tests.quick") is not None
    assert supervisor.has_room()


# --- logs -------------------------------------------------------------------------------------------------------


def test_a_log_is_read_by_pages_from_any_position_and_keeps_its_end_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    run = start(make_plan())
    writer = run_log.Writer(run.pk)
    lines = [f"line {number} – ünï\n" for number in range(20_000)]
    for turn, line in enumerate(lines):
        writer.write_bytes(line.encode())
        if turn % 1_000 == 0:
            writer.flush()
    writer.flush()
    run.refresh_from_db()
    whole = "".join(lines)
    assert run.log_size == len(whole)
    for position in (0, 1, 65_536, 65_535, 200_001, len(whole) - 5, len(whole), len(whole) + 9):
        page = run_log.read(run.pk, start=position, size=run.log_size, limit=1_000)
        assert page.text == whole[position : position + 1_000]
    last = run_log.last_page(run.pk, size=run.log_size)
    assert whole.endswith(last.text)
    assert last.text.startswith("line ")


def test_a_log_that_is_too_long_says_that_it_was_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_log, "MAX_SIZE", 1_000)
    run = start(make_plan())
    writer = run_log.Writer(run.pk)
    for _turn in range(10):
        writer.write("x\x00" * 100)
        writer.flush()
    run.refresh_from_db()
    text = run_log.read(run.pk, start=0, size=run.log_size).text
    assert text.startswith("x\ufffd" * 500 + "\n… The log ends here")
    assert "\x00" not in text


def test_old_runs_are_removed_with_their_logs_and_open_ones_stay() -> None:
    plan, now = make_plan(), timezone.now()
    old = first_id_at(now - timedelta(days=40))
    fields: dict[str, Any] = {"job": plan.job, "task": plan.job.task, "trigger": Trigger.HAND, "due_at": now, "published_at": now}
    gone = JobRun.objects.create(pk=old, nominal_at=now, state=RunState.SUCCEEDED, **fields)
    LogChunk.objects.create(run=gone, position=0, text="old")
    kept = JobRun.objects.create(pk=first_id_at(now - timedelta(days=41)), nominal_at=now, state=RunState.RUNNING, **fields)
    recent = start(plan)
    assert history.remove_old_runs(now=now) == 1
    assert {run.pk for run in JobRun.objects.all()} == {kept.pk, recent.pk}
    assert not LogChunk.objects.exists()


def test_a_page_past_the_end_of_a_log_does_not_make_it_longer() -> None:
    run = start(make_plan())
    writer = run_log.Writer(run.pk)
    writer.write("short")
    writer.flush()
    page = run_log.read(run.pk, start=2**40, size=5)
    assert (page.text, page.size) == ("", 5)


def test_an_end_that_is_rolled_back_is_told_again_and_starts_the_following_job_once() -> None:
    child = make_plan("child")
    plan = make_plan("parent", shards=2, child_id=child.pk)
    one, other = (claim(run) for run in schedule.run_job(row=plan.job, by=TESTER, now=timezone.now()))
    assert one is not None
    assert other is not None
    assert finish(one, RunState.SUCCEEDED) == []
    with transaction.atomic():
        finish(other, RunState.SUCCEEDED)
        transaction.set_rollback(True)
    assert not JobRun.objects.filter(job=child.job).exists()
    assert len(finish(other, RunState.SUCCEEDED) or []) == 1
    assert JobRun.objects.filter(job=child.job).count() == 1
