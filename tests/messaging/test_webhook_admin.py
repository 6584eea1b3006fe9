"""Webhook endpoints and their delivery log in the admin: states, secrets shown once, buttons, cheap lists."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEntry, Member, Tenant, User
from accounts.roles import Role
from messaging.models import DeliveryKind, DeliveryStatus, Provider, WebhookDelivery, WebhookEndpoint
from messaging.webhooks import figures
from posthaste.lib.guard import Guard
from posthaste.lib.outgoing_calls import outgoing_calls
from tests.builders import config_inputs, json_of, make_api, make_delivery, make_endpoint, make_event, make_message, make_tenant
from tests.messaging.api.translations import MARK, mark_translations
from tests.messaging.webhooks.hooks import during_calls
from tests.peers.gateway import Answer, Gateway

pytestmark = [pytest.mark.django_db, pytest.mark.both_stacks]
FORM = {
    "name": "Shop",
    "url": "http://127.0.0.1:9/hooks",
    "event_types": ["message.failed", "batch.*"],
    "channels": ["sms"],
    "max_events": "50",
}


@pytest.fixture
def tenant() -> Tenant:
    return make_tenant()


def staff(tenant: Tenant, role: str = Role.OPERATOR) -> Client:
    user = User.objects.create(username=f"{role}", is_staff=True)
    Member.objects.create(user=user, tenant=tenant, role=role)
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def client(tenant: Tenant) -> Client:
    return staff(tenant)


def address(name: str, *args: Any) -> str:
    return reverse(f"admin:messaging_{name}", args=args)


def page(client: Client, name: str, *args: Any, **query: Any) -> str:
    answer = client.get(address(name, *args), query)
    assert answer.status_code == 200
    return answer.content.decode()


def texts(answer: Any) -> str:
    """Return the messages of the page that an answer leads to."""
    return " ".join(str(message) for message in answer.context["messages"])


def test_a_new_endpoint_shows_its_secret_once(client: Client, tenant: Tenant) -> None:
    answer = client.post(address("webhookendpoint_add"), {"tenant": tenant.pk, "is_enabled": "on", **FORM})
    endpoint = WebhookEndpoint.objects.get()
    assert answer.status_code == 200
    assert endpoint.secret in answer.content.decode()
    assert "no-store" in answer["Cache-Control"]
    assert (endpoint.event_types, endpoint.channels, endpoint.max_events) == (["message.failed", "batch.*"], ["sms"], 50)
    assert endpoint.secret not in page(client, "webhookendpoint_change", endpoint.pk)
    assert endpoint.secret not in page(client, "webhookendpoint_changelist")
    entry = AuditEntry.objects.get(action="webhook.create")
    assert (entry.actor, entry.target, entry.tenant_id) == ("user:operator", str(endpoint.pk), tenant.pk)


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"url": "http://10.1.2.3/"}, "url"),
        ({"url": "https://user:secret@shop.example.com/"}, "url"),
        ({"url": "ftp://shop.example.com/"}, "url"),
        ({"name": "Taken"}, "name"),
        ({"event_types": ["message.read"]}, "event_types"),
        ({"event_types": []}, "event_types"),
        ({"channels": ["fax"]}, "channels"),
        ({"max_events": "1001"}, "max_events"),
    ],
)
def test_a_wrong_field_is_marked_in_the_form(client: Client, tenant: Tenant, changed: dict[str, Any], field: str) -> None:
    make_endpoint(tenant, name="Taken")
    answer = client.post(address("webhookendpoint_add"), {"tenant": tenant.pk, **FORM, **changed})
    assert list(answer.context["errors"].data) != []
    assert list(answer.context["adminform"].form.errors) == [field]
    shown = answer.content.decode()
    assert shown.index(f'id="id_{field}"') < shown.index('<ul class="errorlist"'), "an error stands below its field"
    assert WebhookEndpoint.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_no_host_is_looked_up_inside_a_transaction(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lookup may take seconds; on SQLite no other process could write meanwhile."""
    client, looked_up = staff(tenant), []
    original = Guard.check_host

    def check_host(self: Guard, host: str, port: int, *, timeout: float | None = 10.0) -> list[tuple[Any, ...]]:
        looked_up.append((host, connection.in_atomic_block))
        return original(self, host, port, timeout=timeout)

    monkeypatch.setattr(Guard, "check_host", check_host)
    client.post(address("webhookendpoint_add"), {"tenant": tenant.pk, **FORM})
    endpoint = WebhookEndpoint.objects.get()
    client.post(address("webhookendpoint_change", endpoint.pk), {**FORM, "url": "http://localhost:9/other"})
    api = make_api(tenant)
    made = json_of(api.post("/api/webhooks/", {"name": "By the API", "url": "http://127.0.0.1:9/api"}))
    api.patch(f"/api/webhooks/{made['id']}/", {"url": "http://127.0.0.1:9/changed"})
    fields = {"tenant": tenant.pk, "name": "gateway", "channel": "sms", "kind": "http", "weight": "100"}
    client.post(address("provider_add"), {**fields, **config_inputs("http", url="http://localhost:9/send")})
    assert {host for host, _in_transaction in looked_up} == {"127.0.0.1", "localhost"}
    assert not any(in_transaction for _host, in_transaction in looked_up)
    endpoint.refresh_from_db()
    assert endpoint.url == "http://localhost:9/other"
    assert Provider.objects.filter(name="gateway").exists()


