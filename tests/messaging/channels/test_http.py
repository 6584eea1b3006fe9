from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qsl
from uuid import UUID, uuid4

import orjson
import pytest
from pydantic import ValidationError
from standardwebhooks import Webhook

from messaging.channels.base import Accepted, OutcomeUnknown, ProviderError, ReceiptError
from messaging.channels.http import HttpAdapter
from messaging.channels.registry import make_adapter, validate_config
from messaging.providers.editing import check_config
from posthaste.lib.problems import Invalid
from tests.messaging.channels.requests import text_message
from tests.peers.gateway import Answer, Gateway

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BULK = {"results_path": "results", "id_field": "id", "status_field": "status", "message_id_field": "message_id", "error_code_field": "code"}


def adapter_for(gateway: Gateway, *, channel: str = "sms", **config: Any) -> HttpAdapter:
    return make_adapter("http", validate_config("http", channel, {"url": gateway.url, **config}))  # type: ignore[return-value]


def bulk_adapter(gateway: Gateway, *, bulk: Mapping[str, Any] = BULK, **config: Any) -> HttpAdapter:
    return adapter_for(gateway, bulk={"url": gateway.bulk_url, **bulk}, **config)


def failure(adapter: HttpAdapter, **fields: Any) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        adapter.send(text_message(**fields))
    return caught.value


def test_the_default_form_is_json_with_the_id_in_body_and_headers(gateway: Gateway) -> None:
    request = text_message(body='Line "one"\nline \\two\\ é 中')
    adapter_for(gateway, headers={"Authorization": "Bearer abc"}).send(request)
    received = gateway.records[0]
    assert received.body == {"id": request.id.hex, "to": request.recipient, "text": request.body}
    assert received.headers["idempotency-key"] == received.headers["x-posthaste-message-id"] == request.id.hex
    assert received.headers["authorization"] == "Bearer abc"
    assert received.headers["content-type"] == "application/json"


def test_a_subject_is_sent_when_there_is_one(gateway: Gateway) -> None:
    adapter_for(gateway, channel="push").send(text_message(channel="push", recipient="token-12345", subject="News"))
    assert gateway.records[0].body["subject"] == "News"


def test_a_body_template_may_be_any_text(gateway: Gateway) -> None:
    adapter = adapter_for(
        gateway,
        body="to={{ recipient | url_encode }}&msg={{ body | url_encode }}&ref={{ metadata.order }}",
        content_type="application/x-www-form-urlencoded",
    )
    adapter.send(text_message(body="a&b=ü", metadata={"order": 7}))
    assert gateway.records[0].body == "to=%2B8613812345678&msg=a%26b%3D%C3%BC&ref=7"


def test_a_body_template_that_fails_for_one_message_is_permanent(gateway: Gateway) -> None:
    error = failure(adapter_for(gateway, body="{{ recipient }} {{ body }} {{ metadata.order }}", content_type="text/plain"))
    assert (error.code, error.permanent) == ("body_template", True)


def test_a_form_is_percent_encoded_without_being_asked(gateway: Gateway) -> None:
    adapter = adapter_for(gateway, body="to={{ recipient }}&msg={{ body }}", content_type="application/x-www-form-urlencoded")
    adapter.send(text_message(body="a&to=+8613912345678 ü%"))
    assert gateway.records[0].body == "to=%2B8613812345678&msg=a%26to%3D%2B8613912345678%20%C3%BC%25"


def test_a_get_request_carries_the_message_in_its_url(gateway: Gateway) -> None:
    adapter = adapter_for(gateway, method="GET", url=f"{gateway.url}?to={{{{recipient}}}}&text={{{{body}}}}&ref={{{{ metadata.order }}}}")
    text = "Hi & bye #1? 100% + {{recipient}} 中文\r\nX: y"
    adapter.send(text_message(body=text, metadata={"order": 7}))
    received = gateway.records[0]
    assert parse_qsl(received.query, strict_parsing=True) == [("to", "+8613812345678"), ("text", text), ("ref", "7")]
    assert received.path == "/send"


