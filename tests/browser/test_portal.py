"""The portal in a real browser: the widget on another site with a strict policy, a real WebSocket, a cut, a rating; and its pages."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from posthaste import env
from routing.conversations import lines, replies, resolving
from routing.conversations.replies import Author
from routing.entrances.provision import ensure_reply_provider
from routing.models import Arrival, AuthorKind, Conversation, Entrance, Line, Satisfaction
from routing.portal.widget import MAX_BYTES
from routing.processing import process
from tests.browser.looks import CONTRAST
from tests.builders import TESTER, make_tenant
from tests.configcenter.nacos_server import NacosServer, running
from tests.patience import Patience
from tests.peers.shop import Shop
from tests.routing.builders import make_entrance
from tests.routing.portal.builders import make_article, make_form
from tests.routing.satisfaction.builders import make_agent

axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]
GRAVE = ("serious", "critical")
MS = 60_000
PHONE = {"width": 390, "height": 844}
TOO_WIDE = "document.documentElement.scrollWidth > document.documentElement.clientWidth + 1"
HEARD = """
window.heard = [];
for (const name of ['ready', 'opened', 'closed', 'unread']) {
  document.addEventListener(`posthaste:${name}`, (event) => heard.push([name, event.detail?.count ?? null]));
}
"""


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[NacosServer]:
    """Run the WebSocket server that the chat connects to."""
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")  # playwright keeps an event loop in this thread
    with running(tmp_path) as server:
        monkeypatch.setattr(env.load(), "ws_port", server.port)
        policy = settings.CONTENT_SECURITY_POLICY
        allowed = policy["DIRECTIVES"] | {"connect-src": [*policy["DIRECTIVES"]["connect-src"], f"ws://localhost:{server.port}"]}
        settings.CONTENT_SECURITY_POLICY = policy | {"DIRECTIVES": allowed}
        yield server


@pytest.fixture
def shop(live_server: Any) -> Iterator[tuple[str, Entrance]]:
    """Serve the shop's page, and make the entrance that it may show."""
    with Shop(host="127.0.0.1") as site:
        sites = [site.origin, live_server.url]
        entrance = make_entrance(make_tenant(), settings={"slug": "lamps", "sites": sites, "greeting_zh": "您好！"})
        ensure_reply_provider(tenant_id=entrance.tenant_id, by=TESTER)
        site.embed(desk=live_server.url, slug="lamps")
        yield site.origin, entrance


class Wire:
    """The WebSockets of a page, which can be cut."""

    def __init__(self) -> None:
        self.open: list[Any] = []
        self.is_cut = False

    def route(self, socket: Any) -> None:
        if self.is_cut:
            socket.close(code=1011)
            return
        socket.connect_to_server()
        self.open.append(socket)

    def cut(self) -> None:
        self.is_cut = True
        for socket in self.open:
            socket.close(code=1011)
        self.open.clear()


def until(page: Any, holds: Callable[[], Any]) -> Any:
    """Wait until something holds, while the browser goes on, and return it."""
    patience = Patience(60)
    while not (found := holds()):
        assert not patience.is_over()
        page.wait_for_timeout(50)
    return found


def keep(page: Any, name: str) -> None:
    """Keep a picture where one is asked for, to be looked at."""
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=str(Path(folder) / f"{name}.png"))


def arrive(page: Any, number: int) -> Conversation:
    """Wait for a visitor's lines, process them as a worker does, and return their conversation."""
    until(page, lambda: Arrival.objects.count() >= number)
    process.process_arrivals()
    return Conversation.objects.get()


