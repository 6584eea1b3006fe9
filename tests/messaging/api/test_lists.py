"""Lists: filters, cursor pages, masked recipients, a constant number of queries."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import Tenant
from accounts.services import audit
from messaging.models import Batch, Message, Status
from posthaste.lib.ids import first_id_at
from tests.builders import (
    RECIPIENTS,
    Api,
    actor,
    json_of,
    make_api,
    make_batch,
    make_key,
    make_message,
    make_provider,
    make_template,
    make_tenant,
    published,
)

pytestmark = [pytest.mark.django_db, pytest.mark.both_stacks]
URL = "/api/messages/"
Queries = Callable[[int], AbstractContextManager[Any]]


@pytest.fixture
def tenant() -> Tenant:
    return make_tenant()


@pytest.fixture
def api(tenant: Tenant) -> Api:
    return make_api(tenant)


def ids(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.content
    return [row["id"] for row in json_of(answer)["results"]]


# --- filters ---------------------------------------------------------------------------------------------------------


def test_messages_are_filtered_by_what_one_asks_for(api: Api, tenant: Tenant) -> None:
    template, provider, batch = make_template(tenant, name="code"), make_provider(tenant), make_batch(tenant, sent=1)
    yesterday = timezone.now() - timedelta(days=1)
    Message.objects.update(recipient="+447911123456")
    rows = {
        "failed": make_message(tenant, status=Status.FAILED, error_code="timeout"),
        "email": make_message(tenant, channel="email", reference="order-1", priority=10),
        "templated": make_message(tenant, template_version=published(template), body="", priority=0),
        "carried": make_message(tenant, status=Status.SENT, provider=provider, is_sandbox=True),
        "old": make_message(tenant, at=yesterday),
        "batch": batch.messages.get(),
    }

    def found(**query: Any) -> set[str]:
        names = {str(row.pk): name for name, row in rows.items()}
        return {names[i] for i in ids(api.get(URL, **query))}

    assert found() == set(rows)
    assert found(status="failed") == {"failed"}
    assert found(status=["failed", "sent"]) == {"failed", "carried", "batch"}
    assert found(channel="email") == {"email"}
    assert found(reference="order-1") == {"email"}
    assert found(priority="10") == {"email"}
    assert found(priority="0") == {"templated"}
    assert found(template="code") == {"templated"}
    assert found(provider=str(provider.pk)) == {"carried"}
    assert found(batch=str(batch.pk)) == {"batch"}
    assert found(recipient="+447911123456") == {"batch"}
    assert found(error_code="timeout") == {"failed"}
    assert found(is_sandbox="true") == {"carried"}
    assert found(created_after=(timezone.now() - timedelta(hours=1)).isoformat()) == set(rows) - {"old"}
    assert found(created_before=(timezone.now() - timedelta(hours=1)).isoformat()) == {"old"}
    assert found(status="failed", channel="email") == set()
    assert found(created_after="2999-12-29T23:59:59Z") == set()
    assert found(created_after="1970-01-02T00:00:00Z") == set(rows)
    assert found(created_before="1970-01-02T00:00:00Z") == set()


def test_a_message_is_found_by_its_id_and_by_its_trace_id_in_its_own_tenant_only(api: Api, tenant: Tenant) -> None:
    message, foreign = make_message(tenant), make_message(make_tenant("Other"))
    make_message(tenant)
    for name in ("id", "trace_id"):
        for written in (str(message.pk), message.pk.hex):
            assert ids(api.get(URL, **{name: written})) == [str(message.pk)]
        assert ids(api.get(URL, **{name: foreign.pk.hex})) == []


def test_no_filter_finds_anything_of_another_tenant(api: Api, tenant: Tenant) -> None:
    other = make_tenant("Other")
    template, provider, batch = make_template(other, name="code"), make_provider(other), make_batch(other)
    foreign = make_message(
        other,
        status=Status.FAILED,
        recipient="+447911123456",
        reference="order-1",
        error_code="timeout",
        template_version=published(template),
        body="",
        provider=provider,
        batch=batch,
    )
    make_message(tenant)
    queries: list[dict[str, Any]] = [
        {"id": str(foreign.pk)},
        {"trace_id": foreign.pk.hex},
        {"template": "code"},
        {"error_code": "timeout"},
        {"status": "failed"},
        {"batch": str(batch.pk)},
        {"provider": str(provider.pk)},
        {"reference": "order-1"},
        {"recipient": "+447911123456"},
    ]
    for query in queries:
        assert ids(api.get(URL, **query)) == [], query
        assert ids(make_api(other).get(URL, **query)) == [str(foreign.pk)], query


@pytest.mark.parametrize(
    "name",
    [
        "templates",
        "error",
        "ids",
        "traceid",
        "trace",
        "state",
        "batch_id",
        "tenant",
        "ref",
        "recipients",
        "created",
        "since",
        "createdafter",
    ],
)
def test_a_misspelt_filter_is_refused_and_the_right_ones_are_named(name: str, api: Api) -> None:
    answer = api.get(URL, **{name: "x"})
    assert answer.status_code == 422
    (error,) = json_of(answer)["errors"]
    assert (error["field"], error["code"]) == (name, "unknown")
    for known in (
        "template",
        "error_code",
        "id",
        "trace_id",
        "status",
        "batch",
        "reference",
        "recipient",
        "created_after",
        "created_before",
    ):
        assert known in error["message"]


def test_batches_are_found_by_the_time_at_which_they_were_accepted(api: Api, tenant: Tenant) -> None:
    long_ago = timezone.now() - timedelta(days=3)
    old = Batch.objects.create(id=first_id_at(long_ago), tenant=tenant, channel="sms", created_at=long_ago)
    new = make_batch(tenant)
    yesterday = (timezone.now() - timedelta(days=1)).isoformat()
    assert ids(api.get("/api/batches/", created_after=yesterday)) == [str(new.pk)]
    assert ids(api.get("/api/batches/", created_before=yesterday)) == [str(old.pk)]
    assert api.get("/api/batches/", created_before="yesterday").status_code == 422


@pytest.mark.parametrize(
    "query",
    [
        {"id": "not-an-id"},
        {"trace_id": "4bf92f"},
        {"status": "lost"},
        {"channel": "pigeon"},
        {"batch": "not-an-id"},
        {"provider": "5"},
        {"priority": "high"},
        {"priority": "NaN"},
        {"priority": "1e400"},
        {"created_after": "yesterday"},
        {"created_before": "2030-99-01T00:00:00Z"},
        {"reference": "a\0b"},
        {"recipient": "a\0b"},
        {"priority": "5.5"},
        {"recipent": "+447911123456"},
        {"status": ""},
        {"reference": ""},
        {"limit": "0"},
        {"limit": "201"},
        {"limit": "-1"},
        {"limit": "ten"},
        {"limit": ""},
        {"limit": "1.5"},
        {"limit": "²"},
        {"limit": "1" * 5000},
        {"cursor": "nonsense"},
        {"cursor": "bm9uc2Vuc2U"},
        {"cursor": "eA"},
        {"cursor": "\udcff".encode("utf-8", "surrogateescape").decode("latin-1")},
        {"cursor": "n" * 3000},
    ],
    ids=lambda query: repr(query)[:50],
)
def test_a_wrong_filter_limit_or_cursor_is_named(query: dict[str, str], api: Api) -> None:
    answer = api.get(URL, **query)
    assert (answer.status_code, answer["Content-Type"]) == (422, "application/problem+json")
    assert [error["field"] for error in json_of(answer)["errors"]] == list(query)


@pytest.mark.parametrize("query", [{"priority": "99999999999999999999"}, {"priority": "-1"}])
def test_a_filter_that_no_row_can_fit_finds_nothing_or_everything_but_never_breaks(query: dict[str, str], api: Api) -> None:
    assert api.get(URL, **query).status_code == 200


@pytest.mark.parametrize("value", ["banana", "yes", "no", "on", "2", "", " ", "null", "truefalse"])
@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/api/messages/", "is_sandbox"),
        ("/api/templates/", "is_archived"),
        ("/api/providers/", "is_enabled"),
        ("/api/config/items/", "in_force"),
    ],
)
def test_a_filter_for_yes_or_no_takes_nothing_else(path: str, name: str, value: str, api: Api) -> None:
    answer = api.get(path, **{name: value})
    assert (answer.status_code, [error["field"] for error in json_of(answer)["errors"]]) == (422, [name])
    assert {api.get(path, **{name: good}).status_code for good in ("true", "1", "false", "0", "True")} == {200}


@pytest.mark.parametrize("path", ["/api/keys/", "/api/templates/", "/api/audit/", "/api/batches/", "/api/providers/"])
@pytest.mark.parametrize("cursor", ["nonsense", "bjk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5", "bi0x"])
def test_no_list_breaks_on_a_strange_cursor(path: str, cursor: str, api: Api) -> None:
    assert api.get(path, cursor=cursor).status_code in (200, 422)


# --- pages -----------------------------------------------------------------------------------------------------------


def walk(
    api: Api, path: str, *, limit: int, between: Callable[[], Any] | None = None, key: str = "id", **query: Any
) -> tuple[list[list[Any]], list[str]]:
    """Return the pages from first to last, and the cursors that lead back from each but the first."""
    pages: list[list[Any]] = []
    back: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        answer = json_of(api.get(path, limit=limit, **cursor, **query))
        pages.append([row[key] for row in answer["results"]])
        if len(pages) > 1:
            back.append(answer["previous"])
        if answer["next"] is None:
            return pages, back
        cursor = {"cursor": answer["next"]}
        if between:
            between()


@pytest.mark.parametrize("number", [0, 1, 4, 5, 6, 10, 11])
def test_pages_visit_each_row_once_newest_first(number: int, api: Api, tenant: Tenant) -> None:
    rows = [str(make_message(tenant).pk) for _ in range(number)]
    pages, _back = walk(api, URL, limit=5)
    assert [row for page in pages for row in page] == rows[::-1]
    assert all(len(page) == 5 for page in pages[:-1])
    assert number == 0 or pages[-1], "no empty page at the end"


def test_pages_visit_each_row_once_while_new_ones_arrive(api: Api, tenant: Tenant) -> None:
    rows = [str(make_message(tenant).pk) for _ in range(23)]
    pages, _back = walk(api, URL, limit=5, between=lambda: [make_message(tenant) for _ in range(3)])
    assert [row for page in pages for row in page] == rows[::-1]


def test_the_way_back_shows_the_same_pages_and_then_what_has_come_meanwhile(api: Api, tenant: Tenant) -> None:
    rows = [str(make_message(tenant).pk) for _ in range(12)][::-1]
    pages, back = walk(api, URL, limit=5)
    assert pages == [rows[:5], rows[5:10], rows[10:]]
    second = json_of(api.get(URL, limit=5, cursor=back[-1]))
    assert [row["id"] for row in second["results"]] == pages[1]
    first = json_of(api.get(URL, limit=5, cursor=second["previous"]))
    assert [row["id"] for row in first["results"]] == pages[0]
    assert json_of(api.get(URL, limit=5, cursor=first["next"]))["results"][0]["id"] == pages[1][0]
    new = str(make_message(tenant).pk)
    start = json_of(api.get(URL, limit=5, cursor=json_of(api.get(URL, limit=5, cursor=back[0]))["next"]))
    assert [row["id"] for row in start["results"]] == pages[1]
    newest = json_of(api.get(URL, limit=5))["results"][0]["id"]
    assert newest == new


def test_the_first_page_has_no_previous_and_the_last_no_next(api: Api, tenant: Tenant) -> None:
    [make_message(tenant) for _ in range(3)]
    only = json_of(api.get(URL, limit=5))
    assert (only["previous"], only["next"]) == (None, None)
    exact = json_of(api.get(URL, limit=3))
    assert (exact["previous"], exact["next"]) == (None, None)


def test_filters_hold_across_pages(api: Api, tenant: Tenant) -> None:
    wanted = [str(make_message(tenant, status=Status.FAILED).pk) for _ in range(7) if make_message(tenant)]
    pages, _back = walk(api, URL, limit=3, status="failed")
    assert [row for page in pages for row in page] == wanted[::-1]


def test_fifty_rows_come_unless_another_number_is_asked_for(api: Api, tenant: Tenant) -> None:
    [make_message(tenant) for _ in range(51)]
    assert len(ids(api.get(URL))) == 50
    assert len(ids(api.get(URL, limit=200))) == 51


@pytest.mark.parametrize("path", ["/api/keys/", "/api/audit/", "/api/templates/", "/api/providers/", "/api/batches/"])
def test_every_list_has_pages_that_visit_each_row_once(path: str, api: Api, tenant: Tenant) -> None:
    for n in range(7):
        make_key(tenant)
        make_template(tenant)
        make_provider(tenant)
        make_batch(tenant)
        audit.record(by=actor("user:x"), action="test", target=n, tenant_id=tenant.pk)
    key = "name" if path == "/api/templates/" else "id"
    pages, _back = walk(api, path, limit=3, key=key)
    seen = [row for page in pages for row in page]
    everything = [row[key] for row in json_of(api.get(path, limit=200))["results"]]
    assert seen == everything
    assert len(set(seen)) == len(seen) >= 7


# --- what is shown ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channel", RECIPIENTS)
def test_recipients_are_masked_in_the_list_and_whole_in_the_detail(channel: str, api: Api, tenant: Tenant) -> None:
    message = make_message(tenant, channel=channel)
    listed = api.get(URL).content.decode()
    assert message.recipient not in listed
    assert json_of(api.get(f"{URL}{message.pk}/"))["recipient"] == message.recipient


def test_the_list_shows_neither_text_nor_variables(api: Api, tenant: Tenant) -> None:
    make_message(tenant, body="Your code is 9876", subject="Hidden", variables={"code": "9876"}, metadata={"customer": "Ada"})
    listed = api.get(URL).content.decode()
    assert not any(word in listed for word in ("9876", "Hidden", "Ada"))


def test_a_message_shows_everything_that_an_integrator_asks_for(api: Api, tenant: Tenant) -> None:
    template, provider = make_template(tenant, name="code"), make_provider(tenant, name="Gateway")
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    message = make_message(
        tenant, status=Status.SENT, template_version=published(template), body="", variables={"code": "1"}, provider=provider,
        provider_message_id="theirs", reference="order-1", metadata={"a": 1}, at=at, segments=1, sent_at=at + timedelta(seconds=1),
    )  # fmt: skip
    shown = json_of(api.get(f"{URL}{message.pk}/"))
    expected = {
        "id": str(message.pk), "trace_id": message.pk.hex, "status": "sent", "channel": "sms", "priority": 5, "template": "code",
        "template_version": 1, "provider": "Gateway", "provider_message_id": "theirs", "reference": "order-1", "metadata": {"a": 1},
        "variables": {"code": "1"}, "segments": 1, "attempts": 1, "batch_id": None, "is_sandbox": False, "error_code": "",
        "latency_ms": 100,
        "created_at": "2026-01-02T03:04:05Z", "sent_at": "2026-01-02T03:04:06Z", "expires_at": None,
    }  # fmt: skip
    assert {name: shown[name] for name in expected} == expected


@pytest.mark.parametrize("form", ["{}", "{}/", "{}/trace", "{}/trace/"])
def test_a_detail_answers_with_and_without_its_slash(form: str, api: Api, tenant: Tenant) -> None:
    assert api.get(URL + form.format(make_message(tenant).pk)).status_code == 200


@pytest.mark.parametrize("identifier", ["0", "nonsense", "0192f0c1a2b37c4d8e9f00112233445", "0192f0c1-a2b3-7c4d-8e9f-001122334455"])
def test_what_is_no_id_of_a_message_is_not_found(identifier: str, api: Api) -> None:
    answer = api.get(f"{URL}{identifier}/")
    assert (answer.status_code, answer["Content-Type"]) == (404, "application/problem+json")


# --- queries ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/api/messages/", "/api/batches/", "/api/templates/", "/api/providers/", "/api/keys/", "/api/audit/"])
def test_a_list_costs_the_same_number_of_queries_however_many_rows_it_shows(path: str, api: Api, tenant: Tenant) -> None:
    def add(number: int) -> None:
        for _ in range(number):
            template, provider = make_template(tenant), make_provider(tenant)
            make_message(tenant, template_version=published(template), provider=provider, batch=make_batch(tenant, sent=1, pending=1))
            make_key(tenant)
            audit.record(by=actor("user:x"), action="test", tenant_id=tenant.pk)

    def queries() -> int:
        api.get(path)  # the key is now remembered, for some seconds
        with CaptureQueriesContext(connection) as captured:
            ids_or_names = json_of(api.get(path, limit=200))["results"]
            assert ids_or_names
        return len(captured)

    add(2)
    few = queries()
    add(10)
    assert queries() == few <= 4


def test_a_detail_costs_one_query(api: Api, tenant: Tenant, django_assert_num_queries: Queries) -> None:
    template, provider = make_template(tenant), make_provider(tenant)
    message = make_message(tenant, template_version=published(template), provider=provider)
    api.get(f"{URL}{message.pk}/")
    with django_assert_num_queries(1):
        api.get(f"{URL}{message.pk}/")