def test_a_filter_changes_a_variable_before_it_is_encoded(gateway: Gateway) -> None:
    url = f"{gateway.url}/{{{{ recipient | remove: '+' }}}}?text={{{{ body | upcase }}}}&again={{{{ body | url_encode }}}}"
    adapter_for(gateway, method="GET", url=url).send(text_message(body="a b&c"))
    assert gateway.records[0].path == "/send/8613812345678"
    assert gateway.records[0].query == "text=A%20B%26C&again=a+b%26c"


def test_the_url_of_a_post_may_have_variables_too(gateway: Gateway) -> None:
    adapter = adapter_for(gateway, channel="wecom", url=f"{gateway.url}/{{{{ recipient }}}}")
    adapter.send(text_message(channel="wecom", recipient="zhang@acme"))
    assert gateway.records[0].path == "/send/zhang%40acme"
    assert gateway.records[0].body["text"] == "Your code is 1234"


@pytest.mark.parametrize("recipient", [".", ".."])
def test_a_recipient_cannot_step_up_in_the_path_of_a_url(recipient: str, gateway: Gateway) -> None:
    error = failure(adapter_for(gateway, channel="chat", url=f"{gateway.url}/{{{{ recipient }}}}/x"), channel="chat", recipient=recipient)
    assert (error.code, error.permanent) == ("url_template", True)
    assert gateway.records == []


def test_a_url_that_fails_for_one_message_is_permanent(gateway: Gateway) -> None:
    error = failure(adapter_for(gateway, method="GET", url=f"{gateway.url}?to={{{{recipient}}}}&ref={{{{ metadata.order }}}}"))
    assert (error.code, error.permanent) == ("url_template", True)


