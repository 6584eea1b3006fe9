"""Receipts over the API: signed, safe to repeat, and never able to reach another tenant's messages."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone
from standardwebhooks import Webhook

from accounts.models import Tenant
from messaging import traces
from messaging.models import Message, Provider, ReceiptEntry, Status
from messaging.providers.cache import provider_cache
from messaging.providers.editing import change_provider
from messaging.storage import store
from messaging.storage.store import Outcome
from tests.builders import TESTER, json_of, make_api, make_key, make_message, make_provider, make_tenant

pytestmark = [pytest.mark.django_db, pytest.mark.both_stacks]
CONFIG = {"url": "https://gateway.example.com/send"}


@pytest.fixture
def tenant() -> Tenant:
    return make_tenant()


@pytest.fixture
def provider(tenant: Tenant) -> Provider:
    return make_provider(tenant, kind="http", config=CONFIG)


def signed(provider: Provider, body: bytes, *, at: datetime | None = None, secret: str = "", identifier: str = "evt_1") -> dict[str, str]:
    """Return the headers of Standard Webhooks."""
    at = at or timezone.now()
    return {
        "webhook-id": identifier,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret or provider.receipt_secret).sign(identifier, at, body.decode()),
    }


def post(provider: Provider, body: Any, *, headers: dict[str, str] | None = None, **signing: Any) -> Any:
    """Send a callback, signed with the provider's secret unless told otherwise."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    sent = signed(provider, raw, **signing) if headers is None else headers
    return Client(raise_request_exception=False).post(f"/api/receipts/{provider.pk}/", raw, content_type="application/json", headers=sent)


def report(*entries: dict[str, Any]) -> dict[str, Any]:
    return {"receipts": list(entries)}


def delivered(message: Message, **more: Any) -> dict[str, Any]:
    return {"message_id": str(message.pk), "status": "delivered", **more}


def carried(provider: Provider, status: str = Status.SENT, **fields: Any) -> Message:
    return make_message(provider.tenant, status=status, provider=provider, **fields)


def counts(**expected: int) -> dict[str, int]:
    return {"applied": 0, "duplicate": 0, "late": 0, "unmatched": 0, "invalid": 0, **expected}


def counts_of(answer: Any) -> dict[str, int]:
    """Return the counts in an answer, without the list of problems."""
    return {name: value for name, value in json_of(answer).items() if name != "problems"}


def problems_of(answer: Any) -> list[tuple[int, str]]:
    return [(problem["index"], problem["outcome"]) for problem in json_of(answer)["problems"]]


# --- good ones -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [Status.SENT, Status.UNKNOWN, Status.SENDING])
def test_a_signed_receipt_makes_a_message_delivered(status: str, provider: Provider) -> None:
    message = carried(provider, status)
    answer = post(provider, report(delivered(message)))
    assert (answer.status_code, counts_of(answer)) == (200, counts(applied=1))
    message.refresh_from_db()
    assert message.status == Status.DELIVERED
    assert message.sent_at is not None
    assert message.finished_at is not None
    assert (message.claim, message.lease_until) == (None, None)


def test_a_failed_receipt_keeps_the_providers_reason(provider: Provider) -> None:
    message = carried(provider)
    post(provider, report({"message_id": message.pk.hex, "status": "failed", "code": "absent", "detail": "Subscriber absent"}))
    message.refresh_from_db()
    assert (message.status, message.error_code, message.error_detail) == ("failed", "absent", "Subscriber absent")


def test_a_message_is_also_found_by_the_providers_own_id(provider: Provider) -> None:
    message, other = carried(provider, provider_message_id="theirs-1"), carried(provider, provider_message_id="theirs-2")
    assert counts_of(post(provider, report({"provider_message_id": "theirs-1", "status": "delivered"}))) == counts(applied=1)
    message.refresh_from_db()
    other.refresh_from_db()
    assert (message.status, other.status) == ("delivered", "sent")


