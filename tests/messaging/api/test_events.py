"""The stream of events: in order, of one tenant, by type, and what is said when some of it is gone."""

import threading
import time
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import KeyKind, Tenant
from accounts.scopes import ADMIN, SCOPES
from messaging.api.views import events as view
from messaging.models import Event, EventRecording
from messaging.scopes import EVENTS_READ
from messaging.webhooks import events
from messaging.webhooks.cleaning import remove_old_events
from posthaste.lib.flow.system import load_monitor
from tests.builders import Api, fields_of, json_of, make_api, make_event, make_tenant

pytestmark = [pytest.mark.django_db, pytest.mark.both_stacks]
URL = "/api/events/"


@pytest.fixture
def tenant() -> Tenant:
    made = make_tenant()
    events.start_recording(made.pk, read_at=timezone.now())
    return made


@pytest.fixture
def api(tenant: Tenant) -> Api:
    return make_api(tenant, EVENTS_READ)


def ids(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.content
    return [event["id"] for event in json_of(answer)["results"]]


def seen(*events: Event) -> list[str]:
    return [f"evt_{event.position}" for event in events]


def test_reading_the_stream_needs_its_own_scope(tenant: Tenant, api: Api) -> None:
    assert make_api(tenant, *(set(SCOPES) - {EVENTS_READ, ADMIN})).get(URL).status_code == 403
    assert api.get(URL).status_code == 200


def test_events_come_in_order_and_next_leads_on(tenant: Tenant, api: Api) -> None:
    made = [make_event(tenant) for _ in range(5)]
    first = json_of(api.get(URL, limit=3))
    assert [event["id"] for event in first["results"]] == seen(*made[:3])
    assert set(first["results"][0]) >= {"id", "type", "timestamp", "data"}
    second = json_of(api.get(URL, after=first["next"], limit=3))
    assert [event["id"] for event in second["results"]] == seen(*made[3:])
    last = json_of(api.get(URL, after=second["next"]))
    assert last["results"] == []
    newer = make_event(tenant)
    assert ids(api.get(URL, after=last["next"])) == seen(newer)


def test_a_position_beyond_the_end_is_refused_and_the_last_one_is_named(tenant: Tenant, api: Api) -> None:
    mine = make_event(tenant)
    make_event(make_tenant("Other"))
    answer = api.get(URL, after=mine.position + 1_000)
    problem = json_of(answer)
    assert (answer.status_code, problem["code"], problem["after"]) == (409, "position_ahead", mine.position)
    assert api.get(URL, after=problem["after"]).status_code == 200


def test_nothing_of_another_tenant_is_in_the_stream(tenant: Tenant, api: Api) -> None:
    make_event(make_tenant("Other"))
    mine = make_event(tenant)
    assert ids(api.get(URL)) == seen(mine)


def test_types_and_families_are_picked(tenant: Tenant, api: Api) -> None:
    failed, finished, sent = (make_event(tenant, name) for name in ("message.failed", "batch.finished", "message.sent"))
    assert ids(api.get(URL, type="message.failed")) == seen(failed)
    assert ids(api.get(URL, type=["message.failed", "batch.*"])) == seen(failed, finished)
    assert ids(api.get(URL, type="*")) == seen(failed, finished, sent)


def test_next_passes_events_of_other_types(tenant: Tenant, api: Api) -> None:
    make_event(tenant, "message.sent")
    page = json_of(api.get(URL, type="message.failed"))
    assert page["results"] == []
    failed = make_event(tenant, "message.failed")
    assert ids(api.get(URL, type="message.failed", after=page["next"])) == seen(failed)


def test_a_key_sees_the_events_of_its_own_kind_unless_it_asks_for_others(tenant: Tenant, api: Api) -> None:
    live, sandbox = make_event(tenant), make_event(tenant, is_sandbox=True)
    assert ids(api.get(URL)) == seen(live)
    assert ids(api.get(URL, is_sandbox="true")) == seen(sandbox)
    other = make_api(tenant, EVENTS_READ, kind=KeyKind.SANDBOX)
    assert ids(other.get(URL)) == seen(sandbox)
    assert ids(other.get(URL, is_sandbox="false")) == seen(live)


def test_a_post_starts_the_recording_and_says_from_where_to_read(tenant: Tenant) -> None:
    make_event(tenant)
    other = make_tenant("Other")
    mine = make_api(other, EVENTS_READ)
    refused = mine.get(URL)
    assert (refused.status_code, json_of(refused)["code"]) == (409, "events_not_recorded")
    for _call in range(2):
        started = mine.post(URL, {})
        assert started.status_code == 200, started.content
        assert ids(mine.get(URL, after=json_of(started)["next"])) == []
    sandbox = make_api(make_tenant("Sandbox"), EVENTS_READ, kind=KeyKind.SANDBOX)
    assert sandbox.post(URL, {}).status_code == 403
    assert EventRecording.objects.filter(tenant=other, read_at__isnull=False).exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("after", "-1"),
        ("after", "x"),
        ("after", str(2**63)),
        ("after", "evt_1"),
        ("after", "1.0"),
        ("after", "1_0"),
        ("after", "+5"),
        ("after", "٣"),
        ("after", "5\n"),
        ("limit", " 5"),
        ("wait", "１"),
        ("limit", "0"),
        ("limit", "1001"),
        ("type", "message.read"),
        ("type", "nonsense.*"),
        ("is_sandbox", "banana"),
        ("wait", "21"),
        ("wait", "-1"),
    ],
)
def test_each_wrong_parameter_is_named(api: Api, name: str, value: str) -> None:
    assert [field.partition("[")[0] for field in fields_of(api.get(URL, **{name: value}))] == [name]


