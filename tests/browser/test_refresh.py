"""A live page of a server that is slow, in a real browser: it is asked once at a time, and what is shown counts as old meanwhile."""

from typing import Any

import pytest
from django.urls import reverse

from accounts.models import User
from posthaste.env import ROOT
from tests.browser.looks import open_as

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]


def test_a_slow_server_is_asked_once_at_a_time_and_what_is_shown_counts_as_old(
    live_server: Any, browser: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")  # playwright keeps an event loop in this thread
    user = User.objects.create(username="ann", is_staff=True, is_superuser=True)
    page, said = open_as(browser, live_server.url, user)
    held: list[Any] = []
    page.goto(live_server.url + reverse("monitor-queues"))
    page.route("**/queues/", lambda route: held.append(route))  # not answered yet
    page.locator("#queues-now.stale").get_by_text("as of").wait_for()
    assert len(held) == 1
    page.unroute("**/queues/")  # lets it pass
    page.locator("#queues-now:not(.stale)").get_by_text("Live").wait_for()
    assert said == []


PART = "<section id='state' data-refresh='1'>{}</section>"
SHOW = """
async ([row, part]) => {
  const { follow } = await import("/static/js/refresh.js");
  document.body.innerHTML = part;
  follow(document.body, () => `/${row}`);
}
"""


def test_what_follows_one_row_in_the_panel_leaves_the_next_row_alone(browser: Any) -> None:
    asked: list[str] = []

    def answer(route: Any) -> None:
        path = route.request.url.removeprefix("http://rows.test/")
        if path.startswith("static/"):
            route.fulfill(path=str(ROOT / path))
        else:
            asked.append(path)
            route.fulfill(body=PART.format(f"{path}, fresh") if path else "<body></body>", content_type="text/html")

    page = browser.new_context().new_page()
    page.route("http://rows.test/**", answer)
    page.clock.install()
    page.goto("http://rows.test/")
    for row in ("first", "second"):
        page.evaluate(SHOW, [row, PART.format(row)])
    page.clock.run_for(1_000)
    page.locator("#state").get_by_text("second, fresh").wait_for()
    assert asked == ["", "second"]
