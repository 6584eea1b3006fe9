"""Providers over the API: who may, what is shown, what is kept secret."""

import threading
from typing import Any

import pytest
from django.db import connection

from accounts.models import AuditEntry, Tenant
from accounts.scopes import ADMIN, SCOPES
from messaging.models import Message, Provider, Status
from messaging.providers.cache import provider_cache
from posthaste.lib.masking import mask_recipient
from tests import crowds
from tests.builders import RECIPIENTS, Api, fields_of, json_of, make_api, make_message, make_provider, make_tenant
from tests.messaging.api.translations import mark_translations, untranslated
from tests.peers.gateway import Gateway

pytestmark = [pytest.mark.django_db, pytest.mark.both_stacks]
URL = "/api/providers/"
MASK = "••••••"
SECRET = "s3cret-t0ken-0123456789"
GATEWAY = {"url": "https://gateway.example.com/send", "headers": {"Authorization": f"Bearer {SECRET}"}}
NEW = {"name": "Gateway", "channel": "sms", "kind": "http", "config": GATEWAY}


@pytest.fixture
def tenant() -> Tenant:
    return make_tenant()


@pytest.fixture
def api(tenant: Tenant) -> Api:
    return make_api(tenant, ADMIN)


def made(api: Api, **changed: Any) -> dict[str, Any]:
    answer = api.post(URL, NEW | changed)
    assert answer.status_code == 201, answer.content
    shown: dict[str, Any] = json_of(answer)
    return shown


def test_only_the_admin_scope_may_look_at_providers_or_touch_them(tenant: Tenant) -> None:
    provider = make_provider(tenant)
    others = make_api(tenant, *(set(SCOPES) - {ADMIN}))
    calls = [
        others.get(URL),
        others.post(URL, NEW),
        others.get(f"{URL}{provider.pk}/"),
        others.patch(f"{URL}{provider.pk}/", {}),
        others.delete(f"{URL}{provider.pk}/"),
        others.post(f"{URL}{provider.pk}/test/", {}),
        others.post(f"{URL}{provider.pk}/receipt-secret/"),
        others.get("/api/provider-kinds/"),
    ]
    assert {answer.status_code for answer in calls} == {403}


def test_a_new_provider_is_shown_with_its_secrets_masked(api: Api) -> None:
    shown = made(api, weight=30, caps={"per_second": 5})
    assert {name: shown[name] for name in ("name", "channel", "kind", "weight", "caps", "is_enabled", "is_stand_in")} == {
        "name": "Gateway", "channel": "sms", "kind": "http", "weight": 30, "caps": {"per_second": 5}, "is_enabled": True,
        "is_stand_in": False,
    }  # fmt: skip
    assert shown["config"] == {"url": GATEWAY["url"], "headers": {"Authorization": MASK}}
    assert shown["receipt_path"] == f"/api/receipts/{shown['id']}/"


def test_no_answer_ever_holds_a_secret(api: Api) -> None:
    identifier = made(api)["id"]
    answers = [
        api.get(URL),
        api.get(f"{URL}{identifier}/"),
        api.patch(f"{URL}{identifier}/", {"config": GATEWAY}),
        api.post(f"{URL}{identifier}/receipt-secret/"),
        api.get("/api/audit/"),
        api.get("/api/provider-kinds/"),
        api.delete(f"{URL}{identifier}/"),
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 200, 200, 200, 204]
    assert not any(SECRET in answer.content.decode() for answer in answers)


def test_a_refused_configuration_is_not_repeated_to_the_caller(api: Api) -> None:
    answer = api.post(URL, NEW | {"config": {"url": f"http://user:{SECRET}@example.com", "headers": {"X-Key": SECRET}, "nonsense": SECRET}})
    assert answer.status_code == 422
    assert SECRET not in answer.content.decode()


def test_credentials_are_encrypted_in_the_database(api: Api) -> None:
    secret = made(api)["receipt_secret"]
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM messaging_provider")
        stored = " ".join(str(value) for value in cursor.fetchone())
    for hidden in (SECRET, secret, secret.removeprefix("whsec_"), "gateway.example.com"):
        assert hidden not in stored
    provider = Provider.objects.get()
    assert provider.config["headers"]["Authorization"] == f"Bearer {SECRET}"
    assert provider.receipt_secret == secret


def test_the_receipt_secret_is_shown_when_it_is_made_and_never_again(api: Api) -> None:
    shown = made(api)
    assert shown["receipt_secret"].startswith("whsec_")
    path = f"{URL}{shown['id']}/"
    assert "receipt_secret" not in json_of(api.get(path))
    assert "receipt_secret" not in json_of(api.patch(path, {"weight": 1}))
    renewed = json_of(api.post(f"{path}receipt-secret/"))["receipt_secret"]
    assert renewed.startswith("whsec_")
    assert renewed != shown["receipt_secret"]
    assert Provider.objects.get().receipt_secret == renewed