def test_everything_ticked_beside_a_type_is_everything(client: Client, tenant: Tenant) -> None:
    client.post(address("webhookendpoint_add"), {"tenant": tenant.pk, **FORM, "event_types": ["*", "message.sent"]})
    assert WebhookEndpoint.objects.get().event_types == ["*"]


def test_one_endpoint_too_many_is_refused_in_words(client: Client, tenant: Tenant) -> None:
    for _number in range(20):
        make_endpoint(tenant)
    answer = client.post(address("webhookendpoint_add"), {"tenant": tenant.pk, **FORM}, follow=True)
    assert "20" in texts(answer)
    assert WebhookEndpoint.objects.count() == 20


def test_a_change_keeps_the_secret_and_what_the_sender_notes(client: Client, tenant: Tenant) -> None:
    endpoint = make_endpoint(tenant, cursor=7, failing_since=timezone.now(), failures=3)
    answer = client.post(address("webhookendpoint_change", endpoint.pk), {**FORM, "max_events": "9"})
    assert answer.status_code == 302
    changed = WebhookEndpoint.objects.get()
    assert (changed.name, changed.max_events, changed.is_enabled) == ("Shop", 9, True)
    assert (changed.secret, changed.cursor, changed.failures) == (endpoint.secret, 7, 3)
    assert set(AuditEntry.objects.get().detail["fields"]) == {"name", "url", "event_types", "channels", "max_events"}


def test_a_rotation_shows_the_new_secret_once_and_keeps_the_old_one(client: Client, tenant: Tenant) -> None:
    endpoint = make_endpoint(tenant)
    answer = client.post(address("webhookendpoint_rotate", endpoint.pk), {"keep_for": "3600"})
    rotated = WebhookEndpoint.objects.get()
    assert rotated.secret != endpoint.secret == rotated.previous_secret
    assert rotated.secret in answer.content.decode()
    assert "no-store" in answer["Cache-Control"]
    shown = page(client, "webhookendpoint_change", endpoint.pk)
    assert rotated.secret not in shown
    assert endpoint.secret not in shown
    assert client.get(address("webhookendpoint_rotate", endpoint.pk)).status_code == 405


