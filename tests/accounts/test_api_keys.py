import ipaddress
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from accounts.models import ApiKey, AuditEntry, KeyKind
from accounts.scopes import ADMIN, SCOPES
from accounts.services import api_keys
from accounts.services.api_keys import issue_api_key, recognise, revoke_api_key
from messaging.models import BatchStatus, Message, Provider, Status
from messaging.providers.cache import provider_cache
from messaging.scopes import READ, SEND
from posthaste import env
from posthaste.lib.problems import Invalid, Unauthenticated
from tests.builders import (
    TESTER,
    Api,
    fields_of,
    json_of,
    make_api,
    make_batch,
    make_key,
    make_message,
    make_provider,
    make_template,
    make_tenant,
)

pytestmark = pytest.mark.django_db
NEW = {"name": "shop", "scopes": [SEND]}


def call(clear: str, **options: object) -> int:
    status: int = Api(clear).request("GET", "/api/me/", **options).status_code  # type: ignore[arg-type]
    return status


def test_only_a_hash_of_the_secret_is_stored() -> None:
    _key, clear = make_key(make_tenant())
    secret = clear.rpartition("_")[2] if clear.count("_") == 3 else clear.split("_", 3)[3]
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM accounts_apikey")
        stored = " ".join(str(bytes(v) if isinstance(v, memoryview) else v) for row in cursor.fetchall() for v in row)
    assert secret not in stored
    assert clear not in stored


def test_two_keys_never_have_the_same_secret() -> None:
    tenant = make_tenant()
    assert len({make_key(tenant)[1] for _ in range(20)}) == 20


@pytest.mark.parametrize(("kind", "begins"), [(KeyKind.LIVE, "ph_live_"), (KeyKind.SANDBOX, "ph_test_")])
def test_one_sees_from_a_key_what_kind_it_is(kind: str, begins: str) -> None:
    key, clear = make_key(make_tenant(), kind=kind)
    assert clear.startswith(f"{begins}{key.prefix}_")


def test_a_key_is_shown_once_and_never_again() -> None:
    api = make_api(make_tenant())
    answer = json_of(api.post("/api/keys/", NEW))
    clear = answer["api_key"]
    assert call(clear) == 200
    listed = api.get("/api/keys/").content.decode() + api.get("/api/audit/").content.decode()
    assert clear not in listed
    assert clear[17:] not in listed
    assert "digest" not in listed


def test_issuing_and_revoking_are_in_the_audit_trail() -> None:
    api = make_api(make_tenant())
    made = json_of(api.post("/api/keys/", NEW))["key"]
    api.post(f"/api/keys/{made['id']}/revoke/")
    assert list(AuditEntry.objects.order_by("pk").values_list("action", "target")) == [
        ("key.issue", made["prefix"]),
        ("key.revoke", made["prefix"]),
    ]


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"colour": "red"}, "colour"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["everything"]}, "scopes"),
        ({"scopes": "admin"}, "scopes"),
        ({"kind": "gold"}, "kind"),
        ({"ip_ranges": ["not an address"]}, "ip_ranges"),
        ({"ip_ranges": ["10.0.0.0/99"]}, "ip_ranges"),
        ({"expires_at": "2001-01-01T00:00:00Z"}, "expires_at"),
        ({"expires_at": "tomorrow"}, "expires_at"),
    ],
)
def test_a_wrong_field_is_named_and_no_key_is_made(changed: dict[str, object], field: str) -> None:
    api = make_api(make_tenant())
    (found,) = fields_of(api.post("/api/keys/", NEW | changed))
    assert found.partition("[")[0] == field
    assert ApiKey.objects.count() == 1


def test_issuing_without_a_scope_or_with_an_unknown_one_is_refused_below_the_api_too() -> None:
    tenant = make_tenant()
    with pytest.raises(Invalid):
        issue_api_key(tenant=tenant, name="none", scopes=[], by=TESTER)
    with pytest.raises(Invalid):
        issue_api_key(tenant=tenant, name="unknown", scopes=["messages:everything"], by=TESTER)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer nonsense",
        "Basic cGg6cGg=",
        "Token {clear}",
        "{clear}",
        "Bearer {clear}x",
        "Bearer {half}",
        "Bearer \u00e4\u00f6\u00fc",
        "Bearer {clear} {clear}",
    ],
)
def test_whatever_is_not_a_key_of_ours_is_refused(header: str) -> None:
    _key, clear = make_key(make_tenant())
    answer = Client().get("/api/me/", headers={"Authorization": header.format(clear=clear, half=clear[:-5])})
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"].startswith("Bearer")
    assert json_of(answer)["code"] == "unauthenticated"


