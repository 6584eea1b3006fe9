"""The chat's connection in a real browser, with a server that the test plays: what comes late, never, or for another visitor."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from posthaste.env import ROOT
from tests.patience import Patience

SITE = "http://chat.test"
PAGE = """
<!doctype html><html data-entrance="lamps" data-chat="/chat/lamps/" data-help="/help/lamps/"><body>
<script type="module">
import { Connection } from "/static/js/portal/connection.js";
window.told = [];
const names = ["line", "snapshot", "accepted", "refused", "typing", "state", "ended"];
window.connection = new Connection("", Object.fromEntries(names.map((name) => [name, (...values) => told.push([name, ...values])])));
connection.start();
</script></body></html>
"""
SNAPSHOT = {"type": "snapshot", "conversation": None, "status": None}
KEEP = "(token) => localStorage.setItem('posthaste:lamps', JSON.stringify({ token, who: '' }))"


def line(text: str, seq: int = 1, conversation: str = "c1") -> dict[str, Any]:
    return {
        "type": "line",
        "conversation": conversation,
        "seq": seq,
        "author": "agent",
        "text": text,
        "files": [],
        "at": "2026-01-01T00:00:00Z",
    }


class Play:
    """A page with a connection, and the server that it finds."""

    def __init__(self, browser: Any) -> None:
        self.sockets: list[Any] = []
        self.heard: list[dict[str, Any]] = []
        self.asked: list[Any] = []
        context = browser.new_context()
        context.route(f"{SITE}/**", self._answer)
        context.route_web_socket("ws://chat.test/ws/chat/**", self._open)
        context.add_init_script(f"({KEEP})(localStorage.getItem('other') ?? 'first')")
        self.page = context.new_page()
        self.page.clock.install()

    def begin(self) -> None:
        self.page.goto(f"{SITE}/")
        self.until(lambda: self.page.evaluate("Boolean(window.connection)"))

    def _answer(self, route: Any) -> None:
        path = route.request.url.removeprefix(SITE)
        if path == "/":
            route.fulfill(body=PAGE, content_type="text/html")
        elif path.startswith("/static/"):
            route.fulfill(path=str(ROOT / path.lstrip("/")))
        else:
            self.asked.append(route)

    def _open(self, socket: Any) -> None:
        self.sockets.append(socket)
        socket.on_message(lambda text: self.heard.append(json.loads(text)))

    def refuse_sockets(self) -> None:
        self.page.context.route_web_socket("ws://chat.test/ws/chat/**", lambda socket: socket.close(code=1011))

    def say(self, *frames: dict[str, Any]) -> None:
        for frame in frames:
            self.sockets[-1].send(json.dumps(frame))

    def told(self, name: str) -> Any:
        return self.page.evaluate("(name) => told.filter(([one]) => one === name).map(([, value]) => value)", name)

    def until(self, holds: Callable[[], Any]) -> None:
        patience = Patience(30)
        while not holds():
            assert not patience.is_over()
            self.page.wait_for_timeout(10)

    def next_question(self, number: int) -> Any:
        """Return the request that is asked as the nth one, with time going on until it is."""
        patience = Patience(30)
        while len(self.asked) < number:
            assert not patience.is_over()
            self.page.clock.run_for(1_000)
        return self.asked[number - 1]


def told_lines(*found: dict[str, Any]) -> dict[str, Any]:
    return {"json": {"lines": list(found), "snapshot": SNAPSHOT, "more": False}}


@pytest.fixture
def play(browser: Any) -> Play:
    return Play(browser)


def test_without_a_websocket_a_chat_goes_on_when_the_network_is_back(play: Play) -> None:
    play.refuse_sockets()
    play.begin()
    play.next_question(1).abort()
    play.until(lambda: play.told("state")[-1] == "reconnecting")
    play.page.evaluate("dispatchEvent(new Event('online'))")
    play.next_question(2).fulfill(**told_lines(line("Are you there?")))
    play.until(lambda: [one["text"] for one in play.told("line")] == ["Are you there?"])
    assert play.told("state")[-1] == "slow"
    assert play.next_question(3)


def test_a_socket_through_which_nothing_comes_gives_way_to_http(play: Play) -> None:
    play.begin()
    play.until(lambda: play.heard)
    play.next_question(1).fulfill(**told_lines(line("Hello!")))
    play.until(lambda: play.told("state")[-1] == "slow")
    assert len(play.sockets) == 2


def test_that_sending_is_late_is_said_until_all_is_sent(play: Play) -> None:
    play.begin()
    play.until(lambda: play.heard)
    play.say(SNAPSHOT)
    play.page.evaluate("connection.add({ type: 'line', client_id: 'a', text: 'Hello?', files: [] })")
    play.until(lambda: [frame["type"] for frame in play.heard] == ["hello", "line"])
    play.say({"type": "error", "client_id": "a", "status": 429, "retry_after": 5})
    play.until(lambda: play.told("state")[-1] == "late")
    play.page.clock.run_for(5_000)
    play.until(lambda: len(play.heard) == 3)
    play.say({"type": "accepted", "client_id": "a"})
    play.until(lambda: play.told("state")[-1] == "live")


def test_a_session_that_another_tab_has_begun_anew_is_gone_on_with(play: Play) -> None:
    play.begin()
    play.until(lambda: play.heard)
    play.say(SNAPSHOT)
    play.page.evaluate(KEEP, "second")
    play.sockets[-1].close(code=4401)
    play.until(lambda: len(play.heard) == 2)
    assert [frame["token"] for frame in play.heard] == ["first", "second"]
    assert play.asked == [], "no third session"


def test_what_was_asked_for_another_visitor_is_not_shown_to_the_next(play: Play) -> None:
    play.refuse_sockets()
    play.begin()
    first = play.next_question(1)
    play.page.evaluate("connection.stop()")
    play.page.evaluate(KEEP, "second")
    play.page.evaluate("connection.start()")
    first.fulfill(**told_lines(line("Ada's order was sent.")))
    play.next_question(2).fulfill(**told_lines(line("Hello, Mei.", conversation="c2")))
    play.until(lambda: play.told("line"))
    assert [one["text"] for one in play.told("line")] == ["Hello, Mei."]


def test_a_line_that_waits_is_not_sent_for_the_next_visitor(play: Play) -> None:
    outbox: list[Any] = [{"type": "line", "client_id": name, "text": f"I am Ada ({name}).", "files": []} for name in ("a", "b")]
    play.page.context.add_init_script(f"localStorage.setItem('posthaste:lamps:outbox', JSON.stringify({json.dumps(outbox)}))")
    play.refuse_sockets()
    play.begin()
    first = play.next_question(1)
    assert first.request.post_data_json["client_id"] == "a"
    play.page.evaluate("connection.stop(); connection.unsent.clear()")
    play.page.evaluate(KEEP, "second")
    play.page.evaluate("connection.start()")
    first.fulfill(json={})
    second = play.next_question(2)
    assert (second.request.method, second.request.headers["authorization"]) == ("GET", "Bearer second")
    assert len(play.asked) == 2