@pytest.mark.parametrize("keep_for", ["", "-1", "99", "x"])
def test_a_rotation_with_another_span_changes_nothing(client: Client, tenant: Tenant, keep_for: str) -> None:
    endpoint = make_endpoint(tenant)
    client.post(address("webhookendpoint_rotate", endpoint.pk), {"keep_for": keep_for})
    assert WebhookEndpoint.objects.get().secret == endpoint.secret


def test_the_test_button_says_what_the_receiver_answered(client: Client, tenant: Tenant) -> None:
    with Gateway() as gateway:
        endpoint = make_endpoint(tenant, url=gateway.url)
        well = client.post(address("webhookendpoint_test", endpoint.pk), follow=True)
        gateway.script(Answer(status=503))
        badly = client.post(address("webhookendpoint_test", endpoint.pk), follow=True)
    assert "200" in texts(well)
    assert "503" in texts(badly)
    none = client.post(address("webhookendpoint_test", make_endpoint(tenant).pk), follow=True)
    assert "no answer" in texts(none)


def test_an_endpoint_is_disabled_and_enabled_by_its_buttons(client: Client, tenant: Tenant) -> None:
    endpoint = make_endpoint(tenant)
    client.post(address("webhookendpoint_disable", endpoint.pk))
    assert not WebhookEndpoint.objects.get().is_enabled
    assert address("webhookendpoint_enable", endpoint.pk) in page(client, "webhookendpoint_change", endpoint.pk)
    client.post(address("webhookendpoint_enable", endpoint.pk))
    assert WebhookEndpoint.objects.get().is_enabled


def test_the_page_says_first_why_events_do_not_arrive(client: Client, tenant: Tenant) -> None:
    failing = make_endpoint(tenant, failing_since=timezone.now() - timedelta(hours=2))
    make_delivery(failing, status=DeliveryStatus.FAILED, http_status=None, error="connection_refused")
    shown = page(client, "webhookendpoint_change", failing.pk)
    assert "Failing since" in shown
    assert "connection_refused" in shown
    disabled = make_endpoint(tenant, is_enabled=False, disabled_at=timezone.now(), disabled_code="gone")
    assert "The receiver answered 410 Gone." in page(client, "webhookendpoint_change", disabled.pk)


def test_an_endpoint_that_was_disabled_automatically_is_on_the_overview_until_it_is_enabled(client: Client, tenant: Tenant) -> None:
    figures_of_it = {"hours": "72", "error": "http_500"}
    at = timezone.now()
    failed = make_endpoint(tenant, name="shop", is_enabled=False, disabled_at=at, disabled_code="failing", disabled_figures=figures_of_it)
    make_endpoint(tenant, name="by-hand", is_enabled=False, disabled_at=at, disabled_code="manual")
    make_endpoint(make_tenant("Other"), name="of-another", is_enabled=False, disabled_at=at, disabled_code="gone")
    shown = client.get(reverse("admin:index")).content.decode()
    assert address("webhookendpoint_change", failed.pk) in shown
    assert "It failed for 72 hours without a break. The last error: http_500." in shown
    assert "by-hand" not in shown
    assert "of-another" not in shown
    assert "http_500" in page(client, "webhookendpoint_changelist")
    client.post(address("webhookendpoint_enable", failed.pk))
    assert "shop" not in client.get(reverse("admin:index")).content.decode()


@pytest.mark.parametrize(
    ("code", "told"), [("gone", {}), ("failing", {"hours": "72", "error": "http_500"}), ("failing", {}), ("manual", {})]
)
def test_why_an_endpoint_is_disabled_is_said_in_the_readers_language(tenant: Tenant, code: str, told: dict[str, str]) -> None:
    endpoint = make_endpoint(tenant, is_enabled=False, disabled_code=code, disabled_figures=told)
    english = endpoint.disabled_detail
    assert english
    with pytest.MonkeyPatch.context() as patch:
        mark_translations(patch)
        assert endpoint.disabled_detail == f"{MARK}{english}"
        seen = json_of(make_api(tenant).get(f"/api/webhooks/{endpoint.pk}/"))
    assert (seen["disabled_code"], seen["disabled_detail"]) == (code, f"{MARK}{english}")


