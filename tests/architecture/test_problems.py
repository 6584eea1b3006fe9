"""One shape for every error of the API, whatever goes wrong, and a description of the API that is true."""

import json
from collections.abc import Callable
from io import StringIO
from typing import Any

import orjson
import pytest
from django.core.management import call_command
from django.db import OperationalError
from django.http import Http404, HttpResponse
from django.test import Client, RequestFactory
from rest_framework import exceptions

from messaging.configuration.flow import FlowRule, Origin, Resource, flow_rules
from messaging.intake import repeats
from monitor.reference import every_problem
from posthaste.lib import problem_responses, problems
from tests.architecture.routes import api_routes, methods_of
from tests.builders import Api, json_of, make_api, make_batch, make_key, make_message, make_template, make_tenant

pytestmark = pytest.mark.django_db
SMS = {"channel": "sms", "recipient": "+8613812345678", "body": "Hi"}


def is_a_problem(answer: Any, status: int, code: str = "") -> dict[str, Any]:
    """Check the one shape and return the document."""
    assert (answer.status_code, answer["Content-Type"]) == (status, "application/problem+json"), answer.content
    document: dict[str, Any] = json_of(answer)
    assert set(document) >= {"type", "title", "status", "code"}
    assert document["status"] == status
    assert document["type"] == f"/docs/errors#{document['code']}"
    assert document["title"]
    assert "{" not in document["title"], "a template that nobody filled in"
    assert not code or document["code"] == code
    for error in document.get("errors", []):
        assert set(error) >= {"field", "code", "message"}
    return document


def sent_as(body: Any, kind: str) -> Callable[[Api], HttpResponse]:
    return lambda api: api.post("/api/templates/", orjson.dumps(body), content_type=kind)


@pytest.mark.parametrize(
    ("call", "status", "code"),
    [
        (lambda _api: Api().get("/api/messages/"), 401, "unauthenticated"),
        (lambda _api: Api("nonsense").post("/api/messages/", SMS), 401, "unauthenticated"),
        (lambda api: make_api(make_tenant(), "templates:read").get("/api/messages/"), 403, "forbidden"),
        (lambda api: api.get("/api/messages/0192f0c1-a2b3-7c4d-8e9f-001122334455/"), 404, "not_found"),
        (lambda api: api.get("/api/no/such/thing"), 404, "not_found"),
        (lambda api: api.get("/api"), 404, "not_found"),
        (lambda api: api.post("/api/", {}), 404, "not_found"),
        (lambda api: api.get("/api/messages/not-an-id/"), 404, "not_found"),
        (lambda api: api.get("/api//messages/"), 404, "not_found"),
        (lambda api: api.put("/api/messages/", SMS), 405, "method_not_allowed"),
        (lambda api: api.delete("/api/messages/batch"), 405, "method_not_allowed"),
        (lambda api: api.get("/api/messages/batch"), 405, "method_not_allowed"),
        (lambda api: api.request("OPTIONS", "/api/templates/"), 405, "method_not_allowed"),
        (lambda api: api.request("GET", "/api/messages/", headers={"Accept": "text/html"}), 406, "not_acceptable"),
        (lambda api: api.request("GET", "/api/messages/", headers={"Accept": "application/xml"}), 406, "not_acceptable"),
        (sent_as({}, "text/plain"), 415, "unsupported_type"),
        (sent_as({}, "application/x-www-form-urlencoded"), 415, "unsupported_type"),
        (lambda api: api.post("/api/templates/", b"{"), 400, "malformed"),
        (lambda api: api.post("/api/templates/", b"\xff"), 400, "malformed"),
        (lambda api: api.post("/api/templates/", b'{"name": NaN}'), 400, "malformed"),
        (lambda api: api.post("/api/templates/", b'{"name": "\\ud800"}'), 400, "malformed"),
        (lambda api: api.post("/api/templates/", b"[" * 5000), 400, "malformed"),
        (lambda api: api.post("/api/templates/", []), 422, "validation"),
        (lambda api: api.post("/api/templates/", "null"), 422, "validation"),
        (lambda api: api.post("/api/templates/", {}), 422, "validation"),
        (lambda api: api.get("/api/messages/", status="lost"), 422, "validation"),
    ],
)
def test_every_refusal_has_the_one_shape(call: Callable[[Api], HttpResponse], status: int, code: str) -> None:
    is_a_problem(call(make_api(make_tenant())), status, code)


