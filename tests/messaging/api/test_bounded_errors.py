"""However much is wrong with a request, its answer is small and costs little."""

import time
import tracemalloc
from typing import Any

import orjson
import pytest

from configcenter import hot
from messaging.configuration.flow import flow_rules
from messaging.content.templates import MAX_VARIABLES
from posthaste.lib.problems import MAX_ERRORS, MAX_FIELD_CHARACTERS
from tests.builders import fields_of, json_of, make_api, make_provider, make_template, make_tenant

pytestmark = pytest.mark.django_db

KEYS = 100_000
UNKNOWN = {f"k{n}": 1 for n in range(KEYS)}  # about 1 MB of JSON
MESSAGE = {"channel": "sms", "recipient": "+8613812345678", "body": "Hi"}
MAX_ANSWER_BYTES = 64 * 1024


def refused(answer: Any, more: int | None) -> list[dict[str, Any]]:
    """Return the errors of a small 422 that counts all errors beyond the first hundred."""
    assert answer.status_code == 422, answer.content[:500]
    assert len(answer.content) < MAX_ANSWER_BYTES
    errors: list[dict[str, Any]] = json_of(answer)["errors"]
    assert len(errors) <= MAX_ERRORS + 1
    assert [error["count"] for error in errors if error["code"] == "more"] == ([] if more is None else [more])
    return errors


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/messages/", MESSAGE),
        ("/api/messages/batch", {"channel": "sms", "body": "Hi", "recipients": []}),
        ("/api/templates/", {"name": "words", "channel": "sms", "body": "Hi"}),
        ("/api/keys/", {"name": "shop", "scopes": ["admin"]}),
    ],
)
def test_a_hundred_thousand_unknown_keys_are_answered_with_a_hundred_errors_and_a_number(path: str, body: dict[str, Any]) -> None:
    errors = refused(make_api(make_tenant()).post(path, body | UNKNOWN), KEYS - MAX_ERRORS)
    assert [error["field"] for error in errors[:3]] == ["k0", "k1", "k2"]
    assert errors[-1]["message"] == "And 99900 more."


def test_a_known_field_that_is_wrong_is_named_however_many_are_unknown() -> None:
    answer = make_api(make_tenant()).post("/api/messages/", UNKNOWN | {"channel": "sms", "body": 5})
    assert {"body", "recipient"} <= set(fields_of(answer))


def test_unknown_keys_cost_little_time_and_memory_beyond_the_body() -> None:
    api, body = make_api(make_tenant()), orjson.dumps(MESSAGE | UNKNOWN)
    api.post("/api/messages/", MESSAGE)
    tracemalloc.start()
    try:
        refused(api.post("/api/messages/", body), KEYS - MAX_ERRORS)
        _now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 * len(body)
    began = time.thread_time()  # of the processor: other processes don't count
    refused(api.post("/api/messages/", body), KEYS - MAX_ERRORS)
    assert time.thread_time() - began < 1.0


@pytest.mark.parametrize(
    "body",
    [
        MESSAGE | {"x" * 500_000: 1},
        MESSAGE | {"channel": "y" * 500_000},
        MESSAGE | {"template": "z" * 500_000, "body": ""},
    ],
)
def test_a_long_name_is_shortened(body: dict[str, Any]) -> None:
    errors = refused(make_api(make_tenant()).post("/api/messages/", body), None)
    assert all(len(error["field"]) <= MAX_FIELD_CHARACTERS for error in errors)


def batch(rows: list[dict[str, Any]], **fields: Any) -> dict[str, Any]:
    return {"channel": "sms", "body": "Hi", "recipients": rows, **fields}


def test_a_batch_of_bad_rows_is_refused_with_the_first_hundred() -> None:
    answer = make_api(make_tenant()).post("/api/messages/batch", batch([{"recipient": "zzz"}] * 2_000))
    errors = refused(answer, 2_000 - MAX_ERRORS)
    assert [error["field"] for error in errors[:2]] == ["recipients[0].recipient", "recipients[1].recipient"]
    assert [entry["index"] for entry in json_of(answer)["rejected"][:MAX_ERRORS]] == list(range(MAX_ERRORS))


def test_rows_left_out_are_each_named_and_each_with_few_errors() -> None:
    tenant = make_tenant()
    names = [f"v{n}" for n in range(MAX_VARIABLES)]
    make_template(
        tenant,
        name="many",
        body="".join(f"{{{{ {name} }}}}" for name in names),
        variables=[{"name": name, "required": True, "example": "x"} for name in names],
    )
    rows = [{"recipient": "+8613812345678", "variables": dict.fromkeys(names, "x")}, *[{"recipient": "+8613812345678"}] * 50]
    body = {"channel": "sms", "template": "many", "on_error": "skip", "recipients": rows}
    answer = json_of(make_api(tenant).post("/api/messages/batch", body))
    assert answer["accepted"] == 1
    assert {entry["index"] for entry in answer["rejected"]} == set(range(1, 51))
    assert len(answer["rejected"]) == 50 * 6
    assert [entry["count"] for entry in answer["rejected"] if entry["code"] == "more"] == [MAX_VARIABLES - 5] * 50


def test_more_variables_than_a_template_may_declare_are_refused() -> None:
    variables = [{"name": f"v{n}"} for n in range(MAX_VARIABLES + 1)]
    body = {"name": "words", "channel": "sms", "body": "Hi", "variables": variables}
    assert fields_of(make_api(make_tenant()).post("/api/templates/", body)) == ["variables"]


def test_the_variables_that_a_template_does_not_declare_are_counted() -> None:
    text = "".join(f"{{{{ n{n} }}}}" for n in range(5_000))
    refused(make_api(make_tenant()).post("/api/templates/", {"name": "words", "channel": "sms", "body": text}), 5_000 - MAX_ERRORS)


@pytest.mark.parametrize("field", ["scopes", "ip_ranges"])
def test_the_length_of_a_list_is_checked_before_its_entries(field: str) -> None:
    body = {"name": "shop", "scopes": ["admin"], field: ["nonsense"] * KEYS}
    assert [error["code"] for error in refused(make_api(make_tenant()).post("/api/keys/", body), None)] == ["too_many"]


def test_a_configuration_with_very_many_unknown_fields_is_refused_in_few_words() -> None:
    api = make_api(make_tenant(is_operator=True))
    content = dict(list(UNKNOWN.items())[:50_000])
    for path, body in (
        ("/api/config/modules/flow_rules/publish/", {"content": content}),
        ("/api/config/modules/flow_rules/what-if/", {"value": content}),
    ):
        refused(api.post(path, body), 50_000 - MAX_ERRORS)
    assert hot.module("flow_rules") is flow_rules


@pytest.mark.parametrize("number", [5_000, KEYS])
def test_a_providers_configuration_with_very_many_unknown_fields_is_refused_in_few_words(number: int) -> None:
    provider = make_provider(tenant := make_tenant())
    config = dict(list(UNKNOWN.items())[:number])
    answer = make_api(tenant).patch(f"/api/providers/{provider.pk}/", {"config": config})
    refused(answer, number - MAX_ERRORS if number == 5_000 else None)


def test_very_many_recipients_that_are_none_are_counted() -> None:
    body = {"recipients": ["12"] * 5_000, "channel": "sms"}
    refused(make_api(make_tenant()).post("/api/suppressions/bulk/", body), 5_000 - MAX_ERRORS)
