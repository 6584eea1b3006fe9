"""`POST /api/messages/`: what is accepted, and what every kind of bad input is told."""

from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import orjson
import pytest
from django.db import transaction
from django.utils import timezone

from accounts.models import KeyKind, Tenant
from messaging.channels.channel import open_choices
from messaging.configuration import message_limits
from messaging.models import IdempotencyKey, Message, TemplateVersion
from messaging.scopes import SEND, TEMPLATES_WRITE
from messaging.storage.store import in_transaction
from posthaste.lib.ids import new_id
from tests.builders import RECIPIENTS, Api, fields_of, json_of, make_api, make_template, make_tenant, published

pytestmark = [pytest.mark.django_db, pytest.mark.both_stacks]
SMS = {"channel": "sms", "recipient": "+86 138-1234-5678", "body": "Your parcel is here."}
URL = "/api/messages/"
OF_CALLERS = [code for code, _label in open_choices()]
CONTROLS = ["\t", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x1f", "\x7f", "\x85", "\u2028", "\u2029"]


@pytest.fixture
def tenant() -> Tenant:
    return make_tenant()


@pytest.fixture
def api(tenant: Tenant) -> Api:
    return make_api(tenant, SEND)


def stored() -> Message:
    return Message.objects.get()


def test_the_answer_is_202_with_id_trace_id_and_status(api: Api) -> None:
    answer = api.post(URL, SMS)
    assert (answer.status_code, answer["Content-Type"]) == (202, "application/json")
    body = json_of(answer)
    assert set(body) == {"id", "trace_id", "status", "segments"}
    assert body["trace_id"] == body["id"].replace("-", "")
    assert body["status"] == "pending"
    assert str(stored().pk) == body["id"]


def test_what_was_sent_is_what_is_stored(api: Api, tenant: Tenant) -> None:
    send_at, expires_at = timezone.now() + timedelta(hours=1), timezone.now() + timedelta(hours=2)
    body = {
        "channel": "email",
        "recipient": "Ada@EXAMPLE.com",
        "subject": "Grüße",
        "body": "你好, “Ada” 🎉\n\ttab",
        "priority": 8,
        "send_at": send_at,
        "expires_at": expires_at,
        "reference": "order-1042",
        "metadata": {"a": [1, 2.5, None, True, {"b": "ü"}]},
    }
    assert api.post(URL, body).status_code == 202
    message = stored()
    assert (message.tenant, message.channel, message.recipient, message.priority) == (tenant, "email", "Ada@example.com", 8)
    assert (message.subject, message.body, message.reference) == (body["subject"], body["body"], "order-1042")
    assert message.metadata == body["metadata"]
    assert message.due_at == send_at
    assert message.expires_at == expires_at
    assert message.api_key is not None
    assert (message.attempts, message.error_code, message.provider_message_id) == (0, "", "")


def test_a_recipient_is_stored_in_its_normalised_form(api: Api) -> None:
    api.post(URL, SMS)
    assert stored().recipient == "+8613812345678"


@pytest.mark.parametrize("channel", OF_CALLERS)
def test_every_channel_of_callers_takes_a_message(channel: str, api: Api) -> None:
    body = {"channel": channel, "recipient": RECIPIENTS[channel], "body": "Hi", "subject": "Hi"}
    assert api.post(URL, body).status_code == 202


@pytest.mark.parametrize("kind", KeyKind.values)
def test_a_channel_that_carries_replies_only_is_refused_wherever_a_caller_chooses_one(kind: str, tenant: Tenant) -> None:
    api = make_api(tenant, SEND, TEMPLATES_WRITE, kind=kind)
    desk, rows = {"channel": "desk", "body": "Hi"}, [{"recipient": "visitor-1"}]
    bodies = {
        URL: desk | {"recipient": "visitor-1", "metadata": {"line": str(new_id())}},
        "/api/messages/batch/": desk | {"recipients": rows, "on_error": "skip"},
    }
    if kind == KeyKind.LIVE:
        bodies["/api/templates/"] = desk | {"name": "reply", "publish": True}
    for path, body in bodies.items():
        answer = api.post(path, body)
        (error,) = json_of(answer)["errors"]
        assert (answer.status_code, error["field"], error["code"]) == (422, "channel", "not_allowed"), path
        assert "POST /api/conversations/{id}/reply/" in error["message"], path
    assert not Message.objects.exists()
    assert "desk" not in json_of(api.post(URL, SMS | {"channel": "fax"}))["errors"][0]["message"]


@pytest.mark.parametrize("path", ["/api/messages", "/api/messages/"])
def test_both_forms_of_the_path_answer_without_a_redirect(path: str, api: Api) -> None:
    assert api.post(path, SMS).status_code == 202
    assert Message.objects.count() == 1


def test_priority_is_five_unless_said_otherwise(api: Api) -> None:
    api.post(URL, SMS)
    assert stored().priority == 5


@pytest.mark.parametrize("priority", range(11))
def test_every_priority_from_zero_to_ten_is_taken(priority: int, api: Api) -> None:
    assert api.post(URL, SMS | {"priority": priority}).status_code == 202
    assert stored().priority == priority


@pytest.mark.parametrize(
    ("text", "segments"),
    [("a" * 160, 1), ("a" * 161, 2), ("你" * 70, 1), ("你" * 71, 2), ("€" * 80, 1), ("€" * 81, 2), ("🎉" * 35, 1), ("🎉" * 36, 2)],
)
def test_the_segments_of_a_text_message_are_counted_and_returned(text: str, segments: int, api: Api) -> None:
    assert json_of(api.post(URL, SMS | {"body": text}))["segments"] == segments
    assert stored().segments == segments


def test_segments_are_counted_after_the_template_is_filled_in(api: Api, tenant: Tenant) -> None:
    make_template(tenant, name="code", body="{{ code }}")
    answer = api.post(URL, {"channel": "sms", "recipient": RECIPIENTS["sms"], "template": "code", "variables": {"code": "你" * 71}})
    assert json_of(answer)["segments"] == 2


def test_other_channels_have_no_segments(api: Api) -> None:
    assert "segments" not in json_of(api.post(URL, {"channel": "push", "recipient": RECIPIENTS["push"], "body": "Hi"}))


# --- wrong fields ------------------------------------------------------------------------------------------------

HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"channel": "pigeon"}, "channel"),
        ({"channel": ""}, "channel"),
        ({"channel": None}, "channel"),
        ({"channel": 5}, "channel"),
        ({"channel": ["sms"]}, "channel"),
        ({"recipient": ""}, "recipient"),
        ({"recipient": "   "}, "recipient"),
        ({"recipient": "not a number"}, "recipient"),
        ({"recipient": "+999999999999"}, "recipient"),
        ({"recipient": "013812345678"}, "recipient"),
        ({"recipient": 8613812345678}, "recipient"),
        ({"recipient": None}, "recipient"),
        ({"recipient": {"phone": "+8613812345678"}}, "recipient"),
        ({"recipient": "x" * 2049}, "recipient"),
        ({"channel": "email", "recipient": "ada@", "subject": "Hi"}, "recipient"),
        ({"channel": "email", "recipient": "ada@example.com\nBcc: all@example.com", "subject": "Hi"}, "recipient"),
        ({"channel": "webhook", "recipient": "ftp://example.com/"}, "recipient"),
        ({"channel": "webhook", "recipient": "javascript:alert(1)"}, "recipient"),
        ({"channel": "push", "recipient": "short"}, "recipient"),
        ({"channel": "email", "recipient": "ada@example.com"}, "subject"),
        ({"subject": "two\nlines"}, "subject"),
        *(({"subject": f"Hi{control}Reply-To : evil@example.net"}, "subject") for control in CONTROLS),
        *(({"channel": "email", "recipient": f'"ada{control}b"@example.com', "subject": "Hi"}, "recipient") for control in CONTROLS),
        ({"channel": "push", "recipient": "token-0001\u2028x"}, "recipient"),
        ({"channel": "webhook", "recipient": "https://hooks.example.com/in\x0bX-Foo:y"}, "recipient"),
        ({"subject": "x" * 999}, "subject"),
        ({"subject": None}, "subject"),
        ({"body": ""}, "body"),
        ({"body": None}, "body"),
        ({"body": 5}, "body"),
        ({"body": "x" * 200_001}, "body"),
        ({"priority": -1}, "priority"),
        ({"priority": 11}, "priority"),
        ({"priority": 2**63}, "priority"),
        ({"priority": 2**64}, "priority"),
        ({"priority": 5.5}, "priority"),
        ({"priority": "high"}, "priority"),
        ({"priority": "5"}, "priority"),
        ({"priority": True}, "priority"),
        ({"priority": None}, "priority"),
        ({"send_at": "tomorrow"}, "send_at"),
        ({"send_at": "2030-01-01"}, "send_at"),
        ({"send_at": "2030-01-01T10:00:00"}, "send_at"),  # no zone: whose ten o'clock?
        ({"send_at": 1900000000}, "send_at"),
        ({"send_at": "9999-12-31T23:59:59Z"}, "send_at"),
        ({"expires_at": "2030-13-01T10:00:00Z"}, "expires_at"),
        ({"expires_at": "2030-01-01T10:00:00"}, "expires_at"),
        ({"expires_at": "2001-01-01T00:00:00Z"}, "expires_at"),
        ({"expires_at": "0001-01-01T00:00:00Z"}, "expires_at"),
        ({"reference": "x" * 129}, "reference"),
        ({"reference": 5}, "reference"),
        ({"metadata": []}, "metadata"),
        ({"metadata": "text"}, "metadata"),
        ({"metadata": {"x": "y" * 16_384}}, "metadata"),
        ({"metadata": None}, "metadata"),
        ({"variables": {"code": 1}}, "variables"),
        ({"variables": [1]}, "variables"),
        ({"template": 5}, "template"),
        ({"template": "no-such", "body": ""}, "template"),
        ({"Body": "wrong case"}, "Body"),
        ({"to": "+8613812345678"}, "to"),
        ({"id": "mine"}, "id"),
        ({"status": "sent"}, "status"),
        ({"tenant_id": 1}, "tenant_id"),
        ({"is_sandbox": False}, "is_sandbox"),
    ],
)
def test_a_wrong_field_is_named_and_nothing_is_stored(changed: dict[str, Any], field: str, api: Api) -> None:
    # orjson writes integers only up to 64 bits
    text = orjson.dumps(SMS | {k: v for k, v in changed.items() if v != 2**64})
    body = text[:-1] + b', "priority": 18446744073709551616}' if changed.get("priority") == 2**64 else text
    answer = api.post(URL, body)
    assert fields_of(answer) == [field]
    assert answer["Content-Type"] == "application/problem+json"
    assert all(error["message"] and error["code"] for error in json_of(answer)["errors"])
    assert Message.objects.count() == 0


