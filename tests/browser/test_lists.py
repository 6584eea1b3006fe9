"""The one pattern of lists in a real browser: the panel with its own link, chips, the bulk bar, the search on `/`, two lines on a phone."""

from typing import Any

import pytest
from django.urls import reverse

from accounts.models import User
from messaging.models import Message, Status
from tests.browser.looks import open_as

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]
LIST = "/admin/messaging/message/"


def root() -> User:
    return User.objects.get(is_superuser=True)


def test_a_row_opens_beside_the_list_with_a_link_of_its_own(live_server: Any, browser: Any, pages: dict[str, str]) -> None:
    page, said = open_as(browser, live_server.url, root())
    page.goto(live_server.url + LIST + "?state=dead")
    panel = page.locator("#panel")
    assert not panel.is_visible()
    page.locator("#result_list tbody tr").nth(1).locator("td").last.click()
    panel.locator("h2").first.wait_for()
    assert panel.bounding_box()["width"] == 480
    link = page.url
    assert "state=dead" in link
    page.keyboard.press("Escape")
    panel.wait_for(state="hidden")
    assert "state=dead" in page.url
    page.goto("about:blank")
    page.goto(link)
    panel.locator("h2").first.wait_for()
    page.locator("[data-page]").click()
    page.wait_for_url("**/change/**")
    assert page.locator("h1").count() == 1
    assert said == []


def test_an_address_that_the_list_does_not_offer_is_not_opened(live_server: Any, browser: Any, pages: dict[str, str]) -> None:
    page, _said = open_as(browser, live_server.url, root())
    for address in ("/admin/logout/", "//elsewhere.example/", "/admin/accounts/user/1/change/"):
        page.goto("about:blank")
        page.goto(f"{live_server.url}{LIST}#row={address}")
        page.locator("#result_list").wait_for()
        assert not page.locator("#panel").is_visible(), address


def test_a_form_in_the_panel_acts_on_its_own_row(live_server: Any, browser: Any, pages: dict[str, str]) -> None:
    page, said = open_as(browser, live_server.url, root())
    page.goto(f"{live_server.url}{LIST}?state={Status.FAILED}")
    failed = Message.objects.filter(status=Status.FAILED).count()
    page.locator("#result_list tbody tr").first.locator("td").last.click()
    page.locator("#panel").get_by_role("button", name="Send again").click()
    page.wait_for_load_state()
    assert Message.objects.filter(status=Status.FAILED).count() == failed - 1
    assert said == []


def test_the_bulk_bar_is_there_only_while_a_row_is_selected_and_counts_reasons(
    live_server: Any, browser: Any, pages: dict[str, str]
) -> None:
    Message.objects.filter(status=Status.FAILED).update(error_code="timeout")
    page, said = open_as(browser, live_server.url, root())
    page.goto(f"{live_server.url}{LIST}?state={Status.FAILED}")
    bar = page.locator("#changelist .actions")
    assert not bar.is_visible()
    page.locator("#result_list input.action-select").first.check()
    bar.wait_for()
    bar.get_by_text("timeout 1").wait_for()
    page.locator("#result_list input.action-select").first.uncheck()
    bar.wait_for(state="hidden")
    assert said == []


def test_a_filter_is_a_chip_that_is_set_and_taken_off(live_server: Any, browser: Any, pages: dict[str, str]) -> None:
    page, said = open_as(browser, live_server.url, root())
    page.goto(live_server.url + LIST)
    page.locator(".chip summary").filter(has_text="Channel").click()
    page.locator(".chip").filter(has_text="Channel").get_by_role("link", name="SMS").click()
    page.wait_for_url("**channel__exact=sms**")
    chip = page.locator(".chip.on").filter(has_text="SMS")
    assert chip.count() == 1
    chip.get_by_role("link", name="Remove the filter").click()
    page.wait_for_url(f"**{LIST}*")
    assert page.locator(".chip.on").count() == 0
    assert said == []


def test_a_slash_searches_everywhere(live_server: Any, browser: Any, pages: dict[str, str]) -> None:
    page, said = open_as(browser, live_server.url, root())
    message = Message.objects.filter(channel="email").latest("id")
    page.goto(live_server.url + reverse("monitor-queues"))
    page.keyboard.press("/")
    page.keyboard.type("promot")
    page.locator("#find-results a").filter(has_text="Promotion November").wait_for()
    page.locator("#find-what").fill(message.recipient)
    page.locator("#find-results a").filter(has_text="@example.com").first.wait_for()
    page.locator("#find-what").fill(str(message.pk))
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{reverse('admin:messaging_message_change', args=[message.pk])}")
    assert said == []


def test_rows_have_forty_pixels_and_the_header_stays(live_server: Any, browser: Any, pages: dict[str, str]) -> None:
    page, _said = open_as(browser, live_server.url, root())
    page.goto(live_server.url + reverse("admin:accounts_tenant_changelist"))
    heights = page.evaluate(
        "[...document.querySelectorAll('#result_list tbody tr')].map(row => Math.round(row.getBoundingClientRect().height))"
    )
    assert set(heights) <= {40, 41}
    page.set_viewport_size({"width": 1440, "height": 400})
    page.goto(live_server.url + LIST)
    head, first = page.locator("#result_list thead").bounding_box(), page.locator("#result_list tbody tr").first.bounding_box()
    assert first["y"] >= head["y"] + head["height"] - 1  # it covers no row
    page.evaluate("window.scrollTo(0, 400)")
    stays = page.locator("#result_list thead th").nth(1).bounding_box()
    assert 0 < stays["y"] < 60


def test_on_a_phone_a_row_has_two_lines(live_server: Any, browser: Any, pages: dict[str, str]) -> None:
    page, _said = open_as(browser, live_server.url, root(), width=390)
    page.goto(live_server.url + LIST)
    heights = page.evaluate(
        "[...document.querySelectorAll('#result_list tbody tr')].map(row => Math.round(row.getBoundingClientRect().height))"
    )
    assert heights
    assert max(heights) <= 64
    page.locator("#result_list tbody tr").first.locator("th a").click()
    page.wait_for_url("**/change/**")  # no panel: there is no room for it


def test_what_cannot_be_refreshed_says_how_old_it_is(live_server: Any, browser: Any, pages: dict[str, str]) -> None:
    page, _said = open_as(browser, live_server.url, root())
    page.goto(live_server.url + reverse("monitor-queues"))
    page.route("**/queues/", lambda route: route.abort())
    page.locator("#queues-now.stale").get_by_text("as of").wait_for()
    page.unroute("**/queues/")
    page.locator("#queues-now:not(.stale)").get_by_text("Live").wait_for()