def test_the_right_prefix_with_another_secret_is_refused() -> None:
    tenant = make_tenant()
    _first, clear = make_key(tenant)
    _second, other = make_key(tenant)
    assert call(clear[:17] + other[17:]) == 401


def test_the_kind_in_the_key_cannot_be_changed_by_its_holder() -> None:
    _key, clear = make_key(make_tenant(), kind=KeyKind.SANDBOX)
    assert call(clear.replace("ph_test_", "ph_live_")) == 401


def test_a_revoked_key_is_refused_for_ever() -> None:
    key, clear = make_key(make_tenant())
    assert call(clear) == 200
    assert revoke_api_key(key=key, now=timezone.now(), by=TESTER)
    assert call(clear) == 401
    assert not revoke_api_key(key=key, now=timezone.now(), by=TESTER)


def test_a_key_revoked_in_another_process_is_refused_within_two_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    key, clear = make_key(make_tenant())
    assert call(clear) == 200
    ApiKey.objects.filter(pk=key.pk).update(revoked_at=timezone.now())
    assert api_keys.CACHE_SECONDS <= 2.0
    monkeypatch.setattr(api_keys, "CACHE_SECONDS", 0.0)  # what was remembered is now too old
    assert call(clear) == 401


def test_a_key_works_until_it_expires() -> None:
    now = timezone.now()
    _key, clear = make_key(make_tenant(), expires_at=now + timedelta(hours=1))
    header = f"Bearer {clear}"
    assert recognise(header, ip="127.0.0.1", now=now + timedelta(minutes=59)).expires_at
    with pytest.raises(Unauthenticated, match="expired"):
        recognise(header, ip="127.0.0.1", now=now + timedelta(hours=1))


def test_keys_of_an_inactive_tenant_are_refused() -> None:
    _key, clear = make_key(make_tenant(is_active=False))
    assert call(clear) == 401


@pytest.mark.parametrize(
    ("ranges", "ip", "allowed"),
    [
        (["10.0.0.0/8"], "10.200.3.4", True),
        (["10.0.0.0/8"], "11.0.0.1", False),
        (["10.0.0.7"], "10.0.0.7", True),
        (["10.0.0.7/24"], "10.0.0.9", True),
        (["192.0.2.0/24", "2001:db8::/32"], "2001:db8::1", True),
        (["192.0.2.0/24"], "2001:db8::1", False),
        ([], "203.0.113.9", True),
    ],
)
def test_a_key_with_address_ranges_works_only_from_there(ranges: list[str], ip: str, allowed: bool) -> None:
    _key, clear = make_key(make_tenant(), ip_ranges=ranges)
    answer = Api(clear).request("GET", "/api/me/", REMOTE_ADDR=ip)
    assert answer.status_code == (200 if allowed else 403)
    assert allowed or ip in json_of(answer)["detail"]


def test_a_client_cannot_choose_its_address_with_a_header() -> None:
    _key, clear = make_key(make_tenant(), ip_ranges=["10.0.0.0/8"])
    answer = Api(clear).request("GET", "/api/me/", headers={"X-Forwarded-For": "10.0.0.1"}, REMOTE_ADDR="203.0.113.9")
    assert answer.status_code == 403


