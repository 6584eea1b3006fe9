"""Every answer is what the OpenAPI document says: its status, its kind and its shape."""

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from django.utils import timezone
from drf_spectacular.generators import SchemaGenerator
from jsonschema import Draft202012Validator

from jobs.services import plans
from tests.architecture.routes import Route, api_routes, methods_of
from tests.architecture.test_tenants import MODULES, Owned, own_answers
from tests.builders import Api, json_of, make_api

pytestmark = pytest.mark.django_db


@cache
def document() -> dict[str, Any]:
    """Return the OpenAPI document as it is served."""
    found: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)
    return found


def operation(method: str, pattern: str) -> dict[str, Any]:
    """Return what the document says of an address."""
    path = "/" + pattern.replace("<", "{").replace(">", "}")
    for converter in ("uuid:", "int:", "slug:", "str:"):
        path = path.replace("{" + converter, "{")
    found: dict[str, Any] = document()["paths"][path][method.lower()]
    return found


def wrong(method: str, route: Route, answer: Any) -> str:
    """Return how an answer differs from its description; empty: in nothing."""
    responses = operation(method, route.pattern)["responses"]
    described = responses.get(str(answer.status_code)) or (responses.get("default") if answer.status_code >= 400 else None)
    if described is None:
        return f"{answer.status_code} is not described: {sorted(responses)}"
    content = described.get("content", {})
    if not content:
        return "a body where none is described" if answer.content else ""
    kind = answer.headers["Content-Type"].partition(";")[0]
    if kind not in content:
        return f"{kind} is not described: {sorted(content)}"
    if kind in ("application/octet-stream", "text/csv"):
        return ""  # the bytes of a file
    schema = {**content[kind]["schema"], "components": document()["components"]}
    errors = Draft202012Validator(schema).iter_errors(json_of(answer))
    return "; ".join(f"{error.json_path}: {error.message}"[:200] for error in list(errors)[:3])


def test_answers_about_one_thing_are_as_described(acme: Owned) -> None:
    found = {f"{method} {route}": wrong(method, route, answer) for method, route, answer in own_answers(acme)}
    assert {name: text for name, text in found.items() if text} == {}


def test_lists_are_as_described(acme: Owned) -> None:
    api = make_api(acme.tenant)
    routes = [route for route in api_routes() if not route.parameters and "GET" in methods_of(route) and "schema" not in route.pattern]
    found = {str(route): wrong("GET", route, api.get(route.path)) for route in routes}
    assert {name: text for name, text in found.items() if text} == {}


def test_jobs_are_as_described(acme: Owned) -> None:
    plans.declare_all(now=timezone.now())
    tenant = acme.tenant
    type(tenant).objects.filter(pk=tenant.pk).update(is_operator=True)
    api, found = make_api(tenant), {}
    made = api.post("/api/jobs/", {"name": "mine", "task": "jobs.remove_old_runs", "cron": "0 6 * * *", "parameters": {"keep_days": 7}})
    one, run = f"/api/jobs/{json_of(made)['id']}/", ""
    calls: tuple[tuple[str, str, Callable[[], Any]], ...] = (
        ("POST", "api/jobs/", lambda: made),
        ("GET", "api/jobs/", lambda: api.get("/api/jobs/")),
        ("GET", "api/jobs/<int:id>/", lambda: api.get(one)),
        ("PATCH", "api/jobs/<int:id>/", lambda: api.patch(one, {"every_seconds": 90, "starts_at": None})),
        ("POST", "api/jobs/<int:id>/disable/", lambda: api.post(f"{one}disable/")),
        ("POST", "api/jobs/<int:id>/enable/", lambda: api.post(f"{one}enable/")),
        ("POST", "api/jobs/<int:id>/reset/", lambda: api.post(f"{one}reset/")),
        ("POST", "api/jobs/<int:id>/run/", lambda: api.post(f"{one}run/", {"parameters": {"keep_days": 9}})),
        ("GET", "api/jobs/<int:id>/runs/", lambda: api.get(f"{one}runs/")),
        ("GET", "api/jobs/runs/<uuid:id>/", lambda: api.get(run)),
        ("GET", "api/jobs/runs/<uuid:id>/log/", lambda: api.get(f"{run}log/")),
        ("POST", "api/jobs/runs/<uuid:id>/stop/", lambda: api.post(f"{run}stop/")),
        ("DELETE", "api/jobs/<int:id>/", lambda: api.delete(one)),
    )
    for method, pattern, call in calls:
        answer = call()
        if pattern.endswith("run/"):
            run = f"/api/jobs/runs/{json_of(answer)[0]['id']}/"
        found[f"{method} {pattern}"] = wrong(method, Route(pattern, "", (), api.get), answer)
    walked = {
        f"{method} {route.pattern}" for route in api_routes() if route.pattern.startswith("api/jobs/") for method in methods_of(route)
    }
    assert walked == {*found}
    assert {name: text for name, text in found.items() if text} == {}