@pytest.mark.parametrize("field", ["channel", "recipient"])
def test_a_missing_field_is_named(field: str, api: Api) -> None:
    answer = api.post(URL, {name: value for name, value in SMS.items() if name != field})
    assert fields_of(answer) == [field]
    assert json_of(answer)["errors"][0]["code"] == "required"


def test_neither_template_nor_body_is_said_to_be_missing(api: Api) -> None:
    assert fields_of(api.post(URL, {"channel": "sms", "recipient": SMS["recipient"]})) == ["body"]


def test_all_wrong_fields_are_named_at_once(api: Api) -> None:
    wrong = {"channel": "sms", "recipient": 5, "body": 7, "priority": 99, "send_at": "x", "nonsense": 1}
    assert set(fields_of(api.post(URL, wrong))) == {"recipient", "body", "priority", "send_at", "nonsense"}
    meaningless = {"channel": "sms", "recipient": "x", "subject": "a\nb", "expires_at": "2001-01-01T00:00:00Z"}
    assert set(fields_of(api.post(URL, meaningless))) == {"recipient", "subject", "expires_at", "body"}


def test_an_expiry_before_the_time_of_sending_is_refused(api: Api) -> None:
    now = timezone.now()
    assert fields_of(api.post(URL, SMS | {"send_at": now + 2 * HOUR, "expires_at": now + HOUR})) == ["expires_at"]


