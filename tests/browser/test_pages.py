"""Every page of the product in a real browser: both languages, light and dark, wide and phone; nothing on the console, nothing cut off."""

import os
import re
from collections.abc import Callable, Iterator, Set
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
import pytest
from django.conf import settings
from django.db import connections
from django.test import Client

from accounts.models import Member, Tenant, User
from accounts.roles import Role
from configcenter.services import items
from monitor import reference
from posthaste.lib import locks
from tests.browser.config import report_instances
from tests.browser.conftest import CHROMIUM, Chromium
from tests.browser.everything import STATUS, everything, status_of

PATIENCE_MS = 120_000  # for each thing that is waited for; the machine may be busy
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(900)]
#: Words that stay in English on a Chinese page: names, units, codes.
ENGLISH = re.compile(r"\b(the|and|this|that|with|from|yet|not|nothing|choose|please|here)\b", re.IGNORECASE)

#: Controls that neither text nor label names. Left out: what Django builds itself (pickers, links beside a choice, the list's boxes).
NAMELESS = """
[...document.querySelectorAll('#content :is(button, a[href], input:not([type=hidden]), select, textarea)')].filter(e =>
  e.offsetParent
  && !(e.textContent.trim() || e.getAttribute('aria-label') || e.title || e.labels?.length || e.value || e.placeholder)
  && !e.matches('.vDateField, .vTimeField, .related-widget-wrapper-link, .datetimeshortcuts a, .action-select, #action-toggle')
).map(e => e.outerHTML.slice(0, 90))
"""
#: Lists that scroll sideways inside a page that does not.
TOO_WIDE_INSIDE = """
[...document.querySelectorAll('.results, .scroll')].filter(e => e.clientWidth && e.scrollWidth > e.clientWidth + 1)
  .map(e => `${e.querySelector('table')?.className || e.className} +${e.scrollWidth - e.clientWidth}`)
"""
#: The text of a page without data, code, and what is described where it is defined (a provider's fields).
PROSE = """
(() => {
  const copy = document.body.cloneNode(true);
  const data = 'code, pre, .code, textarea, samp, summary > .name, [lang=en], .note, svg, td, option, script';
  copy.querySelectorAll(data).forEach(e => e.remove());
  return copy.textContent;
})()
"""
#: Contrast as WCAG 2.2 defines it (relative luminance, 1.4.3), of text as it is painted.
CONTRAST = """
(() => {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgb = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const linear = (v) => v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const ground = (e) => {
    for (; e; e = e.parentElement) {
      const colour = rgb(getComputedStyle(e).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return [255, 255, 255, 255];
  };
  const bad = [];
  const read = '.badge, .soft, .purpose, a, button, th, td, label, dt, dd, h1, h2, p, .help, .label, .change';
  for (const e of document.querySelectorAll(read)) {
    if (!e.offsetParent || !e.textContent.trim() || e.closest('.stale')) continue;
    const [a, b] = [light(rgb(getComputedStyle(e).color)), light(ground(e))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) bad.push(`${e.className || e.tagName} "${e.textContent.trim().slice(0, 30)}" ${ratio.toFixed(2)}`);
  }
  return [...new Set(bad)];
})()
"""

#: The pages whose contrast is measured, once in each colour: WCAG 2.2, 1.4.3, at least 4.5 : 1, on badges, links and soft text as painted.
CONTRASTED = {
    "overview",
    "dead letters",
    "messaging_message",
    "failed message",
    "message behind a breaker",
    "scheduled message",
    "message sent after two attempts",
    "message recovered to unknown",
    "batch",
    "batch that stands still",
    "provider",
    "template",
    "version",
    "accounts_apikey",
    "new key",
    "configuration",
    "flow_rules",
    "queues",
    "publish queues",
    "history of queues",
    "version of queues",
    "override",
    "gray",
    "instances",
    "transfer",
    "suppression list",
    "add to the list",
    "unsubscribe",
    "unsubscribed",
    "unknown link",
    "breaker",
    "breakers",
    "locks",
    "items",
    "publish item",
    "alarms",
    "alarm",
    "silences",
    "receivers of alarms",
    "conversation",
    "customer",
    "list of assignments",
    "intents",
    "texts to label",
    "newer version",
    "version in training",
}

