"""Open pages of the product in a real browser as a user would, and find what is wrong with them."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.test import Client

from accounts.models import User
from posthaste.lib import locks
from tests.browser.everything import STATUS, status_of

PATIENCE_MS = 120_000  # for each thing that is waited for; the machine may be busy
PHONE, WIDE = {"width": 390, "height": 844}, {"width": 1440, "height": 900}
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

#: Colours change at once, not by and by.
AT_ONCE = """
(() => {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync('*, *::before, *::after { transition: none !important; animation: none !important }');
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
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
    "desk",
    "desk with a conversation",
    "customer",
    "list of assignments",
    "intents",
    "texts to label",
    "newer version",
    "version in training",
    "portal",
    "chat",
    "articles found",
    "article",
    "form of a request",
    "rating by a link",
    "ratings",
}


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
        lambda line: said.append(f"{page.url}: {line.text}") if line.type in ("error", "warning") and "/ws/" not in line.text else None,
    )
    page.on("pageerror", lambda error: said.append(f"{page.url}: {error}"))
    return page, said


def _nothing(page: Any, name: str) -> list[str]:
    return []


def looked_at(
    live_server: Any,
    browser: Any,
    pages: dict[str, str],
    language: str,
    *,
    begin: str,
    end: str,
    look_at_phone: Callable[[Any, str], list[str]] = _nothing,
    look_when_wide: Callable[[Any, str], list[str]] = _nothing,
) -> list[str]:
    """Open all pages one after the other and return their faults.

    Opening takes most of the time. So each page is opened once: on a phone, then its window grows, and then the scheme changes.

    With the variable `SCREENSHOTS`, pictures are kept in that folder.

    Args:
        live_server: who answers.
        browser: where they are opened.
        pages: their addresses by name.
        language: of the reader.
        begin: the scheme at first, light or dark.
        end: the scheme at the end, in which the contrast is measured.
        look_at_phone: finds more faults of the page on the phone, by its name.
        look_when_wide: finds more faults of the page in the wide window, in the first scheme.
    """
    user = User.objects.get(is_superuser=True)
    page, said = open_as(browser, live_server.url, user, language=language, scheme=begin, width=PHONE["width"])
    errors = tuple(live_server.url + pages[name] for name in STATUS)
    wrong, folder = [], os.environ.get("SCREENSHOTS", "")

    def keep(name: str, scheme: str, width: int) -> None:
        if folder:
            page.screenshot(path=str(Path(folder) / f"{name.replace(' ', '-')}-{language}-{scheme}-{width}.png"), full_page=True)

    with locks.simple("feed", lease_seconds=300):
        for name, path in pages.items():
            page.set_viewport_size(PHONE)
            page.emulate_media(color_scheme=begin)
            answer = page.goto(live_server.url + path, wait_until="load")
            if answer.status != status_of(name):
                wrong.append(f"{name}: {answer.status}")
                continue
            is_translated = language == "zh-hans" and not path.startswith("/docs")
            keep(name, begin, PHONE["width"])
            wrong += [f"{name} on a phone: {fault}" for fault in faults(page, is_translated=is_translated)]
            wrong += look_at_phone(page, name)
            page.set_viewport_size(WIDE)
            wrong += [f"{name}: {fault}" for fault in faults(page, is_translated=False)]
            wrong += look_when_wide(page, name)
            page.evaluate(AT_ONCE)
            page.emulate_media(color_scheme=end)
            keep(name, end, WIDE["width"])
            if name in CONTRASTED:
                wrong += [f"{name}: contrast in {end}: {line}" for line in page.evaluate(CONTRAST)]
    assert pages.keys() >= CONTRASTED
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