def test_many_receipts_come_in_one_callback(provider: Provider, django_assert_max_num_queries: Any) -> None:
    messages = [carried(provider) for _ in range(40)]
    with django_assert_max_num_queries(12):
        answer = post(provider, report(*map(delivered, messages)))
    assert counts_of(answer) == counts(applied=40)
    assert set(Message.objects.values_list("status", flat=True)) == {"delivered"}


def test_a_receipt_is_seen_in_the_trace(provider: Provider) -> None:
    message = carried(provider)
    post(provider, report(delivered(message)))
    message.refresh_from_db()
    shown = traces.trace(message)
    assert [event for event in shown["events"] if event["event"] == "receipt"]


def test_each_receipt_is_kept_with_what_became_of_it(provider: Provider) -> None:
    message = carried(provider)
    post(provider, report(delivered(message, code="0", detail="ok", provider_message_id="theirs")))
    entry = ReceiptEntry.objects.get()
    assert (entry.provider, entry.message, entry.reported, entry.outcome) == (provider, message, "delivered", "applied")
    assert (entry.code, entry.detail, entry.provider_message_id) == ("0", "ok", "theirs")


def test_the_path_answers_without_its_slash(provider: Provider) -> None:
    body = json.dumps(report(delivered(carried(provider)))).encode()
    answer = Client().post(f"/api/receipts/{provider.pk}", body, content_type="application/json", headers=signed(provider, body))
    assert answer.status_code == 200


def test_receipts_of_a_disabled_provider_still_count(provider: Provider) -> None:
    provider.is_enabled = False
    change_provider(provider=provider, config=provider.config, fields=[], by=TESTER)
    provider_cache.forget()
    assert counts_of(post(provider, report(delivered(carried(provider))))) == counts(applied=1)


# --- double, late, unknown -----------------------------------------------------------------------------------------------


def test_a_receipt_that_comes_twice_is_applied_once(provider: Provider) -> None:
    message = carried(provider)
    assert counts_of(post(provider, report(delivered(message)))) == counts(applied=1)
    before = Message.objects.filter(pk=message.pk).values().get()
    assert counts_of(post(provider, report(delivered(message)))) == counts(duplicate=1)
    assert Message.objects.filter(pk=message.pk).values().get() == before
    assert list(ReceiptEntry.objects.order_by("pk").values_list("outcome", flat=True)) == ["applied", "duplicate"]


def test_twice_in_one_callback_is_applied_once(provider: Provider) -> None:
    message = carried(provider)
    assert counts_of(post(provider, report(delivered(message), delivered(message)))) == counts(applied=1, duplicate=1)


def test_a_contradiction_comes_too_late(provider: Provider) -> None:
    message = carried(provider)
    post(provider, report(delivered(message)))
    assert counts_of(post(provider, report({"message_id": str(message.pk), "status": "failed"}))) == counts(late=1)
    message.refresh_from_db()
    assert message.status == Status.DELIVERED


@pytest.mark.parametrize("status", [Status.PENDING, Status.QUEUED, Status.CANCELLED, Status.EXPIRED, Status.SUPPRESSED, Status.FAILED])
def test_a_message_that_is_not_under_way_to_its_recipient_is_not_moved(status: str, provider: Provider) -> None:
    message = carried(provider, status)
    before = Message.objects.filter(pk=message.pk).values().get()
    assert counts_of(post(provider, report(delivered(message)))) == counts(late=1)
    assert Message.objects.filter(pk=message.pk).values().get() == before


def test_a_receipt_for_nothing_of_ours_is_counted_and_kept(provider: Provider) -> None:
    unknown = [{"message_id": str(uuid4()), "status": "delivered"}, {"provider_message_id": "never seen", "status": "failed"}]
    assert counts_of(post(provider, report(*unknown))) == counts(unmatched=2)
    assert [(entry.outcome, entry.message_id) for entry in ReceiptEntry.objects.all()] == [("unmatched", None)] * 2


def test_good_and_unknown_ones_mix(provider: Provider) -> None:
    message = carried(provider)
    assert counts_of(post(provider, report({"message_id": str(uuid4()), "status": "delivered"}, delivered(message)))) == counts(
        applied=1, unmatched=1
    )


