"""A refusal is answered where it is found: alike at every entrance, in the caller's language, after one look at the call."""

import gzip
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

from accounts.models import Tenant
from accounts.scopes import ADMIN
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
from tests.messaging.api.translations import mark_translations, untranslated

pytestmark = pytest.mark.django_db(transaction=True)
SINGLE, BATCH = "/api/messages/", "/api/messages/batch"
SMS = {"channel": "sms", "recipient": RECIPIENTS["sms"], "body": "Your parcel is here."}
ROWS = {"channel": "sms", "body": "Sale!", "recipients": [{"recipient": RECIPIENTS["sms"]}]}
NUL = b'{"body": "\\u0000"}'
UNKNOWN_KEY = "ph_live_AAAAAAAA_" + "x" * 43
COUNTED = re.compile(r"(?<=[;=])t=\d+")
OTHERS = ["/api/templates/", "/api/providers/", "/api/keys/"]  # addresses of DRF views that take a body
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
    sent: dict[str, str] = field(default_factory=dict)  # what the refusal must carry
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


def with_template(_patch: pytest.MonkeyPatch) -> AbstractContextManager[Any]:
    make_template(Tenant.objects.get(), name="code")
    return nullcontext()


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
    "not in UTF-8": Case(415, "unsupported_type", content_type="application/json; charset=utf-16", sent={"accept": "application/json"}),
    "in Latin 1": Case(415, "unsupported_type", content_type='application/json; Charset="ISO-8859-1"'),
    "endless content type": Case(415, "unsupported_type", content_type=f"application/json; x={'y' * 300}"),
    "compressed": Case(
        415,
        "unsupported_type",
        gzip.compress(orjson.dumps(SMS)),
        headers={"content_encoding": "gzip"},
        sent={"accept-encoding": "identity"},
    ),
    "compressed twice": Case(415, "unsupported_type", headers={"content_encoding": "identity, br"}),
    "accepts XML only": Case(406, "not_acceptable", headers={"accept": "text/xml"}),
    "accepts no JSON": Case(406, "not_acceptable", headers={"accept": "application/json;q=0, text/*"}),
    "accepts XML only and has no key": Case(406, "not_acceptable", key="", headers={"accept": "text/xml"}),
    "bad JSON": Case(400, "malformed", b'{"channel": "sms",}'),
    "no JSON at all": Case(400, "malformed", b" "),
    "not UTF-8": Case(400, "malformed", b'{"channel": "\xff"}'),
    "NUL": Case(400, "malformed", NUL),
    "no object": Case(422, "validation", []),
    "unknown field": Case(422, "validation", SMS | {"to": "me"}),
    "missing fields": Case(422, "validation", {}),
    "many wrong fields": Case(422, "validation", SMS | {"priority": 99, "recipient": 5, "send_at": "tomorrow"}),
    "meaningless fields": Case(422, "validation", SMS | {"recipient": "x", "subject": "a\nb", "expires_at": "2001-01-01T00:00:00Z"}),
    "unknown channel": Case(422, "validation", SMS | {"channel": "pigeon"}),
    "unknown template": Case(422, "validation", {"channel": "sms", "recipient": RECIPIENTS["sms"], "template": "no-such"}),
    "missing variable": Case(
        422, "validation", {"channel": "sms", "recipient": RECIPIENTS["sms"], "template": "code"}, while_=with_template
    ),
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
    "batch: not in UTF-8": Case(415, "unsupported_type", ROWS, BATCH, content_type="application/json; charset=utf-16"),
    "batch: compressed": Case(
        415, "unsupported_type", b"\x1f\x8b", BATCH, headers={"content_encoding": "gzip"}, sent={"accept-encoding": "identity"}
    ),
    "batch: accepts XML only": Case(406, "not_acceptable", ROWS, BATCH, headers={"accept": "text/xml"}),
    "batch: bad JSON": Case(400, "malformed", b"{", BATCH),
    "batch: unknown field": Case(422, "validation", ROWS | {"to": "me"}, BATCH),
    "batch: bad row": Case(422, "validation", ROWS | {"recipients": [{"recipient": "x"}, {"recipient": RECIPIENTS["sms"]}]}, BATCH),
    "batch: too large": Case(413, "too_large", b'{"body": "' + b"x" * (20 << 20) + b'"}', BATCH),
    "batch: never let in": Case(
        429,
        "too_many_requests",
        ROWS | {"recipients": [{"recipient": RECIPIENTS["sms"]}] * 3},
        BATCH,
        while_=limited(unit="messages", in_window=2),
    ),
    "batch: idempotency key of another request": Case(
        409, "idempotency_key_reused", ROWS | {"body": "x"}, BATCH, headers={"idempotency_key": "once"}, before=ROWS
    ),
    "batch: fault of ours": Case(500, "internal", ROWS, BATCH, while_=failing("read_batch", RuntimeError("password=s3cr3t"))),
}


#: What the limits had counted before it was refused.
COUNTED_CASES = {
    "idempotency key of another request",
    "limit reached",
    "limit of the rate",
    "limit with a queue",
    "batch: bad row",
    "batch: never let in",
}


