"""Webhook endpoints over the API: who may, what is refused, secrets that are shown once, the delivery log."""

from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from accounts.models import AuditEntry, KeyKind, Tenant
from accounts.scopes import ADMIN, SCOPES
from messaging.models import DeliveryKind, DeliveryStatus, WebhookDelivery, WebhookEndpoint
from messaging.scopes import WEBHOOKS_MANAGE, WEBHOOKS_READ
from messaging.webhooks import endpoints, sender
from posthaste.lib.outgoing_calls import outgoing_calls
from tests.builders import Api, fields_of, json_of, make_api, make_delivery, make_endpoint, make_event, make_provider, make_tenant
from tests.messaging.webhooks.hooks import during_calls
from tests.peers.gateway import Answer, Gateway

pytestmark = [pytest.mark.django_db, pytest.mark.both_stacks]
URL = "/api/webhooks/"
MASK = "••••••"
NEW = {"name": "Shop", "url": "http://127.0.0.1:9/hooks"}


@pytest.fixture
def tenant() -> Tenant:
    return make_tenant()


@pytest.fixture
def api(tenant: Tenant) -> Api:
    return make_api(tenant, WEBHOOKS_READ, WEBHOOKS_MANAGE)


def made(api: Api, **changed: Any) -> dict[str, Any]:
    answer = api.post(URL, NEW | changed)
    assert answer.status_code == 201, answer.content
    shown: dict[str, Any] = json_of(answer)
    return shown


def path_of(endpoint: WebhookEndpoint | dict[str, Any], rest: str = "") -> str:
    return f"{URL}{endpoint['id'] if isinstance(endpoint, dict) else endpoint.pk}/{rest}"


# --- who may -----------------------------------------------------------------------------------------------------


def test_reading_and_managing_are_scopes_of_their_own(tenant: Tenant) -> None:
    endpoint = make_endpoint(tenant)
    delivery = make_delivery(endpoint)
    reads = [("GET", URL), ("GET", path_of(endpoint)), ("GET", path_of(endpoint, "deliveries/"))]
    changes = [("POST", URL), ("PATCH", path_of(endpoint)), ("DELETE", path_of(endpoint))]
    changes += [("POST", path_of(endpoint, rest)) for rest in ("test/", "rotate-secret/", "enable/", "disable/")]
    changes += [("POST", path_of(endpoint, f"deliveries/{delivery.pk}/replay/"))]
    changes += [("POST", path_of(endpoint, "replay/"))]
    reader, manager = make_api(tenant, WEBHOOKS_READ), make_api(tenant, WEBHOOKS_MANAGE)
    assert {reader.request(method, path).status_code for method, path in reads} == {200}
    assert {reader.request(method, path, {}).status_code for method, path in changes} == {403}
    assert {manager.request(method, path).status_code for method, path in reads} == {403}
    others = make_api(tenant, *(set(SCOPES) - {WEBHOOKS_READ, WEBHOOKS_MANAGE, "admin"}))
    assert {others.request(method, path, {}).status_code for method, path in reads + changes} == {403}


def test_a_sandbox_key_reads_and_changes_nothing(tenant: Tenant) -> None:
    endpoint = make_endpoint(tenant)
    sandbox = make_api(tenant, kind=KeyKind.SANDBOX)
    assert sandbox.get(path_of(endpoint)).status_code == 200
    assert sandbox.post(URL, NEW).status_code == 403
    assert sandbox.post(path_of(endpoint, "test/")).status_code == 403
    assert sandbox.post(path_of(endpoint, "replay/"), {"from_event": "evt_1"}).status_code == 403
    assert sandbox.patch(path_of(endpoint), {"url": "http://127.0.0.1:9/mine"}).status_code == 403
    assert WebhookEndpoint.objects.get().url == endpoint.url


