"""Batches through the API: handing over, looking at, pausing, cancelling."""

from typing import Any

import orjson
import pytest

from accounts.models import AuditEntry, Tenant
from messaging.models import Batch, BatchStatus, IdempotencyKey, Message, Status
from tests.builders import RECIPIENTS, Api, fields_of, json_of, make_api, make_batch, make_message, make_template, make_tenant, published

pytestmark = [pytest.mark.django_db, pytest.mark.both_stacks]
URL = "/api/messages/batch"
GOOD = {"recipient": RECIPIENTS["sms"]}


@pytest.fixture
def tenant() -> Tenant:
    return make_tenant()


@pytest.fixture
def api(tenant: Tenant) -> Api:
    return make_api(tenant)


def sms(*recipients: Any, **changed: Any) -> dict[str, Any]:
    return {"channel": "sms", "body": "Sale!", "recipients": list(recipients), **changed}


def nothing_is_stored() -> bool:
    return (Batch.objects.count(), Message.objects.count(), IdempotencyKey.objects.count()) == (0, 0, 0)


# --- handing over --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/api/messages/batch", "/api/messages/batch/"])
def test_a_batch_is_answered_with_202_its_id_and_the_counts(path: str, api: Api) -> None:
    answer = api.post(path, sms(GOOD, {"recipient": "+447911123456", "reference": "second"}, name="Spring", priority=3))
    assert answer.status_code == 202
    body = json_of(answer)
    assert body == {"batch_id": body["batch_id"], "accepted": 2, "rejected": [], "duplicates": {"dropped": 0, "rows": []}}
    batch = Batch.objects.get(pk=body["batch_id"])
    assert (batch.name, batch.channel, batch.priority, batch.accepted, batch.rejected, batch.status) == (
        "Spring",
        "sms",
        3,
        2,
        0,
        "running",
    )
    assert sorted(batch.messages.values_list("recipient", "reference", "priority", "segments", "body")) == [
        ("+447911123456", "second", 3, 1, "Sale!"),
        ("+8613812345678", "", 3, 1, "Sale!"),
    ]


# --- duplicates ----------------------------------------------------------------------------------------------------

OTHER = {"recipient": "+447911123456"}


def test_the_same_number_three_times_is_sent_once_and_the_answer_says_so(api: Api) -> None:
    written = {"recipient": "+86 138-1234-5678", "reference": "again", "time_zone": "Europe/Paris"}
    answer = json_of(api.post(URL, sms(GOOD, OTHER, written, GOOD)))
    assert (answer["accepted"], answer["rejected"]) == (2, [])
    assert answer["duplicates"] == {"dropped": 2, "rows": [{"index": 2, "same_as": 0}, {"index": 3, "same_as": 0}]}
    assert sorted(Message.objects.values_list("recipient", "reference")) == [("+447911123456", ""), ("+8613812345678", "")]
    shown = json_of(api.get(f"/api/batches/{answer['batch_id']}/"))
    assert (shown["accepted"], shown["rejected"], shown["dropped"], shown["in_progress"]) == (2, 0, 2, 2)


def test_duplicates_are_sent_where_the_batch_says_so(api: Api) -> None:
    answer = json_of(api.post(URL, sms(GOOD, GOOD, GOOD, duplicates="send")))
    assert (answer["accepted"], answer["duplicates"]) == (3, {"dropped": 0, "rows": []})
    assert Message.objects.count() == 3


def test_duplicates_are_rejected_like_other_bad_rows_where_the_batch_says_so(api: Api) -> None:
    refused = api.post(URL, sms(GOOD, OTHER, GOOD, duplicates="reject"))
    assert fields_of(refused) == ["recipients[2].recipient"]
    assert json_of(refused)["errors"][0]["code"] == "duplicate"
    assert nothing_is_stored()
    answer = json_of(api.post(URL, sms(GOOD, OTHER, GOOD, duplicates="reject", on_error="skip")))
    assert (answer["accepted"], answer["duplicates"]["dropped"]) == (2, 0)
    assert [(row["index"], row["code"]) for row in answer["rejected"]] == [(2, "duplicate")]


