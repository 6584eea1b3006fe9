"""The programs of docs/webhooks.md that verify a signature: they take what is sent, with either secret, and nothing else."""

import base64
import json
import re
import secrets
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from messaging.models import WebhookEndpoint
from messaging.webhooks import request
from posthaste.env import ROOT
from tests.peers.webhook_receiver import Delivery, WebhookReceiver

GUIDE = (ROOT / "docs" / "webhooks.md").read_text()
Receive = Callable[[bytes, dict[str, str], str], list[dict[str, Any]]]
EVENT = {"id": "evt_1", "type": "message.sent", "timestamp": "2026-11-29T07:12:04+00:00", "data": {"reference": "Größe ✓"}}


def programs(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)


def in_python(code: str) -> Receive:
    names: dict[str, Any] = {}
    exec(code, names)
    found: Receive = names["receive"]
    return found


def in_node(code: str) -> Receive:
    def receive(body: bytes, headers: dict[str, str], secret: str) -> list[dict[str, Any]]:
        call = (
            f'console.log(JSON.stringify(receive(Buffer.from("{base64.b64encode(body).decode()}", "base64"), '
            f"{json.dumps(headers)}, {json.dumps(secret)})))"
        )
        done = subprocess.run(["node", "-e", f"{code}\n{call}"], capture_output=True, text=True, timeout=60, check=False)
        if done.returncode:
            raise ValueError(done.stderr)
        found: list[dict[str, Any]] = json.loads(done.stdout)
        return found

    return receive


def new_secret() -> str:
    return f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"


@pytest.fixture(scope="module")
def sent() -> tuple[Delivery, WebhookEndpoint]:
    """Send one request with two secrets, as during a rotation."""
    with WebhookReceiver() as receiver:
        later = timezone.now() + timedelta(hours=1)
        endpoint = WebhookEndpoint(url=receiver.url, secret=new_secret(), previous_secret=new_secret(), previous_secret_until=later)
        request.post(endpoint, webhook_id=request.new_webhook_id(), events=[EVENT], now=datetime.now(UTC))
        (delivery,) = receiver.deliveries
    return delivery, endpoint


PROGRAMS = [
    *(pytest.param(in_python(code), id=f"python-{number}") for number, code in enumerate(programs("python"))),
    *(
        pytest.param(
            in_node(code), id=f"node-{number}", marks=pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
        )
        for number, code in enumerate(programs("js"))
    ),
]


def test_the_guide_has_programs_in_both_languages() -> None:
    assert (len(programs("python")), len(programs("js"))) == (2, 1)


@pytest.mark.parametrize("receive", PROGRAMS)
def test_a_program_takes_what_is_signed_with_either_secret(receive: Receive, sent: tuple[Delivery, WebhookEndpoint]) -> None:
    delivery, endpoint = sent
    for secret in (endpoint.secret, endpoint.previous_secret):
        assert receive(delivery.content, delivery.headers, secret) == [EVENT]


@pytest.mark.parametrize("receive", PROGRAMS)
def test_a_program_refuses_everything_else(receive: Receive, sent: tuple[Delivery, WebhookEndpoint]) -> None:
    delivery, endpoint = sent
    old = str(int(datetime.now(UTC).timestamp()) - 3600)
    wrong = [
        (delivery.content, delivery.headers, new_secret()),
        (delivery.content + b" ", delivery.headers, endpoint.secret),
        (delivery.content, delivery.headers | {"webhook-id": "msg_other"}, endpoint.secret),
        (delivery.content, delivery.headers | {"webhook-timestamp": old}, endpoint.secret),
        (delivery.content, delivery.headers | {"webhook-signature": "v1,AAAA"}, endpoint.secret),
    ]
    for content, headers, secret in wrong:
        with pytest.raises(Exception, match=r"."):  # each program has its own
            receive(content, headers, secret)
