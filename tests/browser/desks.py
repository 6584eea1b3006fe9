"""The desk of an agent in a browser."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from routing.models import Conversation
from tests.browser.looks import open_as
from tests.patience import Patience
from tests.routing.desk.builders import Desk

MS = 60_000
#: Adds up how far things moved by themselves: https://web.dev/articles/cls (good is below 0.1).
SHIFTS = """
window.shifted = 0;
new PerformanceObserver((list) => {
  for (const shift of list.getEntries()) if (!shift.hadRecentInput) window.shifted += shift.value;
}).observe({ type: "layout-shift", buffered: true });
"""


def opened(
    live_server: Any,
    browser: Any,
    desk: Desk,
    path: str = "",
    *,
    has_own_clock: bool = False,
    clock_at: datetime | None = None,
    **look: Any,
) -> tuple[Any, list[str]]:
    """Open the desk of an agent, and wait for its list; with a clock of its own its time can be moved, or is another one."""
    page, said = open_as(browser, live_server.url, desk.user, **look)
    if has_own_clock or clock_at:
        page.clock.install(time=clock_at)
    page.set_default_timeout(MS)
    page.add_init_script(SHIFTS)
    page.goto(f"{live_server.url}/desk/{path}")
    page.locator("#rows:not([aria-busy])").wait_for(state="attached")
    return page, said


def until(page: Any, holds: Callable[[], Any]) -> None:
    """Wait until something holds, while the browser goes on."""
    patience = Patience(60)
    while not holds():
        assert not patience.is_over()
        page.wait_for_timeout(20)


def is_live(page: Any) -> None:
    page.locator("#live-state[data-state=live]").wait_for(state="attached")


def of(conversation: Conversation) -> str:
    return f"c/{conversation.pk}/"