ADDRESS = "https://gateway.example/send"


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({"url": ADDRESS, "method": "GET"}, "url"),
        ({"url": ADDRESS + "?to={recipient}&text={body}", "method": "GET"}, "url"),
        ({"url": ADDRESS + "?to=%s&text=%s", "method": "GET"}, "url"),
        ({"url": ADDRESS + "?text={{ body }}", "method": "GET"}, "url"),
        ({"url": ADDRESS + "?to={{ phone }}", "method": "GET"}, "url"),
        ({"url": ADDRESS + "?to={{ recipient", "method": "GET"}, "url"),
        ({"url": ADDRESS + "?to={% echo recipient %}", "method": "GET"}, "url"),
        ({"url": ADDRESS + "?a={% comment %}{{ recipient }}{{ body }}{% endcomment %}", "method": "GET"}, "url"),
        ({"url": "https://{{ recipient }}/?text={{ body }}", "method": "GET"}, "url"),
        ({"url": "https://a.example{{ recipient }}/?text={{ body }}", "method": "GET"}, "url"),
        ({"url": "{{ recipient }}", "method": "GET"}, "url"),
        ({"url": ADDRESS, "body": '{"hello": "world"}'}, "body"),
        ({"url": ADDRESS, "body": '{"text": {{ body | json }}}'}, "body"),
        ({"url": ADDRESS, "body": "to={recipient}&text={body}", "content_type": "application/x-www-form-urlencoded"}, "body"),
        ({"url": ADDRESS, "bulk": {"url": ADDRESS, "body": '{"messages": []}'}}, "bulk"),
        ({"url": ADDRESS, "bulk": {"url": ADDRESS + "?to={{ recipient }}"}}, "bulk"),
        ({"url": ADDRESS + "?to={{ recipient }}&text={{ body }}", "method": "GET", "bulk": {"url": ADDRESS}}, "bulk"),
        ({"url": ADDRESS, "headers": {"X-To": "{{ recipient }}"}}, "headers"),
        ({"url": ADDRESS, "lookup_url": "https://gateway.example/messages"}, "lookup_url"),
        ({"url": ADDRESS, "content_type": "application/jsön"}, "content_type"),
        ({"url": ADDRESS + "?a=\u2028"}, "url"),
        ({"url": ADDRESS, "headers": {"X-A": "a\x0bb"}}, "headers"),
    ],
)
def test_a_request_that_would_not_carry_the_message_is_refused_when_saved(config: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as caught:
        check_config(kind="http", channel="sms", config=config)
    assert {error["field"].split(".")[1] for error in caught.value.errors} == {field}


def test_a_get_webhook_without_the_text_is_refused_when_saved() -> None:
    with pytest.raises(Invalid):
        check_config(kind="http", channel="webhook", config={"method": "GET"})


@pytest.mark.parametrize(
    "body", ['{"text": "{{ body }}"}', '{"text": {{ body }}}', '{"a": 1,}', "{{ body", "{{ nothing }}", "{% include 'a' %}"]
)
def test_a_body_template_that_would_break_json_is_refused_when_saved(body: str) -> None:
    with pytest.raises(ValidationError, match="body"):
        validate_config("http", "sms", {"url": "https://gateway.example/", "body": body})


def test_the_gateways_id_is_read_from_the_answer(gateway: Gateway) -> None:
    gateway.script(Answer(body={"data": [{"id": 4711}]}))
    assert adapter_for(gateway, message_id_path="data.0.id").send(text_message()) == Accepted("4711")


@pytest.mark.parametrize("body", [b"not json", b"", b"[]", b'{"data": null}'])
def test_success_without_the_expected_id_is_success(gateway: Gateway, body: bytes) -> None:
    gateway.script(Answer(body=body))
    assert adapter_for(gateway, message_id_path="data.0.id").send(text_message()) == Accepted("")


@pytest.mark.parametrize(
    ("status", "code", "permanent", "unreachable"),
    [
        (400, "http_400", True, False),
        (401, "provider_auth", False, True),
        (403, "provider_auth", False, True),
        (404, "http_404", False, True),
        (408, "http_408", False, True),
        (409, "http_409", False, False),
        (422, "http_422", True, False),
        (429, "rate_limited", False, False),
        (302, "http_302", False, True),
        (500, "http_500", False, True),
        (503, "http_503", False, True),
    ],
)
def test_statuses_are_understood(gateway: Gateway, status: int, code: str, permanent: bool, unreachable: bool) -> None:
    gateway.script(Answer(status=status, body=f"because {status}"))
    error = failure(adapter_for(gateway))
    assert (error.code, error.permanent, error.unreachable, type(error)) == (code, permanent, unreachable, ProviderError)
    assert f"because {status}" in error.detail


def test_retry_after_is_read_as_seconds_and_as_a_date(gateway: Gateway) -> None:
    in_a_minute = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    for value, low, high in (("17", 17, 17), (in_a_minute, 55, 61), ("-5", 0, 0), ("99999999", 604_800, 604_800)):
        gateway.script(Answer(status=429, headers={"Retry-After": value}))
        wait = failure(adapter_for(gateway)).retry_after
        assert wait is not None
        assert low <= wait <= high
    for value in ("soon", "nan", ""):
        gateway.script(Answer(status=503, headers={"Retry-After": value}))
        assert failure(adapter_for(gateway)).retry_after is None


MAPPINGS = [
    {"path": "error.code", "value": 40035, "code": "bad_number", "permanent": True},
    {"status": 500, "match": "maintenance", "code": "maintenance", "retry_after": 300},
    {"status": 400, "code": "odd", "permanent": False},
    {"match": "blacklisted", "code": "blacklisted", "permanent": True},
]


@pytest.mark.parametrize(
    ("answer", "code", "permanent", "wait"),
    [
        (Answer(status=200, body={"error": {"code": 40035}}), "bad_number", True, None),
        (Answer(status=200, body={"error": {"code": "40035"}}), "bad_number", True, None),
        (Answer(status=500, body="down for maintenance"), "maintenance", False, 300),
        (Answer(status=400, body="x"), "odd", False, None),
        (Answer(status=200, body="number blacklisted"), "blacklisted", True, None),
        (Answer(status=422, body="x"), "http_422", True, None),
    ],
)
def test_answers_are_mapped_to_errors(gateway: Gateway, answer: Answer, code: str, permanent: bool, wait: float | None) -> None:
    gateway.script(answer)
    error = failure(adapter_for(gateway, error_codes=MAPPINGS))
    assert (error.code, error.permanent, error.retry_after) == (code, permanent, wait)


def test_a_mapping_that_does_not_fit_leaves_success_alone(gateway: Gateway) -> None:
    gateway.script(Answer(status=200, body={"error": {"code": 0}}))
    assert adapter_for(gateway, error_codes=MAPPINGS).send(text_message()) == Accepted()


def test_success_codes_can_be_chosen(gateway: Gateway) -> None:
    adapter = adapter_for(gateway, success_codes="202, 300-302")
    gateway.script(Answer(status=302))
    adapter.send(text_message())
    gateway.script(Answer(status=200))
    assert failure(adapter).code == "http_200"


@pytest.mark.parametrize("action", ["hang", "reset", "garbage", "drip"])
def test_an_answer_that_does_not_come_is_unknown(gateway: Gateway, action: Any) -> None:
    gateway.script(Answer(action=action, body="x" * 500))
    assert isinstance(failure(adapter_for(gateway, timeout_seconds=0.3)), OutcomeUnknown)


@pytest.mark.parametrize("action", ["hang", "reset"])
def test_with_an_idempotent_gateway_it_is_simply_tried_again(gateway: Gateway, action: Any) -> None:
    gateway.script(Answer(action=action))
    adapter = adapter_for(gateway, timeout_seconds=0.3, idempotent=True)
    assert adapter.idempotent
    error = failure(adapter)
    assert (type(error), error.permanent, error.unreachable) == (ProviderError, False, True)


def test_a_gateway_that_is_away_has_taken_nothing() -> None:
    with Gateway() as gateway:
        adapter = adapter_for(gateway)
    error = failure(adapter)
    assert (type(error), error.unreachable, error.permanent) == (ProviderError, True, False)


@pytest.mark.usefixtures("guarded")
def test_an_inner_address_is_refused(gateway: Gateway) -> None:
    assert failure(adapter_for(gateway)).code == "blocked_address"
    assert gateway.asked == {}


# Webhooks.


def webhook(gateway: Gateway, **config: Any) -> HttpAdapter:
    return adapter_for(gateway, channel="webhook", **{"url": "", **config})


def test_a_webhook_goes_to_the_recipient_and_is_signed(gateway: Gateway) -> None:
    request = text_message(channel="webhook", recipient=f"http://127.0.0.1:{gateway.port}/their/hook", reference="r1", metadata={"a": [1]})
    webhook(gateway, signing_secret=SECRET).send(request)
    received = gateway.records[0]
    assert received.path == "/their/hook"
    assert received.body == {"id": request.id.hex, "text": request.body, "reference": "r1", "metadata": {"a": [1]}}
    body = f'{{"id": "{request.id.hex}", "text": "Your code is 1234", "reference": "r1", "metadata": {{"a": [1]}}}}'
    Webhook(SECRET).verify(body, received.headers)


def test_the_faults_of_a_recipients_server_are_not_the_providers(gateway: Gateway) -> None:
    gateway.script(Answer(status=500))
    assert not failure(webhook(gateway), channel="webhook", recipient=gateway.url).unreachable
    assert not failure(webhook(gateway), channel="webhook", recipient="http://127.0.0.1:1/").unreachable


def test_a_webhook_to_an_inner_address_is_refused_for_good(gateway: Gateway) -> None:
    error = failure(webhook(gateway), channel="webhook", recipient="http://169.254.169.254/latest/meta-data")
    assert (error.code, error.permanent) == ("blocked_address", True)


# Bulk.


def test_many_messages_go_in_one_request(gateway: Gateway) -> None:
    adapter = bulk_adapter(gateway)
    requests = [text_message(body=f'text {index} "quoted"') for index in range(100)]
    results = adapter.send_many(requests)
    assert results == [Accepted(f"gw-{request.id.hex}") for request in requests]
    assert gateway.counts() == {request.id.hex: 1 for request in requests}
    assert (adapter.bulk_size, adapter.chunk_size, gateway.connections) == (100, 100, 1)
    assert gateway.records[7].text == 'text 7 "quoted"'


def test_each_message_of_a_bulk_request_has_its_own_result(gateway: Gateway) -> None:
    gateway.refuse("+8613800000001", "E7")
    gateway.refuse("+8613800000002", "E8")
    adapter = bulk_adapter(gateway, bulk={**BULK, "permanent_codes": ["E8"]})
    results = adapter.send_many([text_message(), text_message(recipient="+8613800000001"), text_message(recipient="+8613800000002")])
    assert isinstance(results[0], Accepted)
    assert [(result.code, result.permanent) for result in results[1:] if isinstance(result, ProviderError)] == [("E7", False), ("E8", True)]


def test_results_without_ids_are_taken_in_order(gateway: Gateway) -> None:
    gateway.script(Answer(body={"r": [{"status": "OK"}, {"status": "bad"}]}))
    results = bulk_adapter(gateway, bulk={"results_path": "r", "id_field": "", "status_field": "status"}).send_many(
        [text_message(), text_message()]
    )
    assert [type(result) for result in results] == [Accepted, ProviderError]


def test_without_a_results_path_success_is_success_for_all(gateway: Gateway) -> None:
    assert bulk_adapter(gateway, bulk={}).send_many([text_message(), text_message()]) == [Accepted(), Accepted()]


@pytest.mark.parametrize("body", [b"garbage", b"{}", b'{"results": []}', b'{"results": [{"id": "other"}]}', b'{"results": [1, null]}'])
def test_a_message_the_answer_does_not_mention_is_unknown(gateway: Gateway, body: bytes) -> None:
    gateway.script(Answer(body=body), times=2)
    assert {type(result) for result in bulk_adapter(gateway).send_many([text_message(), text_message()])} == {OutcomeUnknown}
    assert {type(result) for result in bulk_adapter(gateway, idempotent=True).send_many([text_message(), text_message()])} == {
        ProviderError
    }


@pytest.mark.parametrize(("answer", "kind"), [(Answer(status=500), ProviderError), (Answer(action="hang"), OutcomeUnknown)])
def test_a_failed_bulk_request_fails_all_and_raises_nothing(gateway: Gateway, answer: Answer, kind: type) -> None:
    gateway.script(answer)
    results = bulk_adapter(gateway, timeout_seconds=0.3).send_many([text_message(), text_message(), text_message()])
    assert [type(result) for result in results] == [kind] * 3
    assert len({id(result) for result in results}) == 3


def test_the_same_bulk_request_has_the_same_key(gateway: Gateway) -> None:
    requests = [text_message(), text_message()]
    adapter = bulk_adapter(gateway)
    for given in (requests, requests, requests[::-1]):
        adapter.send_many(given)
    keys = [record.headers["idempotency-key"] for record in gateway.records[::2]] if gateway.keep_bodies else []
    assert keys[0] == keys[1] != keys[2]


def test_a_single_message_goes_by_the_single_form(gateway: Gateway) -> None:
    bulk_adapter(gateway).send_many([text_message()])
    assert gateway.records[0].path == "/send"


# Receipts and look-ups.


def receipts(body: Any, **config: Any) -> list[Any]:
    adapter = make_adapter("http", {"url": "https://gateway.example/", "receipts": config})
    return list(adapter.parse_receipt(body if isinstance(body, bytes) else orjson.dumps(body), {}))


def test_receipts_come_in_a_list_or_alone() -> None:
    id_ = uuid4()
    one = {
        "message_id": id_.hex,
        "provider_message_id": "p1",
        "status": "delivered",
        "code": "",
        "detail": "",
        "at": "2026-01-02T03:04:05Z",
    }
    other = {"provider_message_id": "p2", "status": "FAILED", "code": 17, "detail": "no such number", "at": 1767323045}
    found = receipts({"receipts": [one, other]})
    assert [(r.status, r.message_id, r.provider_message_id, r.code) for r in found] == [
        ("delivered", id_, "p1", ""),
        ("failed", None, "p2", "17"),
    ]
    assert found[0].at == found[1].at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert receipts(one) == found[:1]
    assert receipts([one, other]) == found


def test_receipts_of_another_form_are_mapped() -> None:
    found = receipts(
        {
            "data": {
                "reports": [
                    {"mid": "m1", "state": "DELIVRD", "err": {"code": "000"}, "ts": "1767323045000"},
                    {"mid": "m2", "state": "UNDELIV"},
                    {"mid": "m3", "state": "ENROUTE"},
                ]
            }
        },
        items_path="data.reports",
        provider_message_id_field="mid",
        status_field="state",
        delivered_values=["delivrd"],
        failed_values=["undeliv"],
        code_field="err.code",
        at_field="ts",
    )
    assert [(r.status, r.provider_message_id, r.code) for r in found] == [("delivered", "m1", "000"), ("failed", "m2", "")]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"x",
        b"1",
        b"[1]",
        b"{}",
        b'{"status": "delivered"}',
        b'{"provider_message_id": "x"}',
    ],
)
def test_a_receipt_that_is_not_understood_says_why(body: bytes) -> None:
    with pytest.raises(ReceiptError, match=r"\."):
        receipts(body)