@pytest.mark.parametrize("duplicates", ["", "DROP", "keep", 1, None])
def test_another_word_about_duplicates_is_refused(duplicates: Any, api: Api) -> None:
    refused = api.post(URL, sms(GOOD, GOOD, duplicates=duplicates))
    assert fields_of(refused) == ["duplicates"]
    assert nothing_is_stored()


def test_the_content_is_what_the_template_makes_of_the_variables(api: Api, tenant: Tenant) -> None:
    template = make_template(tenant, body="Your code is {{ code }}.")
    given: list[dict[str, Any]] = [
        {"code": "1"},
        {"code": "2"},
        {"code": "1", "unused": "x"},  # the same text as the first
        {"code": 1},
        {"code": True},  # not the text of 1
        {"code": "2"},
        {"code": 1},
    ]
    rows = [{"recipient": GOOD["recipient"], "variables": variables} for variables in given]
    rows.append({"recipient": OTHER["recipient"], "variables": {"code": "1"}})
    answer = json_of(api.post(URL, {"channel": "sms", "template": template.name, "recipients": rows}))
    assert [(row["index"], row["same_as"]) for row in answer["duplicates"]["rows"]] == [(2, 0), (5, 1), (6, 3)]
    assert answer["accepted"] == 5


def test_an_address_in_capitals_is_the_same_recipient(api: Api) -> None:
    rows = [{"recipient": recipient} for recipient in ("Ada@Example.com", "ada@example.COM", "bob@example.com")]
    answer = json_of(api.post(URL, {"channel": "email", "subject": "Hi", "body": "Sale!", "recipients": rows}))
    assert (answer["accepted"], answer["duplicates"]["rows"]) == (2, [{"index": 1, "same_as": 0}])
    assert set(Message.objects.values_list("recipient", flat=True)) == {"Ada@example.com", "bob@example.com"}


def test_a_row_that_repeats_a_bad_one_is_bad_and_no_duplicate(api: Api) -> None:
    bad = {**GOOD, "time_zone": "Nowhere"}
    answer = json_of(api.post(URL, sms(bad, bad, GOOD, GOOD, on_error="skip")))
    assert {row["index"] for row in answer["rejected"]} == {0, 1}
    assert answer["duplicates"] == {"dropped": 1, "rows": [{"index": 3, "same_as": 2}]}


def test_the_list_of_duplicates_is_bounded_and_their_number_is_not(api: Api) -> None:
    answer = json_of(api.post(URL, sms(*[GOOD] * 300)))
    assert (answer["accepted"], answer["duplicates"]["dropped"], len(answer["duplicates"]["rows"])) == (1, 299, 100)


def test_a_repeated_batch_tells_the_same_about_duplicates(api: Api) -> None:
    first, second = (api.post(URL, sms(GOOD, GOOD), headers={"Idempotency-Key": "once"}) for _ in range(2))
    assert json_of(first) == json_of(second)
    assert json_of(first)["duplicates"]["dropped"] == 1


def test_single_messages_with_the_same_text_are_no_duplicates_of_each_other(api: Api) -> None:
    body = {"channel": "sms", "body": "Sale!", **GOOD}
    assert [api.post("/api/messages/", body).status_code for _ in range(2)] == [202, 202]
    assert json_of(api.post(URL, sms(GOOD)))["accepted"] == 1
    assert fields_of(api.post("/api/messages/", body | {"duplicates": "send"})) == ["duplicates"]
    assert Message.objects.count() == 3


def test_each_row_has_its_own_variables(api: Api, tenant: Tenant) -> None:
    template = make_template(tenant, name="code")
    rows = [{"recipient": RECIPIENTS["sms"], "variables": {"code": str(n)}} for n in range(3)]
    answer = api.post(URL, {"channel": "sms", "template": "code", "recipients": rows})
    assert answer.status_code == 202
    assert sorted(message.variables["code"] for message in Message.objects.all()) == ["0", "1", "2"]
    assert set(Message.objects.values_list("template_version", flat=True)) == {published(template).pk}
    assert Batch.objects.get().template_version == published(template)


