"""The desk's socket: what changes is told to those that it concerns, and it ends with its session."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
from asgiref.sync import async_to_sync
from asgiref.testing import ApplicationCommunicator
from channels.auth import AuthMiddlewareStack
from channels.routing import URLRouter
from django.urls import reverse
from django.utils import timezone

from accounts.models import Member
from routing.conversations import lines, notices
from routing.models import Agent, AuthorKind, Conversation, SkillGroup
from routing.sockets import beats, ends
from routing.sockets import desk as sockets
from routing.sockets import desk_hub as hubs
from routing.sockets import desk_looks as looks
from routing.sockets.hub import in_thread
from routing.sockets.urls import session_urlpatterns
from tests.builders import make_tenant
from tests.routing.assignment.builders import make_group
from tests.routing.desk.builders import Desk, ask, hold, make_desk

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_stacks]

SECONDS = 20.0
application = AuthMiddlewareStack(URLRouter(session_urlpatterns))
_Communicator: Any = ApplicationCommunicator


class Heard:
    """Set once the hub hears what is published; a new one for each test, as each has an event loop of its own."""

    event = asyncio.Event()


@pytest.fixture(autouse=True)
def _in_haste(monkeypatch: pytest.MonkeyPatch) -> None:
    def subscribed() -> None:
        hubs.DeskHub.subscribed(hubs.hub)
        Heard.event.set()

    Heard.event = asyncio.Event()
    monkeypatch.setattr(hubs.hub, "subscribed", subscribed)
    monkeypatch.setattr(hubs, "TURN_SECONDS", 0.02)
    monkeypatch.setattr(hubs, "COUNT_SECONDS", 0.02)
    monkeypatch.setattr(hubs, "ACCESS_SECONDS", 0.05)


class Open:
    """A desk's socket, without a server between."""

    def __init__(self, desk: Desk) -> None:
        cookie = f"sessionid={desk.client.cookies['sessionid'].value}" if "sessionid" in desk.client.cookies else ""
        headers = [(b"host", b"desk.example.com"), (b"cookie", cookie.encode())]
        scope = {"type": "websocket", "path": "/ws/desk/", "headers": headers, "query_string": b"", "client": ("192.0.2.1", 5)}
        self.application = _Communicator(application, scope)

    async def connect(self) -> int | None:
        await self.application.send_input({"type": "websocket.connect"})
        event = await self.application.receive_output(SECONDS)
        return None if event["type"] == "websocket.accept" else int(event["code"])

    async def send(self, **frame: Any) -> None:
        await self.application.send_input({"type": "websocket.receive", "text": orjson.dumps(frame).decode()})

    async def until(self, fits: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
        """Return the next frame that fits."""
        while True:
            event = await self.application.receive_output(SECONDS)
            frame: dict[str, Any] = orjson.loads(event["text"]) if event["type"] == "websocket.send" else event
            if fits(frame):
                return frame

    async def until_changed(self, conversation: Conversation) -> dict[str, Any]:
        return await self.until(lambda frame: frame["type"] == "changed" and str(conversation.pk) in frame["conversations"])

    async def leave(self) -> None:
        await self.application.send_input({"type": "websocket.disconnect", "code": 1005})
        await self.application.wait(SECONDS)


@asynccontextmanager
async def at(*desks: Desk) -> AsyncIterator[list[Open]]:
    """Hold open sockets of desks that have said hello."""
    opened = [Open(desk) for desk in desks]
    try:
        for each in opened:
            assert await each.connect() is None
            await each.until(lambda frame: frame["type"] == "hello")
        async with asyncio.timeout(SECONDS):
            await Heard.event.wait()
        yield opened
    finally:
        for each in opened:
            await each.leave()


def run(work: Coroutine[Any, Any, None]) -> None:
    async def whole() -> None:
        await work

    async_to_sync(whole)()


def two_agents() -> tuple[SkillGroup, Desk, Desk]:
    tenant = make_tenant()
    group = make_group(tenant, at=timezone.now())
    return group, make_desk(tenant, group), make_desk(tenant, group)


def write(conversation: Conversation, text: str = "Hello?") -> None:
    conversation.refresh_from_db()
    lines.append(conversation, author=AuthorKind.CUSTOMER, text=text, now=timezone.now())


def test_two_agents_see_a_claim_and_the_numbers_of_each() -> None:
    group, mei, tom = two_agents()
    conversation = ask(group.tenant, group)

    async def work() -> None:
        async with at(mei, tom) as (first, second):
            await in_thread(mei.do, conversation, "claim")
            for socket, mine in ((first, 1), (second, 0)):
                is_told, numbers = False, {"unassigned": 1}
                while not is_told or numbers["unassigned"]:  # in one frame, or in two of either order
                    frame = await socket.until(lambda frame: frame["type"] == "changed")
                    is_told = is_told or str(conversation.pk) in frame["conversations"]
                    numbers = frame.get("counts") or numbers
                assert (numbers["mine"], numbers["team"]) == (mine, 1)

    run(work())


def test_who_loses_sight_of_a_conversation_is_told_and_other_groups_are_not() -> None:
    group, mei, _tom = two_agents()
    billing = make_group(group.tenant, "billing", at=timezone.now())
    kim = make_desk(group.tenant, billing)
    conversation, marker = ask(group.tenant, group), ask(group.tenant, billing)

    async def work() -> None:
        async with at(mei, kim) as (first, second):
            await in_thread(write, conversation)
            await first.until_changed(conversation)
            await in_thread(write, conversation)
            await first.until_changed(conversation)
            await in_thread(lambda: Conversation.objects.filter(pk=conversation.pk).update(group=billing))
            await in_thread(notices.moved_after_commit, [conversation.pk])
            await first.until_changed(conversation)
            await in_thread(write, marker)
            seen: list[str] = []
            while str(marker.pk) not in seen:
                seen += (await second.until(lambda frame: frame["type"] == "changed"))["conversations"]

    run(work())


def test_agents_at_the_same_conversation_see_each_other_and_who_writes() -> None:
    group, mei, tom = two_agents()
    conversation = ask(group.tenant, group)
    names = [desk.agent.name for desk in (mei, tom) if desk.agent]

    async def work() -> None:
        async with at(mei, tom) as (first, second):
            await first.send(type="watch", conversation=str(conversation.pk))
            await second.send(type="watch", conversation=str(conversation.pk))
            await first.until(lambda frame: frame["type"] == "viewing" and frame["agents"] == [names[1]])
            await second.until(lambda frame: frame["type"] == "viewing" and frame["agents"] == [names[0]])
            assert (await in_thread(mei.read, f"c/{conversation.pk}/"))["collisions"] == [names[1]]
            await second.send(type="typing", conversation=str(conversation.pk))
            told = await first.until(lambda frame: frame["type"] == "typing")
            assert (told["name"], told["author"]) == (names[1], "agent")
            await second.send(type="watch", conversation=None)
            await first.until(lambda frame: frame["type"] == "viewing" and frame["agents"] == [])

    run(work())


def test_a_connection_that_was_cut_tells_what_to_read_and_a_lost_notice_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hubs, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(notices, "_publish", lambda notice: None)
    group, mei, _tom = two_agents()
    conversation = ask(group.tenant, group)

    async def work() -> None:
        async with at(mei) as (socket,):
            await socket.until(lambda frame: frame.get("counts", {}).get("team") == 1)
            await in_thread(write, conversation)
            await socket.until(lambda frame: frame["type"] == "changed" and frame["all"])
            assert (await in_thread(mei.read, f"c/{conversation.pk}/lines/", after=1))["lines"][0]["text"] == "Hello?"

    run(work())


def test_an_agent_is_told_what_they_were_given() -> None:
    group, mei, tom = two_agents()
    conversation = hold(ask(group.tenant, group), tom.agent)

    async def work() -> None:
        async with at(mei) as (socket,):
            await in_thread(tom.do, conversation, "transfer", agent=str(mei.agent and mei.agent.pk))
            told = await socket.until(lambda frame: frame["type"] == "notice")
            assert (told["notice"]["kind"], told["notice"]["conversation"]) == ("assigned", str(conversation.pk))

    run(work())


def sign_out(desk: Desk) -> None:
    desk.client.post(reverse("admin:logout"))


def leave_the_tenant(desk: Desk) -> None:
    Member.objects.filter(user=desk.user).delete()


def be_no_agent(desk: Desk) -> None:
    Agent.objects.filter(user=desk.user).update(is_active=False)


@pytest.mark.parametrize("lose", [sign_out, leave_the_tenant, be_no_agent])
def test_a_desk_ends_with_what_it_was_opened_with(lose: Callable[[Desk], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hubs, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(looks, "SEAT_SECONDS", 0.0)
    _group, mei, _tom = two_agents()

    async def work() -> None:
        async with at(mei) as (socket,):
            await in_thread(lose, mei)
            await socket.until(lambda frame: frame["type"] == "ended")
            assert (await socket.until(lambda frame: True))["code"] == ends.REFUSED

    run(work())


def test_a_stranger_gets_no_desk_and_a_session_not_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "MAX_DESKS", 1)
    _group, mei, tom = two_agents()
    tom.client.logout()

    async def work() -> None:
        stranger = Open(tom)
        assert await stranger.connect() == ends.REFUSED
        async with at(mei):
            second = Open(mei)
            assert await second.connect() is None
            assert (await second.until(lambda frame: frame["type"] == "websocket.close"))["code"] == ends.TOO_MANY

    run(work())


def test_a_slow_viewer_misses_frames_and_delays_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "WRITE_SECONDS", 0.3)
    group, mei, tom = two_agents()
    conversation = ask(group.tenant, group)
    stuck = asyncio.Event()

    async def work() -> None:
        async with at(mei) as (socket,):
            (slow,) = list(hubs.hub._desks)
            assert isinstance(slow, sockets.DeskSocket)
            sent = slow._send

            async def never(event: dict[str, Any]) -> None:
                await (sent(event) if event["type"] == "websocket.close" else stuck.wait())

            async with at(tom) as (quick,):
                slow._send = never
                for _ in range(3):
                    await in_thread(write, conversation)
                    await quick.until_changed(conversation)
                closed = await socket.until(lambda frame: frame["type"] == "websocket.close")
                assert closed["code"] == ends.TOO_SLOW

    run(work())


def test_a_desk_on_which_nothing_happens_hears_that_its_connection_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beats, "SECONDS", 0.05)
    tenant = make_tenant()
    desk = make_desk(tenant, make_group(tenant, at=timezone.now()))

    async def work() -> None:
        async with at(desk) as (page,):
            for _beat in range(2):
                await page.until(lambda frame: frame["type"] == "beat")

    run(work())
