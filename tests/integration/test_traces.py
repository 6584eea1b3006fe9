"""Traces of the running product: they tell the truth whatever dies, and belong to the traces of callers and receivers."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.customer import Customer
from tests.integration.stack import Stack
from tests.integration.waiting import poll, reach
from tests.peers.gateway import Gateway
from tests.peers.webhook_receiver import WebhookReceiver

pytestmark = pytest.mark.both_stacks
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"
MALFORMED = ("no", f"00-{TRACE}-{SPAN}", f"ff-{TRACE}-{SPAN}-01", f"00-{'0' * 32}-{SPAN}-01", f"00-{TRACE.upper()}-{SPAN}-01", "x" * 2_000)


@pytest.fixture
def customer(stack: Stack) -> Customer:
    return Customer(stack)


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with Gateway(latency_ms=5) as running:
        yield running


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    with WebhookReceiver() as running:
        yield running


def trace_of(customer: Customer, message_id: str) -> dict[str, Any]:
    answer: dict[str, Any] = customer.http.get(f"/api/messages/{message_id}/trace/").json()
    return answer


def names(trace: dict[str, Any]) -> list[str]:
    return [event["event"] for event in trace["events"]]


def complaint(row: dict[str, Any], trace: dict[str, Any]) -> str:
    """Return what a trace says otherwise than the message does; empty: nothing."""
    events, number = trace["events"], Counter(names(trace))
    recovered = [event for event in events if event["event"] == "recovered" and event["reason"] == "worker_lost"]
    # A recovery that sends again gives the attempt back.
    claims = row["attempts"] + sum(event["status"] == "pending" for event in recovered)
    last = events[-1]
    wrong = [
        "its beginning" if events[0]["event"] != "accepted" else "",
        "the order" if [event["offset_ms"] for event in events] != sorted(event["offset_ms"] for event in events) else "",
        f"{number['claimed']} claims of {claims}" if number["claimed"] != claims else "",
        "a claim before a recovery" if any(names(trace)[: events.index(event)].count("claimed") == 0 for event in recovered) else "",
        f"the end: {last}" if row["status"] == "unknown" and last.get("status") != "unknown" else "",
        "the end: not accepted by the provider"
        if row["status"] == "sent" and not number["accepted_by_provider"] and last.get("status") != "sent"
        else "",
        "bar" if any(span.get("is_open") for span in trace["spans"]) else "",
    ]
    return ", ".join(filter(None, wrong))


def test_traces_tell_the_truth_after_a_worker_was_killed_in_the_middle_of_a_batch(
    stack: Stack, customer: Customer, gateway: Gateway
) -> None:
    customer.gateway(gateway)
    batch_id = customer.send_batch(1_000)
    for reached in (150, 500):
        reach(lambda: len(gateway.taken), reached)
        stack.kill("worker")
        stack.start("worker")
    customer.finished(batch_id)
    rows = [customer.message(row["id"]) for row in customer.rows(batch=batch_id)]
    assert len(rows) == 1_000
    traces = {row["id"]: trace_of(customer, row["id"]) for row in rows}
    wrong = {row["id"]: (said, row["status"], traces[row["id"]]["events"]) for row in rows if (said := complaint(row, traces[row["id"]]))}
    assert not wrong, list(wrong.items())[:3]
    twice = [trace for trace in traces.values() if "recovered" in names(trace) and names(trace).count("claimed") == 2]
    assert twice, "messages that the dead workers held were claimed twice"
    untold = [row["id"] for row in rows if traces[row["id"]]["source"] != "trace"]
    assert len(untold) < 100, "the row answers for what was committed as its worker was killed, before Redis heard of it, and for no more"


def accepted(customer: Customer, message_id: str) -> dict[str, Any]:
    """Wait until the trace of a message tells of the caller's, and return how it was accepted."""
    poll(lambda: "traceparent" in trace_of(customer, message_id)["events"][0], reason=lambda: str(trace_of(customer, message_id)))
    event: dict[str, Any] = trace_of(customer, message_id)["events"][0]
    return event


@pytest.mark.parametrize("path", ["/api/messages/", "/api/messages"])
def test_a_callers_trace_comes_in_and_the_messages_own_goes_out_to_gateway_and_webhook(
    customer: Customer, gateway: Gateway, receiver: WebhookReceiver, path: str
) -> None:
    customer.gateway(gateway)
    customer.webhook(receiver.url, event_types=["message.sent"])
    body = {"channel": "sms", "recipient": "+8613812345678", "body": "hello"}
    answer = customer.http.post(path, body, headers={"traceparent": PARENT})
    assert answer.status == 202
    message_id = answer.json()["id"]
    hexadecimal = message_id.replace("-", "")
    customer.settled(message_id)
    assert accepted(customer, message_id)["traceparent"] == PARENT
    (record,) = [record for record in gateway.records if record.id == hexadecimal]
    version, trace_id, span, flags = record.headers["traceparent"].split("-")
    assert (version, trace_id, flags) == ("00", hexadecimal, "01")
    assert span != SPAN
    poll(lambda: [event for event in receiver.events() if event["data"]["id"] == message_id])
    (delivery,) = [one for one in receiver.deliveries if any(event["data"]["id"] == message_id for event in one.events)]
    assert delivery.headers["traceparent"].split("-")[1] == hexadecimal, "the only event is of this message"


def test_a_batch_keeps_its_callers_trace_and_a_message_to_a_url_carries_its_own(customer: Customer, receiver: WebhookReceiver) -> None:
    customer.provider("webhook", "http", {"timeout_seconds": 3})
    sent = {"channel": "webhook", "body": "hello", "recipients": [{"recipient": f"{receiver.url[:-6]}/send?{n}"} for n in range(2)]}
    answer = customer.http.post("/api/messages/batch", sent, headers={"traceparent": PARENT})
    assert answer.status == 202, answer.data
    batch_id = answer.json()["batch_id"]
    customer.finished(batch_id)
    for row in customer.rows(batch=batch_id):
        assert accepted(customer, row["id"])["traceparent"] == PARENT
    came = {record.headers["traceparent"].split("-")[1] for record in receiver.records}
    assert came == customer.ids(batch_id)


def test_a_malformed_traceparent_is_ignored(customer: Customer, gateway: Gateway) -> None:
    customer.gateway(gateway)
    body = {"channel": "sms", "recipient": "+8613812345678", "body": "hello"}
    for header in MALFORMED:
        answer = customer.http.post("/api/messages/", body, headers={"traceparent": header})
        assert answer.status == 202, header
        message_id = answer.json()["id"]
        customer.settled(message_id)
        assert "traceparent" not in trace_of(customer, message_id)["events"][0], header
        (record,) = [record for record in gateway.records if record.id == message_id.replace("-", "")]
        assert record.headers["traceparent"].split("-")[1] == message_id.replace("-", "")
