"""What people do with scheduled jobs: each change and its audit entry come together or not at all."""

from typing import Any

import pytest
from celery.app.task import Task
from django.test import Client
from django.urls import reverse
from django_celery_beat.models import IntervalSchedule, PeriodicTask
from kombu.exceptions import OperationalError

from accounts.models import AuditEntry, User
from accounts.services import audit
from jobs.services import schedule
from posthaste.lib.problems import NotFound
from tests.builders import TESTER

pytestmark = pytest.mark.django_db
LIST = reverse("admin:django_celery_beat_periodictask_changelist")


@pytest.fixture
def boss() -> Client:
    client = Client()
    client.force_login(User.objects.create(username="boss", is_staff=True, is_superuser=True))
    return client


@pytest.fixture
def job() -> PeriodicTask:
    return make_job("tidy up")


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any]]:
    runs: list[tuple[str, Any]] = []
    monkeypatch.setattr(Task, "apply_async", lambda task, **options: runs.append((task.name, options)))
    return runs


def make_job(name: str, task: str = "configcenter.forget_old_releases", **fields: Any) -> PeriodicTask:
    every, _made = IntervalSchedule.objects.get_or_create(every=3_600, period=IntervalSchedule.SECONDS)
    return PeriodicTask.objects.create(name=name, task=task, interval=every, **fields)


def entries() -> list[tuple[str, str, str]]:
    return [(entry.actor, entry.action, entry.detail["name"]) for entry in AuditEntry.objects.order_by("id")]


def test_a_job_is_run_now_with_its_name_and_queue(job: PeriodicTask, published: list[tuple[str, Any]]) -> None:
    PeriodicTask.objects.filter(pk=job.pk).update(queue="batch")
    assert schedule.run_jobs(ids=[job.pk], by=TESTER) == 1
    sent = {"args": [], "kwargs": {}, "headers": {"periodic_task_name": "tidy up"}, "queue": "batch"}
    assert published == [("configcenter.forget_old_releases", sent)]
    assert entries() == [("user:tester", "job.run", "tidy up")]


def test_a_run_that_the_broker_refuses_has_no_entry(job: PeriodicTask, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: Any, **_options: Any) -> None:
        raise OperationalError("the broker is away")

    monkeypatch.setattr(Task, "apply_async", refuse)
    with pytest.raises(OperationalError):
        schedule.run_jobs(ids=[job.pk], by=TESTER)
    assert entries() == []


def test_of_jobs_with_one_that_is_not_installed_none_is_run(job: PeriodicTask, published: list[tuple[str, Any]]) -> None:
    lost = make_job("lost", task="os.system")
    with pytest.raises(NotFound, match=r"os\.system"):
        schedule.run_jobs(ids=[job.pk, lost.pk], by=TESTER)
    assert (published, entries()) == ([], [])


def test_the_list_says_why_no_job_is_run(boss: Client, published: list[tuple[str, Any]]) -> None:
    lost = make_job("lost", task="os.system")
    page = boss.post(LIST, {"action": "run_tasks", "_selected_action": [lost.pk]}, follow=True).content.decode()
    assert "This installation has no job os.system." in page
    assert published == []


def test_jobs_are_run_from_the_list(boss: Client, job: PeriodicTask, published: list[tuple[str, Any]]) -> None:
    page = boss.post(LIST, {"action": "run_tasks", "_selected_action": [job.pk]}, follow=True).content.decode()
    assert "1 job was started." in page
    assert len(published) == 1
    assert entries() == [("user:boss", "job.run", "tidy up")]


def test_only_jobs_that_change_are_written_down(job: PeriodicTask) -> None:
    off = make_job("off", enabled=False)
    assert schedule.disable_jobs(ids=[job.pk, off.pk], by=TESTER) == 1
    assert schedule.disable_jobs(ids=[job.pk, off.pk], by=TESTER) == 0
    assert schedule.enable_jobs(ids=[job.pk], by=TESTER) == 1
    assert entries() == [("user:tester", "job.disable", "tidy up"), ("user:tester", "job.enable", "tidy up")]
    assert [*PeriodicTask.objects.order_by("name").values_list("name", "enabled")] == [("off", False), ("tidy up", True)]


@pytest.mark.parametrize("bulk", [False, True])
def test_deleting_jobs_writes_one_entry_each(boss: Client, job: PeriodicTask, bulk: bool) -> None:
    other = make_job("other")
    if bulk:
        boss.post(LIST, {"action": "delete_selected", "_selected_action": [job.pk, other.pk], "post": "yes"})
    else:
        for row in (job, other):
            boss.post(reverse("admin:django_celery_beat_periodictask_delete", args=[row.pk]), {"post": "yes"})
    assert sorted(entries()) == [("user:boss", "job.delete", "other"), ("user:boss", "job.delete", "tidy up")]
    assert not PeriodicTask.objects.exists()


def test_a_new_job_is_written_down_and_its_history_shows_it(boss: Client, job: PeriodicTask) -> None:
    form = {"name": "again", "regtask": "messaging.recover", "enabled": "on", "interval": job.interval_id, "headers": "{}"}
    assert boss.post(reverse("admin:django_celery_beat_periodictask_add"), form).status_code == 302
    made = PeriodicTask.objects.get(name="again")
    assert entries() == [("user:boss", "job.create", "again")]
    assert "job.create" in boss.get(reverse("admin:django_celery_beat_periodictask_history", args=[made.pk])).content.decode()


def test_a_change_whose_entry_fails_is_not_stored(job: PeriodicTask, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_fields: Any) -> None:
        raise RuntimeError("no entry")

    monkeypatch.setattr(audit, "record", fail)
    for change in (schedule.disable_jobs, schedule.run_jobs):
        with pytest.raises(RuntimeError):
            change(ids=[job.pk], by=TESTER)
    with pytest.raises(RuntimeError):
        schedule.delete_job(job=job, by=TESTER)
    assert PeriodicTask.objects.get(name="tidy up").enabled
