"""The page of a message in a real browser: its answer and its trace follow the message until it has ended."""

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from messaging.delivery.deliver import deliver
from messaging.models import Message, Status
from messaging.providers.breakers import force, of_provider
from posthaste.lib.breaker import breakers
from tests.browser.looks import open_as
from tests.builders import TESTER, make_message, make_provider, make_tenant
from tracing.services import record

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]
TOO_WIDE = "document.documentElement.scrollWidth > document.documentElement.clientWidth + 1"


@pytest.fixture
def root(monkeypatch: pytest.MonkeyPatch) -> User:
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")  # playwright keeps an event loop in this thread
    return User.objects.create(username="root", is_staff=True, is_superuser=True)


def keep(page: Any, name: str) -> None:
    """Keep a picture where one is asked for, to be looked at."""
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=str(Path(folder) / f"{name}.png"), full_page=True)


def test_it_says_what_a_message_waits_for_and_follows_it_until_it_is_sent(live_server: Any, browser: Any, root: User) -> None:
    tenant = make_tenant()
    provider = make_provider(tenant, name="FCM gateway", config={"latency_ms": 30})
    force(name=of_provider(provider.pk), to="open", by=TESTER)
    now = timezone.now()
    message = make_message(tenant, status=Status.QUEUED, at=now - timedelta(minutes=9))
    breakers.forget()
    deliver([message.pk])
    for minute in range(1, 8):
        line = record.line(
            "X", message.pk, now - timedelta(minutes=8 - minute), "pending", "breaker:FCM\N{NO-BREAK SPACE}gateway@0", 60_000
        )
        record.append_now({message.pk: [line]})
    address = live_server.url + reverse("admin:messaging_message_change", args=[message.pk])
    page, complaints = open_as(browser, address, root)
    page.goto(address)
    answer = page.locator("#answer")
    assert "Waits for FCM gateway, whose breaker tester holds open since" in answer.inner_text()
    assert answer.get_by_role("link", name="FCM gateway").get_attribute("href") == reverse(
        "config-breaker", args=[of_provider(provider.pk)]
    )
    assert page.locator("#live-state").inner_text().startswith("Live · checked")
    assert "times since" in page.locator(".events").inner_text()
    keep(page, "message-waiting")

    force(name=of_provider(provider.pk), to="automatic", by=TESTER)
    breakers.forget()
    force(name=of_provider(provider.pk), to="closed", by=TESTER)
    breakers.forget()
    Message.objects.update(status=Status.QUEUED, queued_at=timezone.now())
    deliver([message.pk])
    page.get_by_text("Accepted by FCM gateway", exact=False).first.wait_for()
    page.get_by_text("Ended · as of", exact=False).first.wait_for()
    page.locator("#message-title", has_text="Sent").wait_for()
    assert page.locator("#trace").get_attribute("data-every") is None, "nothing asks any more"
    assert page.locator(".bar.course rect[class^=span-]").count() >= 2
    assert complaints == []
    keep(page, "message-sent")


@pytest.mark.parametrize("language", ["en", "zh-hans"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_and_a_desk_in_both_themes(live_server: Any, browser: Any, root: User, language: str, scheme: str) -> None:
    tenant = make_tenant()
    make_provider(tenant, name="FCM gateway")
    message = make_message(tenant, status=Status.QUEUED, recipient="+15005550001")
    deliver([message.pk])
    address = live_server.url + reverse("admin:messaging_message_change", args=[message.pk])
    for width in (1440, 390):
        page, complaints = open_as(browser, address, root, language=language, scheme=scheme, width=width)
        page.goto(address)
        assert page.locator("#answer").inner_text()
        assert not page.evaluate(TOO_WIDE)
        assert complaints == []
        keep(page, f"message-{language}-{scheme}-{width}")