def test_a_conflict_has_the_one_shape() -> None:
    tenant = make_tenant()
    make_template(tenant, name="code")
    api = make_api(tenant)
    is_a_problem(api.post("/api/templates/code/publish/"), 409, "conflict")
    is_a_problem(api.post(f"/api/messages/{make_message(tenant, status='sent').pk}/cancel/"), 409, "conflict")


def test_405_says_which_methods_there_are() -> None:
    answer = make_api(make_tenant()).delete("/api/messages/")
    assert {"GET", "POST"} <= set(answer["Allow"].split(", "))


def test_401_says_how_to_authenticate() -> None:
    assert Api().get("/api/messages/")["WWW-Authenticate"].startswith("Bearer")


def test_an_unknown_page_is_a_page_for_people_and_a_problem_for_programs() -> None:
    client = Client(raise_request_exception=False)
    assert client.get("/nothing", headers={"Accept": "text/html"})["Content-Type"].startswith("text/html")
    is_a_problem(client.get("/nothing"), 404, "not_found")
    is_a_problem(client.get("/api/nothing", headers={"Accept": "text/html"}), 404, "not_found")


class PoolTimeout(Exception):
    """psycopg_pool's error, known by its name."""


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (problems.TooMany("Slow down", retry_after_seconds=7), 429, "too_many_requests"),
        (exceptions.Throttled(wait=7), 429, "too_many_requests"),
        (problems.TooLarge("20 MiB"), 413, "too_large"),
        (problems.Unavailable(), 503, "unavailable"),
        (OperationalError("connection refused"), 503, "unavailable"),
        (PoolTimeout("couldn't get a connection"), 503, "unavailable"),
        (Http404("secret detail"), 404, "not_found"),
        (exceptions.NotAuthenticated(), 401, "unauthenticated"),
        (exceptions.PermissionDenied(), 403, "forbidden"),
        (problems.Conflict("no"), 409, "conflict"),
    ],
)
def test_errors_from_anywhere_become_the_same_problem(error: Exception, status: int, code: str) -> None:
    problem = problem_responses.from_exception(error)
    assert problem is not None
    is_a_problem(problem.as_response(), status, code)
    answer = problem_responses.exception_handler(error, {})
    assert answer is not None
    assert (answer.status_code, answer.content_type) == (status, "application/problem+json")
    if status in (429, 503):
        assert int(problem.as_response()["Retry-After"]) >= 1


def test_a_fault_of_ours_is_told_without_its_details() -> None:
    assert problem_responses.from_exception(RuntimeError("password=1234")) is None
    answer = problem_responses.server_error(RequestFactory().get("/api/messages/"))
    is_a_problem(answer, 500, "internal")
    assert b"1234" not in answer.content


def test_every_error_code_is_explained_on_the_page_it_points_to() -> None:
    text = Client().get("/docs/errors/").content.decode()
    kinds = every_problem()
    assert {problems.Internal, repeats.KeyReused, problems.Invalid} <= set(kinds)
    assert len({kind.code for kind in kinds}) == len(kinds)
    for kind in kinds:
        assert f'id="{kind.code}"' in text, kind.code
        assert str(kind.status) in text


# --- the description of the API ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    written = StringIO()
    # As JSON, which is written and read in a hundredth of the time that YAML takes.
    call_command("spectacular", "--validate", "--fail-on-warn", "--format=openapi-json", stdout=written)
    loaded: dict[str, Any] = json.loads(written.getvalue())
    return loaded


def operations(schema: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(path, method.upper(), operation) for path, found in schema["paths"].items() for method, operation in found.items()]


