"""A sandbox key changes nothing live: tried at every address of the API with every method, and at every address for Nacos clients."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import ApiKey, AuditEntry, KeyKind
from accounts.scopes import SandboxSafe
from accounts.services.key_uses import key_uses
from configcenter.nacos.identity import identify
from configcenter.nacos.routes import ROUTES
from configcenter.scopes import CONFIG_READ
from messaging.models import Message
from posthaste.lib.problems import Forbidden
from tests.architecture.routes import Route, api_routes, methods_of
from tests.architecture.test_routes import NO_SCOPE, OPEN
from tests.architecture.test_tenants import ITEM, MODULES, SAMPLES, Owned, path_of, snapshot
from tests.builders import json_of, make_api, make_key, make_tenant

READS, SANDBOX_ONLY = SandboxSafe.READS, SandboxSafe.SANDBOX_ONLY
#: What a sandbox key may call besides GET. A view that declares another method safe must be added here, so that it is looked at twice.
SAFE = {
    ("POST", "api/messages/"): SANDBOX_ONLY,
    ("POST", "api/messages/batch/"): SANDBOX_ONLY,
    ("POST", "api/messages/<uuid:id>/cancel/"): SANDBOX_ONLY,
    ("POST", "api/messages/<uuid:id>/retry/"): SANDBOX_ONLY,
    ("POST", "api/batches/<uuid:id>/pause/"): SANDBOX_ONLY,
    ("POST", "api/batches/<uuid:id>/resume/"): SANDBOX_ONLY,
    ("POST", "api/batches/<uuid:id>/cancel/"): SANDBOX_ONLY,
    ("POST", "api/providers/<uuid:id>/test/"): SANDBOX_ONLY,
    ("POST", "api/keys/"): SANDBOX_ONLY,
    ("POST", "api/keys/<int:id>/revoke/"): SANDBOX_ONLY,
    ("POST", "api/templates/<slug:name>/preview/"): READS,
    ("POST", f"{ITEM}validate/"): READS,
    ("POST", f"{MODULES}<slug:name>/validate/"): READS,
    ("POST", f"{MODULES}<slug:name>/override/validate/"): READS,
    ("POST", f"{MODULES}<slug:name>/what-if/"): READS,
    ("POST", f"{MODULES}<slug:name>/override/what-if/"): READS,
    ("POST", "api/routing/classify/"): READS,
}
#: Valid bodies for the addresses that have no sample among those of the tenants.
MESSAGE = {"channel": "sms", "recipient": "+8613812345678", "body": "Hi"}
BODIES: dict[str, list[dict[str, Any]]] = {
    "api/messages/": [MESSAGE],
    "api/messages/batch/": [{"channel": "sms", "body": "Hi", "recipients": [{"recipient": "+8613812345678"}]}],
    "api/keys/": [{"name": "more", "scopes": ["admin"], "kind": kind} for kind in KeyKind.values],
    f"{MODULES}<slug:name>/validate/": [{"content": {}}],
    f"{MODULES}<slug:name>/override/validate/": [{"content": {}}],
    f"{MODULES}<slug:name>/what-if/": [{}],
    f"{MODULES}<slug:name>/override/what-if/": [{}],
    "api/routing/classify/": [{"text": "Where is my order?"}],
}

pytestmark = pytest.mark.django_db


def changing() -> Iterator[tuple[str, Route]]:
    """Yield each method of each address that could change something, except those that need no scope of a key."""
    for route in api_routes():
        if route.pattern not in set(OPEN) | NO_SCOPE:
            yield from ((method, route) for method in methods_of(route) if method != "GET")


def test_every_method_that_is_declared_safe_is_known_here() -> None:
    declared = {(method, route.pattern): route.view_class.sandbox_safe.get(method) for method, route in changing()}
    assert {at: reason for at, reason in declared.items() if reason} == SAFE


def test_addresses_that_need_no_scope_only_read() -> None:
    assert {str(route) for route in api_routes() if route.pattern in NO_SCOPE and methods_of(route) != ["GET"]} == set()


def test_a_sandbox_key_with_every_scope_is_refused_every_other_change(acme: Owned) -> None:
    acme.tenant.is_operator = True  # nothing but the kind of key is in the way
    acme.tenant.save()
    api = make_api(acme.tenant, kind=KeyKind.SANDBOX)
    api.get("/api/me/")
    before, let_in = snapshot(acme.tenant), {}
    for method, route in changing():
        if (method, route.pattern) in SAFE:
            continue
        path, body = (path_of(route, acme), SAMPLES[route.pattern][1].get(method, {})) if route.pattern in SAMPLES else (route.path, {})
        answer = api.request(method, path, body)
        if answer.status_code != 403 or "Sandbox keys" not in json_of(answer)["detail"]:
            let_in[f"{method} {route}"] = answer.status_code
    assert let_in == {}
    assert snapshot(acme.tenant) == before


def test_what_is_declared_safe_leaves_everything_live_as_it_was(acme: Owned) -> None:
    api, operator = make_api(acme.tenant, kind=KeyKind.SANDBOX), make_api(make_tenant("Ops", is_operator=True), kind=KeyKind.SANDBOX)
    api.get("/api/me/")
    before, failed = snapshot(acme.tenant), {}
    live_messages, live_keys = Message.objects.count(), ApiKey.objects.exclude(kind=KeyKind.SANDBOX).count()
    for method, pattern in SAFE:
        route = next(route for route in api_routes() if route.pattern == pattern)
        sample = pattern in SAMPLES
        path = path_of(route, acme) if sample else f"/{pattern}".replace("<slug:name>", "delivery_rules")
        caller = operator if pattern.startswith(MODULES) and "/override/" not in pattern else api
        for body in [SAMPLES[pattern][1].get(method, {})] if sample else BODIES[pattern]:
            answer = caller.request(method, path, body)
            if answer.status_code >= 500 or answer.status_code in (404, 405):
                failed[f"{method} {route}"] = answer.content
    assert failed == {}
    # What is new was made for the sandbox or notes what was done; nothing that was there has changed.
    assert set(before) - set(snapshot(acme.tenant)) == set()
    assert Message.objects.filter(is_sandbox=False).count() == live_messages
    assert ApiKey.objects.exclude(kind=KeyKind.SANDBOX).count() == live_keys
    key_uses.flush()
    actions = {entry.action for entry in AuditEntry.objects.filter(actor=f"key:{ApiKey.objects.latest('last_used_at').prefix}")}
    assert actions <= {"api_key.issue", "provider.test"}


def test_a_sandbox_key_only_reads_as_a_nacos_client() -> None:
    _key, clear = make_key(make_tenant(), kind=KeyKind.SANDBOX)
    who = identify(headers={"authorization": f"Bearer {clear}"}, fields={}, ip="127.0.0.1", now=timezone.now())
    refused = []
    for address, methods in ROUTES.items():
        for method, route in methods.items():
            if route.scopes is None or set(route.scopes) == {CONFIG_READ}:
                continue
            with pytest.raises(Forbidden, match="Sandbox keys"):
                who.must(*route.scopes)
            refused.append(f"{method} {address}")
    assert {"POST /cs/configs", "DELETE /cs/configs"} <= set(refused)
    who.must(CONFIG_READ)  # lets it pass
