"""What the logs of the running product say of messages: their trace ids, and never their recipients."""

import base64
import json
import signal
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from tests.integration.customer import Customer
from tests.integration.stack import Stack
from tests.integration.waiting import poll
from tests.peers.gateway import Answer, Gateway
from tests.peers.smtp import MailServer

pytestmark = pytest.mark.both_stacks
#: Planted: nothing else on the machine is called so.
MAILBOX = "planted.recipient.7f3a"
PLANTED = "planted7f3asecret"
SIGNING_SECRET = f"whsec_{base64.b64encode(PLANTED.encode() * 2).decode()}"
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


def misconfigure(customer: Customer, gateway: Gateway, mail: MailServer) -> dict[str, dict[str, Any]]:
    """Make providers of every kind with planted secrets, and return what to send by channel."""
    bearer = {"Authorization": f"Bearer {PLANTED}0123456789"}
    url = f"http://127.0.0.1:{gateway.port}/{PLANTED}/send?key={PLANTED}"
    service = f"json://127.0.0.1:{gateway.port}/{PLANTED}/{{recipient}}?+X-Key={PLANTED}"
    mailing = {"host": mail.host, "port": mail.port, "security": "none", "from_email": "shop@example.com"}
    customer.provider("email", "email", {**mailing, "username": "shop", "password": f"{PLANTED}-password"})
    customer.provider("sms", "http", {"url": f"http://127.0.0.1:{gateway.port}/{PLANTED}/send?key={PLANTED}", "headers": bearer})
    customer.provider("push", "http", {"url": f"http://127.0.0.1:{gateway.port}/to/{{{{ recipient }}}}", "headers": bearer})
    customer.provider("wecom", "apprise", {"url": service, "timeout_seconds": 2})
    customer.provider("chat", "apprise", {"url": service, "timeout_seconds": 2})
    customer.provider("webhook", "http", {"signing_secret": SIGNING_SECRET, "timeout_seconds": 2})
    return {
        "email": {"recipient": f"{PLANTED}@example.com", "subject": "Hello"},
        "sms": {"recipient": "+8613917489999"},
        "push": {"recipient": f"{PLANTED}+/AbC-token=="},
        "wecom": {"recipient": f"{PLANTED}user"},
        "chat": {"recipient": f"{PLANTED}room"},
        "webhook": {"recipient": url},
    }


@pytest.fixture
def no_breakers(stack: Stack) -> Iterator[None]:
    """Have messages fail at once, instead of waiting for a provider to be well again."""
    usual = stack.http.get("/api/config/modules/circuit_breakers/").json()["effective"]
    stack.configure("circuit_breakers", providers={"is_enabled": False}, webhooks={"is_enabled": False})
    yield
    stack.configure("circuit_breakers", **usual)


@pytest.mark.usefixtures("no_breakers")
def test_no_log_has_a_recipient_or_a_secret_of_any_channel_whatever_the_providers_do(
    stack: Stack, customer: Customer, gateway: Gateway
) -> None:
    answers = [Answer(status=status, body={"error": f"no {PLANTED} here"}) for status in (400, 401, 403, 404, 410, 429, 500)]
    answers += [Answer(action=action) for action in ("reset", "garbage")] + [Answer(action="reset", taken=False)]
    endpoint = customer.webhook(f"http://127.0.0.1:{gateway.port}/{PLANTED}?token={PLANTED}")
    secrets = [endpoint["secret"], customer.http.api_key, SIGNING_SECRET]
    with MailServer(login=("shop", "right")) as mail:
        messages = misconfigure(customer, gateway, mail)
        sent = []
        for answer in answers:
            gateway.script(answer, times=len(messages))
            sent += [customer.send(channel=channel, body=f"Code {PLANTED}", **fields) for channel, fields in messages.items()]
        stack.kill("worker", signal.SIGKILL)
        stack.start("worker")
        for message_id in sent:
            customer.settled(message_id)
        for body in ({"channel": "push", "recipient": ""}, {"channel": "webhook", "recipient": f"ftp://{PLANTED}"}, {"to": PLANTED}):
            assert customer.http.post("/api/messages/", {"body": PLANTED, **body}).status == 422
    assert customer.http.get("/api/messages/", key=f"ph_live_ABCDEFGH_{PLANTED}{'x' * 32}").status == 401
    assert customer.http.get(f"/u/{PLANTED}-0123456789/").status in (400, 404)
    gone = customer.http.post(f"/api/receipts/{uuid4()}/", {"recipient": PLANTED}, key="")
    assert gone.status in (401, 404)
    logged = all_logs(stack)
    found = [line for line in logged.splitlines() if PLANTED in line or "13917489999" in line]
    assert found == []
    assert [secret for secret in secrets if secret in logged] == []


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