BAD_ROWS: list[tuple[Any, str, str]] = [
    ({"recipient": "nonsense"}, "recipient", "invalid"),
    ({"recipient": ""}, "recipient", "invalid"),
    ({"recipient": 5}, "recipient", "invalid"),
    ({}, "recipient", "required"),
    ({"recipient": RECIPIENTS["sms"], "colour": "red"}, "colour", "unknown"),
    ({"recipient": RECIPIENTS["sms"], "reference": "x" * 129}, "reference", "invalid"),
    ({"recipient": RECIPIENTS["sms"], "variables": []}, "variables", "invalid"),
    ({"recipient": RECIPIENTS["sms"], "variables": {"a": 1}}, "variables", "not_allowed"),
    ("+8613812345678", "", "invalid"),
    (None, "", "invalid"),
    ([], "", "invalid"),
]


@pytest.mark.parametrize(("row", "field", "code"), BAD_ROWS, ids=lambda value: repr(value)[:40])
def test_one_bad_row_rejects_the_whole_batch_and_nothing_is_stored(row: Any, field: str, code: str, api: Api) -> None:
    answer = api.post(URL, sms(GOOD, row, GOOD), headers={"Idempotency-Key": "once"})
    problem = json_of(answer)
    assert (answer.status_code, problem["accepted"]) == (422, 0)
    (found,) = problem["rejected"]
    assert (found["index"], found["field"], found["code"]) == (1, field, code)
    assert found["message"]
    (error,) = problem["errors"]
    assert error["field"] == (f"recipients[1].{field}" if field else "recipients[1]")
    assert nothing_is_stored()


@pytest.mark.parametrize(("row", "field", "code"), BAD_ROWS, ids=lambda value: repr(value)[:40])
def test_with_skip_the_bad_rows_are_left_out_and_listed(row: Any, field: str, code: str, api: Api) -> None:
    answer = api.post(URL, sms(GOOD, row, GOOD, on_error="skip", duplicates="send"))
    body = json_of(answer)
    assert (answer.status_code, body["accepted"]) == (202, 2)
    (found,) = body["rejected"]
    assert {name: found[name] for name in ("index", "field", "code")} == {"index": 1, "field": field, "code": code}
    batch = Batch.objects.get()
    assert (batch.accepted, batch.rejected, batch.messages.count()) == (2, 1, 2)


def test_every_bad_row_is_named_with_all_that_is_wrong_in_it(api: Api, tenant: Tenant) -> None:
    make_template(tenant, name="code", body="{{ a }}{{ b }}", variables=[{"name": "a"}, {"name": "b"}])
    rows = [
        {"recipient": "x"},
        {"recipient": RECIPIENTS["sms"], "variables": {"a": 1, "b": 2}},
        {"recipient": RECIPIENTS["sms"], "variables": {"a": 1}},
    ]
    answer = api.post(URL, {"channel": "sms", "template": "code", "recipients": rows})
    assert [(e["index"], e["field"]) for e in json_of(answer)["rejected"]] == [
        (0, "recipient"), (0, "variables.a"), (0, "variables.b"), (2, "variables.b")
    ]  # fmt: skip
    assert nothing_is_stored()


def test_a_row_with_two_mistakes_counts_as_one_rejected(api: Api, tenant: Tenant) -> None:
    make_template(tenant, name="code")
    rows = [{"recipient": "x"}, {"recipient": RECIPIENTS["sms"], "variables": {"code": "1"}}]
    answer = api.post(URL, {"channel": "sms", "template": "code", "recipients": rows, "on_error": "skip"})
    assert len(json_of(answer)["rejected"]) == 2
    assert (Batch.objects.get().accepted, Batch.objects.get().rejected) == (1, 1)