def test_the_list_is_filtered_by_state(client: Client, tenant: Tenant) -> None:
    make_endpoint(tenant, name="well-one")
    make_endpoint(tenant, name="failing-one", failing_since=timezone.now())
    make_endpoint(tenant, name="disabled-one", is_enabled=False, failing_since=timezone.now())
    names = {"enabled": "well-one", "failing": "failing-one", "disabled": "disabled-one"}
    for state, name in names.items():
        shown = page(client, "webhookendpoint_changelist", state=state)
        assert [other for other in names.values() if other in shown] == [name]


def test_an_empty_list_offers_the_first_step(client: Client) -> None:
    assert address("webhookendpoint_add") in page(client, "webhookendpoint_changelist")
    assert "Requests appear here" in page(client, "webhookdelivery_changelist")


@pytest.mark.parametrize("name", ["webhookendpoint_changelist", "webhookdelivery_changelist"])
def test_a_list_costs_no_more_queries_for_more_rows(name: str, client: Client, tenant: Tenant) -> None:
    make_delivery(make_endpoint(tenant))
    counts = []
    for _round in range(2):
        with CaptureQueriesContext(connection) as queries:
            page(client, name)
        counts.append(len(queries))
        for _number in range(5):
            make_delivery(make_endpoint(tenant))
    assert counts[0] == counts[1]


def test_events_that_wait_are_counted(client: Client, tenant: Tenant) -> None:
    make_endpoint(tenant)
    for _number in range(3):
        make_event(tenant)
    make_event(make_tenant("Other"))
    later = make_endpoint(tenant, cursor=make_event(tenant).position)
    assert figures.waiting_by_endpoint([later]) == {later.pk: figures.Waiting(0, is_more=False)}
    assert '<td class="num field-waiting">4</td>' in page(client, "webhookendpoint_changelist")


