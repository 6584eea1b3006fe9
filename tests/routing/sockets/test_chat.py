"""The portal chat over WebSocket: in order, complete and once, however often the connection is cut."""

import asyncio
import random
from collections.abc import Coroutine
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.utils import timezone

from routing.conversations import notices, replies
from routing.conversations.replies import Author
from routing.entrances.provision import ensure_reply_provider
from routing.models import Conversation, Entrance, Line, PortalSession
from routing.processing import process
from routing.sockets import hub as hubs
from routing.sockets.hub import hub, in_thread
from tests.builders import TESTER
from tests.routing.builders import make_entrance
from tests.routing.sockets.visitors import SITE, Socket, Visitor, new_token

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_stacks]


def make_portal(**settings: Any) -> Entrance:
    entrance = make_entrance(settings={"sites": [SITE], **settings})
    ensure_reply_provider(tenant_id=entrance.tenant_id, by=TESTER)
    return entrance


def make_visitor(entrance: Entrance | None = None) -> Visitor:
    place = entrance or make_portal()
    return Visitor(place, new_token(place))


def run(work: Coroutine[Any, Any, None]) -> None:
    """Run in an event loop of its own."""

    async def whole() -> None:
        await work

    async_to_sync(whole)()


def answer(text: str, client_id: str = "") -> Line:
    conversation = Conversation.objects.order_by("-pk")[0]
    author = Author(owner="key:test")
    return replies.reply(conversation=conversation, author=author, text=text, client_id=client_id, by=TESTER, now=timezone.now())


def test_a_line_is_accepted_comes_back_with_its_number_and_is_answered() -> None:
    visitor = make_visitor()

    async def talk() -> None:
        async with visitor.connected():
            await visitor.until("snapshot", conversation=None)
            await visitor.send(type="line", client_id="c1", text="我的订单在哪里？")
            assert (await visitor.until("accepted", client_id="c1"))["known"] is False
            await visitor.send(type="line", client_id="c1", text="我的订单在哪里？")
            assert (await visitor.until("accepted", client_id="c1"))["known"] is True
            await in_thread(process.process_arrivals)
            own = await visitor.until("line")
            assert (own["seq"], own["author"], own["client_id"], own["text"]) == (1, "customer", "c1", "我的订单在哪里？")
            assert (await visitor.until("snapshot", status="queued"))["queue"] == {"position": 1, "wait_seconds": None}
            await in_thread(answer, "在路上。")
            theirs = await visitor.until("line")
            assert (theirs["seq"], theirs["author"], theirs["text"]) == (2, "bot", "在路上。")
            await visitor.send(type="read", seq=2)
            await visitor.until("snapshot", read={"customer": 2, "agent": 2})
            await in_thread(say_typing)
            assert (await visitor.until("typing"))["name"] == "Ada"

    def say_typing() -> None:
        conversation = Conversation.objects.get()
        notices.typing(conversation.pk, conversation.identity_id, author="agent", name="Ada")

    run(talk())


def test_connections_that_are_cut_lose_and_double_nothing() -> None:
    """Both sides write while the visitor's connection is cut, at places drawn from a fixed seed. A hundred cuts: tests/integration."""
    visitor, cuts = make_visitor(make_portal(lines_per_minute=600)), 20
    chance = random.Random(7)  # noqa: S311 - no secret

    async def talk() -> None:
        for number in range(cuts):
            async with visitor.connected():
                await visitor.send(type="line", client_id=f"c{number}", text=f"customer {number}")
                if chance.random() < 0.5:
                    await visitor.until("accepted", client_id=f"c{number}")
                    await in_thread(process.process_arrivals)
                if chance.random() < 0.5 and number:
                    await in_thread(answer, f"agent {number}", f"a{number}")
                for _ in range(chance.randrange(3)):
                    if visitor.socket.has_more():
                        await visitor.next()
        async with visitor.connected():  # what was not accepted is sent again, as the documented client does
            for number in range(cuts):
                await visitor.send(type="line", client_id=f"c{number}", text=f"customer {number}")
                await visitor.until("accepted", client_id=f"c{number}")
        await in_thread(process.process_arrivals)
        last = await in_thread(lambda: Line.objects.order_by("-seq")[0].seq)
        async with visitor.connected():
            while not visitor.lines or visitor.lines[-1]["seq"] < last:
                await visitor.next()

    run(talk())

    here = [(line.seq, line.text) for line in Line.objects.order_by("seq")]
    assert [(line["seq"], line["text"]) for line in visitor.lines] == here
    assert [seq for seq, _text in here] == list(range(1, len(here) + 1))
    assert sorted(text for _seq, text in here if text.startswith("customer")) == sorted(f"customer {number}" for number in range(cuts))


