"""The API of jobs: what it shows and does, and that it is for operators of the installation."""

from datetime import date, datetime, timedelta
from enum import Enum
from typing import Any, Literal

import pytest
from django.utils import timezone
from django_celery_beat.models import PeriodicTask

from accounts.models import ApiKey, AuditEntry, Tenant
from jobs.models import JobRun, Plan
from jobs.services import firing, plans, publishing, run_log, schedule
from tests.architecture.routes import api_routes, methods_of
from tests.builders import TESTER, Api, json_of, make_api, make_tenant
from tests.jobs.builders import declared, make_plan

pytestmark = pytest.mark.django_db
TASK = "configcenter.forget_old_releases"


@pytest.fixture(autouse=True)
def _nothing_is_published(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publishing, "publish", lambda _runs: None)


def operator(*scopes: str) -> Api:
    tenant = make_tenant("Host")
    Tenant.objects.filter(pk=tenant.pk).update(is_operator=True)
    tenant.refresh_from_db()
    return make_api(tenant, *scopes) if scopes else make_api(tenant)


def test_a_job_is_listed_shown_disabled_and_enabled() -> None:
    plan, api = make_plan(task=TASK, cron="0 6 * * *", time_zone="Asia/Shanghai"), operator()
    listed = json_of(api.get("/api/jobs/"))
    assert [(job["name"], job["cron"], job["time_zone"], job["is_enabled"]) for job in listed] == [
        ("mine", "0 6 * * *", "Asia/Shanghai", True)
    ]
    assert json_of(api.post(f"/api/jobs/{plan.pk}/disable/"))["next_at"] is None
    shown = json_of(api.post(f"/api/jobs/{plan.pk}/enable/"))
    assert shown == json_of(api.get(f"/api/jobs/{plan.pk}/"))
    assert shown["next_at"].endswith(("22:00:00Z", "22:00:00+00:00"))


class Depth(Enum):
    """How thoroughly."""

    QUICK = "quick"
    WHOLE = "whole"


def test_a_job_lists_the_parameters_of_its_function() -> None:
    def tidy(
        *,
        now: datetime,
        shard: int,
        days: int = 7,
        share: float = 0.5,
        prefix: str = "",
        since: date | None = None,
        dry: bool = False,
        depth: Depth = Depth.QUICK,
        only: Literal["a", "b"] = "b",
        more: dict[str, int] = {"x": 1},  # noqa: B006 - shown, never changed
    ) -> None: ...

    with declared("tests.tidies", tidy):
        plan, api = make_plan(task="tests.tidies"), operator()
        listed = json_of(api.get("/api/jobs/"))
        assert json_of(api.get(f"/api/jobs/{plan.pk}/"))["signature"] == listed[0]["signature"]
    shown = [(each["name"], each["type"], each["default"], each["choices"]) for each in listed[0]["signature"]]
    assert shown == [
        ("days", "integer", 7, []),
        ("share", "number", 0.5, []),
        ("prefix", "text", "", []),
        ("since", "date", None, []),
        ("dry", "boolean", False, []),
        ("depth", "choice", "quick", ["quick", "whole"]),
        ("only", "choice", "b", ["a", "b"]),
        ("more", "json", {"x": 1}, []),
    ]


def test_a_job_that_is_not_installed_any_more_is_listed_without_parameters() -> None:
    make_plan(task="tests.gone")
    assert [job["signature"] for job in json_of(operator().get("/api/jobs/"))] == [[]]


def test_a_run_is_started_read_and_stopped() -> None:
    plan, api = make_plan(task=TASK), operator()
    answer = api.post(f"/api/jobs/{plan.pk}/run/", {"parameters": {"keep_days": 5}})
    assert answer.status_code == 201
    (run,) = json_of(answer)
    assert (run["state"], run["parameters"], run["trigger"]) == ("waiting", {"keep_days": 5}, "hand")
    writer = run_log.Writer(JobRun.objects.get().pk)
    writer.write("hello\n")
    writer.flush()
    log = json_of(api.get(f"/api/jobs/runs/{run['id']}/log/?start=1&limit=3"))
    assert log == {"text": "ell", "start": 1, "end": 4, "size": 6, "is_open": True}
    JobRun.objects.update(is_stoppable=True)
    assert json_of(api.get(f"/api/jobs/runs/{run['id']}/"))["is_stoppable"] is True
    stopped = json_of(api.post(f"/api/jobs/runs/{run['id']}/stop/"))
    assert (stopped["state"], stopped["is_stoppable"]) == ("killed", False), "what is over can't be stopped"
    who = f"key:{ApiKey.objects.get().prefix}"
    assert (stopped["error"], stopped["error_text"]) == (f"Stopped by {who}.", f"It was stopped by {who}.")
    assert api.post(f"/api/jobs/runs/{run['id']}/stop/").status_code == 409
    runs = json_of(api.get(f"/api/jobs/{plan.pk}/runs/?state=killed"))["results"]
    assert [each["id"] for each in runs] == [run["id"]]
    assert json_of(api.get(f"/api/jobs/{plan.pk}/runs/?state=failed"))["results"] == []


