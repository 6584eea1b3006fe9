"""The console of jobs: what each page shows, what its buttons do, and who may."""

import csv
import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django_celery_beat.models import PeriodicTask

from accounts.models import AuditEntry, ConfigRight, User
from jobs.models import JobRun, Plan, RunState, Trigger
from jobs.services import plans, publishing, run_log
from posthaste.lib import redis
from tests.jobs.builders import make_plan

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _nothing_is_published(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publishing, "publish", lambda _runs: None)


def signed_in(right: str = ConfigRight.PUBLISH, **fields: Any) -> Client:
    client = Client()
    client.force_login(User.objects.create(username=f"someone-{right}", is_staff=True, config_right=right, **fields))
    return client


@pytest.fixture
def operator() -> Client:
    return signed_in()


def text(client: Client, name: str, *args: Any, **query: str) -> str:
    answer = client.get(reverse(name, args=args), query)
    assert answer.status_code == 200, answer.content
    return answer.content.decode()


def form_of(client: Client, address: str, **changes: str) -> dict[str, str]:
    """Return what a browser would send of the form as it stands, with some fields changed."""
    form = client.get(address).context["form"]
    sent = {name: form[name].value() for name in form.fields}
    sent = {name: "" if value is None else str(value) for name, value in sent.items() if value is not False}
    if sent.get("enabled"):
        sent["enabled"] = "on"
    for field, value, _error in client.get(address).context["fields"]:
        sent[f"parameters.{field.name}"] = value
    return sent | changes


def actions() -> list[tuple[str, str]]:
    return [(entry.actor, entry.action) for entry in AuditEntry.objects.order_by("id")]


def test_the_list_shows_when_each_job_runs_and_how_it_went(operator: Client) -> None:
    plans.declare_all(now=timezone.now())
    page = text(operator, "jobs")
    assert "Remove old runs of jobs" in page
    assert "Every hour" in page
    assert "Release due messages" in page
    assert "Recover and retry stuck messages" in page
    assert "Remove old runs of jobs" not in text(operator, "jobs", q="feed")
    assert "Nothing matches." in text(operator, "jobs", show="disabled")


def csv_of(client: Client, address: str) -> list[list[str]]:
    answer = client.get(address)
    assert answer["Content-Type"].startswith("text/csv")
    return list(csv.reader(b"".join(answer.streaming_content).decode("utf-8-sig").splitlines()))  # type: ignore[attr-defined]


def make_runs(plan: Plan, number: int, **fields: Any) -> list[JobRun]:
    now = timezone.now()
    common = {"job": plan.job, "task": plan.job.task, "trigger": Trigger.HAND, "due_at": now, "published_at": now}
    return [JobRun.objects.create(nominal_at=now + timedelta(seconds=each), **{**common, **fields}) for each in range(number)]


def test_the_list_and_the_history_are_exported_as_they_are_filtered(operator: Client) -> None:
    plan = make_plan("=danger", task="configcenter.forget_old_releases", cron="0 6 * * *")
    make_plan("other", task="configcenter.forget_old_releases")
    make_runs(plan, 2, state=RunState.FAILED, error="ValueError: boom", parameters={"keep_days": 7})
    make_runs(plan, 40, state=RunState.SUCCEEDED)
    _heads, *rows = csv_of(operator, reverse("jobs") + "?csv&q=danger")
    assert [(row[0], row[5]) for row in rows] == [("'=danger", "0 6 * * *")], "no cell is a formula"
    assert len(csv_of(operator, reverse("jobs") + "?csv")) == 3
    _heads, *rows = csv_of(operator, reverse("job", args=[plan.pk]) + "?csv&state=failed")
    assert [(row[2], row[3], row[11]) for row in rows] == [("Failed", "ValueError: boom", '{"keep_days":7}')] * 2
    assert len(csv_of(operator, reverse("job", args=[plan.pk]) + "?csv")) == 43


def test_the_history_has_pages_that_lead_back_and_keep_the_filter(operator: Client) -> None:
    plan = make_plan()
    make_runs(plan, 70, state=RunState.SUCCEEDED)
    make_runs(plan, 5, state=RunState.FAILED)
    address = reverse("job", args=[plan.pk])
    first = operator.get(address, {"state": "succeeded"})
    second = operator.get(address + first.context["older"])
    third = operator.get(address + second.context["older"])
    shown = [[each["run"].pk for each in answer.context["runs"]] for answer in (first, second, third)]
    assert [len(page) for page in shown] == [30, 30, 10]
    succeeded = JobRun.objects.filter(state="succeeded").order_by("-pk").values_list("pk", flat=True)
    assert [pk for page in shown for pk in page] == list(succeeded)
    assert third.context["older"] == ""
    back = operator.get(address + third.context["newer"])
    assert [each["run"].pk for each in back.context["runs"]] == shown[1]
    assert "state=succeeded" in back.context["newer"]