def test_a_receipt_that_is_not_understood_is_an_error_in_its_place() -> None:
    good, wrong = receipts([{"provider_message_id": "x", "status": "delivered"}, {"provider_message_id": "y"}])
    assert (good.provider_message_id, good.index) == ("x", 0)
    assert isinstance(wrong, ReceiptError)
    assert wrong.index == 1


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (b'{"id": 123456789012345678901234}', "id"),
        (b'{"data": [{"ids": {"sms": 123456789012345678901234}}]}', "data.0.ids.sms"),
        (b'{"data": {"id": "123456789012345678901234", "text": "\\ud83d"}}', "data.id"),
    ],
)
def test_a_long_number_in_an_answer_stays_exact(body: bytes, path: str, gateway: Gateway) -> None:
    gateway.script(Answer(body=body))
    assert adapter_for(gateway, message_id_path=path).send(text_message()) == Accepted("123456789012345678901234")


def test_a_long_number_in_a_bulk_answer_stays_exact(gateway: Gateway) -> None:
    gateway.script(Answer(body=b'{"r": [{"id": 123456789012345678901234}, {"e": 123456789012345678901235}]}'))
    bulk = {"results_path": "r", "id_field": "", "message_id_field": "id", "error_code_field": "e"}
    taken, refused = bulk_adapter(gateway, bulk=bulk).send_many([text_message(), text_message()])
    assert taken == Accepted("123456789012345678901234")
    assert isinstance(refused, ProviderError)
    assert (refused.code, refused.detail) == ("123456789012345678901235", 'The gateway answered {"e":123456789012345678901235}')