def test_endpoints_and_deliveries_of_another_tenant_do_not_exist(tenant: Tenant, api: Api) -> None:
    mine, foreign = make_endpoint(tenant), make_endpoint(make_tenant("Other"))
    delivery = make_delivery(foreign)
    assert [row["id"] for row in json_of(api.get(URL))["results"]] == [str(mine.pk)]
    assert api.get(path_of(foreign, "deliveries/")).status_code == 404
    # Under an endpoint of one's own, too.
    assert api.post(path_of(mine, f"deliveries/{delivery.pk}/replay/")).status_code == 404
    since = {"since": "2020-01-01T00:00:00Z", "status": ["delivered"]}
    assert api.post(path_of(foreign, "replay/"), since).status_code == 404
    assert json_of(api.post(path_of(mine, "replay/"), since))["requests"] == 0, "not those of the other tenant's endpoint"
    assert WebhookDelivery.objects.count() == 1


# --- what is made, shown and changed ------------------------------------------------------------------------------


def test_a_new_endpoint_is_enabled_and_gets_everything_unless_told_otherwise(api: Api) -> None:
    shown = made(api)
    wanted = {
        "name": "Shop", "url": NEW["url"], "event_types": ["*"], "channels": [], "max_events": 100, "includes_sandbox": False,
        "is_enabled": True, "state": "enabled", "failing_since": None, "disabled_at": None, "previous_secret_until": None,
    }  # fmt: skip
    assert {name: shown[name] for name in wanted} == wanted


def test_the_secret_is_shown_when_it_is_made_and_never_again(api: Api) -> None:
    shown = made(api)
    assert shown["secret"].startswith("whsec_")
    path = path_of(shown)
    answers = [
        api.get(URL),
        api.get(path),
        api.patch(path, {"name": "Other"}),
        api.post(f"{path}disable/"),
        api.post(f"{path}enable/"),
        api.post(f"{path}test/"),
        api.get(f"{path}deliveries/"),
        make_api(WebhookEndpoint.objects.get().tenant).get("/api/audit/"),
    ]
    assert [answer.status_code for answer in answers] == [200] * len(answers)
    assert not any(shown["secret"] in answer.content.decode() for answer in answers)
    assert json_of(answers[1])["secret"] == MASK


def test_the_secret_is_encrypted_in_the_database(api: Api) -> None:
    secret = made(api)["secret"]
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM messaging_webhookendpoint")
        stored = " ".join(str(value) for value in cursor.fetchone())
    assert secret not in stored
    assert secret.removeprefix("whsec_") not in stored


def test_a_rotation_shows_the_new_secret_and_keeps_the_old_one_for_a_while(api: Api) -> None:
    shown = made(api)
    answer = api.post(path_of(shown, "rotate-secret/"), {"keep_old_for_seconds": 3600})
    rotated = json_of(answer)
    assert answer.status_code == 200
    assert rotated["secret"].startswith("whsec_")
    assert rotated["secret"] != shown["secret"]
    until = parse_datetime(rotated["previous_secret_until"])
    assert until is not None
    assert timedelta(minutes=55) < until - timezone.now() <= timedelta(hours=1)
    stored = WebhookEndpoint.objects.get()
    assert (stored.secret, stored.previous_secret) == (rotated["secret"], shown["secret"])
    assert json_of(api.get(path_of(shown)))["secret"] == MASK


def test_a_rotation_keeps_the_old_secret_for_a_day_unless_told_otherwise_and_not_at_all_for_zero(api: Api) -> None:
    shown = made(api)
    until = parse_datetime(json_of(api.post(path_of(shown, "rotate-secret/")))["previous_secret_until"])
    assert until is not None
    assert timedelta(hours=23) < until - timezone.now() <= timedelta(hours=24)
    again = json_of(api.post(path_of(shown, "rotate-secret/"), {"keep_old_for_seconds": 0}))
    assert again["previous_secret_until"] is None
    assert WebhookEndpoint.objects.get().previous_secret == ""


