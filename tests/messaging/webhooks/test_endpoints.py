"""Endpoints are checked, stored, tested and deleted; each change has its audit entry."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import AuditEntry, Tenant
from messaging.configuration import webhooks
from messaging.models import WebhookDelivery, WebhookEndpoint
from messaging.webhooks import endpoints
from posthaste.lib.guard import Guard
from posthaste.lib.outgoing_calls import outgoing_calls
from posthaste.lib.problems import Conflict, Invalid, NotFound, TooMany
from tests import crowds
from tests.builders import TESTER, configure, make_tenant, poll
from tests.messaging.webhooks.hooks import again, make_endpoint, sent, turn
from tests.peers.gateway import Answer
from tests.peers.webhook_receiver import WebhookReceiver

pytestmark = [pytest.mark.django_db, pytest.mark.both_stacks]
PUBLIC = "https://93.184.216.34/hooks"


@pytest.fixture
def tenant() -> Tenant:
    return make_tenant()


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    with WebhookReceiver() as running:
        yield running


def audited(action: str) -> dict[str, Any]:
    entry = AuditEntry.objects.get(action=action)
    assert entry.actor == str(TESTER)
    return dict(entry.detail)


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"name": " "}, "name"),
        ({"name": "\u200b"}, "name"),
        ({"name": "\u3164 \ufeff"}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"url": ""}, "url"),
        ({"url": "ftp://example.com/"}, "url"),
        ({"url": "https://user:secret@example.com/"}, "url"),
        ({"url": "https://example.com/\u000b"}, "url"),
        ({"url": "https://example.com/\u2028"}, "url"),
        ({"url": " https://example.com/"}, "url"),
        ({"url": "http://10.0.0.1/"}, "url"),
        ({"url": "http://[::ffff:0:127.0.0.1]/"}, "url"),
        ({"url": "http://169.254.169.254/latest/meta-data"}, "url"),
        ({"url": f"https://example.com/{'a' * 2048}"}, "url"),
        ({"event_types": []}, "event_types"),
        ({"event_types": "message.sent"}, "event_types"),
        ({"event_types": ["message.read"]}, "event_types"),
        ({"event_types": ["mess*"]}, "event_types"),
        ({"event_types": [1]}, "event_types"),
        ({"channels": ["fax"]}, "channels"),
        ({"channels": [["sms"]]}, "channels"),
        ({"max_events": 0}, "max_events"),
        ({"max_events": 1001}, "max_events"),
        ({"max_events": True}, "max_events"),
    ],
)
def test_a_wrong_field_is_named(fields: dict[str, Any], wrong: str, tenant: Tenant) -> None:
    endpoint = WebhookEndpoint(tenant=tenant, **{"name": "Shop", "url": PUBLIC, **fields})
    with pytest.raises(Invalid) as caught:
        endpoints.create(endpoint=endpoint, by=TESTER, now=timezone.now())
    assert [error["field"] for error in caught.value.errors] == [wrong]
    assert not WebhookEndpoint.objects.exists()


def test_all_wrong_fields_are_named_at_once(tenant: Tenant) -> None:
    endpoint = WebhookEndpoint(tenant=tenant, name="", url="nowhere", event_types=["x"], channels=["x"], max_events=-1)
    with pytest.raises(Invalid) as caught:
        endpoints.create(endpoint=endpoint, by=TESTER, now=timezone.now())
    assert [error["field"] for error in caught.value.errors] == ["name", "url", "event_types", "channels", "max_events"]


def test_a_host_that_does_not_resolve_yet_is_accepted(tenant: Tenant) -> None:
    assert make_endpoint(tenant, "https://hooks.not-there.invalid/in").pk


def test_two_endpoints_of_a_tenant_have_different_names(tenant: Tenant) -> None:
    make_endpoint(tenant, PUBLIC, name="Shop")
    make_endpoint(make_tenant(), PUBLIC, name="Shop")
    with pytest.raises(Invalid) as caught:
        make_endpoint(tenant, PUBLIC, name="Shop")
    assert caught.value.errors[0]["code"] == "taken"


def test_a_tenant_has_only_so_many_endpoints(tenant: Tenant) -> None:
    configure(webhooks, max_endpoints=2)
    for _ in range(2):
        make_endpoint(tenant, PUBLIC)
    with pytest.raises(Conflict):
        make_endpoint(tenant, PUBLIC)
    make_endpoint(make_tenant(), PUBLIC)
    assert WebhookEndpoint.objects.filter(tenant=tenant).count() == 2


def test_a_new_endpoint_has_a_secret_of_its_own_that_the_audit_trail_does_not_tell(tenant: Tenant) -> None:
    first, second = (
        endpoints.create(endpoint=WebhookEndpoint(tenant=tenant, name=name, url=PUBLIC), by=TESTER, now=timezone.now()) for name in "ab"
    )
    assert first.secret.startswith("whsec_")
    assert first.secret != second.secret
    entry = AuditEntry.objects.filter(action="webhook.create").first()
    assert entry is not None
    assert "whsec_" not in str(entry.detail)


def test_a_changed_url_is_tried_at_once_and_its_sender_keeps_its_place(tenant: Tenant) -> None:
    endpoint = make_endpoint(tenant, PUBLIC)
    WebhookEndpoint.objects.filter(pk=endpoint.pk).update(cursor=17, next_attempt_at=timezone.now() + timedelta(hours=1))
    endpoint.url, endpoint.cursor = "https://93.184.216.34/new", 3
    endpoints.update(endpoint=endpoint, fields=["url"], by=TESTER, now=timezone.now())
    found = again(endpoint)
    assert (found.url, found.cursor) == ("https://93.184.216.34/new", 17)
    assert found.next_attempt_at <= timezone.now()
    assert audited("webhook.change") == {"fields": ["url"]}


@pytest.mark.parametrize("field", ["secret", "cursor", "is_enabled", "tenant"])
def test_what_is_not_to_be_edited_is_refused(field: str, tenant: Tenant) -> None:
    endpoint = make_endpoint(tenant, PUBLIC)
    with pytest.raises(ValueError, match=field):
        endpoints.update(endpoint=endpoint, fields=[field], by=TESTER, now=timezone.now())


def test_a_new_secret_leaves_the_old_one_valid_for_a_day_or_not_at_all(tenant: Tenant) -> None:
    endpoint, now = make_endpoint(tenant, PUBLIC), timezone.now()
    old = endpoint.secret
    new = endpoints.rotate_secret(endpoint=endpoint, by=TESTER, now=now)
    found = again(endpoint)
    assert (found.secret, found.previous_secret, found.previous_secret_until) == (new, old, now + timedelta(hours=24))
    endpoints.rotate_secret(endpoint=endpoint, by=TESTER, now=now, keep_old_for=timedelta(0))
    assert (again(endpoint).previous_secret, again(endpoint).previous_secret_until) == ("", None)
    assert AuditEntry.objects.filter(action="webhook.rotate_secret").count() == 2


@pytest.mark.parametrize("span", [timedelta(seconds=1), timedelta(hours=1), timedelta(days=7)])
def test_a_secret_stays_valid_for_as_long_as_was_promised(span: timedelta, tenant: Tenant) -> None:
    endpoint, now = make_endpoint(tenant, PUBLIC), timezone.now()
    first = endpoint.secret
    second = endpoints.rotate_secret(endpoint=endpoint, by=TESTER, now=now, keep_old_for=timedelta(hours=1))
    with pytest.raises(Conflict) as caught:
        endpoints.rotate_secret(endpoint=endpoint, by=TESTER, now=now + timedelta(seconds=6), keep_old_for=span)
    assert caught.value.extra["previous_secret_until"] == (now + timedelta(hours=1)).isoformat()
    found = again(endpoint)
    assert (found.secret, found.previous_secret, found.previous_secret_until) == (second, first, now + timedelta(hours=1))
    third = endpoints.rotate_secret(endpoint=endpoint, by=TESTER, now=now + timedelta(hours=1), keep_old_for=span)
    assert (again(endpoint).secret, again(endpoint).previous_secret) == (third, second)


@pytest.mark.parametrize("span", [timedelta(seconds=-1), timedelta(days=8)])
def test_an_old_secret_is_kept_for_a_week_at_most(span: timedelta, tenant: Tenant) -> None:
    endpoint = make_endpoint(tenant, PUBLIC)
    with pytest.raises(Invalid):
        endpoints.rotate_secret(endpoint=endpoint, by=TESTER, now=timezone.now(), keep_old_for=span)
    assert again(endpoint).secret == endpoint.secret


def test_disabling_and_enabling_twice_is_noted_once(tenant: Tenant) -> None:
    endpoint = make_endpoint(tenant, PUBLIC)
    for _ in range(2):
        endpoints.disable(endpoint=endpoint, by=TESTER, now=timezone.now())
    assert (endpoint.is_enabled, endpoint.disabled_code) == (False, "manual")
    for _ in range(2):
        endpoints.enable(endpoint=endpoint, by=TESTER, now=timezone.now())
    assert (endpoint.is_enabled, endpoint.disabled_at, endpoint.disabled_code) == (True, None, "")
    assert audited("webhook.disable") == {"code": "manual"}
    assert audited("webhook.enable") == {}


@pytest.mark.parametrize(
    "call",
    [
        lambda endpoint, now: endpoints.update(endpoint=endpoint, fields=["name"], by=TESTER, now=now),
        lambda endpoint, now: endpoints.rotate_secret(endpoint=endpoint, by=TESTER, now=now),
        lambda endpoint, now: endpoints.enable(endpoint=endpoint, by=TESTER, now=now),
        lambda endpoint, now: endpoints.disable(endpoint=endpoint, by=TESTER, now=now),
        lambda endpoint, now: endpoints.send_test(endpoint=endpoint, by=TESTER, now=now),
        lambda endpoint, now: endpoints.delete(endpoint=endpoint, by=TESTER),
    ],
)
def test_what_was_deleted_meanwhile_is_not_found_and_nothing_is_noted(
    call: Callable[[WebhookEndpoint, datetime], Any], tenant: Tenant
) -> None:
    endpoint = make_endpoint(tenant, "http://127.0.0.1:9/hooks")
    WebhookEndpoint.objects.all().delete()
    with pytest.raises(NotFound):
        call(endpoint, timezone.now())
    assert not WebhookDelivery.objects.exists()
    assert not AuditEntry.objects.filter(actor=str(TESTER)).exists()


@pytest.mark.django_db(transaction=True)
def test_deleting_an_endpoint_deletes_its_log(receiver: WebhookReceiver, tenant: Tenant) -> None:
    endpoint = make_endpoint(tenant, receiver.url)
    sent(tenant)
    turn(endpoint)
    endpoints.delete(endpoint=endpoint, by=TESTER)
    assert not WebhookEndpoint.objects.exists()
    assert not WebhookDelivery.objects.exists()
    assert audited("webhook.delete")["name"]


@pytest.mark.parametrize(("status", "ok"), [(202, True), (500, False)])
def test_a_test_sends_one_event_and_says_what_the_receiver_answered(
    status: int, ok: bool, receiver: WebhookReceiver, tenant: Tenant
) -> None:
    endpoint = make_endpoint(tenant, receiver.url)
    receiver.script(Answer(status=status, body="thank you"))
    result = endpoints.send_test(endpoint=endpoint, by=TESTER, now=timezone.now())
    (delivery,) = receiver.deliveries
    assert (result.ok, result.http_status, result.detail) == (ok, status, f"HTTP {status}: thank you")
    assert [event["type"] for event in delivery.events] == ["webhook.test"]
    entry = WebhookDelivery.objects.get()
    assert (entry.kind, entry.webhook_id, entry.http_status) == ("test", delivery.webhook_id, status)
    assert again(endpoint).failing_since is None
    assert audited("webhook.test")["http_status"] == status


@pytest.mark.django_db(transaction=True)
def test_slow_receivers_hold_only_some_threads_and_leave_places_to_other_tenants(receiver: WebhookReceiver, tenant: Tenant) -> None:
    receiver.latency_ms = 1_000
    own = [make_endpoint(tenant, receiver.url) for _ in range(9)]
    other = make_endpoint(make_tenant(), receiver.url)

    def call(endpoint: WebhookEndpoint) -> bool:
        try:
            return endpoints.send_test(endpoint=endpoint, by=TESTER, now=timezone.now()).ok
        except TooMany:
            return False

    crowd = crowds.start(*(partial(call, endpoint) for endpoint in own))
    poll(lambda: receiver.in_progress == outgoing_calls.per_tenant)
    assert call(other)
    results = crowd.join()
    assert outgoing_calls.per_tenant <= sum(results) < len(own)
    assert receiver.max_in_progress <= outgoing_calls.per_tenant + 1


def test_without_a_place_only_addresses_are_looked_up(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(Guard, "check_host", lambda _self, host, port, **_options: asked.append(host))
    with outgoing_calls.place(tenant.pk), outgoing_calls.place(tenant.pk):
        for host in ("shop.example.com", "93.184.216.34", "127.1"):
            make_endpoint(tenant, f"https://{host}/hooks")
    assert asked == ["93.184.216.34", "127.1"]


def test_a_test_of_an_address_that_is_not_there_tells_why(tenant: Tenant) -> None:
    with WebhookReceiver() as gone:
        url = gone.url
    result = endpoints.send_test(endpoint=make_endpoint(tenant, url), by=TESTER, now=timezone.now())
    assert (result.ok, result.http_status, result.error) == (False, None, "connection_refused")