@pytest.mark.parametrize("at", ["yesterday", 1e300, True, [], ""])
def test_a_time_that_is_not_understood_does_not_lose_the_receipt(at: Any) -> None:
    assert receipts({"provider_message_id": "x", "status": "delivered", "at": at})[0].at is None


def test_lookup_asks_the_gateway(gateway: Gateway) -> None:
    adapter = adapter_for(gateway, lookup_url=f"http://127.0.0.1:{gateway.port}/messages/{{{{ id }}}}")
    request = text_message()
    assert adapter.lookup(request) == "absent"
    adapter.send(request)
    assert adapter.lookup(request) == "accepted"
    assert adapter_for(gateway).lookup(request) == "unknown"


def test_lookup_is_unknown_when_the_gateway_is_away() -> None:
    with Gateway() as gateway:
        adapter = adapter_for(gateway, lookup_url=f"http://127.0.0.1:{gateway.port}/messages/{{{{ id }}}}")
    assert adapter.lookup(text_message(id=UUID(int=1))) == "unknown"


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": ""},
        {"url": "ftp://example.com/"},
        {"url": "https://a:b@example.com/"},
        {"method": "DELETE"},
        {"method": "GET", "body": "x"},
        {"headers": {"Bad Name": "x"}},
        {"headers": {"Host": "x"}},
        {"headers": {"X-A": "a\r\nX-B: c"}},
        {"success_codes": "all"},
        {"success_codes": "200-"},
        {"error_codes": [{"code": "x"}]},
        {"timeout_seconds": 26},
        {"signing_secret": "whsec_"},
        {"content_type": "text/plain\r\nX: y"},
        {"bulk": {"url": "https://example.com/", "size": 101}},
        {"bulk": {"url": "https://example.com/", "body": "[{% for m in messages %}{{ m.body }}{% endfor %}]"}},
        {"lookup_url": "{{ id }}"},
    ],
)
def test_a_wrong_configuration_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        validate_config("http", "sms", {"url": "https://gateway.example/", **wrong})
