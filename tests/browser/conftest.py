"""One Chromium for all tests of this folder: starting one takes longer than most of them."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from django.db import connections

from tests import packages
from tests.browser.everything import everything

CHROMIUM = str(packages.chromium() or "")


class Chromium:
    """The running browser, and the event loop that playwright keeps in this thread.

    Playwright says that its loop runs, although it does so only while we wait for the browser. Between the tests that use the browser
    nothing says so: other tests have loops of their own.
    """

    def __init__(self, start: Callable[[], Any]) -> None:
        self.loop: asyncio.AbstractEventLoop | None = None
        self.stack = ExitStack()
        self.start = start
        self.browser: Any = None

    def __enter__(self) -> Any:
        """Return the browser, started where it does not run."""
        asyncio._set_running_loop(self.loop)
        if self.browser is None or not self.browser.is_connected():
            self.close()
            driver = self.stack.enter_context(self.start())
            self.browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            self.stack.callback(self.browser.close)
            self.loop = asyncio.get_running_loop()
        return self.browser

    def __exit__(self, *_: object) -> None:
        """Close what the test has opened: a context keeps its cookies, and its pages ask for more."""
        try:
            for context in self.browser.contexts:
                context.close()
        finally:
            asyncio._set_running_loop(None)

    def close(self) -> None:
        """End the browser."""
        asyncio._set_running_loop(self.loop)
        try:
            self.stack.close()
        finally:
            self.loop = self.browser = None
            asyncio._set_running_loop(None)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Chromium]:
    """Lend the one browser; `browser` is what a test asks for."""
    if not CHROMIUM:
        pytest.skip("Chromium is not installed: pages were not looked at in a browser")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pages were not looked at in a browser")
    shared = Chromium(playwright.sync_playwright)
    with shared:  # before a test counts its threads: playwright has one that waits for its driver
        pass
    yield shared
    shared.close()


@pytest.fixture
def browser(chromium: Chromium, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Lend the browser to a test, and close what the test opens in it."""
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")  # playwright keeps an event loop in this thread
    with chromium as running:
        yield running
        for context in running.contexts:  # their pages ask for more
            context.close()
        # Inside playwright's event loop Django keeps connections of its own; one left open would hold the test database.
        connections.close_all()


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Something of everything, and the addresses of all pages; see `everything.PARTS`."""
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")  # playwright keeps an event loop in this thread
    return everything(monkeypatch)
