"""A live page of a server that is slow, in a real browser: it is asked once at a time, and what is shown counts as old meanwhile."""

from typing import Any

import pytest
from django.urls import reverse

from accounts.models import User
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