def test_a_configuration_sent_back_as_it_was_shown_keeps_its_secrets(api: Api) -> None:
    shown = made(api)
    changed = shown["config"] | {"timeout_seconds": 3}
    answer = api.patch(f"{URL}{shown['id']}/", {"config": changed})
    assert json_of(answer)["config"] == changed
    assert Provider.objects.get().config == GATEWAY | {"timeout_seconds": 3}


def test_a_new_secret_replaces_the_old_one(api: Api) -> None:
    identifier = made(api)["id"]
    api.patch(f"{URL}{identifier}/", {"config": {"url": GATEWAY["url"], "headers": {"Authorization": "Bearer another"}}})
    assert Provider.objects.get().config["headers"] == {"Authorization": "Bearer another"}


def test_what_is_left_out_of_a_new_configuration_is_gone(api: Api) -> None:
    identifier = made(api)["id"]
    api.patch(f"{URL}{identifier}/", {"config": {"url": GATEWAY["url"]}})
    assert Provider.objects.get().config == {"url": GATEWAY["url"]}


def test_a_change_of_other_fields_leaves_the_configuration(api: Api) -> None:
    identifier = made(api)["id"]
    shown = json_of(api.patch(f"{URL}{identifier}/", {"name": "New name", "weight": 0, "caps": {"per_second": 7}, "is_enabled": False}))
    assert (shown["name"], shown["weight"], shown["caps"], shown["is_enabled"]) == ("New name", 0, {"per_second": 7}, False)
    assert Provider.objects.get().config == GATEWAY


def test_a_change_of_caps_keeps_those_it_does_not_name_and_null_removes(api: Api) -> None:
    identifier = made(api, caps={"per_second": 7})["id"]

    def changed(caps: object) -> object:
        return json_of(api.patch(f"{URL}{identifier}/", {"caps": caps}))["caps"]

    assert changed({"at_once": 3}) == {"per_second": 7, "at_once": 3}
    assert changed({}) == {"per_second": 7, "at_once": 3}
    assert json_of(api.patch(f"{URL}{identifier}/", {"weight": 5}))["caps"] == {"per_second": 7, "at_once": 3}
    assert changed({"per_second": None}) == {"at_once": 3}
    assert changed({"per_second": 9}) == {"per_second": 9, "at_once": 3}
    assert changed(None) == {}


@pytest.mark.django_db(transaction=True)
def test_of_two_changes_at_once_none_undoes_the_other(api: Api) -> None:
    identifier = made(api)["id"]
    together = threading.Barrier(2)

    def change(name: str) -> None:
        for number in range(1, 11):
            together.wait(crowds.JOIN_SECONDS)
            api.patch(f"{URL}{identifier}/", {"caps": {name: number}})
            together.wait(crowds.JOIN_SECONDS)
            provider = Provider.objects.get()
            seen.append((provider.max_per_second, provider.max_at_once))

    seen: list[tuple[int | None, int | None]] = []
    crowds.at_once(lambda: change("per_second"), lambda: change("at_once"))
    assert seen == [(number, number) for number in range(1, 11) for _caller in range(2)]


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"channel": "pigeon"}, "channel"),
        ({"channel": "email"}, "kind"),
        ({"kind": "telepathy"}, "kind"),
        ({"weight": -1}, "weight"),
        ({"weight": 1001}, "weight"),
        ({"weight": "heavy"}, "weight"),
        ({"caps": {"per_second": 0}}, "caps.per_second"),
        ({"caps": {"per_second": 10**18}}, "caps.per_second"),
        ({"caps": {"at_once": 0}}, "caps.at_once"),
        ({"caps": {"at_once": 10_001}}, "caps.at_once"),
        ({"caps": {"at_once": "many"}}, "caps.at_once"),
        ({"caps": {"per_day": 5}}, "caps.per_day"),
        ({"caps": 5}, "caps"),
        ({"is_enabled": "perhaps"}, "is_enabled"),
        ({"config": []}, "config"),
        ({"config": {}}, "config.url"),
        ({"config": {"url": "ftp://example.com"}}, "config.url"),
        ({"config": GATEWAY | {"colour": "red"}}, "config.colour"),
        ({"config": GATEWAY | {"timeout_seconds": -1}}, "config.timeout_seconds"),
        ({"colour": "red"}, "colour"),
        ({"is_stand_in": True}, "is_stand_in"),
        ({"tenant": 1}, "tenant"),
    ],
)
def test_a_wrong_field_is_named_and_nothing_is_stored(changed: dict[str, Any], field: str, api: Api) -> None:
    assert fields_of(api.post(URL, NEW | changed)) == [field]
    assert Provider.objects.count() == 0