@pytest.mark.parametrize(
    ("forwarded", "status"),
    [
        ("10.0.0.1", 200),
        ("10.0.0.1, 203.0.113.9", 403),
        ("203.0.113.9, 10.0.0.1", 200),
        ("nonsense", 403),
        ("10.0.0.1:4711", 200),
        ("", 403),
    ],
)
def test_behind_a_proxy_its_own_entry_is_what_counts(forwarded: str, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUSTED_PROXIES", "1")
    env.load.cache_clear()
    try:
        _key, clear = make_key(make_tenant(), ip_ranges=["10.0.0.0/8"])
        assert call(clear, headers={"X-Forwarded-For": forwarded}, REMOTE_ADDR="192.0.2.1") == status
    finally:
        monkeypatch.undo()
        env.load.cache_clear()


def test_a_key_without_the_scope_is_refused_with_the_name_of_the_scope() -> None:
    answer = make_api(make_tenant(), READ).post("/api/messages/", {})
    assert (answer.status_code, answer["Content-Type"]) == (403, "application/problem+json")
    assert json_of(answer)["code"] == "forbidden"
    assert SEND in json_of(answer)["detail"]


def test_the_admin_scope_includes_all_others() -> None:
    caller = recognise(f"Bearer {make_key(make_tenant(), ADMIN)[1]}", ip="127.0.0.1", now=timezone.now())
    assert all(caller.may(scope) for scope in SCOPES)


def test_a_key_is_remembered_so_that_the_hot_path_asks_no_database(django_assert_num_queries: pytest.FixtureRequest) -> None:
    _key, clear = make_key(make_tenant())
    recognise(f"Bearer {clear}", ip="127.0.0.1", now=timezone.now())
    with django_assert_num_queries(0):  # type: ignore[operator]
        for _ in range(5):
            recognise(f"Bearer {clear}", ip="127.0.0.1", now=timezone.now())


def test_made_up_prefixes_do_not_fill_the_memory() -> None:
    api_keys._cache.update({f"made-up-{n}": (0.0, None) for n in range(10_001)})
    with pytest.raises(Unauthenticated):
        recognise("Bearer ph_live_ABCDEFGH_" + "x" * 43, ip="127.0.0.1", now=timezone.now())
    assert len(api_keys._cache) == 1


def test_who_am_i_needs_no_scope_and_tells_what_the_key_may() -> None:
    tenant = make_tenant()
    answer = json_of(make_api(tenant, READ, kind=KeyKind.SANDBOX).get("/api/me/"))
    assert answer["tenant"] == tenant.slug
    assert answer["kind"] == "sandbox"
    assert answer["scopes"] == [READ]


# --- sandbox keys ----------------------------------------------------------------------------------------------

GATEWAY = {"url": "https://gateway.example.com/send"}


@pytest.mark.parametrize("own_sandbox", [True, False])
def test_a_sandbox_keys_messages_never_reach_a_real_provider(own_sandbox: bool) -> None:
    tenant = make_tenant()
    make_provider(tenant, kind="http", config=GATEWAY)
    if own_sandbox:
        make_provider(tenant, kind="sandbox")
    answer = make_api(tenant, SEND, kind=KeyKind.SANDBOX).post(
        "/api/messages/", {"channel": "sms", "recipient": "+8613812345678", "body": "Hi"}
    )
    message = Message.objects.get(pk=json_of(answer)["id"])
    assert message.is_sandbox
    loaded_providers = provider_cache.for_message(tenant_id=tenant.pk, channel="sms", is_sandbox=message.is_sandbox)
    assert {loaded_provider.kind for loaded_provider in loaded_providers} == {"sandbox"}


def test_a_live_keys_messages_go_to_the_real_provider_and_past_the_stand_in() -> None:
    tenant = make_tenant()
    make_provider(tenant, kind="sandbox", is_stand_in=True)
    real = make_provider(tenant, kind="http", config=GATEWAY)
    answer = make_api(tenant, SEND).post("/api/messages/", {"channel": "sms", "recipient": "+8613812345678", "body": "Hi"})
    message = Message.objects.get(pk=json_of(answer)["id"])
    assert not message.is_sandbox
    loaded_providers = provider_cache.for_message(tenant_id=tenant.pk, channel="sms", is_sandbox=message.is_sandbox)
    assert [loaded_provider.provider_id for loaded_provider in loaded_providers] == [real.pk]


def test_a_batch_of_a_sandbox_key_is_sandbox_throughout() -> None:
    body = {"channel": "sms", "body": "Hi", "recipients": [{"recipient": "+8613812345678"}, {"recipient": "+15005550001"}]}
    make_api(make_tenant(), SEND, kind=KeyKind.SANDBOX).post("/api/messages/batch", body)
    assert list(Message.objects.values_list("is_sandbox", flat=True)) == [True, True]


def test_a_sandbox_key_cannot_send_a_test_through_a_real_provider() -> None:
    tenant = make_tenant()
    real = make_provider(tenant, kind="http", config=GATEWAY)
    pretend = make_provider(tenant, kind="sandbox")
    api = make_api(tenant, ADMIN, kind=KeyKind.SANDBOX)
    answer = api.post(f"/api/providers/{real.pk}/test/", {"recipient": "+8613812345678"})
    assert answer.status_code == 403
    assert api.post(f"/api/providers/{pretend.pk}/test/", {"recipient": "+8613812345678"}).status_code == 200


def test_a_sandbox_key_cannot_send_a_live_message_again() -> None:
    tenant = make_tenant()
    live, pretend = make_message(tenant, status=Status.FAILED), make_message(tenant, status=Status.FAILED, is_sandbox=True)
    api = make_api(tenant, kind=KeyKind.SANDBOX)
    assert api.post(f"/api/messages/{live.pk}/retry/").status_code == 403
    assert api.post(f"/api/messages/{pretend.pk}/retry/").status_code == 200


def test_a_sandbox_key_cannot_let_a_live_batch_go_on() -> None:
    tenant = make_tenant()
    batch = make_batch(tenant, status=BatchStatus.PAUSED, pending=1)
    api = make_api(tenant, kind=KeyKind.SANDBOX)
    assert api.post(f"/api/batches/{batch.pk}/resume/").status_code == 403
    Message.objects.update(is_sandbox=True)
    assert api.post(f"/api/batches/{batch.pk}/resume/").status_code == 200


def test_a_sandbox_key_cannot_issue_a_live_one() -> None:
    api = make_api(make_tenant(), ADMIN, kind=KeyKind.SANDBOX)
    assert api.post("/api/keys/", NEW | {"kind": "live"}).status_code == 403
    assert api.post("/api/keys/", NEW | {"kind": "sandbox"}).status_code == 201


def test_a_sandbox_key_leaves_a_live_provider_and_a_template_as_they_are() -> None:
    tenant = make_tenant()
    real, template = make_provider(tenant, kind="http", config=GATEWAY), make_template(tenant, name="welcome")
    before = (real.config, real.receipt_secret)
    api = make_api(tenant, kind=KeyKind.SANDBOX)
    answers = [
        api.patch(f"/api/providers/{real.pk}/", {"config": {"url": "https://evil.example.net/"}}),
        api.delete(f"/api/providers/{real.pk}/"),
        api.post(f"/api/providers/{real.pk}/receipt-secret/"),
        api.post("/api/providers/", {"name": "taps", "channel": "sms", "kind": "sandbox"}),
        api.post("/api/templates/", {"name": "more", "channel": "sms", "body": "Hi"}),
        api.put("/api/templates/welcome/draft/", {"body": "not mine"}),
        api.post("/api/templates/welcome/publish/"),
    ]
    assert [answer.status_code for answer in answers] == [403] * len(answers)
    real.refresh_from_db()
    assert (real.config, real.receipt_secret) == before
    assert Provider.objects.count() == 1
    assert list(template.versions.values_list("number", flat=True)) == [1]


def test_a_sandbox_key_cancels_and_pauses_what_is_the_sandboxs_and_nothing_live() -> None:
    tenant = make_tenant()
    live, pretend = make_message(tenant), make_message(tenant, is_sandbox=True)
    running = make_batch(tenant, pending=1)
    api = make_api(tenant, kind=KeyKind.SANDBOX)
    assert [api.post(f"/api/messages/{row.pk}/cancel/").status_code for row in (live, pretend)] == [403, 200]
    addresses = [f"/api/batches/{running.pk}/{verb}/" for verb in ("pause", "resume", "cancel")]
    assert [api.post(address).status_code for address in addresses] == [403, 403, 403]
    Message.objects.filter(batch=running).update(is_sandbox=True)
    assert [api.post(address).status_code for address in addresses] == [200, 200, 200]
    live.refresh_from_db()
    assert live.status == Status.PENDING


def test_a_sandbox_key_revokes_sandbox_keys_only() -> None:
    tenant = make_tenant()
    keys = [make_key(tenant, kind=kind)[0] for kind in (KeyKind.LIVE, KeyKind.SANDBOX)]
    api = make_api(tenant, ADMIN, kind=KeyKind.SANDBOX)
    assert [api.post(f"/api/keys/{key.pk}/revoke/").status_code for key in keys] == [403, 200]


def test_stored_ranges_are_readable_as_networks() -> None:
    key, _clear = make_key(make_tenant(), ip_ranges=["10.1.2.3/8", "2001:db8::1"])
    assert [str(ipaddress.ip_network(text)) for text in key.ip_ranges] == ["10.0.0.0/8", "2001:db8::1/128"]