def test_only_events_that_are_for_an_endpoint_wait_for_it(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = make_endpoint(tenant, event_types=["message.failed"], channels=["sms"])
    batches = make_endpoint(tenant, event_types=["batch.*"])
    sandbox = make_endpoint(tenant, includes_sandbox=True)
    for fields in (
        {"type": "message.failed", "channel": "sms"},
        {"type": "message.failed", "channel": "email"},
        {"type": "message.sent", "channel": "sms"},
        {"type": "batch.started", "channel": ""},
        {"type": "message.failed", "channel": "sms", "is_sandbox": True},
    ):
        make_event(tenant, **fields)
    found = figures.waiting_by_endpoint([failed, batches, sandbox])
    assert [found[row.pk].number for row in (failed, batches, sandbox)] == [1, 1, 5]
    assert figures.waiting_by_endpoint([]) == {}


def test_deleting_an_endpoint_asks_first_and_takes_its_log_along(client: Client, tenant: Tenant) -> None:
    endpoint = make_endpoint(tenant)
    make_delivery(endpoint)
    assert endpoint.name in page(client, "webhookendpoint_delete", endpoint.pk)
    assert client.post(address("webhookendpoint_delete", endpoint.pk), {"post": "yes"}).status_code == 302
    assert not WebhookEndpoint.objects.exists()
    assert not WebhookDelivery.objects.exists()
    assert AuditEntry.objects.get().action == "webhook.delete"


def test_a_delivery_is_sent_again_from_its_page_and_from_the_list(client: Client, tenant: Tenant) -> None:
    with Gateway() as gateway:
        endpoint = make_endpoint(tenant, url=gateway.url)
        delivery = make_delivery(endpoint, status=DeliveryStatus.GIVEN_UP)
        assert address("webhookdelivery_replay", delivery.pk) in page(client, "webhookdelivery_change", delivery.pk)
        answer = client.post(address("webhookdelivery_replay", delivery.pk))
        made = WebhookDelivery.objects.get(replayed_from=delivery)
        assert answer["Location"] == address("webhookdelivery_change", made.pk)
        chosen = {"action": "replay", "_selected_action": [delivery.pk], "confirmed": "1", "number": "1"}
        client.post(address("webhookdelivery_changelist"), chosen)
        assert len(gateway.records) == 2
    assert WebhookDelivery.objects.filter(replayed_from=delivery, status=DeliveryStatus.DELIVERED).count() == 2


def test_before_deliveries_are_sent_again_they_are_named_in_words(client: Client, tenant: Tenant) -> None:
    endpoint = make_endpoint(tenant, name="Shop backend")
    rows = [make_delivery(endpoint, webhook_id=f"msg_{n}", events=3, status=DeliveryStatus.GIVEN_UP) for n in range(2)]
    asked = client.post(address("webhookdelivery_changelist"), {"action": "replay", "_selected_action": [row.pk for row in rows]})
    shown = asked.content.decode()
    assert "Shop backend · 3 events · Given up · " in shown
    assert "<strong>2</strong> webhook deliveries." in shown
    assert "danger" not in shown.partition("<main")[2]


def test_a_page_of_a_delivery_leads_to_its_messages(client: Client, tenant: Tenant) -> None:
    events = [make_event(tenant, subject_id=make_message(tenant, reference=f"order-{n}").pk) for n in range(2)]
    make_event(make_tenant("Other"))
    last = make_event(tenant)
    first, until = events[0].position, events[1].position
    delivery = make_delivery(make_endpoint(tenant), from_position=first, until_position=until, events=2, http_status=503, detail="Busy.")
    shown = page(client, "webhookdelivery_change", delivery.pk)
    for event in events:
        assert address("message_change", event.subject_id) in shown
    assert "order-0" in shown
    assert "Busy." in shown
    assert f"evt_{last.position}" not in shown


def test_a_delivery_whose_sender_was_lost_shows_its_events_too(client: Client, tenant: Tenant) -> None:
    event = make_event(tenant)
    positions = {"from_position": event.position, "until_position": event.position, "events": 0}
    lost = make_delivery(make_endpoint(tenant), status=DeliveryStatus.UNKNOWN, http_status=None, error="sender_lost", **positions)
    shown = page(client, "webhookdelivery_change", lost.pk)
    assert f"evt_{event.position}" in shown
    assert "sender_lost" in shown


def test_an_endpoint_that_does_not_answer_is_tried_once_by_a_bulk_action(client: Client, tenant: Tenant) -> None:
    endpoint = make_endpoint(tenant)
    chosen = [str(make_delivery(endpoint).pk) for _ in range(3)]
    sent = {"action": "replay", "_selected_action": chosen, "confirmed": "1", "number": "3"}
    answer = client.post(address("webhookdelivery_changelist"), sent, follow=True)
    assert WebhookDelivery.objects.filter(kind=DeliveryKind.REPLAY).count() == 1
    assert "3" in texts(answer)


def test_attempts_of_one_request_are_sent_again_once(client: Client, tenant: Tenant) -> None:
    with Gateway() as gateway:
        endpoint = make_endpoint(tenant, url=gateway.url)
        first = make_delivery(endpoint, status=DeliveryStatus.FAILED)
        same = {"webhook_id": first.webhook_id, "from_position": first.from_position, "until_position": first.until_position, "events": 1}
        chosen = [str(first.pk), str(make_delivery(endpoint, attempt=2, **same).pk)]
        client.post(
            address("webhookdelivery_changelist"), {"action": "replay", "_selected_action": chosen, "confirmed": "1", "number": "1"}
        )
        assert len(gateway.records) == 1


def test_a_test_offers_no_replay_and_what_is_gone_says_so(client: Client, tenant: Tenant) -> None:
    endpoint = make_endpoint(tenant)
    test = make_delivery(endpoint, kind=DeliveryKind.TEST, from_position=0, until_position=0, events=1)
    assert address("webhookdelivery_replay", test.pk) not in page(client, "webhookdelivery_change", test.pk)
    old = make_delivery(endpoint, from_position=4_711, until_position=4_711, events=1)
    answer = client.post(address("webhookdelivery_replay", old.pk), follow=True)
    assert texts(answer)
    assert WebhookDelivery.objects.count() == 2


def test_a_viewer_sees_and_changes_nothing(tenant: Tenant) -> None:
    viewer, endpoint = staff(tenant, Role.VIEWER), make_endpoint(tenant, event_types=["message.failed", "batch.*"], channels=["sms"])
    delivery = make_delivery(endpoint)
    shown = page(viewer, "webhookendpoint_change", endpoint.pk) + page(viewer, "webhookdelivery_change", delivery.pk)
    assert "<code>message.failed</code>" in shown
    assert '["message' not in shown
    assert "icon-yes" not in shown
    assert "icon-no" not in shown
    for verb in ("test", "rotate", "enable", "disable", "delete"):
        assert address(f"webhookendpoint_{verb}", endpoint.pk) not in shown
        assert viewer.post(address(f"webhookendpoint_{verb}", endpoint.pk), {"keep_for": "0"}).status_code == 403
    assert address("webhookdelivery_replay", delivery.pk) not in shown
    assert viewer.post(address("webhookdelivery_replay", delivery.pk)).status_code == 403
    assert viewer.get(address("webhookendpoint_add")).status_code == 403
    assert not AuditEntry.objects.exists()


def test_nothing_of_another_tenant_is_seen(client: Client) -> None:
    foreign = make_endpoint(make_tenant("Other"), name="foreign-endpoint")
    delivery = make_delivery(foreign)
    lists = page(client, "webhookendpoint_changelist") + page(client, "webhookdelivery_changelist")
    assert "foreign-endpoint" not in lists
    assert client.post(address("webhookendpoint_test", foreign.pk)).status_code == 404
    assert client.post(address("webhookdelivery_replay", delivery.pk)).status_code == 404


def test_a_test_of_an_endpoint_that_is_removed_meanwhile_is_not_found(
    client: Client, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Gateway() as gateway:
        endpoint = make_endpoint(tenant, url=gateway.url)
        during_calls(monkeypatch, lambda: WebhookEndpoint.objects.all().delete())
        answer = client.post(address("webhookendpoint_test", endpoint.pk), headers={"Accept": "text/html"})
    assert answer.status_code == 404
    assert "deleted in the meantime" in answer.content.decode()
    assert not WebhookDelivery.objects.exists()


def test_a_second_rotation_says_that_the_first_secret_is_still_valid(client: Client, tenant: Tenant) -> None:
    endpoint = make_endpoint(tenant)
    client.post(address("webhookendpoint_rotate", endpoint.pk), {"keep_for": "3600"})
    secret = WebhookEndpoint.objects.get().secret
    answer = client.post(address("webhookendpoint_rotate", endpoint.pk), {"keep_for": "3600"}, follow=True)
    assert "The previous secret is valid until" in texts(answer)
    assert WebhookEndpoint.objects.get().secret == secret


def test_buttons_that_find_no_place_to_wait_say_so(client: Client, tenant: Tenant) -> None:
    endpoint = make_endpoint(tenant)
    delivery = make_delivery(endpoint, status=DeliveryStatus.FAILED)
    with outgoing_calls.place(tenant.pk), outgoing_calls.place(tenant.pk):
        for name, row in (("webhookendpoint_test", endpoint), ("webhookdelivery_replay", delivery)):
            answer = client.post(address(name, row.pk), follow=True)
            assert "Too many calls wait for an answer" in texts(answer)
    assert WebhookDelivery.objects.count() == 1