def test_a_visitor_of_another_site_is_answered_through_a_cut_and_rates(
    served: NacosServer, live_server: Any, browser: Any, shop: tuple[str, Entrance]
) -> None:
    origin, entrance = shop
    agent = make_agent(entrance.tenant, "Mei")
    context = browser.new_context(viewport=PHONE, has_touch=True)
    context.set_default_timeout(MS)
    wire, said, loaded = Wire(), [], []
    context.route_web_socket("**/ws/chat/**", wire.route)
    page = context.new_page()
    page.on("console", lambda line: said.append(line.text) if line.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("response", lambda answer: loaded.append(answer) if answer.url.startswith(live_server.url) else None)
    page.add_init_script(HEARD)
    page.goto(origin)
    until(page, lambda: page.evaluate("heard.length"))

    before = [answer.body() for answer in loaded]
    assert (len(before), sum(map(len, before)) < MAX_BYTES, len(page.frames)) == (1, True, 1), "one script before its first use"
    assert page.evaluate("Object.keys(window).filter((name) => /posthaste/i.test(name))") == []
    keep(page, "shop-closed")

    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    frame = until(page, lambda: next((one for one in page.frames[1:] if "/chat/" in one.url), None))
    frame.locator(".greeting", has_text="您好").wait_for()
    frame.wait_for_load_state("load")  # by then the script listens
    frame.locator("#text").fill("我的订单还没到，单号 A-1042")
    frame.locator("#text").press("Enter")
    conversation = arrive(page, 1)
    frame.locator(".line.mine:not([data-pending])", has_text="A-1042").wait_for()

    def answer(text: str) -> None:
        replies.reply(conversation=conversation, author=Author(agent=agent), text=text, by=TESTER, now=timezone.now())

    answer("今天下午送达。")
    frame.locator(".line.theirs", has_text="今天下午送达").wait_for()
    keep(page, "shop-answered")

    wire.cut()
    frame.locator("#connection:not([hidden])").wait_for()
    frame.locator("#text").fill("断线时写的")
    frame.locator("#text").press("Enter")
    answer("断线时答的")
    frame.locator(".line.mine[data-pending]", has_text="断线时写的").wait_for()
    wire.is_cut = False
    arrive(page, 2)
    for text in ("断线时写的", "断线时答的"):
        frame.locator(".line:not([data-pending])", has_text=text).wait_for()
    assert [frame.locator(".line", has_text=text).count() for text in ("断线时写的", "断线时答的")] == [1, 1]
    assert sorted(Line.objects.values_list("seq", flat=True)) == [1, 2, 3, 4]

    page.keyboard.press("Escape")
    until(page, lambda: ["closed", None] in page.evaluate("heard"))
    answer("还有问题吗？")
    until(page, lambda: ["unread", 1] in page.evaluate("heard"))
    page.keyboard.press("Enter")  # the focus is on the button again
    until(page, lambda: page.evaluate("heard.at(-1)") == ["unread", 0])
    until(page, lambda: Conversation.objects.get().customer_read_seq == 5)

    conversation.refresh_from_db()
    resolving.resolve(conversation=conversation, by=TESTER, now=timezone.now())
    frame.locator("#rating:not([hidden])").wait_for()
    frame.locator(".score", has_text="5").click()
    frame.locator("#rating textarea").fill("谢谢")
    frame.locator("#rating [type=submit]").click()
    frame.locator("#rated:not([hidden])").wait_for()
    assert Satisfaction.objects.values_list("score", "comment", "agent").get() == (5, "谢谢", conversation.agent_id)
    keep(page, "shop-rated")
    assert said == [], "the site's policy forbids nothing that the widget does"


def test_a_visitor_without_a_websocket_is_answered_over_http(live_server: Any, browser: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")  # playwright keeps an event loop in this thread
    entrance = make_entrance(make_tenant(), settings={"slug": "lamps"})
    ensure_reply_provider(tenant_id=entrance.tenant_id, by=TESTER)
    context = browser.new_context(viewport=PHONE)
    context.set_default_timeout(MS)
    context.route_web_socket("**/ws/chat/**", lambda socket: socket.close(code=1011))
    page = context.new_page()
    page.goto(f"{live_server.url}/help/lamps/chat/?lang=en")
    page.locator("#file").set_input_files({"name": "lamp.txt", "mimeType": "text/plain", "buffer": b"It flickers."})
    page.locator("#files li[aria-busy=false]", has_text="lamp.txt").wait_for()
    page.locator("#text").fill("Hello?")
    page.locator("#text").press("Enter")
    conversation = arrive(page, 1)
    replies.reply(conversation=conversation, author=Author(), text="Hello!", by=TESTER, now=timezone.now())
    page.locator(".line.theirs", has_text="Hello!").wait_for()
    page.locator(".line.mine:not([data-pending])", has_text="Hello?").wait_for()
    assert page.locator("#connection").get_attribute("data-state") == "slow"
    with page.expect_download() as download:
        page.locator(".line.mine a.file", has_text="lamp.txt").click()
    assert download.value.suggested_filename == "lamp.txt"


def test_a_chat_whose_connection_only_looks_open_comes_back(served: NacosServer, live_server: Any, browser: Any) -> None:
    make_entrance(make_tenant(), settings={"slug": "lamps", "sites": [live_server.url]})
    context = browser.new_context(viewport=PHONE)
    context.set_default_timeout(MS)
    page = context.new_page()
    page.clock.install()
    page.goto(f"{live_server.url}/help/lamps/chat/?lang=en")
    page.locator("#text").fill("Hello?")
    page.locator("#text").press("Enter")
    conversation = arrive(page, 1)
    page.locator(".line.mine:not([data-pending])", has_text="Hello?").wait_for()
    page.locator("#connection[data-state=live]").wait_for(state="attached")
    with served.frozen():
        lines.append(conversation, author=AuthorKind.AGENT, text="Hello!", now=timezone.now())
        page.clock.fast_forward(60_000)
        page.locator("#connection[data-state=reconnecting]:not([hidden])").wait_for()
    page.locator("#connection[data-state=live]").get_by_text("Connected").wait_for(state="attached")
    page.locator(".line.theirs", has_text="Hello!").wait_for()


@pytest.mark.parametrize(("scheme", "language", "width"), [("light", "en", 390), ("dark", "zh-hans", 390), ("dark", "en", 1280)])
def test_every_page_is_readable_and_fits(
    live_server: Any, browser: Any, monkeypatch: pytest.MonkeyPatch, scheme: str, language: str, width: int
) -> None:
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")  # playwright keeps an event loop in this thread
    entrance = make_entrance(make_tenant(slug="demo"), settings={"slug": "lamps", "accent": "teal"})
    make_article(entrance.tenant, "late", "My parcel is late", "# So\n\n1. Open it\n2. **Look**\n\n| a | b |\n|---|---|\n| 1 | 2 |")
    make_form(entrance.tenant)
    context = browser.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme, reduced_motion="reduce")
    context.set_default_timeout(MS)
    page, said, found = context.new_page(), [], {}
    page.on("console", lambda line: said.append(f"{page.url}: {line.text}") if line.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: said.append(f"{page.url}: {error}"))
    engine = axe.Axe()
    for path in ("", "chat/", "articles/?q=parcel", "articles/?q=xyzzy", "a/late/", "request/", "requests/", "demo/"):
        page.goto(f"{live_server.url}/help/lamps/{path}{'&' if '?' in path else '?'}lang={language}", wait_until="load")
        wrong = [fault for fault in engine.run(page).response["violations"] if fault["impact"] in GRAVE]
        faults = [f"{fault['id']}: {[node['html'][:90] for node in fault['nodes']]}" for fault in wrong]
        faults += page.evaluate(CONTRAST)
        if page.evaluate(TOO_WIDE):
            faults.append("too wide")
        if faults:
            found[path] = faults
        keep(page, f"help-{path.partition('/')[0] or 'home'}-{scheme}-{language}-{width}")
    assert (json.dumps(found, indent=1), said) == ("{}", [])