def test_the_schema_is_valid_and_without_warnings(schema: dict[str, Any]) -> None:
    assert schema["openapi"].startswith("3.1")
    assert len(operations(schema)) > 30


def test_the_schema_is_served_to_everybody() -> None:
    answer = Client().get("/api/schema/", headers={"Accept": "application/json"})
    assert answer.status_code == 200
    assert json.loads(answer.content)["info"]["title"] == "Posthaste API"


def test_every_address_and_method_is_described(schema: dict[str, Any]) -> None:
    described = {f"{method} {path}" for path, method, _operation in operations(schema)}
    converters = str.maketrans({"<": "{", ">": "}"})
    expected = set()
    for route in api_routes():
        if route.pattern == "api/schema/":
            continue
        path = "/" + route.pattern.translate(converters)
        for kind in ("uuid:", "int:", "slug:", "str:"):
            path = path.replace("{" + kind, "{")
        expected |= {f"{method} {path}" for method in methods_of(route)}
    assert described == expected


#: Writes that answer a whole row, and why that tells a key that may only write nothing that it may not read.
OWN_ROWS = {
    "POST /api/alarms/silences/": "a new row: what the caller sent",
    "POST /api/config/items/": "a new row: what the caller sent",
    "POST /api/config/namespaces/": "a new row: what the caller sent",
    "POST /api/jobs/{id}/run/": "new rows: what came of the caller's own request",
    "POST /api/templates/": "a new row: what the caller sent",
    "POST /api/webhooks/{id}/deliveries/{delivery}/replay/": "a new row: what came of the caller's own request",
    "POST /api/webhooks/{id}/replay/": "new rows: what came of the caller's own request",
}


def test_no_answer_to_a_write_shows_a_row_that_only_another_scope_reads(schema: dict[str, Any]) -> None:
    converters = str.maketrans({"<": "{", ">": "}"})
    scopes: dict[tuple[str, str], str] = {}
    for route in api_routes():
        path = "/" + route.pattern.translate(converters).replace("{uuid:", "{").replace("{int:", "{").replace("{slug:", "{")
        scopes |= {(path.replace("{str:", "{"), method): scope for method, scope in getattr(route.view_class, "scopes", {}).items()}
    readers: dict[str, set[str]] = {}
    for (path, method), scope in scopes.items():
        if method == "GET":
            for shape in shapes_of(schema, path, method):
                readers.setdefault(shape, set()).add(scope)
    shown = {
        f"{method} {path}"
        for (path, method), scope in scopes.items()
        if method != "GET"
        for shape in shapes_of(schema, path, method)
        if shape in readers and scope not in readers[shape]
    }
    assert "MessageDetailOut" in readers
    assert shown == {*OWN_ROWS}


def shapes_of(schema: dict[str, Any], path: str, method: str) -> set[str]:
    """Name the components that an operation answers with, alone or as the rows of a page."""
    found = set()
    for status, response in schema["paths"][path][method.lower()]["responses"].items():
        answer = response.get("content", {}).get("application/json", {}).get("schema", {}) if status.startswith("2") else {}
        name = answer.get("$ref", answer.get("items", {}).get("$ref", "")).rpartition("/")[2]
        rows = schema["components"]["schemas"].get(name, {}).get("properties", {}).get("results", {}).get("items", {}).get("$ref", "")
        found |= {name, rows.rpartition("/")[2]} - {""}
    return found


def test_handing_over_describes_the_headers_that_its_answers_carry(schema: dict[str, Any]) -> None:
    api = make_api(make_tenant())
    for path, body in (
        ("/api/messages/", SMS),
        ("/api/messages/batch/", {"channel": "sms", "body": "Hi", "recipients": [{"recipient": SMS["recipient"]}]}),
    ):
        responses = schema["paths"][path]["post"]["responses"]
        with flow_rules.set(
            rules=[FlowRule(name="accept", resource=Resource.ACCEPT, origin=Origin.TENANT, in_window=1, window_seconds=30)]
        ):
            answers = [api.post(path, body) for _ in range(2)]
            for answer, status in zip(answers, ("202", "429"), strict=True):
                assert str(answer.status_code) == status
                described = set(responses[status]["headers"]) - {"Idempotent-Replayed"}
                assert described == {name for name in ("RateLimit", "RateLimit-Policy", "Retry-After") if name in answer.headers}
        api = make_api(make_tenant("Other"))
    assert set(responses["429"]["content"]) == {problems.CONTENT_TYPE}