def test_parameters_that_the_function_does_not_take_are_named() -> None:
    plan, api = make_plan(task=TASK), operator()
    answer = api.post(f"/api/jobs/{plan.pk}/run/", {"parameters": {"keep_days": "many", "other": 1}})
    assert answer.status_code == 422
    assert sorted(error["field"] for error in json_of(answer)["errors"]) == ["parameters.keep_days", "parameters.other"]


def test_a_key_of_a_tenant_that_does_not_operate_the_installation_finds_nothing() -> None:
    plan = make_plan(task=TASK)
    run = schedule.run_job(row=plan.job, by=TESTER, now=timezone.now())[0]
    stranger = make_api(make_tenant("Other"))
    found = {}
    for route in api_routes():
        if route.pattern.startswith("api/jobs/"):
            path = route.path.replace("0192f0c1-a2b3-7c4d-8e9f-001122334455", str(run.pk)).replace("4711", str(plan.pk))
            for method in methods_of(route):
                found[f"{method} {route}"] = stranger.request(method, path, {} if method in ("POST", "PATCH") else None).status_code
    assert len(found) == 13
    assert set(found.values()) == {404}, found
    run.refresh_from_db()
    assert run.state == "waiting"


def test_a_key_that_may_only_read_starts_nothing() -> None:
    plan, api = make_plan(task=TASK), operator("jobs:read")
    assert api.get(f"/api/jobs/{plan.pk}/").status_code == 200
    for what in ("run", "enable", "disable", "reset"):
        assert api.post(f"/api/jobs/{plan.pk}/{what}/").status_code == 403
    assert api.post("/api/jobs/", {"name": "mine too", "task": TASK, "cron": "0 6 * * *"}).status_code == 403
    assert api.patch(f"/api/jobs/{plan.pk}/", {"retries": 1}).status_code == 403
    assert api.delete(f"/api/jobs/{plan.pk}/").status_code == 403
    assert Plan.objects.count() == 1


NEW = {"name": "tidy up", "task": TASK, "cron": "30 4 * * 1-5", "time_zone": "Europe/Paris", "calendar": "FR", "retries": 2}


def actions() -> list[tuple[str, Any]]:
    return [(entry.action, entry.detail.get("fields")) for entry in AuditEntry.objects.order_by("id")]


def test_a_job_is_created_changed_and_deleted_with_an_entry_for_each() -> None:
    api = operator()
    answer = api.post("/api/jobs/", {**NEW, "parameters": {"keep_days": 7}})
    assert answer.status_code == 201, answer.content
    made = json_of(answer)
    assert {name: made[name] for name in NEW} == NEW
    assert (made["is_enabled"], made["is_declared"], made["parameters"]) == (True, False, {"keep_days": 7})
    assert made["next_at"] is not None
    path = f"/api/jobs/{made['id']}/"
    changed = json_of(api.patch(path, {"every_seconds": 3600, "retries": 1, "is_enabled": False}))
    assert (changed["cron"], changed["every_seconds"], changed["retries"], changed["is_enabled"]) == ("", 3600.0, 1, False)
    assert (changed["time_zone"], changed["parameters"]) == ("Europe/Paris", {"keep_days": 7}), "what is left out stays"
    assert json_of(api.patch(path, {"every_seconds": changed["every_seconds"]})) == changed, "the same again changes nothing"
    assert api.delete(path).status_code == 204
    assert api.get(path).status_code == 404
    assert actions() == [("job.create", None), ("job.change", ["retries", "when"]), ("job.disable", None), ("job.delete", None)]


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"task": "os.system"}, ["task"]),
        ({"name": ""}, ["name"]),
        ({"name": "taken"}, ["name"]),
        ({"cron": "every day"}, ["cron"]),
        ({"cron": "0 0 31 2 *"}, ["cron"]),
        ({"every_seconds": 60}, ["cron", "every_seconds"]),
        ({"cron": None, "every_seconds": 5}, ["every_seconds"]),
        ({"cron": None, "at": "2020-01-01T00:00:00Z"}, ["at"]),
        ({"cron": None}, ["cron"]),
        ({"time_zone": "Mars/Olympus"}, ["time_zone"]),
        ({"calendar": "XX"}, ["calendar"]),
        ({"starts_at": "2027-01-02T00:00:00Z", "ends_at": "2027-01-01T00:00:00Z"}, ["ends_at"]),
        ({"timeout_seconds": 0, "retries": 99}, ["retries", "timeout_seconds"]),
        ({"retries": "2"}, ["retries"]),
        ({"blocking": "maybe"}, ["blocking"]),
        ({"child_id": 999_999}, ["child_id"]),
        ({"child_id": 2**62}, ["child_id"]),
        ({"parameters": {"keep_days": -5}}, ["parameters.keep_days"]),
        ({"parameters": {"keep_days": "many", "other": 1}}, ["parameters.keep_days", "parameters.other"]),
        ({"colour": "red"}, ["colour"]),
    ],
)
def test_a_wrong_field_is_named_and_nothing_is_stored(changes: dict[str, Any], fields: list[str]) -> None:
    make_plan("taken", task=TASK)
    body = {name: value for name, value in {**NEW, **changes}.items() if value is not None}
    answer = operator().post("/api/jobs/", body)
    assert (answer.status_code, answer["Content-Type"]) == (422, "application/problem+json"), answer.content
    assert sorted(error["field"] for error in json_of(answer)["errors"]) == fields
    assert Plan.objects.count() == 1