# --- who may ---------------------------------------------------------------------------------------------------------------


def test_a_provider_cannot_touch_another_tenants_message(provider: Provider) -> None:
    other = make_provider(make_tenant("Other"), kind="http", config=CONFIG)
    theirs = carried(other, provider_message_id="theirs-1")
    before = Message.objects.filter(pk=theirs.pk).values().get()
    answer = post(provider, report(delivered(theirs), {"provider_message_id": "theirs-1", "status": "failed"}))
    assert counts_of(answer) == counts(unmatched=2)
    assert Message.objects.filter(pk=theirs.pk).values().get() == before
    assert {(entry.provider_id, entry.message_id) for entry in ReceiptEntry.objects.all()} == {(provider.pk, None)}


def test_a_provider_cannot_touch_what_another_of_the_same_tenant_carried(provider: Provider, tenant: Tenant) -> None:
    other = make_provider(tenant, kind="http", config=CONFIG)
    theirs = carried(other, provider_message_id="same-name")
    assert counts_of(post(provider, report(delivered(theirs), {"provider_message_id": "same-name", "status": "failed"}))) == counts(
        unmatched=2
    )
    theirs.refresh_from_db()
    assert theirs.status == Status.SENT


def refused(answer: Any) -> bool:
    return (answer.status_code, answer["Content-Type"], json_of(answer)["code"]) == (401, "application/problem+json", "unauthenticated")


@pytest.mark.parametrize(
    "change",
    [
        {"webhook-signature": "v1,AAAA"},
        {"webhook-signature": ""},
        {"webhook-signature": "nonsense"},
        {"webhook-signature": "v1,\u00e4\u00f6\u00fc"},
        {"webhook-id": "another"},
        {"webhook-id": ""},
        {"webhook-timestamp": "nonsense"},
        {"webhook-timestamp": ""},
        {"webhook-timestamp": "9" * 400},
        {"webhook-timestamp": "NaN"},
    ],
)
def test_a_callback_with_a_wrong_header_is_refused(change: dict[str, str], provider: Provider) -> None:
    message = carried(provider)
    body = json.dumps(report(delivered(message))).encode()
    assert refused(post(provider, body, headers=signed(provider, body) | change))
    message.refresh_from_db()
    assert message.status == Status.SENT
    assert ReceiptEntry.objects.count() == 0