def test_modules_are_as_described(acme: Owned) -> None:
    tenant = acme.tenant
    type(tenant).objects.filter(pk=tenant.pk).update(is_operator=True)
    api, found = make_api(tenant), {}
    for module in ("queues", "flow_rules", "retry_policy"):
        content = json_of(api.get(f"/api/config/modules/{module}/"))["effective"]
        found[f"{module} publish"] = wrong_at("POST", "publish/", api.post(f"/api/config/modules/{module}/publish/", {"content": content}))
        found[module] = wrong_at("GET", "", api.get(f"/api/config/modules/{module}/"))
        found[f"{module} draft"] = wrong_at(
            "PUT", "draft/", api.put(f"/api/config/modules/{module}/draft/", {"content": content, "based_on": 0})
        )
        found[f"{module} no draft"] = wrong_at("DELETE", "draft/", api.delete(f"/api/config/modules/{module}/draft/"))
        found[f"{module} releases"] = wrong_at("GET", "releases/", api.get(f"/api/config/modules/{module}/releases/"))
        found[f"{module} diff"] = wrong_at("GET", "diff/", api.get(f"/api/config/modules/{module}/diff/"))
        found[f"{module} removed"] = wrong_at("DELETE", "", api.delete(f"/api/config/modules/{module}/"))
    assert {name: text for name, text in found.items() if text} == {}


def wrong_at(method: str, rest: str, answer: Any) -> str:
    """Return how a module's answer differs from its description; a refusal is a difference."""
    (route,) = [route for route in api_routes() if route.pattern == f"{MODULES}<slug:name>/{rest}"]
    return wrong(method, route, answer) if answer.status_code < 400 else f"{answer.status_code}: {answer.content!r}"


def test_refusals_are_as_described(acme: Owned) -> None:
    api, found = make_api(acme.tenant), {}
    for route in api_routes():
        for method in methods_of(route):
            if "schema" in route.pattern:
                continue
            for who, caller, body in (("no key", Api(), {}), ("a body that is a list", api, []), ("an unknown id", api, {})):
                answer = caller.request(method, route.path, body)
                if answer.status_code >= 400:
                    found[f"{method} {route}: {who}"] = wrong(method, route, answer)
    assert {name: text for name, text in found.items() if text} == {}


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/api/templates/", {"name": "a", "channel": "sms", "body": 0}, "body"),
        ("/api/templates/", {"name": "a", "channel": "sms", "body": True}, "body"),
        ("/api/templates/", {"name": 5, "channel": "sms", "body": "x"}, "name"),
        ("/api/providers/", {"name": "a", "channel": "sms", "kind": "sandbox", "is_enabled": 0}, "is_enabled"),
        ("/api/providers/", {"name": "a", "channel": "sms", "kind": "sandbox", "is_enabled": "no"}, "is_enabled"),
        ("/api/providers/", {"name": "a", "channel": "sms", "kind": "sandbox", "weight": "5"}, "weight"),
        ("/api/providers/", {"name": "a", "channel": "sms", "kind": "sandbox", "weight": True}, "weight"),
        ("/api/keys/", {"name": "a", "scopes": [1]}, "scopes[0]"),
        ("/api/suppressions/bulk/", {"recipients": [8613812345678]}, "recipients[0]"),
    ],
)
def test_a_value_of_another_json_type_is_refused_and_not_converted(path: str, body: dict[str, Any], field: str, acme: Owned) -> None:
    answer = make_api(acme.tenant).post(path, body)
    assert [error["field"] for error in json_of(answer)["errors"]] == [field], answer.content