@pytest.mark.parametrize("number", [2**31, 2**63, 10**30])
def test_a_number_that_no_job_can_have_is_not_found(number: int) -> None:
    api = operator()
    for path in ("", "runs/"):
        assert api.get(f"/api/jobs/{number}/{path}").status_code == 404
    for verb in ("enable", "disable", "run", "reset"):
        assert api.post(f"/api/jobs/{number}/{verb}/").status_code == 404


def test_a_job_that_starts_itself_again_is_refused() -> None:
    first, api = make_plan("first", task=TASK), operator()
    second = make_plan("second", task=TASK, child_id=first.pk)
    for child in (first, second):
        answer = api.patch(f"/api/jobs/{first.pk}/", {"child_id": child.pk})
        assert answer.status_code == 422
        assert [error["field"] for error in json_of(answer)["errors"]] == ["child_id"]


def test_the_platforms_own_job_is_changed_and_reset_but_not_deleted() -> None:
    plans.declare_all(now=timezone.now())
    own, api = Plan.objects.get(job__task=TASK), operator()
    path = f"/api/jobs/{own.pk}/"
    before = json_of(api.get(path))
    assert before["is_declared"] is True
    assert json_of(api.patch(path, {"timeout_seconds": 77}))["timeout_seconds"] == 77
    assert [error["field"] for error in json_of(api.patch(path, {"name": "another"}))["errors"]] == ["name"]
    assert json_of(api.post(f"{path}reset/")) == before
    assert api.delete(path).status_code == 409
    mine = make_plan("mine", task=TASK)
    assert api.post(f"/api/jobs/{mine.pk}/reset/").status_code == 404
    assert actions() == [("job.change", ["timeout_seconds"]), ("job.change", ["default"])]


def test_a_key_that_may_only_manage_learns_no_more_than_what_it_did() -> None:
    api = operator("jobs:manage")
    made = json_of(api.post("/api/jobs/", NEW))
    assert sorted(made) == ["id", "is_enabled"]
    assert sorted(json_of(api.patch(f"/api/jobs/{made['id']}/", {"retries": 1}))) == ["id", "is_enabled"]
    assert api.get(f"/api/jobs/{made['id']}/").status_code == 403


def test_a_job_enabled_by_a_change_makes_up_for_nothing() -> None:
    plan, api = make_plan(task=TASK, cron="0 6 * * *"), operator()
    api.post(f"/api/jobs/{plan.pk}/disable/")
    now = timezone.now()
    assert json_of(api.patch(f"/api/jobs/{plan.pk}/", {"is_enabled": True}))["is_enabled"] is True
    assert firing.fire(plan.pk, now=timezone.now())[0] == []
    plan.refresh_from_db()
    assert plan.cursor >= now
    assert plan.job.last_run_at is None or plan.job.last_run_at >= now


def test_a_schedule_that_never_comes_round_is_neither_stored_nor_enabled() -> None:
    api = operator()
    plan = make_plan("sundays")
    answer = api.patch(f"/api/jobs/{plan.pk}/", {"cron": "0 0 * * 0", "calendar": "weekdays"})
    assert answer.status_code == 422
    assert "never comes round" in json_of(answer)["errors"][0]["message"]
    past = make_plan("past", at=timezone.now() - timedelta(days=1))
    PeriodicTask.objects.filter(pk=past.pk).update(enabled=False)
    assert api.post(f"/api/jobs/{past.pk}/enable/", {}).status_code == 409
    assert not PeriodicTask.objects.get(pk=past.pk).enabled