def test_a_time_of_sending_that_has_passed_means_now(api: Api) -> None:
    before = timezone.now()
    assert api.post(URL, SMS | {"send_at": before - HOUR}).status_code == 202
    assert stored().due_at >= before


def test_a_time_in_another_zone_is_the_same_moment(api: Api) -> None:
    moment = (timezone.now() + HOUR).replace(microsecond=0)
    local = moment.astimezone(datetime.strptime("+0800", "%z").tzinfo).isoformat()
    assert local.endswith("+08:00")
    assert api.post(URL, SMS | {"send_at": local}).status_code == 202
    assert stored().due_at == moment


# --- templates ---------------------------------------------------------------------------------------------------


def with_template(**changed: Any) -> dict[str, Any]:
    return {"channel": "sms", "recipient": RECIPIENTS["sms"], "template": "code", "variables": {"code": "1234"}, **changed}


def test_a_template_with_its_variables_is_accepted_and_its_version_pinned(api: Api, tenant: Tenant) -> None:
    template = make_template(tenant, name="code")
    assert api.post(URL, with_template()).status_code == 202
    assert stored().template_version == published(template)
    assert stored().variables == {"code": "1234"}
    assert stored().body == ""


@pytest.mark.parametrize("variables", [{}, {"code": None}, {"other": "1234"}])
def test_a_missing_variable_is_refused_with_its_name(variables: dict[str, Any], api: Api, tenant: Tenant) -> None:
    make_template(tenant, name="code")
    answer = api.post(URL, with_template(variables=variables))
    assert fields_of(answer) == ["variables.code"]