def test_an_old_position_is_gone_and_the_answer_says_where_to_go_on(tenant: Tenant, api: Api) -> None:
    long_ago = timezone.now() - timedelta(days=8)
    gone, also_gone = (make_event(tenant, occurred_at=long_ago) for _ in range(2))
    kept = make_event(tenant)
    remove_old_events(now=timezone.now())
    answer = api.get(URL, after=gone.position)
    problem = json_of(answer)
    assert (answer.status_code, answer["Content-Type"], problem["code"]) == (410, "application/problem+json", "events_gone")
    assert ids(api.get(URL, after=problem["after"])) == seen(kept)
    assert ids(api.get(URL, after=also_gone.position)) == seen(kept), "everything after it is kept"
    assert ids(api.get(URL)) == seen(kept), "0 means from the oldest"


def test_a_wait_without_an_event_ends_in_time_and_does_not_count_as_load(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    clock = [1_000.0]

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock[0] += seconds

    monkeypatch.setattr(view, "sleep", sleep)
    monkeypatch.setattr(view, "monotonic", lambda: clock[0])
    begins: list[float] = []

    def finish(began: float) -> None:
        begins.append(began)
        load_monitor.in_progress -= 1

    monkeypatch.setattr(load_monitor, "finish", finish)
    earliest = time.perf_counter()
    assert ids(api.get(URL, wait=3)) == []
    assert sum(slept) == pytest.approx(3)
    assert begins[0] >= earliest + 3, "the time that it waited is left out"


def test_a_wait_ends_with_the_first_event(tenant: Tenant, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Event] = []
    monkeypatch.setattr(view, "sleep", lambda _seconds: made.append(make_event(tenant)))
    assert ids(api.get(URL, wait=20)) == seen(made[0])
    assert len(made) == 1


def test_those_who_wait_leave_most_threads_to_others(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view, "waiting_places", threading.BoundedSemaphore(1))
    assert view.waiting_places.acquire()
    monkeypatch.setattr(view, "sleep", lambda _seconds: pytest.fail("it waited without a place"))
    assert ids(api.get(URL, wait=20)) == []
