"""The ways in without Django's middleware, one with a thread for each request and one without, answer exactly as the long way does."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import orjson
import pytest
from django.db import connection, connections
from django.utils import timezone

from accounts.models import KeyKind, Tenant
from messaging.configuration.flow import FlowRule, Origin, Resource, flow_rules
from messaging.content.templates import template_cache
from messaging.models import Batch, Message
from messaging.queueing.admission import admission_control
from messaging.scopes import READ, SEND
from tests import crowds
from tests.builders import RECIPIENTS, Api, close_committer, make_key, make_template, make_tenant
from tests.messaging.api.entrances import Answer, Call, Loop, through_wsgi

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_stacks]
SMS = {"channel": "sms", "recipient": RECIPIENTS["sms"], "body": "Your parcel is here."}
NO_DUPLICATES = {"dropped": 0, "rows": []}
BATCH = {"channel": "sms", "body": "Sale!", "recipients": [{"recipient": RECIPIENTS["sms"]}]}


@pytest.fixture(params=["wsgi", "rsgi"])
def call(request: pytest.FixtureRequest) -> Iterator[Call]:
    """Return a function that calls the product as its web server does: through RSGI, or as a plain WSGI application."""
    if request.param == "wsgi":
        yield through_wsgi
        return
    loop = Loop()
    yield loop
    loop.close()


@pytest.fixture(autouse=True)
def _committer_lets_go() -> Iterator[None]:
    yield
    close_committer()


@pytest.fixture
def tenant() -> Tenant:
    return make_tenant()


@pytest.fixture
def bearer(tenant: Tenant) -> str:
    return f"Bearer {make_key(tenant, SEND)[1]}"


@pytest.mark.parametrize("path", ["/api/messages", "/api/messages/"])
def test_a_message_is_accepted(call: Call, path: str, bearer: str) -> None:
    answer = call(path, SMS, authorization=bearer)
    assert (answer.status, answer.headers["content-type"]) == (202, "application/json")
    message = Message.objects.get()
    assert answer.body == {"id": str(message.pk), "trace_id": message.pk.hex, "status": "pending", "segments": 1}


@pytest.mark.parametrize("path", ["/api/messages/batch", "/api/messages/batch/"])
def test_a_batch_is_accepted(call: Call, path: str, bearer: str) -> None:
    answer = call(path, BATCH, authorization=bearer)
    assert (answer.status, answer.body) == (
        202,
        {"batch_id": str(Batch.objects.get().pk), "accepted": 1, "rejected": [], "duplicates": NO_DUPLICATES},
    )


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (SMS | {"priority": 99, "nonsense": 1, "recipient": "x"}, "application/json", 422),
        ({}, "application/json", 422),
        ([], "application/json", 422),
        (b"{", "application/json", 400),
        (b"\xff", "application/json", 400),
        (b'{"body": "\\u0000"}', "application/json", 400),
        (SMS, "text/plain", 415),
        (b'{"body": "' + b"x" * (20 << 20) + b'"}', "application/json", 413),
    ],
    ids=lambda value: repr(value)[:40],
)
@pytest.mark.parametrize("path", ["/api/messages/", "/api/messages/batch"])
def test_a_refusal_is_the_same_as_on_the_long_way(call: Call, path: str, body: Any, content_type: str, status: int, bearer: str) -> None:
    answer = call(path, body, content_type=content_type, authorization=bearer)
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    long_way = Api(bearer.removeprefix("Bearer ")).post(path, raw, content_type=content_type)
    assert (answer.status, answer.body) == (long_way.status_code, orjson.loads(long_way.content))
    assert answer.status == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert {name.lower() for name in long_way.headers} <= answer.headers.keys()
    assert Message.objects.count() == 0


@pytest.mark.parametrize("path", ["/api/messages/", "/api/messages/batch"])
def test_who_may_not_is_refused(call: Call, path: str, tenant: Tenant) -> None:
    assert call(path, SMS).status == 401
    assert call(path, SMS, authorization="Bearer nonsense").headers["www-authenticate"].startswith("Bearer")
    answer = call(path, SMS, authorization=f"Bearer {make_key(tenant, READ)[1]}")
    assert answer.status == 403
    assert SEND in answer.body["detail"]


def test_a_repeated_request_is_answered_alike_and_another_body_is_a_conflict(call: Call, bearer: str) -> None:
    first, second = (call("/api/messages", SMS, authorization=bearer, idempotency_key="once") for _ in range(2))
    assert (first.status, second.status) == (202, 202)
    assert first.body == second.body
    assert second.headers["idempotent-replayed"] == "true"
    third = call("/api/messages", SMS | {"body": "x"}, authorization=bearer, idempotency_key="once")
    assert (third.status, third.body["code"]) == (409, "idempotency_key_reused")
    assert Message.objects.count() == 1


@pytest.mark.parametrize(("path", "body"), [("/api/messages", SMS), ("/api/messages/batch", BATCH)], ids=["single", "batch"])
class TestARepeatedRequest:
    """It gets the first answer, whatever has become of what it names."""

    def repeated(self, call: Call, path: str, body: Any, bearer: str, later: Callable[[], Any]) -> None:
        first = call(path, body, authorization=bearer, idempotency_key="once")
        assert first.status == 202, first.body
        later()
        second = call(path, body, authorization=bearer, idempotency_key="once")
        assert (second.status, second.body, second.headers.get("idempotent-replayed")) == (202, first.body, "true")
        other = call(path, body | {"priority": 4}, authorization=bearer, idempotency_key="once")
        assert (other.status, other.body["code"]) == (409, "idempotency_key_reused")
        fresh = call(path, body, authorization=bearer, idempotency_key="another")
        assert (fresh.status, fresh.body["code"]) in ((422, "validation"), (429, "too_many_requests"))
        assert Message.objects.count() == 1

    def test_after_its_time_has_run_out(self, call: Call, path: str, body: Any, bearer: str, monkeypatch: pytest.MonkeyPatch) -> None:
        now = timezone.now()
        limited = body | {"expires_at": (now + timedelta(minutes=30)).isoformat()}
        self.repeated(call, path, limited, bearer, lambda: monkeypatch.setattr(timezone, "now", lambda: now + timedelta(hours=1)))

    @pytest.mark.parametrize("change", ["archived", "another_channel"])
    def test_after_its_template_has_changed(self, change: str, call: Call, path: str, body: Any, bearer: str, tenant: Tenant) -> None:
        template = make_template(tenant, body="Hello", variables=[])
        named = {name: value for name, value in body.items() if name != "body"} | {"template": template.name}

        def later() -> None:
            changed = {"is_archived": True} if change == "archived" else {"channel": "push"}
            type(template).objects.filter(pk=template.pk).update(**changed)
            template_cache.forget()

        self.repeated(call, path, named, bearer, later)

    def test_after_a_limit_was_reached(self, call: Call, path: str, body: Any, bearer: str) -> None:
        rule = FlowRule(name="accept", resource=Resource.ACCEPT, origin=Origin.TENANT, in_window=1)
        with flow_rules.set(rules=[rule]):
            self.repeated(call, path, body, bearer, lambda: None)

    def test_while_the_backlog_is_full(self, call: Call, path: str, body: Any, bearer: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.repeated(call, path, body, bearer, lambda: monkeypatch.setattr(admission_control, "is_full", lambda: True))

    def test_of_the_other_kind_of_key_is_another_request(self, call: Call, path: str, body: Any, bearer: str, tenant: Tenant) -> None:
        sandbox = f"Bearer {make_key(tenant, SEND, kind=KeyKind.SANDBOX)[1]}"
        answers = [call(path, body, authorization=key, idempotency_key="once") for key in (sandbox, bearer, sandbox, bearer)]
        assert [answer.status for answer in answers] == [202] * 4
        assert ["idempotent-replayed" in answer.headers for answer in answers] == [False, False, True, True]
        assert (answers[0].body, answers[1].body) == (answers[2].body, answers[3].body)
        assert sorted(Message.objects.values_list("is_sandbox", flat=True)) == [False, True]
        changed = call(path, body | {"priority": 4}, authorization=bearer, idempotency_key="once")
        assert (changed.status, changed.body["code"]) == (409, "idempotency_key_reused")


def test_the_short_and_the_long_way_share_idempotency_keys(call: Call, bearer: str) -> None:
    short = call("/api/messages", SMS, authorization=bearer, idempotency_key="once")
    long_way = Api(bearer.removeprefix("Bearer ")).post("/api/messages/", SMS, headers={"Idempotency-Key": "once"})
    assert orjson.loads(long_way.content) == short.body


@pytest.mark.parametrize(
    ("method", "path", "status"), [("PUT", "/api/messages/", 405), ("POST", "/api/nothing", 404), ("POST", "/api/me", 405)]
)
def test_everything_else_goes_the_long_way(call: Call, method: str, path: str, status: int, bearer: str) -> None:
    assert call(path, SMS, method=method, authorization=bearer).status == status


def test_a_list_goes_the_long_way(call: Call, tenant: Tenant) -> None:
    answer = call("/api/messages", b"", method="GET", authorization=f"Bearer {make_key(tenant, READ)[1]}")
    assert (answer.status, answer.body["results"]) == (200, [])


def test_no_connection_stays_with_a_thread_that_has_answered(bearer: str) -> None:
    through_wsgi("/api/messages", SMS, authorization=bearer)
    assert connection.connection is None


def test_a_fault_of_ours_is_a_500_without_its_details(call: Call, bearer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from messaging.intake import bodies

    def fail(_body: bytes) -> None:
        raise RuntimeError("password=1234")

    monkeypatch.setattr(bodies, "read_message", fail)
    answer = call("/api/messages", SMS, authorization=bearer)
    assert (answer.status, answer.body["code"]) == (500, "internal")
    assert "1234" not in str(answer)


def test_a_hundred_at_once_are_all_stored(call: Call, bearer: str) -> None:
    def one(n: int) -> Answer:
        try:
            return call("/api/messages", SMS | {"reference": str(n)}, authorization=bearer)
        finally:
            connections.close_all()

    with crowds.pool(32) as pool:
        answers = list(pool.map(one, range(100)))
    assert {answer.status for answer in answers} == {202}
    assert {str(pk): reference for pk, reference in Message.objects.values_list("pk", "reference")} == {
        answer.body["id"]: str(n) for n, answer in enumerate(answers)
    }


def test_behind_a_proxy_that_speaks_tls_the_quick_way_is_open_and_whoever_came_without_meets_djangos_middleware(
    call: Call, bearer: str, settings: Any
) -> None:
    settings.SECURE_SSL_REDIRECT, settings.SECURE_PROXY_SSL_HEADER = True, ("HTTP_X_FORWARDED_PROTO", "https")
    for way, is_long in (("https", False), ("http", True), ("", True)):
        answer = call("/api/messages", SMS, authorization=bearer, **({"x_forwarded_proto": way} if way else {}))
        assert (answer.status, "x-frame-options" in answer.headers) == (202, is_long)


def test_a_refusal_by_the_limits_is_answered_at_once_and_what_was_let_in_counts_once(call: Call, bearer: str) -> None:
    rule = FlowRule(name="accept", resource=Resource.ACCEPT, origin=Origin.TENANT, in_window=3)
    invalid = BATCH | {"recipients": [{"recipient": "x"}]}
    with flow_rules.set(rules=[rule]):
        assert call("/api/messages/batch", invalid, authorization=bearer).status == 422
        answers = [call("/api/messages", SMS, authorization=bearer) for _ in range(3)]
    assert [answer.status for answer in answers] == [202, 202, 429]
    assert answers[0].headers["ratelimit"].startswith('"accept-window";r=1;')
    assert (answers[2].headers["content-type"], answers[2].body["limited_by"]) == ("application/problem+json", "accept")
    assert int(answers[2].headers["retry-after"]) >= 1