def test_the_list_is_shown_while_redis_is_away(operator: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    plans.declare_all(now=timezone.now())

    def away() -> Any:
        raise redis.Unavailable

    monkeypatch.setattr(redis, "client", away)
    assert "Remove old runs of jobs" in text(operator, "jobs")


def test_jobs_are_enabled_and_disabled_together_with_an_entry_for_each(operator: Client) -> None:
    first, second = make_plan("first"), make_plan("second")
    for to, expected in (("disabled", False), ("enabled", True)):
        operator.post(reverse("jobs"), {"job": [first.pk, second.pk], "to": to})
        assert set(PeriodicTask.objects.values_list("enabled", flat=True)) == {expected}
    assert [action for _actor, action in actions()] == ["job.disable"] * 2 + ["job.enable"] * 2


def test_a_job_says_its_next_five_runs_in_its_own_zone(operator: Client) -> None:
    plan = make_plan(cron="30 4 * * 1-5", time_zone="Asia/Shanghai", since=timezone.now())
    page = text(operator, "job", plan.pk)
    upcoming = page[page.index('id="upcoming"') :]
    assert upcoming[: upcoming.index("</ol>")].count("<li>") == 5
    assert "20:30" in upcoming, "half past four in Shanghai, in UTC"
    assert "At 04:30, Monday through Friday" in page


def test_a_job_is_made_with_its_parameters_and_changed(operator: Client) -> None:
    address = f"{reverse('job-new')}?task=configcenter.forget_old_releases"
    sent = form_of(operator, address, name="weekly", kind="cron", cron="0 3 * * mon", time_zone="Europe/Paris", calendar="FR")
    sent["parameters.keep_days"] = "7"
    assert operator.post(address, sent).status_code == 302
    plan = Plan.objects.select_related("job__crontab").get(job__name="weekly")
    assert (plan.job.crontab.day_of_week, plan.time_zone, plan.calendar, plan.job.kwargs) == (
        "mon",
        "Europe/Paris",
        "FR",
        '{"keep_days":7}',
    )
    assert re.search(r"<h1>\s*weekly", text(operator, "job", plan.pk)), "headed by its own name, as two jobs may run one function"
    edit = reverse("job-edit", args=[plan.pk])
    assert operator.post(edit, form_of(operator, edit, timeout_seconds="77")).status_code == 302
    plan.refresh_from_db()
    assert plan.timeout_seconds == 77
    assert actions() == [("user:someone-publish", "job.create"), ("user:someone-publish", "job.change")]
    assert AuditEntry.objects.order_by("id").last().detail["fields"] == ["timeout_seconds"]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"cron": "every day"}, "cron"),
        ({"cron": "0 0 31 2 *"}, "cron"),
        ({"kind": "interval", "number": "5", "unit": "seconds"}, "number"),
        ({"kind": "once", "at": ""}, "at"),
        ({"kind": "once", "at": "2020-01-01T00:00"}, "at"),
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"name": ""}, "name"),
        ({"timeout_seconds": "0"}, "timeout_seconds"),
        ({"starts_at": "2027-01-02T00:00", "ends_at": "2027-01-01T00:00"}, "ends_at"),
    ],
)
def test_a_wrong_field_is_named_and_nothing_is_saved(operator: Client, changes: dict[str, str], field: str) -> None:
    address = f"{reverse('job-new')}?task=configcenter.forget_old_releases"
    answer = operator.post(address, form_of(operator, address, **{"name": "mine", "kind": "cron", "cron": "0 3 * * *", **changes}))
    assert answer.status_code == 422
    assert list(answer.context["form"].errors) == [field]
    assert not PeriodicTask.objects.filter(name="mine").exists()


def test_a_wrong_parameter_is_named(operator: Client) -> None:
    plan = make_plan(task="configcenter.forget_old_releases")
    answer = operator.post(reverse("job-run-once", args=[plan.pk]), {"parameters.keep_days": "many"})
    assert answer.status_code == 422
    assert "Must be a whole number." in answer.content.decode()
    assert not JobRun.objects.exists()


