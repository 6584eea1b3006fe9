"""The API of jobs: what it shows and does, and that it is for operators of the installation."""

import pytest
from django.utils import timezone

from accounts.models import Tenant
from jobs.models import JobRun
from jobs.services import publishing, run_log, schedule
from tests.architecture.routes import api_routes, methods_of
from tests.builders import TESTER, Api, json_of, make_api, make_tenant
from tests.jobs.builders import make_plan

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
    assert json_of(api.post(f"/api/jobs/runs/{run['id']}/stop/"))["state"] == "killed"
    assert api.post(f"/api/jobs/runs/{run['id']}/stop/").status_code == 409
    runs = json_of(api.get(f"/api/jobs/{plan.pk}/runs/?state=killed"))["results"]
    assert [each["id"] for each in runs] == [run["id"]]
    assert json_of(api.get(f"/api/jobs/{plan.pk}/runs/?state=failed"))["results"] == []


def test_parameters_that_the_function_does_not_take_are_named() -> None:
    plan, api = make_plan(task=TASK), operator()
    answer = api.post(f"/api/jobs/{plan.pk}/run/", {"parameters": {"keep_days": "many", "other": 1}})
    assert answer.status_code == 422
    assert sorted(error["field"] for error in json_of(answer)["errors"]) == ["keep_days", "other"]


def test_a_key_of_a_tenant_that_does_not_operate_the_installation_finds_nothing() -> None:
    plan = make_plan(task=TASK)
    run = schedule.run_job(row=plan.job, by=TESTER, now=timezone.now())[0]
    stranger = make_api(make_tenant("Other"))
    found = {}
    for route in api_routes():
        if route.pattern.startswith("api/jobs/"):
            path = route.path.replace("0192f0c1-a2b3-7c4d-8e9f-001122334455", str(run.pk)).replace("4711", str(plan.pk))
            for method in methods_of(route):
                found[f"{method} {route}"] = stranger.request(method, path, {} if method == "POST" else None).status_code
    assert len(found) == 9
    assert set(found.values()) == {404}, found
    run.refresh_from_db()
    assert run.state == "waiting"


def test_a_key_that_may_only_read_starts_nothing() -> None:
    plan, api = make_plan(task=TASK), operator("jobs:read")
    assert api.get(f"/api/jobs/{plan.pk}/").status_code == 200
    for what in ("run", "enable", "disable"):
        assert api.post(f"/api/jobs/{plan.pk}/{what}/").status_code == 403
