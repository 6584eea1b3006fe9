"""A refusal is answered where it is found: alike at every entrance, in the caller's language, after one look at the call."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import orjson
import pytest
from django.db import OperationalError
from django.utils import timezone

from accounts.services.api_keys import recognise, revoke_api_key
from messaging.api import single
from messaging.configuration.flow import FlowRule, Origin, Resource, SystemProtection, flow_rules
from messaging.intake import bodies
from messaging.models import Message
from messaging.queueing.admission import admission_control
from messaging.scopes import READ, SEND
from posthaste.lib import outage
from posthaste.lib.flow import system
from tests import crowds
from tests.builders import RECIPIENTS, TESTER, Api, close_committer, make_key, make_template, make_tenant
from tests.messaging.api.entrances import Answer, Loop, through_wsgi

pytestmark = pytest.mark.django_db(transaction=True)
SINGLE, BATCH = "/api/messages/", "/api/messages/batch"
SMS = {"channel": "sms", "recipient": RECIPIENTS["sms"], "body": "Your parcel is here."}
ROWS = {"channel": "sms", "body": "Sale!", "recipients": [{"recipient": RECIPIENTS["sms"]}]}
UNKNOWN_KEY = "ph_live_AAAAAAAA_" + "x" * 43
COUNTED = re.compile(r"(?<=[;=])t=\d+")
LANGUAGES = {
    "none": ({}, "en"),
    "english": ({"accept_language": "en-GB,en;q=0.9"}, "en"),
    "chinese": ({"accept_language": "zh-hans"}, "zh-hans"),
    "by weight": ({"accept_language": "xx, zh-CN;q=0.8, en;q=0.2"}, "zh-hans"),
    "unknown": ({"accept_language": "xx-YY"}, "en"),
    "cookie": ({"accept_language": "en", "cookie": "a=1; django_language=zh-hans; b=2"}, "zh-hans"),
}


@dataclass(frozen=True)
class Case:
    """A request that is refused, what it is told, and in what circumstances."""

    status: int
    code: str
    body: Any = field(default_factory=lambda: dict(SMS))
    path: str = SINGLE
    key: str = "good"
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    while_: Callable[[pytest.MonkeyPatch], AbstractContextManager[Any]] = lambda _patch: nullcontext()
    before: dict[str, Any] | None = None  # a body that is handed over first


def limited(**fields: Any) -> Callable[[pytest.MonkeyPatch], AbstractContextManager[Any]]:
    rule = FlowRule(**{"name": "accept", "resource": Resource.ACCEPT, "origin": Origin.TENANT, **fields})
    return lambda _patch: flow_rules.set(rules=[rule])


def overloaded(patch: pytest.MonkeyPatch) -> AbstractContextManager[Any]:
    patch.setattr(system.LoadMonitor, "load_per_core", lambda _self: 1_000.0)
    return flow_rules.set(system=SystemProtection(is_enabled=True, load_per_core=1.0))


def failing(name: str, error: Exception) -> Callable[[pytest.MonkeyPatch], AbstractContextManager[Any]]:
    def prepare(patch: pytest.MonkeyPatch) -> AbstractContextManager[Any]:
        def fail(*_args: Any, **_kwargs: Any) -> None:
            raise error

        patch.setattr(bodies, name, fail)
        return nullcontext()

    return prepare


def full(patch: pytest.MonkeyPatch) -> AbstractContextManager[Any]:
    patch.setattr(admission_control, "is_full", lambda: True)
    return nullcontext()


CASES = {
    "no key": Case(401, "unauthenticated", key=""),
    "no key of ours": Case(401, "unauthenticated", key="nonsense"),
    "unknown key": Case(401, "unauthenticated", key=UNKNOWN_KEY),
    "revoked key": Case(401, "unauthenticated", key="revoked"),
    "expired key": Case(401, "unauthenticated", key="expired"),
    "from another network": Case(403, "forbidden", key="elsewhere"),
    "scope missing": Case(403, "forbidden", key="reader"),
    "wrong content type": Case(415, "unsupported_type", content_type="text/plain"),
    "no content type": Case(415, "unsupported_type", content_type=""),
    "bad JSON": Case(400, "malformed", b'{"channel": "sms",}'),
    "no JSON at all": Case(400, "malformed", b" "),
    "not UTF-8": Case(400, "malformed", b'{"channel": "\xff"}'),
    "NUL": Case(400, "malformed", b'{"body": "\\u0000"}'),
    "no object": Case(422, "validation", []),
    "unknown field": Case(422, "validation", SMS | {"to": "me"}),
    "missing fields": Case(422, "validation", {}),
    "many wrong fields": Case(422, "validation", SMS | {"priority": 99, "recipient": 5, "send_at": "tomorrow"}),
    "meaningless fields": Case(422, "validation", SMS | {"recipient": "x", "subject": "a\nb", "expires_at": "2001-01-01T00:00:00Z"}),
    "unknown channel": Case(422, "validation", SMS | {"channel": "pigeon"}),
    "unknown template": Case(422, "validation", {"channel": "sms", "recipient": RECIPIENTS["sms"], "template": "no-such"}),
    "missing variable": Case(422, "validation", {"channel": "sms", "recipient": RECIPIENTS["sms"], "template": "code"}),
    "too far ahead": Case(422, "validation", SMS | {"send_at": "9998-01-01T00:00:00Z"}),
    "large metadata": Case(422, "validation", SMS | {"metadata": {"a": "x" * 20_000}}),
    "bad idempotency key": Case(422, "validation", headers={"idempotency_key": "with blank"}),
    "idempotency key of another request": Case(
        409, "idempotency_key_reused", SMS | {"body": "other"}, headers={"idempotency_key": "once"}, before=SMS
    ),
    "too large": Case(413, "too_large", b'{"body": "' + b"x" * (20 << 20) + b'"}'),
    "limit reached": Case(429, "too_many_requests", while_=limited(in_window=1), before=SMS),
    "limit of the rate": Case(429, "too_many_requests", while_=limited(per_second=0.001), before=SMS),
    "limit with a queue": Case(429, "too_many_requests", while_=limited(per_second=0.01, behaviour="queue", max_wait_ms=1), before=SMS),
    "backlog full": Case(429, "too_many_requests", while_=full),
    "overloaded": Case(429, "too_many_requests", while_=overloaded),
    "database lost": Case(503, "unavailable", while_=failing("read_message", OperationalError("gone"))),
    "fault of ours": Case(500, "internal", while_=failing("read_message", RuntimeError("password=s3cr3t"))),
    "batch: no key": Case(401, "unauthenticated", ROWS, BATCH, key=""),
    "batch: wrong content type": Case(415, "unsupported_type", ROWS, BATCH, content_type="text/plain"),
    "batch: bad JSON": Case(400, "malformed", b"{", BATCH),
    "batch: unknown field": Case(422, "validation", ROWS | {"to": "me"}, BATCH),
    "batch: bad row": Case(422, "validation", ROWS | {"recipients": [{"recipient": "x"}, {"recipient": RECIPIENTS["sms"]}]}, BATCH),
    "batch: too large": Case(413, "too_large", b'{"body": "' + b"x" * (20 << 20) + b'"}', BATCH),
    "batch: never let in": Case(
        429, "too_many_requests", ROWS | {"recipients": [{"recipient": RECIPIENTS["sms"]}] * 3}, BATCH, while_=limited(in_window=2)
    ),
    "batch: idempotency key of another request": Case(
        409, "idempotency_key_reused", ROWS | {"body": "x"}, BATCH, headers={"idempotency_key": "once"}, before=ROWS
    ),
    "batch: fault of ours": Case(500, "internal", ROWS, BATCH, while_=failing("read_batch", RuntimeError("password=s3cr3t"))),
}


@pytest.fixture
def keys() -> Iterator[dict[str, str]]:
    tenant = make_tenant()
    make_template(tenant, name="code")
    revoked, clear = make_key(tenant, SEND)
    revoke_api_key(key=revoked, now=timezone.now(), by=TESTER)
    expired, late = make_key(tenant, SEND)
    type(expired).objects.filter(pk=expired.pk).update(expires_at=timezone.now() - timedelta(days=1))
    yield {
        "good": make_key(tenant, SEND)[1],
        "revoked": clear,
        "expired": late,
        "elsewhere": make_key(tenant, SEND, ip_ranges=["203.0.113.0/24"])[1],
        "reader": make_key(tenant, READ)[1],
    }
    close_committer()


@pytest.fixture
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.close()


def through_django(path: str, body: Any, *, content_type: str, **headers: str) -> Answer:
    """Call Django with all of its middleware."""
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = Api().post(path, raw, content_type=content_type, headers=named)
    return Answer(answer.status_code, {name.lower(): value for name, value in answer.items()}, orjson.loads(answer.content))


def headers_of(case: Case, keys: dict[str, str], language: dict[str, str]) -> dict[str, str]:
    key = keys.get(case.key, case.key)
    return {**case.headers, **language, **({"authorization": f"Bearer {key}"} if key else {})}


def comparable(answer: Answer) -> tuple[int, dict[str, str], Any]:
    """Leave out what the web server adds, and the seconds that pass between two calls."""
    headers = {name: COUNTED.sub("t=", value) for name, value in answer.headers.items() if name != "content-length"}
    if "retry-after" in headers:
        headers["retry-after"] = "some seconds"
    return answer.status, headers, answer.body


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", CASES)
def test_a_refusal_is_the_same_at_every_entrance(
    name: str, language: str, keys: dict[str, str], loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = CASES[name]
    said, expected = LANGUAGES[language]
    headers = headers_of(case, keys, said)
    with ExitStack() as stack:
        stack.enter_context(case.while_(monkeypatch))
        if case.before is not None:
            assert through_wsgi(case.path, case.before, **headers).status == 202
        ways = [
            comparable(way(case.path, case.body, content_type=case.content_type, **headers)) for way in (loop, through_wsgi, through_django)
        ]
    assert ways[0] == ways[1] == ways[2]
    status, sent, body = ways[0]
    assert (status, body["code"], body["status"]) == (case.status, case.code, case.status)
    assert sent["content-type"] == "application/problem+json"
    assert (sent["content-language"], sent["vary"]) == (expected, "Accept-Language")
    assert ("www-authenticate" in sent) == (status == 401)
    assert ("retry-after" in sent) == (status in (429, 503) and name != "batch: never let in")
    assert "s3cr3t" not in str(body)
    assert Message.objects.count() == (case.before is not None), "only what was handed over before"


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.path == SINGLE and case.before is None])
def test_a_refused_message_is_authenticated_and_decoded_at_most_once(
    name: str, keys: dict[str, str], loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = CASES[name]
    with ExitStack() as stack:
        stack.enter_context(case.while_(monkeypatch))
        for way in (loop, through_wsgi):
            calls: Counter[str] = Counter()
            outage.database.mark_up()  # the entrance before may have found the database away

            def counted(name: str, function: Callable[..., Any], calls: "Counter[str]" = calls) -> Callable[..., Any]:
                def call(*args: Any, **options: Any) -> Any:
                    calls[name] += 1
                    return function(*args, **options)

                return call

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(single, "recognise", counted("authenticated", recognise))
                patch.setattr(bodies, "read_message", counted("decoded", bodies.read_message))
                answer = way(case.path, case.body, content_type=case.content_type, **headers_of(case, keys, {}))
            assert answer.status == case.status
            assert calls["authenticated"] == 1
            assert calls["decoded"] == (case.status not in (401, 403, 413, 415))


def test_a_refusal_is_never_in_the_language_of_the_request_before(loop: Loop, keys: dict[str, str]) -> None:
    headers = {"authorization": f"Bearer {keys['good']}"}
    for way in (loop, through_wsgi):
        english = way(SINGLE, b"{", **headers)
        chinese = way(SINGLE, b"{", accept_language="zh-hans", **headers)
        assert english.body["detail"] != chinese.body["detail"]
        assert way(SINGLE, b"{", **headers).body == english.body


def test_callers_of_one_group_are_each_answered_in_their_own_language(loop: Loop, keys: dict[str, str]) -> None:
    headers = {"authorization": f"Bearer {keys['good']}", "idempotency_key": "once"}
    assert loop(SINGLE, SMS, **headers).status == 202
    with crowds.pool(8) as pool:
        said = [pool.submit(loop, SINGLE, SMS | {"body": "x"}, accept_language=language, **headers) for language in ["en", "zh-hans"] * 4]
    answers = [one.result() for one in said]
    assert {answer.status for answer in answers} == {409}
    assert len({answer.body["detail"] for answer in answers[::2]} | {answer.body["detail"] for answer in answers[1::2]}) == 2
    assert len({answer.body["detail"] for answer in answers[1::2]}) == 1


def test_a_message_that_a_rule_queues_is_checked_once_and_waits_for_its_turn(
    loop: Loop, keys: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[bytes] = []
    read = bodies.read_message

    def counted(body: bytes) -> bodies.MessageIn:
        decoded.append(body)
        return read(body)

    monkeypatch.setattr(bodies, "read_message", counted)
    with limited(per_second=20, behaviour="queue", max_wait_ms=5_000)(monkeypatch):
        answers = [loop(SINGLE, SMS, authorization=f"Bearer {keys['good']}") for _ in range(3)]
    assert [answer.status for answer in answers] == [202] * 3
    assert len(decoded) == 3
    assert Message.objects.count() == 3
