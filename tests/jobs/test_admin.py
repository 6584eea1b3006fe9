"""Scheduled jobs in the admin: schedules in words of the reader's language, and an audit entry for whatever is switched or run."""

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone, translation
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask

from accounts.models import AuditEntry, Member, User
from accounts.roles import Role
from jobs.admin import crontab_in_words, in_words
from tests.builders import make_tenant

pytestmark = pytest.mark.django_db
LIST = reverse("admin:django_celery_beat_periodictask_changelist")


@pytest.fixture
def boss() -> Client:
    client = Client()
    client.force_login(User.objects.create(username="boss", is_staff=True, is_superuser=True))
    return client


@pytest.fixture
def job() -> PeriodicTask:
    every = IntervalSchedule.objects.create(every=86_400, period=IntervalSchedule.SECONDS)
    return PeriodicTask.objects.create(name="tidy up", task="configcenter.forget_old_releases", interval=every, last_run_at=timezone.now())


@pytest.mark.parametrize(
    ("every", "period", "english", "chinese"),
    [
        (1, IntervalSchedule.SECONDS, "every second", "每秒"),
        (30, IntervalSchedule.SECONDS, "every 30 seconds", "每 30 秒"),
        (3_600, IntervalSchedule.SECONDS, "every hour", "每小时"),
        (86_400, IntervalSchedule.SECONDS, "every day", "每天"),
        (90, IntervalSchedule.MINUTES, "every 90 minutes", "每 90 分钟"),
        (48, IntervalSchedule.HOURS, "every 2 days", "每 2 天"),
        (5, IntervalSchedule.MICROSECONDS, "every 5 microseconds", "每 5 微秒"),
    ],
)
def test_an_interval_is_told_in_its_largest_unit(every: int, period: str, english: str, chinese: str) -> None:
    interval = IntervalSchedule(every=every, period=period)
    with translation.override("en"):
        assert in_words(interval) == english
    with translation.override("zh-hans"):
        assert in_words(interval) == chinese


def test_a_crontab_is_told_in_the_readers_language() -> None:
    crontab = CrontabSchedule(minute="0", hour="4")
    with translation.override("en"):
        assert crontab_in_words(crontab) == "At 04:00"
    with translation.override("zh-hans"):
        assert crontab_in_words(crontab) == "在 04:00"
    assert crontab_in_words(CrontabSchedule(month_of_year="99")) == ""


def test_switching_and_running_jobs_is_audited(boss: Client, job: PeriodicTask) -> None:
    for action, is_enabled in (("disable_tasks", False), ("enable_tasks", True)):
        answer = boss.post(LIST, {"action": action, "_selected_action": [job.pk]})
        assert answer.status_code == 302
        job.refresh_from_db()
        assert job.enabled is is_enabled
    assert [*AuditEntry.objects.order_by("id").values_list("action", "target")] == [
        ("job.disable", str(job.pk)),
        ("job.enable", str(job.pk)),
    ]


def test_a_job_is_edited_with_a_native_time_and_audited(boss: Client, job: PeriodicTask) -> None:
    page = reverse("admin:django_celery_beat_periodictask_change", args=[job.pk])
    shown = boss.get(page).content.decode()
    assert 'type="datetime-local"' in shown
    form = {"name": "tidy up", "regtask": "messaging.recover", "enabled": "on", "interval": job.interval_id}
    form |= {"start_time": "2026-12-01T08:00:00", "headers": "{}"}
    answer = boss.post(page, form)
    assert answer.status_code == 302, answer.context["errors"] if answer.context else ""
    job.refresh_from_db()
    assert (job.start_time.isoformat(), job.task) == ("2026-12-01T08:00:00+00:00", "messaging.recover")
    assert AuditEntry.objects.filter(action="job.change", target=str(job.pk)).exists()


def test_a_job_says_in_chinese_what_the_package_leaves_in_english(boss: Client, job: PeriodicTask) -> None:
    boss.cookies["django_language"] = "zh-hans"
    with translation.override("zh-hans"):  # what a request activates stays so after it
        page = boss.get(reverse("admin:django_celery_beat_periodictask_change", args=[job.pk])).content.decode()
        crontab = boss.get(reverse("admin:django_celery_beat_crontabschedule_add")).content.decode()
    for english in ("Schedule to run", "Execution Options", "JSON encoded", "Set to False"):
        assert english not in page
    assert "Cron" not in crontab.replace("Crontab", "")


def test_jobs_are_the_installations_business(job: PeriodicTask) -> None:
    owner = User.objects.create(username="owner", is_staff=True)
    Member.objects.create(user=owner, tenant=make_tenant(), role=Role.OWNER)
    client = Client()
    client.force_login(owner)
    assert client.get(LIST).status_code == 403
    assert client.post(LIST, {"action": "disable_tasks", "_selected_action": [job.pk]}).status_code == 403


def test_a_task_that_is_not_a_registered_job_is_not_scheduled(boss: Client, job: PeriodicTask) -> None:
    page = reverse("admin:django_celery_beat_periodictask_change", args=[job.pk])
    for name in ("messaging.deliver", "os.system", ""):
        form = {"name": "tidy up", "regtask": name, "task": name, "enabled": "on", "interval": job.interval_id, "headers": "{}"}
        assert boss.post(page, form).status_code == 200
    job.refresh_from_db()
    assert job.task == "configcenter.forget_old_releases"


def test_a_job_shows_what_it_does_and_what_bounds_it(boss: Client, job: PeriodicTask) -> None:
    page = boss.get(reverse("admin:django_celery_beat_periodictask_change", args=[job.pk])).content.decode()
    assert "Removes releases older than 30 days" in page
    assert "a run that takes longer is logged, not ended" in page
    listed = boss.get(LIST).content.decode()
    for shown in ("Remove old releases", "configcenter.forget_old_releases", "10 minutes", "Runs in parallel", "notification"):
        assert shown in listed, shown