@pytest.mark.parametrize("body", [None, {"keep_old_for_seconds": 1}, {"keep_old_for_seconds": 3600}])
def test_a_second_rotation_does_not_end_a_secret_that_was_to_stay(api: Api, body: dict[str, Any] | None) -> None:
    shown = made(api)
    until = json_of(api.post(path_of(shown, "rotate-secret/"), {"keep_old_for_seconds": 3600}))["previous_secret_until"]
    answer = api.post(path_of(shown, "rotate-secret/"), body)
    assert (answer.status_code, json_of(answer)["code"]) == (409, "conflict")
    assert parse_datetime(json_of(answer)["previous_secret_until"]) == parse_datetime(until)
    assert WebhookEndpoint.objects.get().previous_secret == shown["secret"]
    assert api.post(path_of(shown, "rotate-secret/"), {"keep_old_for_seconds": 0}).status_code == 200


@pytest.mark.parametrize("seconds", [-1, 7 * 86_400 + 1, "3600", 1.5, True, None])
def test_a_rotation_refuses_what_is_no_span_of_seven_days(api: Api, seconds: Any) -> None:
    shown = made(api)
    assert fields_of(api.post(path_of(shown, "rotate-secret/"), {"keep_old_for_seconds": seconds})) == ["keep_old_for_seconds"]
    assert WebhookEndpoint.objects.get().secret == shown["secret"]


def test_a_change_touches_only_what_it_names(api: Api) -> None:
    shown = made(api, channels=["sms"], event_types=["message.failed"])
    changed = json_of(api.patch(path_of(shown), {"max_events": 7}))
    assert changed["max_events"] == 7
    same = set(shown) - {"max_events", "secret", "updated_at", "next_attempt_at"}
    assert {name: changed[name] for name in same} == {name: shown[name] for name in same}


def test_an_endpoint_is_switched_by_a_change_as_by_its_own_addresses(api: Api) -> None:
    shown = made(api)
    off = json_of(api.patch(path_of(shown), {"is_enabled": False}))
    assert (off["is_enabled"], off["state"]) == (False, "disabled")
    assert off["disabled_at"] is not None
    on = json_of(api.post(path_of(shown, "enable/")))
    assert (on["is_enabled"], on["state"], on["disabled_at"]) == (True, "enabled", None)
    assert json_of(api.post(path_of(shown, "disable/")))["state"] == "disabled"
    assert json_of(api.post(path_of(shown, "disable/")))["state"] == "disabled"
    switched = AuditEntry.objects.filter(action__in=["webhook.enable", "webhook.disable"]).values_list("action", flat=True)
    assert sorted(switched) == ["webhook.disable", "webhook.disable", "webhook.enable"]


def test_a_failing_endpoint_is_tried_now_when_it_is_enabled(api: Api, tenant: Tenant) -> None:
    now = timezone.now()
    later = {"failures": 9, "failing_since": now - timedelta(hours=3), "next_attempt_at": now + timedelta(hours=1)}
    endpoint = make_endpoint(tenant, **later)
    make_event(tenant)
    assert endpoint.pk not in sender.due(now=timezone.now(), limit=10)
    shown = json_of(api.post(path_of(endpoint, "enable/")))
    assert (shown["state"], shown["failures"]) == ("failing", 9), "it counts on until a request succeeds"
    assert endpoint.pk in sender.due(now=timezone.now(), limit=10)
    assert AuditEntry.objects.filter(action="webhook.enable").count() == 1
    healthy = make_endpoint(tenant, name="Healthy")
    assert api.post(path_of(healthy, "enable/")).status_code == 200
    assert AuditEntry.objects.filter(action="webhook.enable").count() == 1, "there was nothing to do"


def test_a_removed_endpoint_is_gone_with_its_log(api: Api, tenant: Tenant) -> None:
    endpoint = make_endpoint(tenant)
    make_delivery(endpoint)
    assert api.delete(path_of(endpoint)).status_code == 204
    assert api.get(path_of(endpoint)).status_code == 404
    assert not WebhookDelivery.objects.exists()


