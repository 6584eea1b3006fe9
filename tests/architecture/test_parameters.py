"""Parameters of addresses: each is in the API reference, counts once unless it is a list there, and others are refused."""

from typing import Any

import pytest

from tests.architecture.routes import api_routes, methods_of
from tests.architecture.test_schema import operation
from tests.architecture.test_tenants import SAMPLES, Owned, path_of, with_parameters
from tests.builders import fields_of, json_of, make_api, make_tenant

pytestmark = pytest.mark.django_db

#: Callbacks of providers, whose addresses are typed at the provider, and the reference itself.
LENIENT = ("api/receipts/", "api/schema/")


def described(method: str, pattern: str) -> dict[str, bool]:
    """Return the parameters in the address that the reference names, and whether each is a list."""
    found = [entry for entry in operation(method, pattern).get("parameters", []) if entry["in"] == "query"]
    return {entry["name"]: entry["schema"].get("type") == "array" for entry in found}


def test_every_address_refuses_parameters_that_the_reference_does_not_name(acme: Owned) -> None:
    found: dict[str, Any] = {}
    type(acme.tenant).objects.filter(pk=acme.tenant.pk).update(is_operator=True)
    api = make_api(acme.tenant)
    paths = {route: path_of(route, acme) for route in with_parameters()}
    for route in api_routes():
        for method in methods_of(route) if not route.pattern.startswith(LENIENT) else ():
            known = described(method, route.pattern)
            body = SAMPLES[route.pattern][1].get(method, {}) if route.pattern in SAMPLES else {}
            answer = api.request(method, paths.get(route, route.path), body, query_params={"surprise": "x"})
            errors: list[dict[str, Any]] = json_of(answer).get("errors", []) if answer.content else []
            if answer.status_code != 422 or sorted(names_in(errors[0]["message"])) != sorted(known):
                found[f"{method} {route}"] = (answer.status_code, errors, known)
    assert found == {}


def names_in(message: str) -> list[str]:
    """Return the parameters that a refusal names as available."""
    _text, colon, names = message.partition("Available: ")
    return names.rstrip(".").split(", ") if colon else []


def test_every_parameter_that_is_no_list_counts_once(acme: Owned) -> None:
    found: dict[str, Any] = {}
    type(acme.tenant).objects.filter(pk=acme.tenant.pk).update(is_operator=True)
    api = make_api(acme.tenant)
    paths = {route: path_of(route, acme) for route in with_parameters()}
    for route in api_routes():
        for method in methods_of(route) if not route.pattern.startswith(LENIENT) else ():
            for name, is_list in described(method, route.pattern).items():
                answer = api.request(method, paths.get(route, route.path), query_params={name: ["1", "2"]})
                codes = [error["code"] for error in json_of(answer).get("errors", [])] if answer.status_code >= 400 else []
                if ("repeated" in codes) is is_list:
                    found[f"{method} {route}: {name}"] = (answer.status_code, codes)
    assert found == {}


@pytest.mark.parametrize(
    ("path", "query", "field"),
    [
        ("/api/messages/", {"channel": ["sms", "email"]}, "channel"),
        ("/api/messages/", {"limit": ["1", "2"]}, "limit"),
        ("/api/config/items/", {"namespace": ["a", "b"]}, "namespace"),
        ("/api/audit/", {"actor": ["a", "a"]}, "actor"),
        ("/api/webhooks/", {"surprise": "x"}, "surprise"),
        ("/api/webhooks/", {"is_enabled": ""}, "is_enabled"),
        ("/api/keys/", {"kind": "live"}, "kind"),
        ("/api/config/namespaces/", {"search": "x"}, "search"),
        ("/api/limits/", {"minutes": "x"}, "minutes"),
        ("/api/events/", {"limit": "1_0"}, "limit"),
        ("/api/events/", {"after": "1_0"}, "after"),
        ("/api/events/", {"after": "+1"}, "after"),
        ("/api/events/", {"wait": "٣"}, "wait"),
        ("/api/messages/", {"priority": "1_0"}, "priority"),
        ("/api/messages/", {"priority": "5.0"}, "priority"),
        ("/api/messages/", {"limit": "1_0"}, "limit"),
    ],
)
def test_what_an_address_does_not_understand_is_named(path: str, query: dict[str, Any], field: str) -> None:
    api = make_api(make_tenant(is_operator=True))
    assert fields_of(api.request("GET", path, query_params=query)) == [field]


@pytest.mark.parametrize("path", ["/api/messages/", "/api/messages/batch/", "/api/providers/"])
def test_a_write_refuses_parameters_too(path: str) -> None:
    assert fields_of(make_api(make_tenant()).post(path, {}, query_params={"dry_run": "true"})) == ["dry_run"]


def test_a_parameter_that_is_a_list_may_be_repeated() -> None:
    api = make_api(make_tenant())
    assert api.post("/api/events/", {}).status_code == 200
    for path, name, values in (
        ("/api/messages/", "status", ["failed", "sent"]),
        ("/api/batches/", "status", ["running", "paused"]),
        ("/api/events/", "type", ["message.failed", "message.sent"]),
    ):
        assert api.request("GET", path, query_params={name: values}).status_code == 200, path


def test_many_unknown_parameters_are_answered_with_a_number() -> None:
    errors = json_of(make_api(make_tenant()).get("/api/limits/", **{f"k{n}": "1" for n in range(500)}))["errors"]
    assert (len(errors), errors[-1]["code"], errors[-1]["count"]) == (101, "more", 400)