def test_a_run_is_started_with_parameters_and_its_page_shows_its_log_and_stops_it(operator: Client) -> None:
    plan = make_plan(task="configcenter.forget_old_releases")
    answer = operator.post(reverse("job-run-once", args=[plan.pk]), {"parameters.keep_days": "9"})
    run = JobRun.objects.get()
    assert answer["Location"] == reverse("job-run", args=[run.pk])
    assert (run.trigger, run.parameters, run.asked_by) == (Trigger.HAND, {"keep_days": 9}, "user:someone-publish")
    writer = run_log.Writer(run.pk)
    writer.write("removed <b>3</b> releases\n")
    writer.flush()
    page = text(operator, "job-run", run.pk)
    assert "removed &lt;b&gt;3&lt;/b&gt; releases" in page
    assert "keep_days=9" in page
    told = operator.get(reverse("job-run-log", args=[run.pk]), {"from": "8"}).json()
    assert (told["text"], told["open"]) == ("<b>3</b> releases\n", True)
    assert b"".join(operator.get(reverse("job-run-log", args=[run.pk]), {"raw": "1"}).streaming_content) == b"removed <b>3</b> releases\n"  # type: ignore[attr-defined]
    operator.post(reverse("job-run", args=[run.pk]))
    run.refresh_from_db()
    assert run.state == RunState.KILLED
    assert actions() == [("user:someone-publish", "job.run"), ("user:someone-publish", "job.stop")]


def test_the_platforms_own_job_is_reset_but_not_deleted_and_one_of_people_is_deleted(operator: Client) -> None:
    plans.declare_all(now=timezone.now())
    own = Plan.objects.get(job__name="jobs.remove_old_runs")
    edit = reverse("job-edit", args=[own.pk])
    operator.post(edit, form_of(operator, edit, number="5", unit="hours"))
    assert "Every 5 hours" in text(operator, "job", own.pk)
    operator.post(reverse("job", args=[own.pk]), {"do": "reset"})
    assert "Every hour" in text(operator, "job", own.pk)
    operator.post(reverse("job", args=[own.pk]), {"do": "delete", "name": own.job.name})
    assert Plan.objects.filter(pk=own.pk).exists()
    mine = make_plan("mine")
    operator.post(reverse("job", args=[mine.pk]), {"do": "delete", "name": "something else"})
    assert Plan.objects.filter(pk=mine.pk).exists()
    operator.post(reverse("job", args=[mine.pk]), {"do": "delete", "name": "mine"})
    assert not Plan.objects.filter(pk=mine.pk).exists()
    assert [action for _actor, action in actions()] == ["job.change", "job.change", "job.delete"]


def test_a_viewer_sees_everything_and_changes_nothing() -> None:
    viewer = signed_in(ConfigRight.VIEW)
    plan = make_plan()
    run = JobRun.objects.create(
        job=plan.job,
        task=plan.job.task,
        nominal_at=timezone.now(),
        trigger=Trigger.HAND,
        due_at=timezone.now(),
        published_at=timezone.now(),
    )
    assert "Run once" not in text(viewer, "job", plan.pk)
    text(viewer, "job-run", run.pk)
    text(viewer, "jobs")
    for name, args in (
        ("jobs", []),
        ("job", [plan.pk]),
        ("job-run", [run.pk]),
        ("job-run-once", [plan.pk]),
        ("job-edit", [plan.pk]),
        ("job-new", []),
    ):
        assert viewer.post(reverse(name, args=args), {"do": "disable"}).status_code == 403, name
    assert signed_in(ConfigRight.NONE).get(reverse("jobs")).status_code == 403


def test_a_button_without_its_token_does_nothing() -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.create(username="boss", is_staff=True, is_superuser=True))
    plan = make_plan()
    assert client.post(reverse("job-run-once", args=[plan.pk])).status_code == 403
    assert not JobRun.objects.exists()


def test_the_next_runs_are_told_while_one_types(operator: Client) -> None:
    def preview(**query: str) -> Any:
        return operator.get(reverse("job-preview"), {"time_zone": "UTC", "calendar": "", **query}).json()

    assert len(preview(kind="cron", cron="0 6 * * *")["times"]) == 5
    assert preview(kind="cron", cron="0 6 * * *")["words"] == "At 06:00"
    assert preview(kind="cron", cron="0 6 *")["error"] != ""
    assert len(preview(kind="interval", number="3", unit="hours")["times"]) == 5
    assert preview(kind="interval", number="99999999", unit="days")["times"] == []
    assert "never comes round" in preview(kind="cron", cron="0 0 * * 0", calendar="weekdays")["error"]
    assert preview(kind="cron", cron="0 6 * * *", ends_at="0001-01-01T00:00")["times"] == []
    assert preview(kind="cron", cron="0 6 * * *", starts_at="9999-12-31T23:59")["times"] == []
    assert len(preview(kind="once", at=f"{timezone.now() + timedelta(days=2):%Y-%m-%dT%H:%M}")["times"]) == 1


def test_a_job_that_is_not_installed_says_so_and_can_only_be_disabled(operator: Client) -> None:
    plan = make_plan("lost", task="os.system")
    assert "Not installed" in text(operator, "jobs")
    assert "This installation has no job of this name" in text(operator, "job", plan.pk)
    assert operator.get(reverse("job-run-once", args=[plan.pk])).status_code == 404