def test_every_missing_variable_is_named(api: Api, tenant: Tenant) -> None:
    variables: list[dict[str, Any]] = [{"name": name, "required": name != "c"} for name in "abc"]
    make_template(tenant, name="code", body="{{ a }} {{ b }}", variables=variables)
    assert fields_of(api.post(URL, with_template(variables={}))) == ["variables.a", "variables.b"]


def test_a_variable_that_is_not_required_may_be_left_out(api: Api, tenant: Tenant) -> None:
    variables: list[dict[str, Any]] = [{"name": "code"}, {"name": "name", "required": False}]
    make_template(tenant, name="code", body="{% if name %}{{ name }}: {% endif %}{{ code }}", variables=variables)
    assert api.post(URL, with_template()).status_code == 202


def test_a_template_of_another_channel_is_refused(api: Api, tenant: Tenant) -> None:
    make_template(tenant, name="code", channel="email")
    answer = api.post(URL, with_template())
    assert fields_of(answer) == ["template"]
    assert "email" in json_of(answer)["errors"][0]["message"]


@pytest.mark.parametrize("extra", [{"body": "and a body"}, {"subject": "and a subject"}])
def test_template_and_text_together_are_refused(extra: dict[str, str], api: Api, tenant: Tenant) -> None:
    make_template(tenant, name="code")
    assert fields_of(api.post(URL, with_template(**extra))) == list(extra)


def test_a_draft_cannot_be_used(api: Api, tenant: Tenant) -> None:
    make_template(tenant, name="code", publish=False)
    assert fields_of(api.post(URL, with_template())) == ["template"]


def test_variables_that_the_template_cannot_use_are_refused_at_once(api: Api, tenant: Tenant) -> None:
    make_template(tenant, name="code", body="{{ code | divided_by: 0 }}", variables=[{"name": "code", "example": "x"}], publish=False)
    version = TemplateVersion.objects.get(template__tenant=tenant)
    version.state = "published"
    version.save()
    assert fields_of(api.post(URL, with_template(variables={"code": 5}))) == ["variables"]


def test_too_many_variables_are_refused(api: Api, tenant: Tenant) -> None:
    make_template(tenant, name="code")
    assert fields_of(api.post(URL, with_template(variables={"code": "1", "more": "x" * 16_384}))) == ["variables"]


# --- bodies that are no JSON, or not ours -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b" ",
        b"{",
        b"nonsense",
        b'{"channel": "sms",}',
        b'{"channel": NaN}',
        b"{'channel': 'sms'}",
        b'{"channel": "sms"} {}',
        b'{"channel": "\xff\xfe"}',
        b'{"channel": "sms", "recipient": "+8613812345678", "body": "\\ud800"}',
        b'{"channel": "sms", "recipient": "+8613812345678", "body": "\xed\xa0\x80"}',
        b'{"channel": "sms", "recipient": "+8613812345678", "body": "a\\u0000b"}',
        b'{"channel": "sms", "recipient": "+8613812345678", "body": "a\x00b"}',
        b'{"channel": "sms", "recipient": "+8613812345678", "body": "x", "metadata": {"\\u0000": 1}}',
        '{"channel": "sms"}'.encode("utf-16"),
        b'{"metadata": {"a": ' + b"[" * 100_000,
    ],
    ids=lambda body: repr(body[:60]),
)
def test_a_body_that_cannot_be_read_is_a_clear_400(body: bytes, api: Api) -> None:
    answer = api.post(URL, body)
    assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")
    assert json_of(answer)["code"] == "malformed"
    assert json_of(answer)["detail"]
    assert Message.objects.count() == 0