def test_every_operation_has_a_name_of_its_own_a_summary_and_errors(schema: dict[str, Any]) -> None:
    names = [operation["operationId"] for _path, _method, operation in operations(schema)]
    assert len(set(names)) == len(names)
    for path, method, operation in operations(schema):
        assert operation.get("summary"), f"{method} {path}"
        assert "default" in operation["responses"], f"{method} {path}"
        assert operation.get("security") != [] or path.startswith("/api/receipts/"), f"{method} {path}"


def test_every_described_operation_answers_an_empty_call_without_an_error_of_ours(schema: dict[str, Any]) -> None:
    api = make_api(make_tenant())
    values = {"{id}": "0192f0c1-a2b3-7c4d-8e9f-001122334455", "{name}": "none", "{provider}": "0192f0c1-a2b3-7c4d-8e9f-001122334455"}
    wrong = {}
    for path, method, operation in operations(schema):
        filled = path
        for name, value in values.items():
            number = any(p["name"] == "id" and p["schema"].get("type") == "integer" for p in operation.get("parameters", []))
            filled = filled.replace(name, "4711" if number and name == "{id}" else value)
        for body in (b"", b"{}", b"[]", b'"x"', b"null"):
            answer = api.request(method, filled, body if method != "GET" else None, headers={"Content-Type": "application/json"})
            if answer.status_code >= 500:
                wrong[f"{method} {filled} {body!r}"] = answer.status_code
            elif answer.status_code >= 400:
                is_a_problem(answer, answer.status_code)
    assert wrong == {}


def test_every_described_operation_on_a_thing_survives_an_empty_call(schema: dict[str, Any]) -> None:
    tenant = make_tenant()
    api = make_api(tenant)
    make_template(tenant, name="code")
    things = {
        "/api/messages/{id}/": str(make_message(tenant).pk),
        "/api/batches/{id}/": str(make_batch(tenant, pending=1).pk),
        "/api/keys/{id}/": str(make_key(tenant)[0].pk),
    }
    for path, method, _operation in operations(schema):
        filled = path.replace("{name}", "code")
        for start, value in things.items():
            if path.startswith(start):
                filled = filled.replace("{id}", value)
        if "{" in filled:
            continue
        for body in (b"{}", b"[]"):
            answer = api.request(method, filled, body if method != "GET" else None)
            assert answer.status_code < 500, f"{method} {filled} {body!r}"


def test_what_the_hot_path_decodes_is_described_with_its_limits(schema: dict[str, Any]) -> None:
    def body_of(path: str) -> dict[str, Any]:
        content = schema["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
        while "$ref" in content:
            content = schema["components"]["schemas"][content["$ref"].rpartition("/")[2]]
        return content  # type: ignore[no-any-return]

    message = body_of("/api/messages/")
    assert set(message["properties"]) == {
        "channel", "recipient", "template", "variables", "subject", "body", "priority", "send_at", "expires_at", "reference", "metadata",
        "category", "time_zone",
    }  # fmt: skip
    assert (message["properties"]["priority"]["minimum"], message["properties"]["priority"]["maximum"]) == (0, 10)
    assert message["additionalProperties"] is False
    batch = body_of("/api/messages/batch/")
    assert batch["properties"]["recipients"]["maxItems"] == 10_000
    assert batch["properties"]["on_error"]["enum"] == ["reject", "skip"]


def test_the_reference_page_is_there_for_everybody() -> None:
    assert Client().get("/docs").status_code == 200
    assert Client().get("/docs/").status_code == 200
