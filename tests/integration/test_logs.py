"""What the logs of the running product say of messages: their trace ids, and never their recipients."""

import json
import signal
from collections.abc import Iterator

import pytest

from tests.integration.customer import Customer
from tests.integration.stack import Stack
from tests.integration.waiting import poll
from tests.peers.gateway import Answer, Gateway
from tests.peers.smtp import MailServer

pytestmark = pytest.mark.both_stacks
#: Planted: nothing else on the machine is called so.
MAILBOX = "planted.recipient.7f3a"
NUMBERS = [f"+861391747{n:04}" for n in range(40)]


@pytest.fixture
def customer(stack: Stack) -> Customer:
    return Customer(stack)


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with Gateway() as running:
        yield running


def all_logs(stack: Stack) -> str:
    return "\n".join(stack.log(name).read_text(errors="replace") for name in stack.processes)


def test_no_log_has_a_recipient_and_a_refusal_has_the_trace_id(stack: Stack, customer: Customer, gateway: Gateway) -> None:
    customer.gateway(gateway)
    for answer in (Answer(status=400), Answer(status=503), Answer(status=401), Answer(body="no JSON")):
        gateway.script(answer)
    with MailServer() as mail:
        mail.refused[f"{MAILBOX}@example.com"] = f"550 5.7.1 relaying denied for <{MAILBOX}@example.com>"
        customer.provider("email", "email", {"host": mail.host, "port": mail.port, "security": "none", "from_email": "shop@example.com"})
        refused = customer.send(channel="email", recipient=f"{MAILBOX}@example.com", subject="Hello", body="Hello")
        sent = [customer.send(recipient=recipient, body="Hello") for recipient in NUMBERS]
        invalid = customer.http.post("/api/messages/", {"channel": "sms", "recipient": "+86139174", "body": f"{MAILBOX}@example.com"})
        assert invalid.status == 422
        for message_id in [refused, *sent]:
            customer.settled(message_id)
        stack.kill("worker", signal.SIGKILL)
        stack.start("worker")
        late = [customer.send(recipient=recipient, body="Hello") for recipient in NUMBERS[:5]]
        for message_id in late:
            customer.settled(message_id)
    trace_id = refused.replace("-", "")
    poll(lambda: trace_id in stack.log("worker").read_text(errors="replace"), reason="the refusal of the mail server is not in the log")
    logged = all_logs(stack)
    assert MAILBOX not in logged
    assert [number for number in NUMBERS if number.removeprefix("+86") in logged] == []


def test_json_lines_are_whole(stack: Stack, customer: Customer) -> None:
    environment, stack.environment = stack.environment, {**stack.environment, "LOG_FORMAT": "json"}
    try:
        stack.start("worker", label="worker-json")
        poll(lambda: "ready" in stack.log_tail("worker-json"), reason=lambda: stack.log_tail("worker-json"))
        lines = [json.loads(line) for line in stack.log_tail("worker-json").splitlines() if line.startswith("{")]
    finally:
        stack.environment = environment
        stack.end("worker-json")
        del stack.processes["worker-json"]
    assert lines
    assert all({"event", "level", "timestamp"} <= set(line) for line in lines)