@pytest.mark.parametrize("body", [b"[]", b"null", b'"text"', b"5", b"true", b"[{}]", b"[" * 100_000], ids=lambda body: repr(body[:20]))
def test_json_that_is_no_object_is_refused(body: bytes, api: Api) -> None:
    assert api.post(URL, body).status_code == 422


def test_an_empty_body_is_a_clear_400(api: Api) -> None:
    assert api.post(URL, b"", headers={"Content-Type": "application/json"}).status_code == 400


def test_an_escaped_backslash_before_u0000_is_no_nul(api: Api) -> None:
    assert api.post(URL, b'{"channel": "sms", "recipient": "+8613812345678", "body": "a\\\\u0000b"}').status_code == 202
    assert stored().body == "a\\u0000b"


@pytest.mark.parametrize("name", ["metadata", "variables"])
@pytest.mark.parametrize("value", ["18446744073709551616", "1" + "0" * 400, "-9223372036854775809", "1e999"])
def test_a_number_that_no_database_or_peer_can_hold_is_refused(name: str, value: str, api: Api, tenant: Tenant) -> None:
    make_template(tenant, name="code")
    body = orjson.dumps(with_template() if name == "variables" else SMS)[:-1].replace(b',"variables":{"code":"1234"}', b"")
    answer = api.post(URL, body + f', "{name}": {{"code": {value}}}}}'.encode())
    assert fields_of(answer) == [name]


@pytest.mark.parametrize("name", ["metadata", "variables"])
def test_json_nested_too_deeply_is_refused(name: str, api: Api, tenant: Tenant) -> None:
    make_template(tenant, name="code")
    body = orjson.dumps(with_template() if name == "variables" else SMS)[:-1].replace(b',"variables":{"code":"1234"}', b"")
    answer = api.post(URL, body + b', "%s": {"code": %s}}' % (name.encode(), b"[" * 300 + b"]" * 300))
    assert answer.status_code in (400, 422)
    assert Message.objects.count() == 0


def test_a_repeated_field_means_its_last_value(api: Api) -> None:
    assert api.post(URL, b'{"channel": "email", "channel": "sms", "recipient": "+8613812345678", "body": "x"}').status_code == 202
    assert stored().channel == "sms"


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/xml", "application/jsonx", ""],
)
def test_another_content_type_is_refused(kind: str, api: Api) -> None:
    answer = api.post(URL, orjson.dumps(SMS), content_type=kind)
    assert (answer.status_code, answer["Content-Type"]) == (415, "application/problem+json")
    assert Message.objects.count() == 0


@pytest.mark.parametrize("kind", ["application/json", "application/json; charset=utf-8", "Application/JSON"])
def test_json_by_any_of_its_names_is_taken(kind: str, api: Api) -> None:
    assert api.post(URL, orjson.dumps(SMS), content_type=kind).status_code == 202


@pytest.mark.parametrize("path", ["/api/messages/", "/api/messages/batch", "/api/templates/", "/api/providers/"])
def test_a_body_of_more_than_20_mib_is_too_large(path: str, tenant: Tenant) -> None:
    body = b'{"body": "' + b"x" * (20 * 1024 * 1024) + b'"}'
    answer = make_api(tenant).post(path, body)
    assert (answer.status_code, answer["Content-Type"]) == (413, "application/problem+json")
    assert json_of(answer)["code"] == "too_large"


def test_a_body_is_not_read_before_the_key_is_known() -> None:
    assert Api("").post(URL, b"nonsense").status_code == 401


# --- Idempotency-Key, one request after the other; at once: test_accept --------------------------------------------


def keyed(api: Api, body: Any, key: str = "order-1042", path: str = URL) -> Any:
    return api.post(path, body, headers={"Idempotency-Key": key})


def test_a_repeated_request_gets_the_same_answer_and_makes_no_second_message(api: Api) -> None:
    first, second = keyed(api, SMS), keyed(api, SMS)
    assert (first.status_code, second.status_code) == (202, 202)
    assert first.content == second.content
    assert (first.get("Idempotent-Replayed"), second.get("Idempotent-Replayed")) == (None, "true")
    assert Message.objects.count() == 1


def test_both_forms_of_the_path_share_the_key(api: Api) -> None:
    assert keyed(api, SMS).content == keyed(api, SMS, path="/api/messages").content


