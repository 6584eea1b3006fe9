"""Every page of the product in a real browser: both languages, light and dark, wide and phone; whole, readable, and under axe-core.

What axe-core checks: https://github.com/dequelabs/axe-core/blob/develop/doc/rule-descriptions.md
"""

from collections.abc import Callable
from typing import Any

import pytest

from tests.browser.looks import looked_at

axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(900)]
#: Swagger UI draws its page itself.
NOT_OURS = {"/docs/"}
GRAVE = ("serious", "critical")
#: The rules whose faults would not be grave; axe-core gives a fault the impact of its rule.
LESS = "axe._audit.rules.filter((rule) => ['minor', 'moderate'].includes(rule.impact)).map((rule) => rule.id)"

#: Parts of the frame around all pages. What has been looked at in one form is not looked at again in the same form.
FRAME = ("#rail", "#find", "#user-tools", "#bar")
#: Their forms: what is in them, whichever entry is the current one, and without what is made for one request.
FORMS = """
(parts) => Object.fromEntries(parts.filter((part) => document.querySelector(part)).map((part) => {
  const copy = document.querySelector(part).cloneNode(true);
  copy.querySelectorAll('input[type=hidden]').forEach((e) => e.remove());
  const current = copy.querySelectorAll('[aria-current]');
  current.forEach((e) => e.removeAttribute('aria-current'));
  return [part, `${current.length} ${copy.outerHTML}`];
}))
"""
RUN = "([context, options]) => axe.run(context, options).then((results) => results.violations)"


@pytest.fixture
def grave(browser: Any, pages: dict[str, str]) -> Callable[[Any, str], list[str]]:
    """Find the grave faults of a page that is open, by its name."""
    engine = axe.Axe()
    page = browser.new_page()
    page.evaluate(engine.axe_script)
    less = page.evaluate(LESS)
    assert "heading-order" in less
    # What goes on without end would be measured while it changes. No rule that is grave reads what would be loaded before.
    options = {"resultTypes": ["violations"], "iframes": False, "preload": False, "rules": {rule: {"enabled": False} for rule in less}}

    seen: set[str] = set()

    def look(page: Any, name: str) -> list[str]:
        if pages[name] in NOT_OURS:
            return []
        forms = page.evaluate(FORMS, FRAME)
        context = {"exclude": [[part] for part, form in forms.items() if form in seen]}
        seen.update(forms.values())
        page.evaluate(engine.axe_script)
        return [
            f"{name}: {fault['id']} ({fault['impact']}): {node['target']} {node['html'][:160]}"
            for fault in page.evaluate(RUN, [context, options])
            if fault["impact"] in GRAVE
            for node in fault["nodes"][:3]
        ]

    return look


def test_every_page_in_english_is_whole_and_can_be_read(
    live_server: Any, browser: Any, pages: dict[str, str], grave: Callable[[Any, str], list[str]]
) -> None:
    """axe-core sees the phone in the dark; the contrast is measured in the light."""
    faults = looked_at(live_server, browser, pages, "en", begin="dark", end="light", look_at_phone=grave)
    assert faults == [], f"{len(faults)} faults:\n" + "\n".join(faults[:80])


def test_every_page_in_chinese_is_whole_and_can_be_read(
    live_server: Any, browser: Any, pages: dict[str, str], grave: Callable[[Any, str], list[str]]
) -> None:
    """axe-core sees the wide page in the light; the contrast is measured in the dark."""
    faults = looked_at(live_server, browser, pages, "zh-hans", begin="light", end="dark", look_when_wide=grave)
    assert faults == [], f"{len(faults)} faults:\n" + "\n".join(faults[:80])
