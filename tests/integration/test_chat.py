"""The portal chat against the running product: connections that are cut lose and double nothing, and both sides see one order."""

import json
import random
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from tests.integration.customer import Customer, asked
from tests.integration.stack import Stack
from tests.integration.waiting import poll

pytestmark = pytest.mark.both_stacks

SITE = "https://shop.example.com"
CUTS = 100
NEW_ENTRANCE = """
from accounts.models import ApiKey
from accounts.services.audit import Actor
from django.utils import timezone
from routing.entrances.provision import ensure_reply_provider
from routing.models import Entrance
tenant = ApiKey.objects.get(prefix="%s").tenant
ensure_reply_provider(tenant_id=tenant.pk, by=Actor.system("test"))
settings = {"sites": ["%s"], "lines_per_minute": 600, "address_per_minute": 10000, "sessions_per_minute": 100}
print(Entrance.objects.create(tenant=tenant, name="%s", kind="portal", settings=settings, created_at=timezone.now()).pk)
"""


class Chat:
    """A visitor of a new portal entrance, and the lines that arrived in its browser."""

    def __init__(self, customer: Customer) -> None:
        self.customer, self.stack = customer, customer.stack
        prefix = customer.http.api_key.split("_")[2]
        self.entrance = asked(self.stack, NEW_ENTRANCE % (prefix, SITE, uuid4().hex)).strip()
        answer = customer.http.post(f"/chat/{self.entrance}/session/", key="", headers={"Origin": SITE})
        assert answer.status == 201, answer.data
        self.token = answer.json()["token"]
        self.lines: list[dict[str, Any]] = []

    @contextmanager
    def opened(self) -> Iterator[ClientConnection]:
        """Hold a connection that has said hello, from the last line on."""
        with connect(f"{self.stack.ws_url}/ws/chat/{self.entrance}/", origin=Origin(SITE)) as connection:
            last = self.lines[-1] if self.lines else None
            place = {"conversation": last["conversation"], "after": last["seq"]} if last else {}
            connection.send(json.dumps({"type": "hello", "token": self.token, **place}))
            yield connection

    def until(self, connection: ClientConnection, kind: str) -> dict[str, Any]:
        """Return the next frame of a kind, keeping all lines that come before it."""
        while True:
            frame: dict[str, Any] = json.loads(connection.recv(timeout=60))
            if frame["type"] == "line":
                self.lines.append(frame)
            if frame["type"] == kind:
                return frame

    def conversation(self) -> dict[str, Any] | None:
        """Return the conversation as the other side sees it."""
        found = self.customer.http.get("/api/conversations/").json()["results"]
        return found[0] if found else None


def cut(connection: ClientConnection) -> None:
    """End a connection as a lost network does: without a word."""
    connection.socket.shutdown(socket.SHUT_RDWR)
    connection.socket.close()


def test_a_hundred_cut_connections_lose_and_double_nothing(stack: Stack) -> None:
    customer = Customer(stack)
    chat, chance = Chat(customer), random.Random(11)  # noqa: S311 - no secret
    for number in range(CUTS):
        with chat.opened() as connection:
            connection.send(json.dumps({"type": "line", "client_id": f"c{number}", "text": f"customer {number}"}))
            if chance.random() < 0.5:
                chat.until(connection, "accepted")
            if chance.random() < 0.3 and (there := chat.conversation()):
                reply = {"text": f"agent {number}", "client_id": f"a{number}"}
                assert customer.http.post(f"/api/conversations/{there['id']}/reply/", reply).status == 201
            cut(connection)
    with chat.opened() as connection:  # what was not accepted is sent again
        for number in range(CUTS):
            connection.send(json.dumps({"type": "line", "client_id": f"c{number}", "text": f"customer {number}"}))
            chat.until(connection, "accepted")
        poll(lambda: not customer.http.get("/api/arrivals/", state="pending").json()["results"])
        there = chat.conversation()
        assert there
        while not chat.lines or chat.lines[-1]["seq"] < there["last_seq"]:
            chat.until(connection, "line")
    theirs: list[dict[str, Any]] = []
    while len(theirs) < there["last_seq"]:
        page = customer.http.get(f"/api/conversations/{there['id']}/lines/", after_seq=str(len(theirs))).json()["results"]
        theirs += page
    assert [(line["seq"], line["text"]) for line in chat.lines] == [(line["seq"], line["text"]) for line in theirs]
    assert [line["seq"] for line in theirs] == list(range(1, len(theirs) + 1))
    written = [line["text"] for line in theirs if line["author"] == "customer"]
    assert sorted(written) == sorted(f"customer {number}" for number in range(CUTS))


def test_a_chinese_and_an_english_text_are_answered_with_a_trace(stack: Stack) -> None:
    customer = Customer(stack)
    for text, answer in (("我的订单到哪里了？", "今天送达。"), ("Where is my order?", "It arrives today.")):
        chat = Chat(customer)
        with chat.opened() as connection:
            connection.send(json.dumps({"type": "line", "client_id": "c1", "text": text}))
            own = chat.until(connection, "line")
            assert own["text"] == text
            reply = customer.http.post(f"/api/conversations/{own['conversation']}/reply/", {"text": answer})
            assert chat.until(connection, "line")["text"] == answer
        message = f"/api/messages/{reply.json()['message_id']}/"
        poll(lambda address=message: customer.http.get(address).json()["status"] == "sent")  # type: ignore[misc]
        events = [event["event"] for event in customer.http.get(f"{message}trace/").json()["events"]]
        assert "accepted" in events


def test_a_page_of_a_foreign_site_is_refused(stack: Stack) -> None:
    chat = Chat(Customer(stack))
    with pytest.raises(InvalidStatus):
        connect(f"{stack.ws_url}/ws/chat/{chat.entrance}/", origin=Origin("https://evil.example.com")).__enter__()