def test_the_same_key_with_another_body_is_a_conflict(api: Api) -> None:
    keyed(api, SMS)
    answer = keyed(api, SMS | {"body": "Another text"})
    assert (answer.status_code, answer["Content-Type"]) == (409, "application/problem+json")
    assert json_of(answer)["code"] == "idempotency_key_reused"
    assert Message.objects.count() == 1


def test_the_same_key_for_a_message_and_a_batch_is_a_conflict(api: Api) -> None:
    keyed(api, SMS)
    assert (
        keyed(
            api, {"channel": "sms", "body": "x", "recipients": [{"recipient": RECIPIENTS["sms"]}]}, path="/api/messages/batch"
        ).status_code
        == 409
    )
    assert Message.objects.count() == 1


def test_a_refused_request_does_not_use_up_its_key(api: Api) -> None:
    assert keyed(api, SMS | {"priority": 99}).status_code == 422
    assert keyed(api, SMS).status_code == 202


@pytest.mark.parametrize("key", ["", " ", "x" * 129, "with blank", "with\ttab", "ключ", "a\x7fb"])
def test_a_key_that_is_none_is_refused_by_name(key: str, api: Api) -> None:
    assert fields_of(keyed(api, SMS, key)) == ["Idempotency-Key"]
    assert Message.objects.count() == 0


@pytest.mark.parametrize("key", ["x", "x" * 128, "!~'\"%\\{}"])
def test_every_key_of_1_to_128_visible_characters_is_taken(key: str, api: Api) -> None:
    assert keyed(api, SMS, key).content == keyed(api, SMS, key).content


# --- within a caller's transaction --------------------------------------------------------------------------------


class Undone(Exception):
    pass


def test_a_rollback_of_the_callers_transaction_leaves_nothing(api: Api) -> None:
    assert in_transaction()
    with suppress(Undone), transaction.atomic():
        assert keyed(api, SMS).status_code == 202
        assert Message.objects.count() == 1
        raise Undone
    assert (Message.objects.count(), IdempotencyKey.objects.count()) == (0, 0)
    assert keyed(api, SMS).status_code == 202  # the key is free again


# --- nothing to send, and too much of it -------------------------------------------------------------------------------

BLANKS = ["   ", "\n\t\n", "\u200b", "\u00a0\u3000", "\u2060\ufeff", "\u3164"]


@pytest.mark.parametrize("body", BLANKS)
@pytest.mark.parametrize("channel", OF_CALLERS)
def test_a_text_in_which_nothing_can_be_seen_is_refused(channel: str, body: str, api: Api) -> None:
    assert fields_of(api.post(URL, {"channel": channel, "recipient": RECIPIENTS[channel], "body": body, "subject": "Hi"})) == ["body"]


def test_an_email_whose_subject_is_only_blanks_is_refused(api: Api) -> None:
    letter = {"channel": "email", "recipient": RECIPIENTS["email"], "body": "Hello"}
    assert fields_of(api.post(URL, letter | {"subject": " \u200b "})) == ["subject"]


NAME = [{"name": "name", "required": False, "example": "Ada"}, {"name": "vip", "required": False, "example": True}]


@pytest.mark.parametrize(
    ("wording", "variables", "field"),
    [
        ({"channel": "sms", "body": "{{ name }}"}, {"name": ""}, "variables.name"),
        ({"channel": "sms", "body": "{{ name }}"}, {"name": " \u200b"}, "variables.name"),
        ({"channel": "push", "body": "{{ name }}"}, {"name": ""}, "variables.name"),
        ({"channel": "chat", "body": "{% if vip %}Welcome back{% endif %}"}, {"vip": False, "name": "Ada"}, "variables.vip"),
        ({"channel": "chat", "body": "{% if vip %}Welcome back{% endif %}"}, {}, "variables.vip"),
        ({"channel": "chat", "body": "{% if vip == 'gold' %}Welcome back{% endif %}"}, {"vip": "silver"}, "variables"),
        ({"channel": "email", "subject": "{{ name }}", "body": "Hello"}, {"name": ""}, "variables.name"),
        ({"channel": "email", "body": "", "html": "<style>p {}</style><p>{{ name }}&nbsp;</p>"}, {"name": ""}, "variables.name"),
        ({"channel": "email", "body": "{{ name }}", "html": "<p>{{ vip }}</p>"}, {"name": "", "vip": ""}, "variables.name"),
    ],
)
def test_a_template_that_renders_to_nothing_is_refused_and_names_the_variable(
    wording: dict[str, Any], variables: dict[str, Any], field: str, api: Api, tenant: Tenant
) -> None:
    template = make_template(tenant, variables=NAME, **wording)
    body = {"channel": template.channel, "recipient": RECIPIENTS[template.channel], "template": template.name}
    answer = api.post(URL, body | {"variables": variables})
    assert fields_of(answer)[0] == field
    assert json_of(answer)["errors"][0]["code"] == "empty"
    rows = {"channel": template.channel, "template": template.name, "on_error": "skip"}
    recipient = RECIPIENTS[template.channel]
    recipients = [{"recipient": recipient, "variables": values} for values in (variables, {"name": "Ada", "vip": "gold"})]
    accepted = json_of(api.post("/api/messages/batch", rows | {"recipients": recipients}))
    assert accepted["accepted"] == 1
    assert {(entry["index"], entry["code"]) for entry in accepted["rejected"]} == {(0, "empty")}


