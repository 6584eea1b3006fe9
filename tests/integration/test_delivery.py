"""From an HTTP call to a real receiver and back: what a customer sees, on both stacks."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.integration.customer import Customer, number
from tests.integration.stack import Stack
from tests.integration.waiting import poll, reach
from tests.peers.gateway import Answer, Gateway
from tests.peers.smtp import MailServer

pytestmark = pytest.mark.both_stacks


@pytest.fixture
def customer(stack: Stack) -> Customer:
    return Customer(stack)


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with Gateway() as running:
        yield running


def test_an_email_and_a_text_arrive_and_a_signed_receipt_makes_them_delivered(customer: Customer, gateway: Gateway) -> None:
    with MailServer() as mail:
        by_mail = customer.provider(
            "email", "email", {"host": mail.host, "port": mail.port, "security": "none", "from_email": "shop@example.com"}
        )
        by_text = customer.gateway(gateway)
        email = customer.send(channel="email", recipient="ada@Example.com", subject="Hello", body="Your order has left.")
        text = customer.send(recipient="+86 138-1234-5678", body="Your code is 123456", reference="order-7")
        assert customer.settled(email)["status"] == "sent"
        assert customer.settled(text)["status"] == "sent"
        (arrived,) = mail.messages
        assert arrived.recipients == ["ada@example.com"]
        assert arrived.message["Subject"] == "Hello"
        assert "Your order has left." in arrived.message.get_body().get_content()  # type: ignore[union-attr]
        (taken,) = gateway.records
        assert (taken.to, taken.text, taken.headers["idempotency-key"]) == (
            "+8613812345678",
            "Your code is 123456",
            customer.message(text)["trace_id"],
        )
    assert customer.receipt(by_text, [{"provider_message_id": f"gw-{taken.id}", "status": "delivered"}])[1]["applied"] == 1
    assert customer.receipt(by_mail, [{"message_id": email, "status": "delivered"}])[0] in (200, 422)  # SMTP itself has no receipts
    assert customer.message(text)["status"] == "delivered"
    trace = customer.http.get(f"/api/messages/{text}/trace/").json()
    assert trace["trace_id"] == text.replace("-", "")
    assert [node["name"] for node in trace["nodes"]] == ["queue", "process", "send", "callback"]
    assert all(node["status"] == "ok" and node["duration_ms"] >= 0 for node in trace["nodes"])
    assert trace["statistics"]["success_rate"] == 100.0
    assert trace["statistics"]["total_duration_ms"] == sum(node["duration_ms"] for node in trace["nodes"])


def test_a_batch_of_ten_thousand_reaches_the_gateway_once_each(customer: Customer, gateway: Gateway) -> None:
    customer.gateway(gateway, bulk=True)
    batch = customer.finished(customer.send_batch(10_000))
    assert batch["counts"]["sent"] == batch["accepted"] == 10_000
    assert len(gateway.taken) == 10_000
    assert gateway.doubles() == {}


def test_a_batch_cancelled_while_running_stops_and_its_books_are_right(customer: Customer, gateway: Gateway) -> None:
    customer.gateway(gateway, caps={"per_second": 50})
    batch_id = customer.send_batch(1_000)
    reach(lambda: len(gateway.taken), 20)
    answer = customer.http.post(f"/api/batches/{batch_id}/cancel/").json()
    assert answer["cancelled"] > 0
    assert answer["cancelled"] + answer["too_late"] + answer["unknown"] == 1_000
    poll(lambda: customer.batch(batch_id)["in_progress"] == 0, progress=lambda: customer.batch(batch_id)["counts"])
    batch = customer.batch(batch_id)
    assert batch["status"] == "cancelled"
    assert batch["counts"]["sent"] == len(gateway.taken) < 1_000
    assert batch["counts"]["cancelled"] + batch["counts"]["sent"] == 1_000


def test_a_paused_batch_stands_still_until_it_is_resumed(customer: Customer, gateway: Gateway) -> None:
    customer.gateway(gateway, caps={"per_second": 100})
    batch_id = customer.send_batch(400)
    reach(lambda: len(gateway.taken), 20)
    assert customer.http.post(f"/api/batches/{batch_id}/pause/").status == 200
    poll(lambda: customer.batch(batch_id)["counts"]["sending"] == 0, progress=lambda: customer.batch(batch_id)["counts"])
    stood_at = customer.batch(batch_id)["counts"]["sent"]
    witness = customer.send(body="after the pause")  # when this one is through, a running batch would have moved on
    customer.settled(witness)
    assert customer.batch(batch_id)["counts"]["sent"] == stood_at < 400
    assert customer.http.post(f"/api/batches/{batch_id}/resume/").status == 200
    assert customer.finished(batch_id)["counts"]["sent"] == 400
    assert gateway.doubles() == {}


def test_a_scheduled_message_leaves_when_it_is_due_and_not_before(customer: Customer, gateway: Gateway) -> None:
    customer.gateway(gateway)
    due = datetime.now(UTC) + timedelta(seconds=5)
    message_id = customer.send(send_at=due.isoformat())
    message = customer.settled(message_id)
    assert message["status"] == "sent"
    taken_at = gateway.records[0].at
    assert due.timestamp() <= taken_at
    assert message["latency_ms"] <= (time.time() - due.timestamp()) * 1000, "counted from when it was due"


def test_a_message_whose_time_has_run_out_is_not_sent(customer: Customer, gateway: Gateway) -> None:
    customer.gateway(gateway)
    soon = datetime.now(UTC) + timedelta(seconds=4)
    gateway.script(Answer(status=503, headers={"Retry-After": "5"}))
    message = customer.settled(customer.send(expires_at=soon.isoformat()))
    assert message["status"] == "expired"
    assert gateway.counts() == {}


def test_a_scheduled_message_can_be_cancelled_and_a_cancelled_one_is_never_sent(customer: Customer, gateway: Gateway) -> None:
    customer.gateway(gateway)
    due = datetime.now(UTC) + timedelta(seconds=6)
    message_id = customer.send(send_at=due.isoformat())
    assert customer.http.post(f"/api/messages/{message_id}/cancel/").json()["status"] == "cancelled"
    again = customer.http.post(f"/api/messages/{message_id}/cancel/")
    assert (again.status, again.json()["current_status"]) == (409, "cancelled")
    later = customer.settled(customer.send(send_at=(due + timedelta(seconds=1)).isoformat()))
    assert later["status"] == "sent"
    assert customer.message(message_id)["status"] == "cancelled"
    assert len(gateway.taken) == 1


def test_a_failing_provider_is_tried_again_and_a_dead_letter_can_be_replayed(customer: Customer, gateway: Gateway) -> None:
    customer.gateway(gateway)
    gateway.script(Answer(status=429, headers={"Retry-After": "0"}), times=2)
    message = customer.settled(customer.send())
    assert (message["status"], message["attempts"]) == ("sent", 3)
    gateway.script(Answer(status=429), times=4)
    dead = customer.settled(customer.send())
    assert (dead["status"], dead["attempts"]) == ("failed", 4)  # the first try and three retries
    assert customer.http.post(f"/api/messages/{dead['id']}/retry/").status == 200
    assert customer.settled(dead["id"])["status"] == "sent"
    assert gateway.doubles() == {}


def test_a_refusal_for_good_is_not_tried_again(customer: Customer, gateway: Gateway) -> None:
    customer.gateway(gateway)
    gateway.script(Answer(status=422, body={"error": "no such number"}))
    message = customer.settled(customer.send())
    assert (message["status"], message["attempts"]) == ("failed", 1)
    assert message["error_code"]


def test_the_next_provider_takes_over_when_one_can_not_be_reached(customer: Customer, gateway: Gateway) -> None:
    customer.provider("sms", "http", {"url": "http://127.0.0.1:9/send"}, weight=1000)
    customer.gateway(gateway, weight=0)
    batch = customer.finished(customer.send_batch(30))
    assert batch["counts"]["sent"] == 30
    assert len(gateway.taken) == 30


def test_an_answer_that_never_comes_makes_the_outcome_unknown_and_nobody_resends_it(customer: Customer, gateway: Gateway) -> None:
    customer.gateway(gateway, config={"timeout_seconds": 2})
    gateway.script(Answer(action="hang", taken=True))
    message = customer.settled(customer.send())
    assert message["status"] == "unknown"
    customer.settled(customer.send())
    assert sorted(gateway.taken.values()) == [1, 1]


def test_a_gateway_that_honours_idempotency_keys_is_simply_asked_again(customer: Customer, gateway: Gateway) -> None:
    customer.gateway(gateway, config={"timeout_seconds": 3, "idempotent": True})
    gateway.script(Answer(action="hang", taken=False))
    message = customer.settled(customer.send())
    assert (message["status"], message["attempts"]) == ("sent", 2)


def test_a_providers_cap_is_never_exceeded_and_nothing_fails_for_it(customer: Customer, gateway: Gateway) -> None:
    customer.gateway(gateway, caps={"per_second": 40})
    began = time.monotonic()
    batch = customer.finished(customer.send_batch(160))
    assert batch["counts"]["sent"] == 160
    assert time.monotonic() - began > 2.5, "40 at once and 40 in each of three seconds: nothing but the cap takes so long, or less"


def test_an_urgent_message_overtakes_a_backlog(customer: Customer, gateway: Gateway) -> None:
    customer.gateway(gateway, caps={"per_second": 50})
    batch_id = customer.send_batch(2_000, priority=1)
    reach(lambda: len(gateway.taken), 20)
    urgent = customer.send(channel="push", recipient="device-token-1234", priority=10)
    customer.provider("push", "sandbox", {})
    assert customer.settled(urgent)["status"] in ("sent", "failed")
    assert customer.batch(batch_id)["in_progress"] > 1_000, "at 50 a second the backlog has twenty seconds to go"
    customer.http.post(f"/api/batches/{batch_id}/cancel/")


def test_a_sandbox_key_never_reaches_a_real_provider(customer: Customer, gateway: Gateway) -> None:
    customer.gateway(gateway)
    key = customer.http.post("/api/keys/", {"name": "test", "kind": "sandbox", "scopes": ["messages:send"]}).json()["api_key"]
    answer = customer.http.post("/api/messages/", {"channel": "sms", "recipient": number(), "body": "x"}, key=key)
    message = customer.settled(answer.json()["id"])
    assert (message["status"], message["is_sandbox"]) == ("sent", True)
    assert gateway.asked == {}


def test_late_double_and_unknown_receipts_change_nothing_and_are_counted(customer: Customer, gateway: Gateway) -> None:
    provider = customer.gateway(gateway)
    message_id = customer.send()
    customer.settled(message_id)
    assert customer.receipt(provider, [{"message_id": message_id, "status": "delivered"}])[1]["applied"] == 1
    assert customer.receipt(provider, [{"message_id": message_id, "status": "delivered"}])[1]["duplicate"] == 1
    assert customer.receipt(provider, [{"message_id": message_id, "status": "failed"}])[1]["late"] == 1
    assert customer.receipt(provider, [{"provider_message_id": "never-heard-of", "status": "delivered"}])[1]["unmatched"] == 1
    assert customer.message(message_id)["status"] == "delivered"
    assert customer.receipt(provider, [{"message_id": message_id, "status": "failed"}], at=time.time() - 3600)[0] == 401