@pytest.mark.parametrize("left_out", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_callback_with_a_missing_header_is_refused(left_out: str, provider: Provider) -> None:
    body = json.dumps(report(delivered(carried(provider)))).encode()
    headers = {name: value for name, value in signed(provider, body).items() if name != left_out}
    assert refused(post(provider, body, headers=headers))


def test_a_callback_whose_body_was_changed_is_refused(provider: Provider) -> None:
    message = carried(provider)
    genuine = json.dumps(report(delivered(message))).encode()
    assert refused(post(provider, genuine.replace(b"delivered", b"failed"), headers=signed(provider, genuine)))


def test_a_compressed_callback_is_told_to_come_uncompressed(provider: Provider) -> None:
    raw = json.dumps(report(delivered(carried(provider)))).encode()
    answer = post(provider, raw, headers=signed(provider, raw) | {"content-encoding": "gzip"})
    assert (answer.status_code, answer["Accept-Encoding"], answer.json()["code"]) == (415, "identity", "unsupported_type")
    assert not ReceiptEntry.objects.exists()


@pytest.mark.parametrize("age", [timedelta(minutes=6), timedelta(days=300), timedelta(minutes=-6)])
def test_a_callback_from_too_long_ago_or_from_the_future_is_refused(age: timedelta, provider: Provider) -> None:
    message = carried(provider)
    assert refused(post(provider, report(delivered(message)), at=datetime.now(UTC) - age))


def test_a_callback_a_few_minutes_old_is_taken(provider: Provider) -> None:
    answer = post(provider, report(delivered(carried(provider))), at=datetime.now(UTC) - timedelta(minutes=4))
    assert answer.status_code == 200


def test_the_secret_of_another_provider_does_not_fit(provider: Provider, tenant: Tenant) -> None:
    other = make_provider(tenant, kind="http", config=CONFIG)
    assert refused(post(provider, report(delivered(carried(provider))), secret=other.receipt_secret))


def test_a_new_secret_takes_the_place_of_the_old_one_at_once(provider: Provider) -> None:
    old = provider.receipt_secret
    new = json_of(make_api(provider.tenant).post(f"/api/providers/{provider.pk}/receipt-secret/"))["receipt_secret"]
    message = carried(provider)
    assert refused(post(provider, report(delivered(message)), secret=old))
    assert post(provider, report(delivered(message)), secret=new).status_code == 200


def test_an_api_key_opens_nothing_here(provider: Provider) -> None:
    _key, clear = make_key(provider.tenant)
    assert refused(post(provider, report(delivered(carried(provider))), headers={"Authorization": f"Bearer {clear}"}))


def test_a_provider_that_is_not_there_is_not_found(provider: Provider) -> None:
    body = b"{}"
    answer = Client().post(f"/api/receipts/{uuid4()}/", body, content_type="application/json", headers=signed(provider, body))
    assert answer.status_code == 404


# --- bodies that make no sense ----------------------------------------------------------------------------------------------

GOOD_ID = "0192f0c1-a2b3-7c4d-8e9f-001122334455"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"5",
        b'"text"',
        b"[[]]",
        b"[null]",
        b"{}",
        b'{"receipts": [5]}',
        b'{"receipts": [{}]}',
        b'{"receipts": [{"status": "delivered"}]}',
        b'{"receipts": [{"message_id": "' + GOOD_ID.encode() + b'"}]}',
        b"[" * 5000,
    ],
    ids=lambda body: repr(body[:60]),
)
def test_a_signed_body_that_makes_no_sense_is_refused_and_nothing_is_applied(body: bytes, provider: Provider) -> None:
    message = carried(provider)
    answer = post(provider, body)
    assert (answer.status_code, answer["Content-Type"]) == (422, "application/problem+json")
    message.refresh_from_db()
    assert message.status == Status.SENT
    assert ReceiptEntry.objects.count() == 0


@pytest.mark.parametrize(
    ("senseless", "field"),
    [({"status": "delivered"}, "message_id"), ({"message_id": GOOD_ID}, "status"), (5, "object"), (None, "object"), ({}, "status")],
)
def test_a_receipt_that_is_not_understood_is_named_and_holds_back_no_other(senseless: Any, field: str, provider: Provider) -> None:
    first, last = carried(provider), carried(provider)
    answer = post(provider, report(delivered(first), senseless, delivered(last)))
    assert (answer.status_code, counts_of(answer)) == (200, counts(applied=2, invalid=1))
    (problem,) = json_of(answer)["problems"]
    assert (problem["index"], problem["outcome"]) == (1, "invalid")
    assert field in problem["message"]
    assert set(Message.objects.values_list("status", flat=True)) == {"delivered"}


@pytest.mark.parametrize("foreign", ["order-77", "nonsense", 77, 123456789012345678901234, "0192f0c1"])
def test_a_receipt_of_another_system_is_unmatched_and_holds_back_no_other(foreign: Any, provider: Provider) -> None:
    message = carried(provider)
    answer = post(provider, report({"message_id": foreign, "status": "failed"}, delivered(message)))
    assert (answer.status_code, counts_of(answer)) == (200, counts(applied=1, unmatched=1))
    assert problems_of(answer) == [(0, "unmatched")]
    kept = ReceiptEntry.objects.get(outcome="unmatched")
    assert (kept.message, kept.provider_message_id) == (None, str(foreign))
    alone = post(provider, report({"message_id": foreign, "status": "failed"}))
    assert (alone.status_code, counts_of(alone)) == (200, counts(unmatched=1))


