"""Breakers over the API and in the admin: who sees them, who may hold them."""

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import AuditEntry, Member, Tenant, User
from accounts.roles import Role
from accounts.scopes import ADMIN, SCOPES
from messaging.providers import breaker_states
from messaging.providers.breakers import of_endpoints, of_host, of_provider, rule
from posthaste.lib import redis
from posthaste.lib.breaker import Phase, Tally, breakers
from tests.builders import fields_of, json_of, make_api, make_provider, make_tenant

pytestmark = pytest.mark.django_db
URL = "/api/breakers/"


@pytest.fixture
def tenant() -> Tenant:
    return make_tenant()


def fail(name: str) -> None:
    """Have a breaker see twenty failures."""
    pipeline = redis.client().pipeline(transaction=False)
    breakers.recording(pipeline).add(name, Tally(calls=20, errors=20, code="http_503"), rule(name), release=0)
    pipeline.execute()
    breakers.forget()


def test_a_tenant_sees_the_breakers_of_its_own_providers_and_why_they_opened(tenant: Tenant) -> None:
    own, foreign = make_provider(tenant, name="Own"), make_provider(make_tenant("Other"))
    for one in (own, foreign):
        fail(of_provider(one.pk))
    (shown,) = json_of(make_api(tenant, ADMIN).get(URL))["results"]
    assert (shown["name"], shown["title"], shown["state"], shown["channel"]) == (of_provider(own.pk), "Own", "open", "sms")
    assert (shown["reason"], shown["reason_number"], shown["reason_of"], shown["reason_code"]) == ("errors", 20, 20, "http_503")
    assert shown["retry_at"] > shown["since"]
    detail = json_of(make_api(tenant, ADMIN).get(f"{URL}{shown['name']}/"))
    assert [event["event"] for event in detail["history"]] == ["opened"]


def test_hosts_of_webhooks_are_seen_by_tenants_that_operate_the_installation_alone(tenant: Tenant) -> None:
    name = of_host("hooks.example.com:8443")
    fail(name)
    stranger, operator = make_api(tenant, ADMIN), make_api(make_tenant("Operator", is_operator=True), ADMIN)
    assert json_of(stranger.get(URL))["results"] == []
    assert stranger.get(f"{URL}{name}/").status_code == 404
    assert stranger.post(f"{URL}{name}/force/", {"state": "closed"}).status_code == 404
    found = {shown["name"]: shown for shown in json_of(operator.get(URL))["results"]}
    assert (found[name]["kind"], found[name]["title"], found[name]["state"]) == ("webhook", "hooks.example.com:8443", "open")
    assert operator.post(f"{URL}{name}/force/", {"state": "closed", "seconds": 60}).status_code == 200
    assert operator.get(f"{URL}{of_host('never.seen.example')}/").status_code == 404


def test_the_breaker_of_a_tenants_endpoints_at_a_host_is_shown_by_the_host(tenant: Tenant) -> None:
    name = of_endpoints("hooks.example.com:8443", tenant.pk)
    fail(name)
    operator = make_api(make_tenant("Operator", is_operator=True), ADMIN)
    assert {shown["name"]: shown["title"] for shown in json_of(operator.get(URL))["results"]}[name] == "hooks.example.com:8443"
    assert json_of(operator.get(f"{URL}{name}/"))["state"] == "open"
    (row,) = (row for row in breaker_states.of_installation() if row["name"] == name)
    assert (row["title"], row["tenant"]) == ("hooks.example.com:8443", tenant.name)


def test_one_is_held_for_a_while_or_until_released_and_the_audit_trail_says_by_whom(tenant: Tenant) -> None:
    name, api = of_provider(make_provider(tenant).pk), make_api(tenant, ADMIN)
    held = json_of(api.post(f"{URL}{name}/force/", {"state": "open", "seconds": 60}))
    assert (held["state"], held["forced"], held["forced_by"][:4]) == ("open", "open", "key:")
    assert held["forced_until"] is not None
    assert breakers.phase(name) == Phase.OPEN
    released = json_of(api.post(f"{URL}{name}/force/", {"state": "automatic"}))
    assert (released["state"], released["forced"]) == ("half_open", "")
    assert list(AuditEntry.objects.filter(action="breaker.force", tenant=tenant).order_by("id").values_list("target", "detail")) == [
        (name, {"state": "open", "seconds": 60}),
        (name, {"state": "automatic"}),
    ]


def test_only_live_keys_with_the_admin_scope_may_look_or_touch(tenant: Tenant) -> None:
    name = of_provider(make_provider(tenant).pk)
    weak = make_api(tenant, *(scope for scope in SCOPES if scope != ADMIN))
    sandbox = make_api(tenant, ADMIN, kind="sandbox")
    assert [weak.get(URL).status_code, weak.get(f"{URL}{name}/").status_code] == [403, 403]
    assert [one.post(f"{URL}{name}/force/", {"state": "open"}).status_code for one in (weak, sandbox)] == [403, 403]
    assert breakers.phase(name) == Phase.CLOSED


@pytest.mark.parametrize("body", [{}, {"state": "ajar"}, {"state": "open", "seconds": 0}, {"state": "open", "minutes": 1}])
def test_what_makes_no_sense_is_refused_and_changes_nothing(body: dict[str, object], tenant: Tenant) -> None:
    name = of_provider(make_provider(tenant).pk)
    answer = make_api(tenant, ADMIN).post(f"{URL}{name}/force/", body)
    assert len(fields_of(answer)) == 1
    assert breakers.phase(name) == Phase.CLOSED


@pytest.mark.parametrize("name", ["provider:nonsense", "provider:", "webhook:", "x", "provider:0192F0C1-A2B3-7C4D-8E9F-001122334455"])
def test_a_name_that_is_none_is_not_found(name: str, tenant: Tenant) -> None:
    assert make_api(tenant, ADMIN).get(f"{URL}{name}/").status_code == 404


def staff(tenant: Tenant, role: str) -> Client:
    user = User.objects.create_user(f"{role}-{tenant.slug}", password="x", is_staff=True)
    Member.objects.create(tenant=tenant, user=user, role=role)
    client = Client()
    client.force_login(user)
    return client


def test_the_page_of_a_provider_shows_its_breaker_and_an_operator_holds_it(tenant: Tenant) -> None:
    one = make_provider(tenant)
    name = of_provider(one.pk)
    fail(name)
    page, force = (reverse(f"admin:messaging_provider_{verb}", args=[one.pk]) for verb in ("change", "breaker"))
    operator, viewer = staff(tenant, Role.OPERATOR), staff(tenant, Role.VIEWER)
    text = operator.get(page).content.decode()
    assert "20 of 20 calls failed, the last one with http_503." in text
    assert force in text
    assert force not in viewer.get(page).content.decode()
    assert viewer.post(force, {"to": "closed"}).status_code == 403
    assert operator.post(force, {"to": "closed"}).status_code == 302
    assert breakers.snapshot([name])[name]["phase"] == Phase.CLOSED
    assert f"Held by operator-{tenant.slug}." in operator.get(page).content.decode()
    assert AuditEntry.objects.filter(action="breaker.force", target=name, detail={"state": "closed"}).exists()
    assert "Closed" in operator.get(reverse("admin:messaging_provider_changelist")).content.decode()


def test_a_stranger_finds_no_breaker_in_the_admin(tenant: Tenant) -> None:
    one = make_provider(make_tenant("Other"))
    assert staff(tenant, Role.OWNER).post(reverse("admin:messaging_provider_breaker", args=[one.pk]), {"to": "open"}).status_code == 404
    assert breakers.phase(of_provider(one.pk)) == Phase.CLOSED