def test_all_invalid_fields_are_told_at_once(api: Api, tenant: Tenant) -> None:
    wrong = {"name": " ", "url": "ftp://x", "event_types": ["message.nothing"], "channels": ["smoke"], "max_events": 0}
    answer = api.post(URL, wrong)
    assert {field.partition("[")[0].partition(".")[0] for field in fields_of(answer)} == set(wrong)
    for form in ({"channels": ["smoke"]}, {"max_events": "7"}, {"unknown": 1}, {}):
        answer = api.post(URL, {"name": " ", "url": "ftp://x", "event_types": ["message.nothing"], **form})
        found = {field.partition("[")[0].partition(".")[0] for field in fields_of(answer)}
        assert found == {"name", "url", "event_types", *form}
    endpoint = make_endpoint(tenant)
    answer = api.patch(path_of(endpoint), {"url": "ftp://x", "max_events": 0})
    assert sorted(fields_of(answer)) == ["max_events", "url"]


def test_a_name_that_is_taken_is_told_beside_a_number_of_a_wrong_form(api: Api) -> None:
    made(api)
    answer = api.post(URL, NEW | {"max_events": 0})
    assert {(entry["field"], entry["code"]) for entry in json_of(answer)["errors"]} >= {("name", "taken")}
    assert sorted(fields_of(answer)) == ["max_events", "name"]


@pytest.mark.parametrize("pattern", ["webhook.test", "webhook.*"])
def test_a_test_is_nothing_to_subscribe_to(api: Api, tenant: Tenant, pattern: str) -> None:
    answer = api.post(URL, NEW | {"event_types": [pattern]})
    assert fields_of(answer) == ["event_types"]
    assert "webhook." not in json_of(answer)["errors"][0]["message"].partition("Available")[2]
    assert make_api(tenant).get(f"/api/events/?type={pattern}").status_code == 422


# --- what is refused ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "",
        "shop.example.com/hooks",
        "ftp://shop.example.com/",
        "javascript:alert(1)",
        "https://",
        "https:///hooks",
        "https://user@shop.example.com/",
        "https://user:secret@shop.example.com/",
        "https://:@shop.example.com/",
        "http://shop.example.com:0/",
        "http://shop.example.com:99999/",
        "http://10.1.2.3/hooks",
        "http://192.168.0.1/hooks",
        "http://169.254.169.254/latest/meta-data/",
        "http://[fe80::1]/hooks",
        "http://[::ffff:10.0.0.1]/hooks",
        "https://shop.example.com/\r\nX-Foo: y",
        "https://shop.example.com/\x0b",
        "https://shop.example.com/\u2028",
        "https://shop.example.com/ hooks\t",
        " https://shop.example.com/hooks",
        "http://127.0.0.1:9421\\[x",
        "http://127.0.0.1:9421\\1",
        "https://shop.example.com/a\\b",
        "https://shop.example.com/" + "x" * 2048,
    ],
)
def test_a_bad_url_is_refused_and_named(api: Api, tenant: Tenant, url: str) -> None:
    assert fields_of(api.post(URL, NEW | {"url": url})) == ["url"]
    assert not WebhookEndpoint.objects.exists()
    endpoint = make_endpoint(tenant)
    assert fields_of(api.patch(path_of(endpoint), {"url": url})) == ["url"]
    endpoint.refresh_from_db()
    assert endpoint.url != url


