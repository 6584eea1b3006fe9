"""Alarms over the API: for keys of a tenant that operates the installation, with the scopes for it."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import AuditEntry
from monitor.alarms.configuration import alarms
from monitor.alarms.states import AlarmState
from monitor.models import Alarm, AlarmNotice, Silence
from monitor.scopes import ALARMS_MANAGE, ALARMS_READ
from tests.builders import Api, configure, fields_of, json_of, make_api, make_tenant
from tests.monitor.alarms.rules import receiver, rule
from tests.monitor.alarms.test_pages import make_alarm

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _rules() -> None:
    configure(alarms, rules=[rule(), rule("disk")], receivers=[receiver()])


@pytest.fixture
def api() -> Api:
    return make_api(make_tenant("Ops", is_operator=True), ALARMS_READ, ALARMS_MANAGE)


def test_alarms_are_listed_filtered_and_read_with_their_notices(api: Api) -> None:
    alarm, other = make_alarm(), make_alarm("disk", severity="warning")
    assert [row["id"] for row in json_of(api.get("/api/alarms/"))["results"]] == [str(other.pk), str(alarm.pk)]
    assert [row["rule"] for row in json_of(api.get("/api/alarms/", severity="critical", state="firing"))["results"]] == ["backlog"]
    assert fields_of(api.get("/api/alarms/", state="burning")) == ["state"]
    found = json_of(api.get(f"/api/alarms/{alarm.pk}/"))
    assert (found["state"], found["notices"]) == ("firing", [])


def test_an_alarm_is_acknowledged_once_and_taken_back(api: Api) -> None:
    alarm = make_alarm()
    assert json_of(api.post(f"/api/alarms/{alarm.pk}/acknowledge/", {"comment": "mine"}))["state"] == AlarmState.ACKNOWLEDGED
    assert api.post(f"/api/alarms/{alarm.pk}/acknowledge/").status_code == 409
    assert json_of(api.post(f"/api/alarms/{alarm.pk}/reopen/"))["state"] == AlarmState.FIRING
    assert api.post(f"/api/alarms/{alarm.pk}/reopen/").status_code == 409
    assert list(AuditEntry.objects.filter(action__startswith="alarm.").order_by("id").values_list("action", flat=True)) == [
        "alarm.acknowledge",
        "alarm.reopen",
    ]


def test_alarms_are_silenced_for_a_time_and_the_silence_is_ended(api: Api) -> None:
    until = (timezone.now() + timedelta(hours=1)).isoformat()
    made = api.post("/api/alarms/silences/", {"rules": ["disk"], "ends_at": until, "comment": "work", "is_maintenance": True})
    assert made.status_code == 201
    assert [row["id"] for row in json_of(api.get("/api/alarms/silences/"))] == [json_of(made)["id"]]
    ended = api.post(f"/api/alarms/silences/{json_of(made)['id']}/end/")
    assert ended.status_code == 200
    assert api.post(f"/api/alarms/silences/{json_of(made)['id']}/end/").status_code == 409
    assert json_of(api.get("/api/alarms/silences/")) == []
    assert fields_of(api.post("/api/alarms/silences/", {"rules": ["none"], "ends_at": until, "comment": "x"})) == ["rules"]
    assert fields_of(api.post("/api/alarms/silences/", {"ends_at": "2026-01-01T00:00:00Z", "comment": " "})) == ["comment"]


def test_a_key_that_may_only_manage_learns_no_more_than_what_became_of_its_call() -> None:
    api, alarm = make_api(make_tenant("Ops", is_operator=True), ALARMS_MANAGE), make_alarm()
    assert json_of(api.post(f"/api/alarms/{alarm.pk}/acknowledge/")) == {"id": str(alarm.pk), "state": "acknowledged"}
    assert json_of(api.post(f"/api/alarms/{alarm.pk}/reopen/")) == {"id": str(alarm.pk), "state": "firing"}
    silence = Silence.objects.create(starts_at=timezone.now(), ends_at=timezone.now() + timedelta(hours=1), created_by="user:ada")
    assert set(json_of(api.post(f"/api/alarms/silences/{silence.pk}/end/"))) == {"id", "ended_at"}


def test_a_test_notice_is_accepted_and_receivers_are_shown_masked(api: Api) -> None:
    assert json_of(api.get("/api/alarms/receivers/"))[0]["address"] == "o***@example.com"
    assert api.post("/api/alarms/test/", {"receiver": "ops"}).status_code == 202
    assert AlarmNotice.objects.count() == 1
    assert fields_of(api.post("/api/alarms/test/", {"receiver": "none"})) == ["receiver"]


def test_other_tenants_and_keys_without_the_scopes_find_and_change_nothing() -> None:
    alarm, until = make_alarm(), (timezone.now() + timedelta(hours=1)).isoformat()
    silence = Silence.objects.create(starts_at=timezone.now(), ends_at=until, created_by="user:ada")
    calls = [
        ("GET", "/api/alarms/", None),
        ("GET", f"/api/alarms/{alarm.pk}/", None),
        ("GET", "/api/alarms/receivers/", None),
        ("GET", "/api/alarms/silences/", None),
        ("POST", f"/api/alarms/{alarm.pk}/acknowledge/", {}),
        ("POST", f"/api/alarms/{alarm.pk}/reopen/", {}),
        ("POST", "/api/alarms/silences/", {"ends_at": until, "comment": "x"}),
        ("POST", f"/api/alarms/silences/{silence.pk}/end/", {}),
        ("POST", "/api/alarms/test/", {"receiver": "ops"}),
    ]
    stranger = make_api(make_tenant("Other"))
    assert [stranger.request(method, path, body).status_code for method, path, body in calls] == [404] * len(calls)
    reader = make_api(make_tenant("Ops", is_operator=True), ALARMS_READ)
    assert [reader.request(method, path, body).status_code for method, path, body in calls] == [200] * 4 + [403] * 5
    assert Alarm.objects.get().state == AlarmState.FIRING
    assert Silence.objects.get().ended_at is None