@pytest.mark.parametrize(
    "changed",
    [
        {"name": "x" * 101, "channel": "pigeon", "weight": "heavy", "colour": "red"},
        {"channel": "email"},
        {"kind": "telepathy"},
        {"config": {}},
        {"config": {"url": 5, "colour": "red", "timeout_seconds": -1, "method": "BREW", "success_codes": "x", "signing_secret": "x"}},
        {"config": {"url": "ftp://example.com", "headers": {"Host": "x"}, "errors": [{"code": "x"}]}},
        {"config": GATEWAY | {"method": "GET", "body": "x"}},
        {"config": GATEWAY | {"body": "{{ body"}},
    ],
    ids=str,
)
def test_every_text_about_a_wrong_field_is_translated(changed: dict[str, Any], api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    mark_translations(monkeypatch)
    answer = api.post(URL, NEW | changed, headers={"Accept-Language": "zh-hans"})
    assert (answer.status_code, untranslated(answer.json())) == (422, [])


@pytest.mark.parametrize("field", ["channel", "kind"])
def test_what_messages_rely_on_cannot_be_changed(field: str, api: Api) -> None:
    identifier = made(api)["id"]
    assert fields_of(api.patch(f"{URL}{identifier}/", {field: "sandbox"})) == [field]


def test_a_refused_change_changes_nothing(api: Api) -> None:
    identifier = made(api)["id"]
    before = Provider.objects.values("name", "weight", "max_per_second", "updated_at").get()
    assert api.patch(f"{URL}{identifier}/", {"weight": 5, "config": {"url": "nonsense"}}).status_code == 422
    assert Provider.objects.values("name", "weight", "max_per_second", "updated_at").get() == before


def test_a_name_is_given_once(api: Api) -> None:
    first, second = made(api), made(api, name="Second")
    assert fields_of(api.post(URL, NEW)) == ["name"]
    assert fields_of(api.patch(f"{URL}{second['id']}/", {"name": first["name"]})) == ["name"]
    assert api.patch(f"{URL}{second['id']}/", {"name": "Second"}).status_code == 200


def test_a_removed_provider_is_gone(api: Api, tenant: Tenant) -> None:
    provider = make_provider(tenant)
    assert [loaded_provider.provider_id for loaded_provider in provider_cache.in_force(tenant.pk, "sms")] == [provider.pk]
    assert api.delete(f"{URL}{provider.pk}/").status_code == 204
    assert api.get(f"{URL}{provider.pk}/").status_code == 404
    provider_cache.forget()
    assert provider_cache.in_force(tenant.pk, "sms") == []
    assert AuditEntry.objects.get().target == str(provider.pk)


def test_a_provider_with_a_history_stays(api: Api, tenant: Tenant) -> None:
    provider = make_provider(tenant)
    message = make_message(tenant, status=Status.SENT, provider=provider)
    answer = api.delete(f"{URL}{provider.pk}/")
    assert (answer.status_code, answer["Content-Type"]) == (409, "application/problem+json")
    message.refresh_from_db()
    assert message.provider == provider
    assert AuditEntry.objects.count() == 0


def test_what_is_done_to_providers_is_audited_without_their_secrets(api: Api) -> None:
    identifier = made(api)["id"]
    api.patch(f"{URL}{identifier}/", {"weight": 5, "config": GATEWAY})
    api.post(f"{URL}{identifier}/receipt-secret/")
    api.delete(f"{URL}{identifier}/")
    entries = list(AuditEntry.objects.order_by("pk").values_list("action", "detail"))
    assert [action for action, _detail in entries] == [
        "provider.create",
        "provider.change",
        "provider.new_receipt_secret",
        "provider.delete",
    ]
    assert entries[1][1] == {"fields": ["config", "weight"]}
    assert SECRET not in str(entries)


def test_providers_are_filtered(api: Api, tenant: Tenant) -> None:
    make_provider(tenant, name="a")
    make_provider(tenant, name="b", channel="email")
    make_provider(tenant, name="c", kind="http", config=GATEWAY, is_enabled=False)

    def found(**query: Any) -> set[str]:
        return {row["name"] for row in json_of(api.get(URL, **query))["results"]}

    assert found() == {"a", "b", "c"}
    assert found(channel="email") == {"b"}
    assert found(kind="http") == {"c"}
    assert found(is_enabled="true") == {"a", "b"}


def test_every_kind_describes_its_configuration(api: Api) -> None:
    kinds = {kind["kind"]: kind for kind in json_of(api.get("/api/provider-kinds/"))}
    assert set(kinds) == {"sandbox", "email", "http", "apprise", "entrance"}
    assert kinds["email"]["channels"] == ["email"]
    assert "url" in kinds["http"]["config"]["properties"]


# --- test messages ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("recipient", "ok", "code"), [("+8613812345678", True, ""), ("+15005550001", False, "sandbox_refused")])
def test_a_test_message_tells_what_the_provider_said(recipient: str, ok: bool, code: str, api: Api, tenant: Tenant) -> None:
    provider = make_provider(tenant)
    answer = api.post(f"{URL}{provider.pk}/test/", {"recipient": recipient})
    shown = json_of(answer)
    assert (answer.status_code, shown["ok"], shown["code"]) == (200, ok, code)
    assert bool(shown["provider_message_id"]) is ok
    assert shown["duration_ms"] >= 0
    assert Message.objects.count() == 0, "outside the queue"
    detail = AuditEntry.objects.get().detail
    assert detail == {"ok": ok, "code": code, "recipient": mask_recipient("sms", recipient)}
    assert recipient not in str(detail)


def test_a_test_message_through_a_gateway_arrives_there(api: Api, tenant: Tenant) -> None:
    with Gateway() as gateway:
        provider = make_provider(tenant, kind="http", config={"url": gateway.url})
        shown = json_of(api.post(f"{URL}{provider.pk}/test/", {"recipient": RECIPIENTS["sms"], "text": "Does it work?"}))
        assert shown["ok"], shown
        assert [(record.to, record.text) for record in gateway.records] == [(RECIPIENTS["sms"], "Does it work?")]


def test_a_gateway_that_is_away_is_an_answer_and_no_error(api: Api, tenant: Tenant) -> None:
    provider = make_provider(tenant, kind="http", config={"url": "http://127.0.0.1:9/send"})
    shown = json_of(api.post(f"{URL}{provider.pk}/test/", {"recipient": RECIPIENTS["sms"]}))
    assert (shown["ok"], shown["provider_message_id"]) == (False, "")
    assert shown["code"]


@pytest.mark.parametrize("body", [{}, {"recipient": ""}, {"recipient": "nonsense"}])
def test_a_test_message_needs_a_recipient_of_the_channel(body: dict[str, str], api: Api, tenant: Tenant) -> None:
    provider = make_provider(tenant)
    assert fields_of(api.post(f"{URL}{provider.pk}/test/", body)) == ["recipient"]


def test_a_provider_whose_kind_is_not_installed_is_shown_with_everything_masked(api: Api, tenant: Tenant) -> None:
    made(api)
    config: Any = {"url": "https://x.example.com", "n": 5}
    Provider.objects.create(tenant=tenant, name="Old", channel="sms", kind="gone", config=config)
    listed = {row["name"]: row["config"] for row in json_of(api.get(URL))["results"]}
    assert set(listed) == {"Gateway", "Old"}
    assert listed["Old"] == {"url": MASK, "n": MASK}


@pytest.mark.parametrize("gone", [{"kind": "gone"}, {"channel": "gone"}])
def test_a_provider_that_is_not_installed_any_more_can_only_be_disabled_and_deleted(gone: dict[str, str], api: Api, tenant: Tenant) -> None:
    config: Any = {"url": "https://x.example.com", "token": SECRET}
    provider = Provider.objects.create(**{"tenant": tenant, "name": "Old", "channel": "sms", "kind": "http", "config": config} | gone)
    address = f"{URL}{provider.pk}/"
    changes: list[dict[str, Any]] = [{"is_enabled": True}, {"name": "New"}, {"weight": 5}, {"config": {}}, {"caps": None}]
    changes.append({"is_enabled": False, "weight": 5})
    for change in changes:
        answer = api.patch(address, change)
        assert answer.status_code == 422, change
        assert "You can only disable or delete this provider." in str(json_of(answer)["errors"])
    assert fields_of(api.patch(address, {"is_enabled": False, "weight": 5})) == ["weight"]
    provider.refresh_from_db()
    assert (provider.is_enabled, provider.weight, provider.name, provider.config) == (True, 100, "Old", config)
    answer = api.patch(address, {"is_enabled": False})
    assert (answer.status_code, json_of(answer)["is_enabled"]) == (200, False)
    assert fields_of(api.patch(address, {"is_enabled": True})) == ["is_enabled"]
    provider.refresh_from_db()
    assert (provider.is_enabled, provider.config) == (False, config)
    assert api.delete(address).status_code == 204
    assert list(AuditEntry.objects.order_by("pk").values_list("action", flat=True)) == ["provider.change", "provider.delete"]
