"""The service desk of the running product: what customers write through each entrance is recognized, assigned, answered, and traced."""

import base64
import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
import urllib3
from standardwebhooks import Webhook

from tests.integration.customer import Customer, asked
from tests.integration.stack import Stack
from tests.integration.waiting import poll
from tests.peers.gateway import Answer
from tests.peers.smtp import MailServer
from tests.peers.webhook_receiver import WebhookReceiver
from tests.peers.wecom import AES_KEY, CORP_ID, CUSTOMER, SECRET, TOKEN, WeCom

pytestmark = pytest.mark.both_stacks

HOOK_SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
POST_SECRET = "a-posting-secret-of-32-characters"
REPEATS = 5
TEXTS = (("我的快递到哪里了？", "zh"), ("Where is my parcel?", "en"))


class Shop(WebhookReceiver):
    """Another system: it takes any JSON."""

    def handle(self, _method: str, _target: str, _headers: dict[str, str], _content: bytes) -> Answer:
        return Answer()


NEW_MEMBER = """
from accounts.models import ApiKey, Member, User
tenant = ApiKey.objects.get(prefix="%s").tenant
Member.objects.create(tenant=tenant, user=User.objects.create(username="%s"), role="operator")
"""


@dataclass
class Desk:
    """A tenant with one agent who is there, and the servers that its entrances speak to."""

    customer: Customer
    agent: str
    wecom: WeCom
    mail: MailServer
    shop: WebhookReceiver

    def entrance(self, kind: str, settings: dict[str, Any], secrets: dict[str, str]) -> str:
        """Make an entrance and return its path."""
        body = {"name": f"{kind}-{uuid4().hex[:6]}", "kind": kind, "settings": settings, "secrets": secrets}
        made = self.customer.http.post("/api/entrances/", body)
        assert made.status == 201, made.data
        return f"/in/{made.json()['id']}/"

    def conversations(self) -> dict[str, dict[str, Any]]:
        """Return the tenant's conversations by their first line."""
        found = self.customer.http.get("/api/conversations/").json()["results"]
        return {self.lines(each)[0]["text"]: each for each in found if each["last_seq"]}

    def lines(self, conversation: dict[str, Any]) -> list[dict[str, Any]]:
        """Return what was written in a conversation."""
        lines: list[dict[str, Any]] = self.customer.http.get(f"/api/conversations/{conversation['id']}/lines/").json()["results"]
        return lines


@pytest.fixture
def desk(stack: Stack) -> Iterator[Desk]:
    customer, name = Customer(stack), f"agent-{uuid4().hex[:8]}"
    assert not asked(stack, NEW_MEMBER % (customer.http.api_key.split("_")[2], name))
    assert customer.http.post("/api/skill-groups/", {"name": "general", "title": "General"}).status == 201
    made = customer.http.post("/api/agents/", {"user": name, "name": "Mei", "capacity": 50, "skills": [{"group": "general"}]})
    assert made.status == 201, made.data
    agent = made.json()["id"]
    present = customer.http.request("PUT", f"/api/agents/{agent}/presence/", body={"presence": "online", "sign": "phone"})
    assert present.status == 200, present.data
    with ExitStack() as servers:
        wecom, mail, shop = WeCom(), MailServer(), Shop(secret=HOOK_SECRET)
        for server in (wecom, mail, shop):
            servers.enter_context(server)
        yield Desk(customer, agent, wecom, mail, shop)


def test_every_entrance_leads_to_an_agent_and_back(desk: Desk) -> None:
    base, http = desk.customer.stack.base_url, desk.customer.http
    pool = urllib3.PoolManager()

    hook = desk.entrance("webhook", {"reply_url": desk.shop.url}, {"secret": HOOK_SECRET})
    for text, language in TEXTS:
        body = json.dumps({"id": f"m-{language}", "from": {"id": f"u-{language}"}, "text": f"{text} (1)"})
        for _ in range(REPEATS):
            now = datetime.now(UTC)
            signed = {"webhook-id": "m", "webhook-timestamp": str(int(now.timestamp()))}
            signature = Webhook(HOOK_SECRET).sign("m", now, body)
            headers = {**signed, "webhook-signature": signature, "Content-Type": "application/json"}
            assert pool.request("POST", f"{base}{hook}", body=body.encode(), headers=headers).status == 202

    config = {"host": desk.mail.host, "port": desk.mail.port, "security": "none", "from_email": "help@shop.example"}
    desk.customer.provider("email", "email", config)
    post = desk.entrance("email", {"address": "help@shop.example"}, {"posting_secret": POST_SECRET})
    for text, language in TEXTS:
        mail = (
            f"From: {language}@customer.example\r\nTo: help@shop.example\r\nSubject: {language}\r\n"
            f"Message-ID: <{language}@customer.example>\r\n"
            f"Content-Type: text/plain; charset=utf-8\r\n\r\n{text} (2)\r\n"
        )
        for _ in range(REPEATS):
            headers = {"Authorization": f"Bearer {POST_SECRET}", "Content-Type": "message/rfc822"}
            assert pool.request("POST", f"{base}{post}", body=mail.encode(), headers=headers).status in (200, 202)

    kf = desk.entrance(
        "wecom_kf",
        {"corp_id": CORP_ID, "base_url": desk.wecom.url},
        {"secret": SECRET, "token": TOKEN, "encoding_aes_key": AES_KEY},
    )
    for text, language in TEXTS:
        desk.wecom.customer_writes(f"{text} (3)", user=f"{CUSTOMER}{language}")
    assert desk.wecom.notify(address=f"{base}{kf}", times=REPEATS) == [200] * REPEATS

    written = [(f"{text} ({number})", language) for number in (1, 2, 3) for text, language in TEXTS]

    def all_assigned() -> bool:
        there = desk.conversations()
        return all(text in there and there[text]["status"] == "assigned" for text, _language in written)

    poll(all_assigned)
    there = desk.conversations()
    assert len(there) == len(written)
    for text, language in written:
        found = there[text]
        assert (found["intent"], found["language"], found["agent"]["name"], found["last_seq"]) == ("order_status", language, "Mei", 1)
        made = http.post(f"/api/conversations/{found['id']}/reply/", {"text": f"Answer to {text}", "client_id": "a1", "agent": desk.agent})
        assert made.status == 201, made.data
        message = f"/api/messages/{made.json()['message_id']}/"
        poll(lambda address=message: http.get(address).json()["status"] == "sent")  # type: ignore[misc]
        assert "accepted" in [event["event"] for event in http.get(f"{message}trace/").json()["events"]]
    assert len(desk.wecom.sent) == len(TEXTS)
    assert sorted(mail.recipients[0] for mail in desk.mail.messages) == ["en@customer.example", "zh@customer.example"]
