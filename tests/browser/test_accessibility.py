"""Every page under axe-core, in a real browser: nothing serious or critical, in light and dark, wide and on a phone.

What axe-core checks: https://github.com/dequelabs/axe-core/blob/develop/doc/rule-descriptions.md
"""

from typing import Any

import pytest

from accounts.models import User
from posthaste.lib import locks
from tests.browser.everything import status_of
from tests.browser.test_pages import browser, open_as, pages

axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(900)]
__all__ = ["browser", "pages"]
#: Swagger UI draws its page itself.
NOT_OURS = {"/docs/"}
GRAVE = ("serious", "critical")


#: Each language, scheme and width once: what the rules look at does not depend on two of them together.
@pytest.mark.parametrize(("language", "scheme", "width"), [("zh-hans", "light", 1440), ("en", "dark", 390)])
def test_no_page_has_a_serious_or_critical_fault(
    live_server: Any, browser: Any, pages: dict[str, str], language: str, scheme: str, width: int
) -> None:
    page, _said = open_as(browser, live_server.url, User.objects.get(is_superuser=True), language=language, scheme=scheme, width=width)
    engine, faults = axe.Axe(), []
    with locks.simple("feed", lease_seconds=300):
        for name, address in pages.items():
            if address in NOT_OURS:
                continue
            answer = page.goto(live_server.url + address, wait_until="load")
            assert answer.status == status_of(name), name
            # What goes on without end would be measured while it changes. No rule that is grave reads what would be loaded before.
            found = engine.run(page, options={"resultTypes": ["violations"], "iframes": False, "preload": False}).response["violations"]
            faults += [
                f"{name}: {fault['id']} ({fault['impact']}): {node['target']} {node['html'][:160]}"
                for fault in found
                if fault["impact"] in GRAVE
                for node in fault["nodes"][:3]
            ]
    assert faults == [], f"{len(faults)} faults:\n" + "\n".join(faults[:80])