def test_a_batch_of_only_bad_rows_is_refused_even_with_skip(api: Api) -> None:
    assert api.post(URL, sms({"recipient": "x"}, on_error="skip")).status_code == 422
    assert nothing_is_stored()


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"recipients": []}, "recipients"),
        ({"recipients": None}, "recipients"),
        ({"recipients": {"recipient": "+8613812345678"}}, "recipients"),
        ({"recipients": "+8613812345678"}, "recipients"),
        ({"channel": "pigeon"}, "channel"),
        ({"body": ""}, "body"),
        ({"template": "no-such", "body": ""}, "template"),
        ({"priority": 11}, "priority"),
        ({"name": "x" * 201}, "name"),
        ({"on_error": "ignore"}, "on_error"),
        ({"send_at": "2030-01-01T10:00:00"}, "send_at"),
        ({"expires_at": "2001-01-01T00:00:00Z"}, "expires_at"),
        ({"metadata": {"x": "y" * 16_384}}, "metadata"),
        ({"subject": "two\nlines"}, "subject"),
        ({"variables": {"a": 1}}, "variables"),
        ({"nonsense": 1}, "nonsense"),
    ],
)
def test_what_all_rows_share_is_checked_once_and_named(changed: dict[str, Any], field: str, api: Api) -> None:
    assert fields_of(api.post(URL, sms(GOOD) | changed)) == [field]
    assert nothing_is_stored()


@pytest.mark.parametrize("on_error", ["reject", "skip"])
def test_more_than_ten_thousand_recipients_are_refused(on_error: str, api: Api) -> None:
    answer = api.post(URL, sms(*[GOOD] * 10_001, on_error=on_error))
    assert fields_of(answer) == ["recipients"]
    assert "10000" in json_of(answer)["errors"][0]["message"]
    assert nothing_is_stored()


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"channel": "sms", "body": "x", "recipients": [{"recipient": "+8613812345678"}', b"\xff"]
)
def test_a_batch_that_is_no_json_is_refused(body: bytes, api: Api) -> None:
    assert api.post(URL, body, headers={"Content-Type": "application/json"}).status_code in (400, 422)
    assert nothing_is_stored()


def test_a_nul_anywhere_in_a_batch_is_refused(api: Api) -> None:
    assert api.post(URL, orjson.dumps(sms(GOOD, {**GOOD, "reference": "a\0b"}))).status_code == 400
    assert nothing_is_stored()


def test_a_number_too_large_to_store_rejects_its_row(api: Api, tenant: Tenant) -> None:
    make_template(tenant, name="code")
    rows = b'[{"recipient": "+8613812345678", "variables": {"code": 1%s}}]' % (b"0" * 30)
    answer = api.post(URL, b'{"channel": "sms", "template": "code", "recipients": %s}' % rows)
    assert fields_of(answer) == ["recipients[0].variables"]


def test_a_repeated_batch_gives_the_same_batch(api: Api) -> None:
    answers = [api.post(URL, sms(GOOD, {"recipient": "x"}, on_error="skip"), headers={"Idempotency-Key": "spring"}) for _ in range(3)]
    assert {answer.status_code for answer in answers} == {202}
    assert all(json_of(answer) == json_of(answers[0]) for answer in answers)
    assert [answer.get("Idempotent-Replayed") for answer in answers] == [None, "true", "true"]
    assert (Batch.objects.count(), Message.objects.count()) == (1, 1)


def test_the_same_key_for_another_batch_is_a_conflict(api: Api) -> None:
    api.post(URL, sms(GOOD), headers={"Idempotency-Key": "spring"})
    answer = api.post(URL, sms(GOOD, GOOD), headers={"Idempotency-Key": "spring"})
    assert (answer.status_code, json_of(answer)["code"]) == (409, "idempotency_key_reused")
    assert Batch.objects.count() == 1


# --- looking at ----------------------------------------------------------------------------------------------------

MIXED: dict[str, Any] = {
    "pending": 3,
    "queued": 2,
    "sending": 1,
    "sent": 4,
    "delivered": 5,
    "unknown": 1,
    "failed": 2,
    "suppressed": 1,
    "cancelled": 1,
    "expired": 1,
}


def test_the_books_of_a_batch_add_up(api: Api, tenant: Tenant) -> None:
    batch = make_batch(tenant, **MIXED)
    make_message(tenant, status=Status.SENT)  # of no batch
    shown = json_of(api.get(f"/api/batches/{batch.pk}/"))
    assert shown["counts"] == MIXED
    assert set(shown["counts"]) == set(Status.values)
    assert (shown["accepted"], shown["in_progress"], shown["ended"]) == (21, 6, 15)
    assert shown["accepted"] == sum(shown["counts"].values()) == shown["in_progress"] + shown["ended"]
    assert shown["progress_percent"] == 71.4