def test_what_was_missed_although_no_notice_came_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hubs, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(notices, "_publish", lambda notice: None)
    visitor = make_visitor()

    async def talk() -> None:
        async with visitor.connected():
            await visitor.send(type="line", client_id="c1", text="hello")
            await visitor.until("accepted")
            await in_thread(process.process_arrivals)
            assert (await visitor.until("line"))["seq"] == 1

    run(talk())


def test_a_new_conversation_follows_behind_the_last_line_of_the_old_one() -> None:
    visitor = make_visitor()

    async def talk() -> None:
        async with visitor.connected():
            await visitor.send(type="line", client_id="c1", text="first")
            await visitor.until("accepted")
            await in_thread(process.process_arrivals)
            await visitor.until("line")
        await in_thread(lambda: Conversation.objects.update(status="closed"))
        async with visitor.connected():
            await visitor.send(type="line", client_id="c2", text="second")
            await visitor.until("accepted")
            await in_thread(process.process_arrivals)
            await visitor.until("line")

    run(talk())
    assert [(line["seq"], line["text"]) for line in visitor.lines] == [(1, "first"), (1, "second")]
    assert Conversation.objects.count() == 2


def test_a_page_of_a_foreign_site_gets_no_socket() -> None:
    entrance = make_portal()

    async def knock() -> None:
        for origin, refused in (("https://evil.example.com", 4403), (SITE, None), ("https://desk.example.com", None)):
            socket = Socket(entrance, origin=origin)
            assert await socket.connect() == refused
            await socket.disconnect()

    run(knock())


@pytest.mark.parametrize("first", ['{"type":"hello","token":"wrong-wrong-wrong-wrong"}', '{"type":"line","client_id":"c"}', "[", "\x00"])
def test_a_socket_without_a_session_is_closed(first: str) -> None:
    entrance = make_portal()

    async def knock() -> None:
        socket = Socket(entrance)
        await socket.connect()
        await socket.send(first)
        event = await socket.receive()
        if event["type"] == "websocket.send":
            event = await socket.receive()
        assert (event["type"], event["code"]) == ("websocket.close", 4401)

    run(knock())


def test_a_socket_ends_with_its_session() -> None:
    visitor = make_visitor()

    async def talk() -> None:
        async with visitor.connected():
            await visitor.until("snapshot")
            await in_thread(lambda: PortalSession.objects.update(expires_at=timezone.now()))
            await hub.look()
            assert await visitor.socket.receive() == {"type": "websocket.close", "code": 4401}

    run(talk())


def test_a_visitor_who_floods_is_told_to_wait() -> None:
    visitor = make_visitor(make_portal(lines_per_minute=3))

    async def talk() -> None:
        async with visitor.connected():
            for number in range(4):
                await visitor.send(type="line", client_id=f"c{number}", text="spam")
            refused = await visitor.until("error")
            assert (refused["code"], refused["client_id"]) == ("too_many_requests", "c3")
            assert refused["retry_after"] >= 1

    run(talk())


@pytest.mark.parametrize(
    ("frame", "field"),
    [
        ({"type": "line", "text": "no client id"}, "client_id"),
        ({"type": "line", "client_id": "c", "text": ""}, "text"),
        ({"type": "line", "client_id": "c/..", "text": "x"}, "client_id"),
        ({"type": "line", "client_id": "c", "text": "x" * 4001}, "text"),
        ({"type": "line", "client_id": "c", "files": ["0192f0c1-a2b3-7c4d-8e9f-001122334455"]}, "files[0]"),
        ({"type": "read", "seq": "1"}, "seq"),
        ({"type": "no-such"}, "type"),
    ],
)
def test_a_wrong_frame_is_answered_with_its_field_and_the_socket_goes_on(frame: dict[str, Any], field: str) -> None:
    visitor = make_visitor()

    async def talk() -> None:
        async with visitor.connected():
            await visitor.send(**frame)
            assert [entry["field"] for entry in (await visitor.until("error"))["errors"]] == [field]
            await visitor.send(type="line", client_id="good", text="still here")
            await visitor.until("accepted", client_id="good")

    run(talk())


def test_two_sockets_of_one_visitor_both_get_every_line() -> None:
    entrance = make_portal()
    one = make_visitor(entrance)
    two = Visitor(entrance, one.token)

    async def talk() -> None:
        async with one.connected(), two.connected():
            await one.send(type="line", client_id="c1", text="hello")
            await one.until("accepted")
            await in_thread(process.process_arrivals)
            await asyncio.gather(one.until("line"), two.until("line"))

    run(talk())
    assert one.lines == two.lines
