"""Every page under axe-core, in a real browser: nothing serious or critical, in light and dark, wide and on a phone.

What axe-core checks: https://github.com/dequelabs/axe-core/blob/develop/doc/rule-descriptions.md
"""

from typing import Any

import pytest

from tests.browser.test_pages import browser, looked_at, pages

axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(900)]
__all__ = ["browser", "pages"]
#: Swagger UI draws its page itself.
NOT_OURS = {"/docs/"}
GRAVE = ("serious", "critical")
#: The rules whose faults would not be grave; axe-core gives a fault the impact of its rule.
LESS = "axe._audit.rules.filter((rule) => ['minor', 'moderate'].includes(rule.impact)).map((rule) => rule.id)"


#: Each language, scheme and width once: what the rules look at does not depend on two of them together.
@pytest.mark.parametrize(("language", "scheme", "width"), [("zh-hans", "light", 1440), ("en", "dark", 390)])
def test_every_page_is_whole_and_has_no_serious_or_critical_fault(
    live_server: Any, browser: Any, pages: dict[str, str], language: str, scheme: str, width: int
) -> None:
    engine = axe.Axe()
    page = browser.new_page()
    page.evaluate(engine.axe_script)
    less = page.evaluate(LESS)
    assert "heading-order" in less
    # What goes on without end would be measured while it changes. No rule that is grave reads what would be loaded before.
    options = {"resultTypes": ["violations"], "iframes": False, "preload": False, "rules": {rule: {"enabled": False} for rule in less}}

    def grave(page: Any, name: str) -> list[str]:
        if pages[name] in NOT_OURS:
            return []
        return [
            f"{name}: {fault['id']} ({fault['impact']}): {node['target']} {node['html'][:160]}"
            for fault in engine.run(page, options=options).response["violations"]
            if fault["impact"] in GRAVE
            for node in fault["nodes"][:3]
        ]

    faults = looked_at(live_server, browser, pages, language, scheme, width, look=grave)
    assert faults == [], f"{len(faults)} faults:\n" + "\n".join(faults[:80])