def test_a_receipt_of_another_system_matches_no_message_without_a_provider_id(provider: Provider) -> None:
    message = carried(provider)
    assert message.provider_message_id == ""
    answer = post(provider, report({"provider_message_id": "\0", "status": "failed"}, {"message_id": GOOD_ID, "status": "failed"}))
    assert (answer.status_code, counts_of(answer)) == (200, counts(unmatched=2))
    message.refresh_from_db()
    assert message.status == Status.SENT


def test_the_list_of_problems_is_bounded_and_the_counts_are_not(provider: Provider) -> None:
    answer = post(provider, report(*[{"message_id": f"order-{n}", "status": "delivered"} for n in range(150)], *[{}] * 150))
    assert counts_of(answer) == counts(unmatched=150, invalid=150)
    assert problems_of(answer) == [(n, "unmatched") for n in range(100)]


@pytest.mark.parametrize("written", [b"123456789012345678901234", b'"123456789012345678901234"', b"18446744073709551616"])
def test_a_long_number_as_the_providers_id_stays_exact(written: bytes, provider: Provider) -> None:
    digits = written.decode().strip('"')
    message = carried(provider, provider_message_id=digits)
    neighbour = carried(provider, provider_message_id=str(int(digits) + 1))
    answer = post(
        provider, b'{"receipts": [{"provider_message_id": %s, "status": "delivered", "detail": {"ref": [%s]}}]}' % (written, written)
    )
    assert counts_of(answer) == counts(applied=1)
    message.refresh_from_db()
    neighbour.refresh_from_db()
    assert (message.status, neighbour.status) == ("delivered", "sent")
    entry = ReceiptEntry.objects.get()
    assert entry.provider_message_id == digits
    assert entry.detail == f'{{"ref":[{written.decode()}]}}'


def test_a_detail_cut_in_the_middle_of_an_emoji_loses_no_receipt(provider: Provider) -> None:
    message = carried(provider)
    body = b'{"receipts": [{"message_id": "%s", "status": "delivered", "detail": "Hi \\ud83d"}]}' % str(message.pk).encode()
    assert counts_of(post(provider, body)) == counts(applied=1)
    assert ReceiptEntry.objects.get().detail == "Hi \ufffd"


def test_states_that_are_neither_delivered_nor_failed_are_passed_over(provider: Provider) -> None:
    message = carried(provider)
    answer = post(provider, report({"message_id": str(message.pk), "status": "on its way"}))
    assert (answer.status_code, counts_of(answer)) == (200, counts())


@pytest.mark.parametrize("field", ["code", "detail", "provider_message_id"])
def test_long_or_strange_words_of_a_provider_do_not_stop_its_receipts(field: str, provider: Provider) -> None:
    for value in ("x" * 5000, "a\0b", "\u202e\U0001f389", 5, None, {"deep": [1]}, 10**30):
        message = carried(provider)
        body = json.dumps(report(delivered(message) | {field: value})).encode()
        answer = post(provider, body)
        assert answer.status_code == 200, (value, answer.content)
        message.refresh_from_db()
        assert message.status == Status.DELIVERED, value


def test_whatever_a_provider_answers_its_outcome_can_be_written(provider: Provider) -> None:
    message = carried(provider, Status.SENDING)
    assert message.claim
    said = Outcome(
        id=message.pk, status="failed", attempts=1, error_code="a\0b", error_detail="HTTP 500: \0\u202e🎉", provider_message_id="\0x"
    )
    assert store.write_outcomes([said], claim_id=message.claim) == {message.pk}
    message.refresh_from_db()
    assert (message.error_code, message.error_detail, message.provider_message_id) == ("ab", "HTTP 500: \u202e🎉", "x")


def test_a_body_that_is_no_text_is_refused(provider: Provider) -> None:
    answer = Client(raise_request_exception=False).post(
        f"/api/receipts/{provider.pk}/", b"\xff\xfe\xfd", content_type="application/json", headers=signed(provider, b"x")
    )
    assert refused(answer)
