"""The portal in a real browser: the widget on another site with a strict policy, a real WebSocket, a cut, a rating."""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.utils import timezone

from messaging.models import Message
from posthaste import env
from routing.conversations import lines, replies, resolving
from routing.conversations.replies import Author
from routing.desk import states
from routing.entrances.provision import ensure_reply_provider
from routing.models import Arrival, AuthorKind, Conversation, Entrance, Line, Satisfaction, Ticket
from routing.portal.widget import MAX_BYTES
from routing.processing import process
from routing.tickets import progress
from tests.builders import TESTER, make_provider, make_tenant
from tests.configcenter.nacos_server import NacosServer, running
from tests.patience import Patience
from tests.peers.shop import Shop
from tests.routing.builders import make_entrance
from tests.routing.portal.builders import make_form
from tests.routing.satisfaction.builders import make_agent

axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]
MS = 60_000
PHONE = {"width": 390, "height": 844}
GRAVE = ("serious", "critical")
TOO_WIDE = "document.documentElement.scrollWidth > document.documentElement.clientWidth + 1"
HEARD = """
window.heard = [];
for (const name of ['ready', 'opened', 'closed', 'unread']) {
  document.addEventListener(`posthaste:${name}`, (event) => heard.push([name, event.detail?.count ?? null]));
}
"""
#: What is shown and can be pressed, and is lower than a thumb needs.
SMALL = """
[...document.querySelectorAll('main :is(button, textarea, .back)')]
  .filter((e) => e.offsetParent && e.offsetHeight < 43 && !e.matches('.link')).map((e) => e.outerHTML)
"""
#: Tells the widget something as the site does.
TELL = "([name, detail]) => document.dispatchEvent(new CustomEvent(`posthaste:${name}`, { detail }))"


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


def faults(page: Any) -> list[str]:
    """Return what is grave for people who can't see or point, and whether a page or frame is wider than its window."""
    page.evaluate(axe.Axe().axe_script)
    violations = page.evaluate("axe.run().then((found) => found.violations)")
    found = [f"{one['id']}: {one['nodes'][0]['html'][:90]}" for one in violations if one["impact"] in GRAVE]
    return found + (["too wide"] if page.evaluate(TOO_WIDE) else [])


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
    assert faults(frame) == [], "what asks for a rating"
    frame.locator(".score", has_text="5").click()
    frame.locator("#rating textarea").fill("谢谢")
    frame.locator("#rating [type=submit]").click()
    frame.locator("#rated:not([hidden])").wait_for()
    assert Satisfaction.objects.values_list("score", "comment", "agent").get() == (5, "谢谢", conversation.agent_id)
    keep(page, "shop-rated")
    assert said == [], "the site's policy forbids nothing that the widget does"