def test_the_list_shows_the_same_books(api: Api, tenant: Tenant) -> None:
    first, second = make_batch(tenant, **MIXED), make_batch(tenant, sent=2)
    rows = json_of(api.get("/api/batches/"))["results"]
    assert [row["id"] for row in rows] == [str(second.pk), str(first.pk)]
    assert rows[1] == json_of(api.get(f"/api/batches/{first.pk}/"))
    assert rows[0]["progress_percent"] == 100.0


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, {"spring", "autumn", "paused"}),
        ({"name": "SPR"}, {"spring"}),
        ({"status": "paused"}, {"paused"}),
        ({"status": ["paused", "running"]}, {"spring", "autumn", "paused"}),
        ({"channel": "email"}, {"autumn"}),
    ],
)
def test_batches_are_filtered(query: dict[str, Any], found: set[str], api: Api, tenant: Tenant) -> None:
    for name, channel, status in (("spring", "sms", "running"), ("autumn", "email", "running"), ("paused", "sms", "paused")):
        batch = make_batch(tenant, channel=channel, status=status)
        Batch.objects.filter(pk=batch.pk).update(name=name)
    assert {row["name"] for row in json_of(api.get("/api/batches/", **query))["results"]} == found


# --- pause, resume, cancel --------------------------------------------------------------------------------------------


def audited() -> list[tuple[str, str, dict[str, Any]]]:
    return list(AuditEntry.objects.order_by("pk").values_list("action", "target", "detail"))


def test_pausing_takes_back_what_stands_in_the_broker(api: Api, tenant: Tenant) -> None:
    batch = make_batch(tenant, pending=2, queued=3, sending=1, sent=1)
    answer = json_of(api.post(f"/api/batches/{batch.pk}/pause/"))
    assert answer["status"] == "paused"
    assert (answer["counts"]["pending"], answer["counts"]["queued"], answer["counts"]["sending"]) == (5, 0, 1)
    assert audited() == [("batch.pause", str(batch.pk), {"taken_back": 3})]


def test_a_paused_batch_goes_on(api: Api, tenant: Tenant) -> None:
    batch = make_batch(tenant, status=BatchStatus.PAUSED, pending=2)
    assert json_of(api.post(f"/api/batches/{batch.pk}/resume/"))["status"] == "running"
    assert audited() == [("batch.resume", str(batch.pk), {})]


def test_cancelling_says_how_many_it_was_in_time_for(api: Api, tenant: Tenant) -> None:
    batch = make_batch(tenant, pending=2, queued=3, sending=1, sent=4, unknown=1)
    other = make_message(tenant)
    answer = json_of(api.post(f"/api/batches/{batch.pk}/cancel/"))
    counts = {name: answer[name] for name in ("cancelled", "too_late", "unknown")}
    assert counts == {"cancelled": 5, "too_late": 5, "unknown": 1}
    assert sum(counts.values()) == batch.accepted
    assert answer["batch"]["status"] == "cancelled"
    assert answer["batch"]["counts"]["cancelled"] == 5
    other.refresh_from_db()
    assert other.status == Status.PENDING
    assert audited() == [("batch.cancel", str(batch.pk), counts)]


@pytest.mark.parametrize(
    ("verb", "status"),
    [
        ("pause", "paused"), ("pause", "cancelled"), ("pause", "finished"),
        ("resume", "running"), ("resume", "cancelled"), ("resume", "finished"),
        ("cancel", "cancelled"), ("cancel", "finished"),
    ],
)  # fmt: skip
def test_what_a_batchs_state_does_not_allow_is_a_conflict_that_names_the_state(verb: str, status: str, api: Api, tenant: Tenant) -> None:
    batch = make_batch(tenant, status=status, pending=1, queued=1, sent=1)
    before = list(Message.objects.order_by("pk").values())
    answer = api.post(f"/api/batches/{batch.pk}/{verb}/")
    assert (answer.status_code, answer["Content-Type"]) == (409, "application/problem+json")
    assert json_of(answer)["current_status"] == status
    assert status in json_of(answer)["detail"]
    assert list(Message.objects.order_by("pk").values()) == before
    assert audited() == []