def test_a_refusal_does_not_repeat_credentials_of_a_url(api: Api) -> None:
    answer = api.post(URL, NEW | {"url": "https://user:s3cret-t0ken@shop.example.com/"})
    assert "s3cret-t0ken" not in answer.content.decode()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "x" * 101),
        ("name", "Sh\x0bop"),
        ("name", 5),
        ("event_types", []),
        ("event_types", ["message.read"]),
        ("event_types", ["message"]),
        ("event_types", ["nonsense.*"]),
        ("event_types", "message.sent"),
        ("event_types", ["*"] * 51),
        ("channels", "sms"),
        ("max_events", 0),
        ("max_events", 1001),
        ("max_events", "100"),
        ("includes_sandbox", 1),
        ("is_enabled", "yes"),
        ("nonsense", 1),
    ],
)
def test_each_wrong_field_is_named(api: Api, field: str, value: Any) -> None:
    assert fields_of(api.post(URL, NEW | {field: value})) == [field]


def test_a_wrong_entry_of_a_list_is_named_with_its_place(api: Api) -> None:
    assert fields_of(api.post(URL, NEW | {"channels": ["sms", "fax"]})) == ["channels[1]"]


def test_a_name_is_taken_once_a_tenant(api: Api) -> None:
    made(api)
    assert fields_of(api.post(URL, NEW)) == ["name"]
    assert make_api(make_tenant("Other")).post(URL, NEW).status_code == 201


def test_a_tenant_has_as_many_endpoints_as_the_configuration_allows(api: Api, tenant: Tenant) -> None:
    for _number in range(20):
        make_endpoint(tenant)
    answer = api.post(URL, NEW)
    assert answer.status_code == 409
    assert WebhookEndpoint.objects.count() == 20


# --- the test button ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("status", "ok"), [(200, True), (202, True), (302, False), (410, False), (500, False)])
def test_a_test_answers_what_the_receiver_said(api: Api, tenant: Tenant, status: int, ok: bool) -> None:
    with Gateway() as gateway:
        gateway.script(Answer(status=status))
        endpoint = make_endpoint(tenant, url=gateway.url)
        answer = api.post(path_of(endpoint, "test/"))
        (received,) = gateway.records
    result = json_of(answer)
    assert answer.status_code == 200
    assert (result["ok"], result["http_status"]) == (ok, status)
    assert result["duration_ms"] >= 0
    assert received.headers["webhook-id"] == result["webhook_id"]
    endpoint.refresh_from_db()
    assert endpoint.is_enabled, "a test changes nothing of the endpoint"


def test_a_test_without_an_answer_says_why(api: Api, tenant: Tenant) -> None:
    nowhere = json_of(api.post(path_of(make_endpoint(tenant), "test/")))
    assert (nowhere["ok"], nowhere["http_status"], nowhere["error"]) == (False, None, "connection_refused")
    private = json_of(api.post(path_of(make_endpoint(tenant, url="http://10.1.2.3/"), "test/")))
    assert (private["ok"], private["error"]) == (False, "blocked_address")


def test_a_test_calls_a_disabled_endpoint_too_and_stands_in_the_log(api: Api, tenant: Tenant) -> None:
    with Gateway() as gateway:
        endpoint = make_endpoint(tenant, url=gateway.url, is_enabled=False)
        assert json_of(api.post(path_of(endpoint, "test/")))["ok"]
    (row,) = json_of(api.get(path_of(endpoint, "deliveries/")))["results"]
    assert (row["kind"], row["status"], row["http_status"], row["events"]) == ("test", "delivered", 200, 1)