def test_a_visitor_without_a_websocket_is_answered_over_http_has_it_mailed_and_goes_on_elsewhere(
    live_server: Any, browser: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")  # playwright keeps an event loop in this thread
    entrance = make_entrance(make_tenant(), settings={"slug": "lamps"})
    ensure_reply_provider(tenant_id=entrance.tenant_id, by=TESTER)
    make_provider(entrance.tenant, channel="email")
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
    assert faults(page) == [], "a conversation"

    page.locator("#more").click()
    for written, said in (("", "Enter the address"), ("ada", "not an e-mail address"), ("ada@example.com", "a***@example.com")):
        page.locator("#transcript-address").fill(written)
        page.locator("#transcript [type=submit]").click()
        page.locator("#transcript [role=status]", has_text=said).wait_for()
    assert Message.objects.filter(channel="email").count() == 1
    page.locator("#elsewhere [value=show]").click()
    page.locator("#qr path").wait_for()
    address = page.locator("#elsewhere-link output").inner_text()
    keep(page, "chat-menu")
    assert faults(page) == [], "the menu of a conversation"

    elsewhere = browser.new_context(viewport=PHONE)
    elsewhere.set_default_timeout(MS)
    elsewhere.route_web_socket("**/ws/chat/**", lambda socket: socket.close(code=1011))
    other = elsewhere.new_page()
    other.goto(f"{live_server.url}{urlsplit(address).path}")
    other.locator("main button").click()
    other.locator(".line.mine", has_text="Hello?").wait_for()
    other.locator(".line.theirs", has_text="Hello!").wait_for()


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


def test_a_site_opens_the_chat_with_a_text_and_in_another_language_and_the_focus_follows(
    live_server: Any, browser: Any, shop: tuple[str, Entrance], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")  # playwright keeps an event loop in this thread
    origin, _entrance = shop
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(MS)
    page, said = context.new_page(), []
    page.on("console", lambda line: said.append(line.text) if line.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.add_init_script(HEARD)
    page.goto(origin)
    until(page, lambda: page.evaluate("heard.length"))
    page.evaluate(TELL, ["open", {"text": "Where is A-1042?", "language": "en"}])
    frame = until(page, lambda: next((one for one in page.frames[1:] if "lang=en" in one.url), None))
    until(page, lambda: frame.evaluate("document.activeElement?.id") == "text")
    page.keyboard.type(" Please.")
    assert frame.locator("#text").input_value() == "Where is A-1042? Please.", "the text of the site, and what was typed after it"

    page.evaluate(TELL, ["language", {"language": "zh-CN"}])
    frame.locator(".greeting", has_text="您好").wait_for()
    until(page, lambda: frame.locator("#text").input_value() == "Where is A-1042? Please.")
    until(page, lambda: frame.evaluate("document.activeElement?.id") == "text")
    page.keyboard.press("Escape")
    until(page, lambda: ["closed", None] in page.evaluate("heard"))
    page.keyboard.press("Enter")  # the focus is on the button again
    until(page, lambda: frame.evaluate("document.activeElement?.id") == "text")
    assert (page.evaluate("heard.filter(([name]) => name === 'opened').length"), said) == (2, [])


def test_what_is_written_before_the_script_is_there_waits_for_it(live_server: Any, browser: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")  # playwright keeps an event loop in this thread
    entrance = make_entrance(make_tenant(), settings={"slug": "lamps"})
    make_form(entrance.tenant)
    context = browser.new_context(viewport=PHONE)
    context.set_default_timeout(MS)
    held: list[Any] = []
    context.route(re.compile(r"/portal/(chat|request)[^/]*\.js"), lambda route: held.append(route))  # playwright marks the function
    page = context.new_page()
    for path, field in (("chat", "#text"), ("request", "#f1")):
        page.goto(f"{live_server.url}/help/lamps/{path}/?lang=en", wait_until="commit")
        until(page, lambda: held)
        page.locator(field).fill("Hello?")
        send = page.locator("#composer [type=submit], #request [type=submit]")
        assert send.is_disabled()
        held.pop().continue_()
        until(page, send.is_enabled)
        assert (page.locator(field).input_value(), page.url.endswith("?lang=en")) == ("Hello?", True), "the page was not loaded anew"


def test_without_scripts_a_visitor_reads_what_to_do(live_server: Any, browser: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")  # playwright keeps an event loop in this thread
    entrance = make_entrance(make_tenant(), settings={"slug": "lamps"})
    make_form(entrance.tenant)
    context = browser.new_context(viewport=PHONE, java_script_enabled=False)
    context.set_default_timeout(MS)
    page = context.new_page()
    for path in ("chat", "request", "requests", "requests/1"):
        page.goto(f"{live_server.url}/help/lamps/{path}/?lang=en")
        assert page.locator(".without").is_visible()
        assert page.locator("[type=submit]:visible").count() == 0, "nothing that can't be sent"


def passing(page: Any, rows: Callable[[], Any], number: int) -> None:
    """Let the time of a page pass until there are so many rows."""
    patience = Patience(60)
    while rows().count() != number:
        assert not patience.is_over()
        page.clock.run_for(1_000)


def test_a_visitor_follows_a_request_answers_reopens_and_rates_it_with_one_thumb(
    live_server: Any, browser: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")  # playwright keeps an event loop in this thread
    entrance = make_entrance(make_tenant(), settings={"slug": "lamps"})
    ensure_reply_provider(tenant_id=entrance.tenant_id, by=TESTER)
    make_form(entrance.tenant)
    context = browser.new_context(viewport=PHONE)
    context.set_default_timeout(MS)
    page = context.new_page()
    page.goto(f"{live_server.url}/help/lamps/request/?type=refund&lang=en")
    for label, value in (("What is it about?", "Money back"), ("Order number", "A-1042"), ("Tell us more", "The lamp flickers.")):
        page.get_by_label(label).fill(value)
    page.locator("#request [type=submit]").click()
    page.locator("#request-done").wait_for()
    conversation = arrive(page, 1)
    lin = make_agent(entrance.tenant, "Lin")
    replies.reply(conversation=conversation, author=Author(agent=lin), text="Which lamp is it?", by=TESTER, now=timezone.now())
    page.locator("#request-done a", has_text="My requests").click()
    page.locator("#requests a", has_text="Money back").wait_for()
    keep(page, "requests-390")
    page.locator("#requests a", has_text="Money back").click()
    page.locator(".line.theirs", has_text="Which lamp is it?").wait_for()
    assert "A-1042" in page.locator("#facts").inner_text()
    assert faults(page) == []
    keep(page, "request-390")
    page.locator("#text").fill("The green one.")
    page.locator("#reply [type=submit]").click()
    page.locator("[data-pending]", has_text="The green one.").wait_for()
    arrive(page, 2)
    page.locator(".line.mine:not([data-pending])", has_text="The green one.").wait_for()
    ticket = Ticket.objects.get()
    progress.resolve(ticket=ticket, by=TESTER, now=timezone.now())
    page.reload()
    page.locator("#reply [type=submit]", has_text="Send and reopen").wait_for()
    page.locator(".score", has_text="Good").first.click()
    page.locator("#rating [type=submit]").click()
    page.locator("#rated:not([hidden])").wait_for()
    assert Satisfaction.objects.get().score == 4
    for language, theme, size in (("en", "dark", PHONE), ("zh-hans", "light", PHONE), ("zh-hans", "dark", {"width": 1280, "height": 800})):
        page.set_viewport_size(size)
        page.emulate_media(color_scheme=theme)
        page.goto(f"{live_server.url}/help/lamps/requests/{ticket.number}/?lang={language}")
        page.locator("#reply").wait_for()
        assert faults(page) == [], (language, theme)
        keep(page, f"request-{language}-{theme}-{size['width']}")
        assert page.evaluate(SMALL) == [], "for a thumb"
    page.locator("#text").fill("还是不亮")
    page.locator("#reply [type=submit]").click()
    arrive(page, 3)
    until(page, lambda: Ticket.objects.get().status != "resolved")
    page.locator(".line.mine:not([data-pending])", has_text="还是不亮").wait_for()


def test_what_is_read_is_told_in_the_next_conversation_too(live_server: Any, browser: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")  # playwright keeps an event loop in this thread
    entrance = make_entrance(make_tenant(), settings={"slug": "lamps"})
    ensure_reply_provider(tenant_id=entrance.tenant_id, by=TESTER)
    context = browser.new_context(viewport=PHONE)
    context.set_default_timeout(MS)
    context.route_web_socket("**/ws/chat/**", lambda socket: socket.close(code=1011))
    page = context.new_page()
    page.clock.install()
    page.goto(f"{live_server.url}/help/lamps/chat/?lang=en")
    for number, answers in enumerate((3, 1), start=1):
        page.locator("#text").fill("Hello?")
        page.locator("#text").press("Enter")
        passing(page, Arrival.objects.all, number)
        process.process_arrivals()
        conversation = Conversation.objects.latest("pk")
        for _answer in range(answers):
            replies.reply(conversation=conversation, author=Author(), text="Hello!", by=TESTER, now=timezone.now())
        passing(page, Conversation.objects.filter(pk=conversation.pk, customer_read_seq=1 + answers).all, 1)
        states.close(conversation=conversation, by=TESTER, now=timezone.now())
    assert Conversation.objects.count() == 2


def test_a_rating_that_is_being_changed_stays_while_the_desk_is_looked_at(
    live_server: Any, browser: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")  # playwright keeps an event loop in this thread
    make_entrance(make_tenant(), settings={"slug": "lamps"})
    context = browser.new_context(viewport=PHONE)
    context.set_default_timeout(MS)
    context.route_web_socket("**/ws/chat/**", lambda socket: socket.close(code=1011))
    told = {"open": True, "opens_at": None, "must_sign": False, "asks_email": False, "email": ""}
    asked = {"conversation": "c1", "score": 2, "comment": "Too slow", "open": True}
    looks: list[Any] = []
    sent: list[Any] = []

    def look(route: Any) -> None:
        looks.append(route.request)
        route.fulfill(json=told | {"rating": asked | (sent[-1] if sent else {})})

    def rate(route: Any) -> None:
        sent.append(route.request.post_data_json)
        route.fulfill(json=asked | sent[-1])

    context.route("**/help/lamps/state/*", look)
    context.route("**/help/lamps/rating/*", rate)
    page = context.new_page()
    page.clock.install()
    page.goto(f"{live_server.url}/help/lamps/chat/?lang=en")
    page.get_by_role("button", name="Change it").click()
    assert len(looks) == 1, "one question at the beginning"
    page.locator("#rating textarea").fill("Slow, but they found my parcel")
    page.clock.fast_forward(61_000)
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    until(page, lambda: len(looks) == 2)
    page.evaluate("fetch(location.href)")  # by then the answer is there
    assert page.locator("#rating textarea").input_value() == "Slow, but they found my parcel"
    page.locator(".score", has_text="4").click()
    page.locator("#rating [type=submit]").click()
    page.locator("#rated:not([hidden])", has_text="4/5").wait_for()
    until(page, lambda: len(looks) == 3)
    assert (sent[0]["score"], sent[0]["comment"]) == (4, "Slow, but they found my parcel")
    assert page.locator("#rating").is_hidden()


def test_a_request_that_was_rated_is_not_asked_again_by_a_late_answer_and_keeps_its_title(
    live_server: Any, browser: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")  # playwright keeps an event loop in this thread
    entrance = make_entrance(make_tenant(), settings={"slug": "lamps"})
    context = browser.new_context(viewport=PHONE)
    context.set_default_timeout(MS)
    context.add_init_script(f"localStorage.setItem('posthaste:{entrance.pk}', JSON.stringify({{ token: 'any', who: '' }}))")
    asked: list[Any] = []
    context.route("**/help/lamps/tickets/7/*", lambda route: asked.append(route))  # playwright marks the function
    context.route("**/help/lamps/tickets/7/rating/*", lambda route: route.fulfill(json={"score": 4, "comment": "", "open": True}))
    found = {
        "number": 7,
        "subject": "Broken · it says $&",
        "type": "Refund",
        "tone": "delivered",
        "label": "Resolved",
        "opened_at": "2026-01-01T00:00:00Z",
        "fields": [],
        "lines": [],
        "reply": {"kind": "over", "until": None},
        "may_rate": True,
        "rating": None,
    }
    page = context.new_page()
    page.goto(f"{live_server.url}/help/lamps/requests/7/?lang=en", wait_until="commit")
    until(page, lambda: asked)
    asked[0].fulfill(json=found)
    page.locator(".score", has_text="Good").first.click()
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    until(page, lambda: len(asked) == 2)
    page.locator("#rating [type=submit]").click()
    page.locator("#rated:not([hidden])", has_text="4/5").wait_for()
    asked[1].fulfill(json=found)
    page.evaluate("fetch(location.href)")  # by then the answer is there
    assert (page.locator("#rating").is_hidden(), page.locator("#rated").is_visible()) == (True, True)
    until(page, lambda: len(asked) == 3)
    asked[2].fulfill(json=found | {"label": "Closed", "rating": {"score": 4, "comment": "", "open": True}, "may_rate": False})
    page.locator("#status", has_text="Closed").wait_for()
    assert page.locator("#rated").is_visible()
    assert page.title().startswith("#7 Broken · it says $& · ")
    assert page.title().count("Broken") == 1