def good(tenant: Tenant) -> str:
    return make_key(tenant, SEND)[1]


def revoked(tenant: Tenant) -> str:
    key, clear = make_key(tenant, SEND)
    revoke_api_key(key=key, now=timezone.now(), by=TESTER)
    return clear


def expired(tenant: Tenant) -> str:
    key, clear = make_key(tenant, SEND)
    type(key).objects.filter(pk=key.pk).update(expires_at=timezone.now() - timedelta(days=1))
    return clear


KEYS: dict[str, Callable[[Tenant], str]] = {
    "good": good,
    "revoked": revoked,
    "expired": expired,
    "elsewhere": lambda tenant: make_key(tenant, SEND, ip_ranges=["203.0.113.0/24"])[1],
    "reader": lambda tenant: make_key(tenant, READ)[1],
    "admin": lambda tenant: make_key(tenant, ADMIN)[1],
}


class Keys(dict[str, str]):
    """Keys of one tenant, each made when it is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self._tenant = make_tenant()

    def __missing__(self, kind: str) -> str:
        self[kind] = KEYS[kind](self._tenant)
        return self[kind]


@pytest.fixture
def keys() -> Iterator[Keys]:
    yield Keys()
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
    key = keys[case.key] if case.key in KEYS else case.key
    return {**case.headers, **language, **({"authorization": f"Bearer {key}"} if key else {})}


def comparable(answer: Answer) -> tuple[int, dict[str, str], Any]:
    """Leave out what the web server adds, and the seconds that pass between two calls."""
    headers = {name: COUNTED.sub("t=", value) for name, value in answer.headers.items() if name != "content-length"}
    if "retry-after" in headers:
        headers["retry-after"] = "some seconds"
    elif "ratelimit" in headers:
        headers["ratelimit"] = "what is left, which each call makes less"
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
    assert case.sent.items() <= sent.items()
    assert ("ratelimit-policy" in sent) == (name in COUNTED_CASES)
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
            assert calls["authenticated"] == (case.status != 406)
            assert calls["decoded"] == (case.status not in (401, 403, 406, 413, 415))


def test_a_refusal_is_never_in_the_language_of_the_request_before(loop: Loop, keys: dict[str, str]) -> None:
    headers = {"authorization": f"Bearer {keys['good']}"}
    for way in (loop, through_wsgi):
        english = way(SINGLE, NUL, **headers)
        chinese = way(SINGLE, NUL, accept_language="zh-hans", **headers)
        assert english.body["detail"] != chinese.body["detail"]
        assert way(SINGLE, NUL, **headers).body == english.body


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


@pytest.mark.parametrize("name", CASES)
def test_every_text_of_a_refusal_is_translated(name: str, keys: dict[str, str], loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    case = CASES[name]
    headers = headers_of(case, keys, {"accept_language": "zh-hans"})
    with ExitStack() as stack:
        stack.enter_context(case.while_(monkeypatch))
        if case.before is not None:
            assert through_wsgi(case.path, case.before, **headers).status == 202
        mark_translations(monkeypatch)
        for way in (loop, through_wsgi, through_django):
            answer = way(case.path, case.body, content_type=case.content_type, **headers)
            assert untranslated(answer.body) == []


@pytest.mark.parametrize(
    ("fields", "field", "said"),
    [
        ({"body": 5}, "body", "Must be a text."),
        ({"template": 5}, "template", "Must be a text."),
        ({"priority": "5"}, "priority", "Must be a whole number."),
        ({"priority": 1.5}, "priority", "Must be a whole number."),
        ({"priority": True}, "priority", "Must be a whole number."),
        ({"priority": -1}, "priority", "Must be at least 0."),
        ({"priority": 11}, "priority", "Must be at most 10."),
        ({"variables": []}, "variables", "Must be an object."),
        ({"metadata": None}, "metadata", "Must be an object."),
        ({"recipient": ""}, "recipient", "At least 1 characters."),
        ({"reference": "x" * 129}, "reference", "At most 128 characters."),
        ({"category": "Sale!"}, "category", "Up to 40 lower-case letters, digits and any of _ . -"),
        ({"send_at": "tomorrow"}, "send_at", "Must be a time with a time zone, such as 2026-01-31T08:00:00Z."),
        ({"send_at": "2026-01-31T08:00:00"}, "send_at", "Must be a time with a time zone, such as 2026-01-31T08:00:00Z."),
        ({"expires_at": 5}, "expires_at", "Must be a time with a time zone, such as 2026-01-31T08:00:00Z."),
    ],
)
def test_a_field_of_the_wrong_form_is_told_what_it_must_be(fields: dict[str, Any], field: str, said: str, keys: dict[str, str]) -> None:
    answer = through_wsgi(SINGLE, SMS | fields, authorization=f"Bearer {keys['good']}")
    assert (answer.status, answer.body["errors"]) == (422, [{"field": field, "code": "invalid", "message": said}])


def test_what_rows_of_a_batch_must_be_is_told_in_the_same_words(keys: dict[str, str]) -> None:
    rows = [5, {"recipient": 5}, {"recipient": RECIPIENTS["sms"], "to": "x"}, {}, {"recipient": RECIPIENTS["sms"], "variables": 1}]
    answer = through_wsgi(BATCH, ROWS | {"recipients": rows}, authorization=f"Bearer {keys['good']}")
    assert [(row["index"], row["field"], row["message"]) for row in answer.body["rejected"]] == [
        (0, "", "Must be an object."),
        (1, "recipient", "Must be a text."),
        (2, "to", "Unknown field."),
        (3, "recipient", "This field is required."),
        (4, "variables", "Must be an object."),
    ]
    answer = through_wsgi(BATCH, ROWS | {"on_error": "stop"}, authorization=f"Bearer {keys['good']}")
    assert [error["message"] for error in answer.body["errors"]] == ["Must be one of reject, skip."]


@pytest.mark.parametrize("path", [SINGLE, BATCH, *OTHERS])
@pytest.mark.parametrize("name", ["not in UTF-8", "compressed", "accepts XML only", "accepts no JSON", "not UTF-8", "bad JSON"])
def test_other_addresses_of_the_api_refuse_alike(name: str, path: str, keys: dict[str, str]) -> None:
    case = CASES[name]
    headers = headers_of(case, {"good": keys["admin"]}, {})
    answer = through_wsgi(path, case.body, content_type=case.content_type, **headers)
    expected = through_wsgi(SINGLE, case.body, content_type=case.content_type, **headers)
    assert (answer.status, answer.body) == (case.status, expected.body)
    assert case.sent.items() <= answer.headers.items()


@pytest.mark.parametrize("path", [SINGLE, BATCH, *OTHERS])
def test_a_content_type_in_a_character_set_that_does_not_exist_is_refused(path: str, keys: dict[str, str], loop: Loop) -> None:
    for way in (loop, through_wsgi):
        answer = way(path, SMS, content_type="application/json; charset*=none'en'utf-8", authorization=f"Bearer {keys['admin']}")
        assert (answer.status, answer.body["code"]) == (415, "unsupported_type")


@pytest.mark.parametrize("path", [SINGLE, BATCH, *OTHERS])
@pytest.mark.parametrize("size", [(20 << 20) + 1, (20 << 20) + 100_000])
def test_a_body_of_unknown_length_beyond_the_bound_is_told_the_bound(path: str, size: int, keys: dict[str, str], loop: Loop) -> None:
    body = b'{"body": "' + b"x" * (size - 12) + b'"}'
    answer = loop(path, body, authorization=f"Bearer {keys['admin']}", transfer_encoding="chunked")
    assert (answer.status, answer.body["code"], answer.body["detail"]) == (413, "too_large", "At most 20 MiB per request.")


@pytest.mark.parametrize("path", [SINGLE, BATCH])
def test_a_body_of_unknown_length_within_the_bound_is_read_whole(path: str, keys: dict[str, str], loop: Loop) -> None:
    body = {SINGLE: SMS, BATCH: ROWS}[path]
    raw = orjson.dumps(body)
    headers = {"authorization": f"Bearer {keys['good']}", "transfer_encoding": "chunked"}
    assert loop(path, raw + b" " * ((20 << 20) - len(raw)), **headers).status == 202
    assert loop(path, raw, **headers).status == 202
    assert Message.objects.count() == 2


@pytest.mark.parametrize(
    "headers",
    [
        {"accept": "application/json"},
        {"accept": "application/*;q=0.5, text/html"},
        {"accept": "text/html, */*;q=0.1"},
        {"accept": ""},
        {"content_encoding": "identity"},
        {"content_encoding": ""},
    ],
    ids=str,
)
@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8", 'Application/JSON;Charset="UTF-8"'])
def test_what_asks_for_json_and_is_json_in_utf_8_is_accepted(
    headers: dict[str, str], content_type: str, keys: dict[str, str], loop: Loop
) -> None:
    for way in (loop, through_wsgi, through_django):
        for path, body in ((SINGLE, SMS), (BATCH, ROWS)):
            answer = way(path, body, content_type=content_type, authorization=f"Bearer {keys['good']}", **headers)
            assert (answer.status, "ratelimit" in answer.headers, "ratelimit-policy" in answer.headers) == (202, True, True)


def test_a_repeated_message_is_counted_and_a_repeated_batch_is_not(keys: dict[str, str], loop: Loop) -> None:
    headers = {"authorization": f"Bearer {keys['good']}"}
    for way in (loop, through_wsgi):
        for path, body, is_counted in ((SINGLE, SMS, True), (BATCH, ROWS, False)):
            answers = [way(path, body, idempotency_key=f"{path}-1", **headers) for _ in range(2)]
            assert answers[1].headers["idempotent-replayed"] == "true"
            assert ("ratelimit" in answers[1].headers, "ratelimit-policy" in answers[1].headers) == (is_counted, is_counted)