@pytest.mark.parametrize(
    ("wording", "variables"),
    [
        ({"channel": "email", "body": "", "html": '<p><img src="https://example.com/a.png"></p>'}, {}),
        ({"channel": "email", "body": "{{ name }}", "html": "<p>Hello</p>"}, {"name": ""}),
        ({"channel": "chat", "body": "Hello {{ name }}"}, {"name": ""}),
        ({"channel": "chat", "body": "{{ name }}"}, {"name": "0"}),
    ],
)
def test_a_template_that_shows_something_is_accepted(wording: dict[str, Any], variables: dict[str, Any], api: Api, tenant: Tenant) -> None:
    template = make_template(tenant, variables=NAME, **wording)
    body = {"channel": template.channel, "recipient": RECIPIENTS[template.channel], "template": template.name, "variables": variables}
    assert api.post(URL, body).status_code == 202


def test_an_sms_of_more_segments_than_configured_is_refused(api: Api, tenant: Tenant) -> None:
    assert fields_of(api.post(URL, SMS | {"body": "x" * 200_000})) == ["body"]
    assert json_of(api.post(URL, SMS | {"body": "x" * 1_530}))["segments"] == 10
    answer = api.post(URL, SMS | {"body": "x" * 1_531})
    assert "11" in json_of(answer)["errors"][0]["message"]
    template = make_template(tenant)
    filled = {"channel": "sms", "recipient": SMS["recipient"], "template": template.name, "variables": {"code": "9" * 1_600}}
    assert fields_of(api.post(URL, filled)) == ["variables"]
    assert fields_of(api.post("/api/messages/batch", {"channel": "sms", "body": "x" * 1_531, "recipients": [{"recipient": "x"}]})) == [
        "body"
    ]
    with message_limits.set(max_sms_segments=255):
        assert json_of(api.post(URL, SMS | {"body": "x" * 1_531}))["segments"] == 11
        assert fields_of(api.post(URL, SMS | {"body": "x" * (255 * 153 + 1)})) == ["body"]


def test_a_text_longer_than_its_channel_takes_is_refused(api: Api, tenant: Tenant) -> None:
    push = {"channel": "push", "recipient": RECIPIENTS["push"]}
    assert api.post(URL, push | {"body": "é" * 2_048}).status_code == 202
    assert fields_of(api.post(URL, push | {"body": "é" * 2_048 + "x"})) == ["body"]
    template = make_template(tenant, channel="push", body="Your code is {{ code }}, {{ code }}.")
    filled = push | {"template": template.name}
    assert api.post(URL, filled | {"variables": {"code": "9" * 2_000}}).status_code == 202
    assert fields_of(api.post(URL, filled | {"variables": {"code": "9" * 2_100}})) == ["variables"]
    looped = make_template(
        tenant, channel="push", body="Rows: {% for row in rows %}{{ row }}{% endfor %}", variables=[{"name": "rows", "example": ["a"]}]
    )
    assert fields_of(api.post(URL, push | {"template": looped.name, "variables": {"rows": ["x" * 100] * 50}})) == ["variables"]
    with message_limits.set(body_sizes=[], max_bytes=10):
        assert fields_of(api.post(URL, push | {"body": "12345678901"})) == ["body"]