# --- the delivery log -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rest", ["test/", "deliveries/{pk}/replay/", "replay/"])
def test_an_endpoint_that_is_removed_during_a_call_is_not_found(
    rest: str, api: Api, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Gateway() as gateway:
        endpoint = make_endpoint(tenant, url=gateway.url)
        delivery = make_delivery(endpoint, status=DeliveryStatus.FAILED)
        WebhookEndpoint.objects.update(cursor=delivery.until_position)
        during_calls(monkeypatch, lambda: api.delete(path_of(endpoint)))
        answer = api.post(path_of(endpoint, rest.format(pk=delivery.pk)), {"since": "2020-01-01T00:00:00Z"} if rest == "replay/" else None)
    assert (answer.status_code, json_of(answer)["code"]) == (404, "not_found")
    assert not WebhookDelivery.objects.exists()


def test_a_delivery_that_was_removed_during_its_replay_is_not_named(api: Api, tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    with Gateway() as gateway:
        endpoint = make_endpoint(tenant, url=gateway.url)
        delivery = make_delivery(endpoint, status=DeliveryStatus.FAILED)
        during_calls(monkeypatch, lambda: WebhookDelivery.objects.all().delete())
        answer = api.post(path_of(endpoint, f"deliveries/{delivery.pk}/replay/"))
    assert (answer.status_code, json_of(answer)["replayed_from"]) == (201, None)


def test_a_change_of_an_endpoint_that_is_removed_meanwhile_is_not_found(api: Api, tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint = make_endpoint(tenant)
    monkeypatch.setattr(endpoints, "check", lambda _endpoint: WebhookEndpoint.objects.all().delete())
    assert api.patch(path_of(endpoint), {"name": "Other"}).status_code == 404
    assert api.patch(path_of(endpoint), {"name": "Other"}).status_code == 404
    assert not AuditEntry.objects.filter(action="webhook.change").exists()


def test_calls_that_wait_for_a_receiver_are_bounded_and_say_when_to_come_back(api: Api, tenant: Tenant) -> None:
    endpoint = make_endpoint(tenant)
    delivery = make_delivery(endpoint, status=DeliveryStatus.FAILED)
    provider = make_provider(tenant)
    admin = make_api(tenant, ADMIN)
    calls: list[Callable[[], Any]] = [
        lambda: api.post(path_of(endpoint, "test/")),
        lambda: api.post(path_of(endpoint, f"deliveries/{delivery.pk}/replay/")),
        lambda: api.post(path_of(endpoint, "replay/"), {"since": "2020-01-01T00:00:00Z"}),
        lambda: admin.post(f"/api/providers/{provider.pk}/test/", {"recipient": "+8613912345678", "text": "Hello"}),
    ]
    with ExitStack() as held:
        for _ in range(outgoing_calls.per_tenant):
            held.enter_context(outgoing_calls.place(tenant.pk))
        for call in calls:
            answer = call()
            assert (answer.status_code, json_of(answer)["code"]) == (429, "too_many_requests")
            assert int(answer["Retry-After"]) > 0
    assert WebhookDelivery.objects.count() == 1
    assert {call().status_code for call in calls} <= {200, 201}


def test_the_log_is_filtered_and_comes_in_pages_newest_first(api: Api, tenant: Tenant) -> None:
    endpoint, other = make_endpoint(tenant), make_endpoint(tenant)
    rows = [make_delivery(endpoint, status=status) for status in DeliveryStatus.values]
    make_delivery(other)
    path = path_of(endpoint, "deliveries/")
    first = json_of(api.get(path, limit=3))
    second = json_of(api.get(path, limit=3, cursor=first["next"]))
    shown = [row["id"] for row in first["results"] + second["results"]]
    assert shown == [str(row.pk) for row in reversed(rows)]
    assert second["next"] is None
    some = json_of(api.get(path, status=["failed", "given_up"]))["results"]
    assert {row["status"] for row in some} == {"failed", "given_up"}
    make_delivery(endpoint, kind=DeliveryKind.TEST)
    assert [row["kind"] for row in json_of(api.get(path, kind="test"))["results"]] == ["test"]
    assert fields_of(api.get(path, status="lost")) == ["status"]


def test_a_replay_sends_the_same_events_with_a_new_id_and_moves_nothing(api: Api, tenant: Tenant) -> None:
    with Gateway() as gateway:
        endpoint = make_endpoint(tenant, url=gateway.url)
        delivery = make_delivery(endpoint, status=DeliveryStatus.GIVEN_UP)
        cursor = endpoint.cursor
        answer = api.post(path_of(endpoint, f"deliveries/{delivery.pk}/replay/"))
        (received,) = gateway.records
    row = json_of(answer)
    assert answer.status_code == 201
    assert (row["kind"], row["status"], row["replayed_from"]) == ("replay", "delivered", str(delivery.pk))
    assert (row["from_position"], row["until_position"], row["events"]) == (delivery.from_position, delivery.until_position, 1)
    assert row["webhook_id"] == received.headers["webhook-id"] != delivery.webhook_id
    endpoint.refresh_from_db()
    assert endpoint.cursor == cursor
    assert [found["id"] for found in json_of(api.get(path_of(endpoint, "deliveries/")))["results"]] == [row["id"], str(delivery.pk)]


def test_a_test_and_what_is_not_kept_any_more_cannot_be_replayed(api: Api, tenant: Tenant) -> None:
    endpoint = make_endpoint(tenant)
    test = make_delivery(endpoint, kind=DeliveryKind.TEST, from_position=0, until_position=0, events=1)
    assert api.post(path_of(endpoint, f"deliveries/{test.pk}/replay/")).status_code == 409
    event = make_event(tenant)
    old = make_delivery(endpoint, from_position=event.position, until_position=event.position, events=1)
    event.delete()
    assert api.post(path_of(endpoint, f"deliveries/{old.pk}/replay/")).status_code == 409
    assert api.post(path_of(endpoint, f"deliveries/{uuid4()}/replay/")).status_code == 404


def test_a_range_of_deliveries_that_did_not_arrive_is_sent_again_and_counted(api: Api, tenant: Tenant) -> None:
    with Gateway() as gateway:
        endpoint = make_endpoint(tenant, url=gateway.url)
        lost = [make_delivery(endpoint, status=status) for status in (DeliveryStatus.GIVEN_UP, DeliveryStatus.FAILED)]
        arrived = make_delivery(endpoint)
        WebhookEndpoint.objects.filter(pk=endpoint.pk).update(cursor=arrived.until_position)  # the sender is through with them
        since = (timezone.now() - timedelta(hours=1)).isoformat()
        seen = json_of(api.post(path_of(endpoint, "replay/"), {"since": since}))
        assert (seen["requests"], seen["delivered"], seen["events"], seen["is_whole"]) == (2, 2, 2, True)
        assert [row["replayed_from"] for row in seen["results"]] == [str(row.pk) for row in lost]
        assert json_of(api.post(path_of(endpoint, "replay/"), {"since": since}))["requests"] == 0
        events = {"from_event": f"evt_{arrived.from_position}", "until_event": f"evt_{arrived.until_position}"}
        seen = json_of(api.post(path_of(endpoint, "replay/"), {**events, "status": ["delivered"]}))
        assert [row["replayed_from"] for row in seen["results"]] == [str(arrived.pk)]
        assert len(gateway.records) == 3


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "since"),
        ({"since": "2026-11-29T08:00:00Z", "from_event": "evt_1"}, "since"),
        ({"since": "2026-11-29T08:00:00Z", "until": "2026-11-29T08:00:00Z"}, "until"),
        ({"since": "9999-12-31T23:59:59-14:00"}, "since"),
        ({"from_event": "48213"}, "from_event"),
        ({"from_event": "evt_9999999999999999999"}, "from_event"),
        ({"from_event": "evt_3", "until_event": "evt_2"}, "until_event"),
        ({"from_event": "evt_1", "status": ["lost"]}, "status[0]"),
        ({"from_event": "evt_1", "status": []}, "status"),
        ({"from_event": "evt_1", "limit": 5}, "limit"),
    ],
)
def test_a_range_that_is_none_is_refused_with_its_field(api: Api, tenant: Tenant, body: dict[str, Any], field: str) -> None:
    assert fields_of(api.post(path_of(make_endpoint(tenant), "replay/"), body)) == [field]