if not CHROMIUM:
    pytest.skip("Chromium is not installed: pages were not looked at in a browser", allow_module_level=True)
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pages were not looked at in a browser")


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Something of everything, and the addresses of all pages; see `everything.PARTS`."""
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")  # playwright keeps an event loop in this thread
    return everything(monkeypatch)


@pytest.fixture
def browser(chromium: Chromium) -> Iterator[Any]:
    with chromium as running:
        yield running
        for context in running.contexts:  # their pages ask for more
            context.close()
        # Inside playwright's event loop Django keeps connections of its own; one left open would hold the test database.
        connections.close_all()


def open_as(
    browser: Any, address: str, user: User, *, language: str = "en", scheme: str = "light", width: int = 1440, zone: str | None = None
) -> tuple[Any, list[str]]:
    """Open a page signed in as the user, with a list that collects the complaints of its console."""
    client = Client()
    client.force_login(user)
    viewport = {"width": width, "height": 844 if width < 500 else 900}
    context = browser.new_context(viewport=viewport, color_scheme=scheme, timezone_id=zone)
    context.set_default_timeout(PATIENCE_MS)
    host = urlsplit(address).hostname
    context.add_cookies(
        [
            {
                "name": settings.SESSION_COOKIE_NAME,
                "value": client.cookies[settings.SESSION_COOKIE_NAME].value,
                "domain": host,
                "path": "/",
            },
            {"name": settings.LANGUAGE_COOKIE_NAME, "value": language, "domain": host, "path": "/"},
        ]
    )
    page = context.new_page()
    said: list[str] = []
    page.on(
        "console",
        lambda line: (
            said.append(f"{page.url}: {line.text}") if line.type in ("error", "warning") and "/ws/statistics" not in line.text else None
        ),
    )
    page.on("pageerror", lambda error: said.append(f"{page.url}: {error}"))
    return page, said


#: Each two of language, scheme and width meet here or in test_accessibility.py, which opens every page too.
@pytest.mark.parametrize(("language", "scheme", "width"), [("en", "light", 1440), ("zh-hans", "dark", 1440), ("zh-hans", "light", 390)])
def test_every_page_is_whole_and_its_text_can_be_read(
    live_server: Any, browser: Any, pages: dict[str, str], language: str, scheme: str, width: int
) -> None:
    assert looked_at(live_server, browser, pages, language, scheme, width, read=CONTRASTED if width == 1440 else frozenset()) == []


def looked_at(
    live_server: Any,
    browser: Any,
    pages: dict[str, str],
    language: str,
    scheme: str,
    width: int,
    *,
    read: Set[str] = frozenset(),
    look: Callable[[Any, str], list[str]] = lambda page, name: [],
) -> list[str]:
    """Open all pages one after the other and return their faults; opening them is what takes the time.

    With the variable `SCREENSHOTS`, pictures are kept in that folder.

    Args:
        live_server: who answers.
        browser: where they are opened.
        pages: their addresses by name.
        language: of the reader.
        scheme: light or dark.
        width: of the window, in pixels.
        read: the pages whose contrast is measured.
        look: finds more faults of the page that was opened, by its name.
    """
    page, said = open_as(browser, live_server.url, User.objects.get(is_superuser=True), language=language, scheme=scheme, width=width)
    errors = tuple(live_server.url + pages[name] for name in STATUS)
    wrong, folder = [], os.environ.get("SCREENSHOTS", "")
    with locks.simple("feed", lease_seconds=300):
        for name, path in pages.items():
            answer = page.goto(live_server.url + path, wait_until="load")
            if answer.status != status_of(name):
                wrong.append(f"{name}: {answer.status}")
                continue
            if folder:
                page.screenshot(path=str(Path(folder) / f"{name.replace(' ', '-')}-{language}-{scheme}-{width}.png"), full_page=True)
            wrong += [f"{name}: {fault}" for fault in faults(page, is_translated=language == "zh-hans" and not path.startswith("/docs"))]
            if name in read:
                wrong += [f"{name}: contrast in {scheme}: {line}" for line in page.evaluate(CONTRAST)]
            wrong += look(page, name)
    assert read <= pages.keys()
    # The browser itself notes on the console that such a page is an error.
    return wrong + [line for line in said if not line.startswith(errors)]


def faults(page: Any, *, is_translated: bool) -> list[str]:
    """Return the faults of the page that is open."""
    wrong = []
    too_wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    if too_wide > 0:
        wrong.append(f"{too_wide} px too wide")
    wrong += [f"scrolls sideways: {part}" for part in page.evaluate(TOO_WIDE_INSIDE)]
    if page.locator("h1").count() != 1:
        wrong.append(f"{page.locator('h1').count()} headings of the first level")
    wrong += [f"no name: {element}" for element in page.evaluate(NAMELESS)]
    if is_translated:
        # Data and code are English.
        wrong += [f"not translated: {line.strip()[:80]}" for line in page.evaluate(PROSE).splitlines() if ENGLISH.search(line)]
    return wrong


#: How many lines the parts of the header take: a part whose middle is below the bottom of the line before begins a new one.
LINES = """
(() => {
  let lines = 0, bottom = -Infinity;
  const parts = [...document.querySelector('#header').children].filter((part) => part.offsetParent && part.offsetHeight);
  for (const box of parts.map((part) => part.getBoundingClientRect()).sort((a, b) => a.top - b.top)) {
    if ((box.top + box.bottom) / 2 > bottom) { lines += 1; bottom = box.bottom; }
  }
  return [lines, document.querySelector('#header div.breadcrumbs').offsetHeight];
})()
"""


@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_the_header_of_a_phone_has_two_lines_at_most(live_server: Any, browser: Any, pages: dict[str, str], language: str) -> None:
    page, _said = open_as(browser, live_server.url, User.objects.get(is_superuser=True), language=language, width=390)
    found = {}
    for name in ("overview", "alarms", "alarm", "queues and pools", "breakers", "batch"):
        page.goto(live_server.url + pages[name])
        found[name] = page.evaluate(LINES)
    assert {name: lines for name, (lines, _height) in found.items()} == dict.fromkeys(found, 2)
    assert max(height for _lines, height in found.values()) < 32, "where one is takes one line"
    page.locator("#find-what").fill("no-such-thing")
    page.locator("#find-results").get_by_text("Nothing found." if language == "en" else "未找到任何内容。").wait_for()
    box = page.locator("#find-results").bounding_box()
    assert box["width"] > 300, "what is found has the width of the page"


def test_the_theme_switch_is_remembered(live_server: Any, browser: Any, pages: dict[str, str]) -> None:
    page, said = open_as(browser, live_server.url, User.objects.get(is_superuser=True))
    page.goto(live_server.url + pages["overview"])
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.locator("#user-tools .theme-toggle").click()
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert dark != light
    page.goto(live_server.url + pages["batch"])
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == dark
    assert said == []


def test_the_language_switch_leads_back_to_the_page(live_server: Any, browser: Any, pages: dict[str, str]) -> None:
    page, _said = open_as(browser, live_server.url, User.objects.get(is_superuser=True))
    page.goto(live_server.url + pages["dead letters"])
    page.get_by_role("button", name="中文").click()
    page.wait_for_url("**state=dead")
    assert page.locator("h1").inner_text() == "死信"


def test_a_dead_letter_is_replayed_with_one_click(live_server: Any, browser: Any, pages: dict[str, str]) -> None:
    page, said = open_as(browser, live_server.url, User.objects.get(is_superuser=True))
    page.goto(live_server.url + pages["dead letters"])
    before = page.locator("#result_list tbody tr").count()
    page.get_by_role("button", name="Send again").first.click()
    page.wait_for_url("**state=dead")
    assert page.locator("#result_list tbody tr").count() == before - 1
    assert said == []


def test_a_draft_is_previewed_while_it_is_written(live_server: Any, browser: Any, pages: dict[str, str]) -> None:
    page, said = open_as(browser, live_server.url, User.objects.get(is_superuser=True))
    page.goto(live_server.url + pages["template"])
    page.fill("#id_html", "<h2>Parcel {{ order }}</h2><script>document.title='broken'</script>")
    page.frame_locator("iframe[name=preview-html]").locator("h2", has_text="Parcel A-1042").wait_for()
    page.fill("#id_subject", "{{ nobody")
    page.locator("[data-part=problem]:not([hidden])").wait_for()
    assert said == []


def test_a_stranger_sees_only_the_login_page(live_server: Any, browser: Any, pages: dict[str, str]) -> None:
    page = browser.new_context(viewport={"width": 390, "height": 844}).new_page()
    said: list[str] = []
    page.on("console", lambda line: said.append(line.text) if line.type in ("error", "warning") else None)
    page.goto(live_server.url + pages["batch"])
    assert page.locator("#id_username").is_visible()
    assert not page.locator("#rail").count()
    assert said == []


@pytest.mark.parametrize(("language", "title"), [("en", "Something went wrong on our side"), ("zh-hans", "服务器内部错误")])
def test_an_error_of_ours_is_a_whole_page_for_a_stranger(
    live_server: Any, browser: Any, pages: dict[str, str], monkeypatch: pytest.MonkeyPatch, language: str, title: str
) -> None:
    monkeypatch.setattr(reference, "every_problem", lambda: 1 / 0)
    for width in (1440, 390):
        context = browser.new_context(viewport={"width": width, "height": 844}, locale=language)
        page = context.new_page()
        answer = page.goto(live_server.url + "/docs/errors/")
        assert (answer.status, page.locator("h1").inner_text()) == (500, title)
        assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
        assert page.evaluate(NAMELESS) == []
        context.close()


def test_a_viewer_is_offered_nothing_that_changes(live_server: Any, browser: Any, pages: dict[str, str]) -> None:
    viewer = User.objects.create(username="vera", is_staff=True)
    Member.objects.create(user=viewer, tenant=Tenant.objects.get(slug="demo"), role=Role.VIEWER)
    page, said = open_as(browser, live_server.url, viewer)
    for name in ("failed message", "batch", "provider", "template"):
        page.goto(live_server.url + pages[name])
        assert page.locator("#content button, #content input[type=submit]").filter(has_not_text="Copy").count() == 0, name
    assert said == []
    assert os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE")


def test_a_rule_is_added_and_published_in_the_browser(live_server: Any, browser: Any, pages: dict[str, str]) -> None:
    page, said = open_as(browser, live_server.url, User.objects.get(is_superuser=True))
    page.goto(live_server.url + pages["flow_rules"])
    rules = page.locator("#f-rules > ol > li")
    assert rules.count() == 4
    page.locator("#f-rules > [data-add]").click()
    rules.nth(4).locator("input[name$='.name']").fill("mine")
    assert rules.nth(4).locator("summary .name").inner_text() == "mine"
    rules.nth(4).get_by_role("button", name="Add").click()
    rules.nth(4).locator("input[name$='.value']").fill("shop")
    assert rules.nth(4).locator(":scope > .tools [data-up]").count() == 0, "the order of these rules has no effect"
    rules.nth(0).locator(":scope > .tools [data-remove]").click()
    page.get_by_role("button", name="Save, then review and publish").click()
    page.get_by_label("Why").fill("More rules")
    page.get_by_role("radio", name="Some instances first (gray release)").check()
    page.get_by_label("Per cent").fill("100")
    page.locator("[data-reach-url]").filter(has_text="would take part").wait_for()
    page.get_by_role("button", name="Publish", exact=True).click()
    page.get_by_text("Version 1 is rolling out to some instances.").wait_for()
    gray = items.module_item("flow_rules").gray
    assert gray
    found = orjson.loads(gray.content)["rules"]
    assert [rule["name"] for rule in found] == ["api", "callbacks", "public-pages", "mine"]
    assert [exception["value"] for exception in found[3]["exceptions"]] == ["shop"]
    assert said == []


def test_entries_whose_order_counts_are_moved_in_the_browser(live_server: Any, browser: Any, pages: dict[str, str]) -> None:
    page, said = open_as(browser, live_server.url, User.objects.get(is_superuser=True))
    page.goto(live_server.url + pages["flow_rules"].replace("flow_rules", "delivery_rules"))
    entries = page.locator("#f-quiet_hours > ol > li")
    for number, name in enumerate(("night", "noon")):
        page.locator("#f-quiet_hours > [data-add]").click()
        entries.nth(number).locator("input[name$='.name']").fill(name)
    entries.nth(1).locator(":scope > .tools [data-up]").click()
    page.get_by_role("button", name="Save draft").click()
    page.get_by_text("The draft is saved.").wait_for()
    draft = items.module_item("delivery_rules").draft
    assert draft
    assert [entry["name"] for entry in orjson.loads(draft)["quiet_hours"]] == ["noon", "night"]
    assert said == []


def test_an_inherited_field_is_typed_into_only_when_it_is_ticked(live_server: Any, browser: Any, pages: dict[str, str]) -> None:
    page, said = open_as(browser, live_server.url, User.objects.get(is_superuser=True))
    page.goto(live_server.url + pages["override"])
    assert page.locator("#f-max_retries").is_enabled()
    assert page.locator("#f-base_seconds").is_disabled()
    page.locator("input[name='own:base_seconds']").check()
    page.locator("#f-base_seconds").fill("9")
    page.get_by_role("button", name="Save draft").click()
    page.get_by_text("The draft is saved.").wait_for()
    draft = items.module_item("retry_policy", tenant=Tenant.objects.get(slug="demo")).draft
    assert draft
    assert orjson.loads(draft) == {"base_seconds": 9.0, "max_retries": 7}
    assert said == []


def test_the_versions_of_the_instances_follow_while_one_looks(live_server: Any, browser: Any, pages: dict[str, str]) -> None:
    page, said = open_as(browser, live_server.url, User.objects.get(is_superuser=True))
    report_instances()
    page.goto(live_server.url + pages["queues"])
    page.get_by_text("3 of 5 instances, 60 ms").wait_for()
    page.locator(".instances [data-state]", has_text="Live").wait_for()
    report_instances(everybody=2)
    page.get_by_text("5 of 5 instances, 60 ms").wait_for()
    assert said == []
