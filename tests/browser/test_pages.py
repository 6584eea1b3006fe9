"""What people do on the pages, in a real browser."""

import os
from typing import Any

import orjson
import pytest

from accounts.models import Member, Tenant, User
from accounts.roles import Role
from configcenter.services import items
from monitor import reference
from tests.browser.config import report_instances
from tests.browser.looks import NAMELESS, open_as

pytestmark = pytest.mark.django_db(transaction=True)

#: How many lines the parts of the header take: a part whose middle is below the bottom of the line before begins a new one.
LINES = """
(() => {
  let lines = 0, bottom = -Infinity;
  const parts = [...document.querySelector('#header').children].filter((part) => part.offsetParent && part.offsetHeight);
  for (const box of parts.map((part) => part.getBoundingClientRect()).sort((a, b) => a.top - b.top)) {
    if ((box.top + box.bottom) / 2 > bottom) { lines += 1; bottom = box.bottom; }
  }
  return [lines, document.querySelector('#header div.breadcrumbs').offsetHeight];
})()
"""


@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_the_header_of_a_phone_has_two_lines_at_most(live_server: Any, browser: Any, pages: dict[str, str], language: str) -> None:
    page, _said = open_as(browser, live_server.url, User.objects.get(is_superuser=True), language=language, width=390)
    found = {}
    for name in ("overview", "alarms", "alarm", "queues and pools", "breakers", "batch"):
        page.goto(live_server.url + pages[name])
        found[name] = page.evaluate(LINES)
    assert {name: lines for name, (lines, _height) in found.items()} == dict.fromkeys(found, 2)
    assert max(height for _lines, height in found.values()) < 32, "where one is takes one line"
    page.locator("#find-what").fill("no-such-thing")
    page.locator("#find-results").get_by_text("Nothing found." if language == "en" else "未找到任何内容。").wait_for()
    box = page.locator("#find-results").bounding_box()
    assert box["width"] > 300, "what is found has the width of the page"


def test_the_theme_switch_is_remembered(live_server: Any, browser: Any, pages: dict[str, str]) -> None:
    page, said = open_as(browser, live_server.url, User.objects.get(is_superuser=True))
    page.goto(live_server.url + pages["overview"])
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.locator("#user-tools .theme-toggle").click()
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert dark != light
    page.goto(live_server.url + pages["batch"])
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == dark
    assert said == []


def test_the_language_switch_leads_back_to_the_page(live_server: Any, browser: Any, pages: dict[str, str]) -> None:
    page, _said = open_as(browser, live_server.url, User.objects.get(is_superuser=True))
    page.goto(live_server.url + pages["dead letters"])
    page.get_by_role("button", name="中文").click()
    page.wait_for_url("**state=dead")
    assert page.locator("h1").inner_text() == "死信"


def test_a_dead_letter_is_replayed_with_one_click(live_server: Any, browser: Any, pages: dict[str, str]) -> None:
    page, said = open_as(browser, live_server.url, User.objects.get(is_superuser=True))
    page.goto(live_server.url + pages["dead letters"])
    before = page.locator("#result_list tbody tr").count()
    page.get_by_role("button", name="Send again").first.click()
    page.wait_for_url("**state=dead")
    assert page.locator("#result_list tbody tr").count() == before - 1
    assert said == []


def test_a_draft_is_previewed_while_it_is_written(live_server: Any, browser: Any, pages: dict[str, str]) -> None:
    page, said = open_as(browser, live_server.url, User.objects.get(is_superuser=True))
    page.goto(live_server.url + pages["template"])
    page.fill("#id_html", "<h2>Parcel {{ order }}</h2><script>document.title='broken'</script>")
    page.frame_locator("iframe[name=preview-html]").locator("h2", has_text="Parcel A-1042").wait_for()
    page.fill("#id_subject", "{{ nobody")
    page.locator("[data-part=problem]:not([hidden])").wait_for()
    assert said == []


def test_a_stranger_sees_only_the_login_page(live_server: Any, browser: Any, pages: dict[str, str]) -> None:
    page = browser.new_context(viewport={"width": 390, "height": 844}).new_page()
    said: list[str] = []
    page.on("console", lambda line: said.append(line.text) if line.type in ("error", "warning") else None)
    page.goto(live_server.url + pages["batch"])
    assert page.locator("#id_username").is_visible()
    assert not page.locator("#rail").count()
    assert said == []


@pytest.mark.parametrize(("language", "title"), [("en", "Something went wrong on our side"), ("zh-hans", "服务器内部错误")])
def test_an_error_of_ours_is_a_whole_page_for_a_stranger(
    live_server: Any, browser: Any, pages: dict[str, str], monkeypatch: pytest.MonkeyPatch, language: str, title: str
) -> None:
    monkeypatch.setattr(reference, "every_problem", lambda: 1 / 0)
    for width in (1440, 390):
        context = browser.new_context(viewport={"width": width, "height": 844}, locale=language)
        page = context.new_page()
        answer = page.goto(live_server.url + "/docs/errors/")
        assert (answer.status, page.locator("h1").inner_text()) == (500, title)
        assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
        assert page.evaluate(NAMELESS) == []
        context.close()


def test_a_viewer_is_offered_nothing_that_changes(live_server: Any, browser: Any, pages: dict[str, str]) -> None:
    viewer = User.objects.create(username="vera", is_staff=True)
    Member.objects.create(user=viewer, tenant=Tenant.objects.get(slug="demo"), role=Role.VIEWER)
    page, said = open_as(browser, live_server.url, viewer)
    for name in ("failed message", "batch", "provider", "template"):
        page.goto(live_server.url + pages[name])
        assert page.locator("#content button, #content input[type=submit]").filter(has_not_text="Copy").count() == 0, name
    assert said == []
    assert os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE")


def test_a_rule_is_added_and_published_in_the_browser(live_server: Any, browser: Any, pages: dict[str, str]) -> None:
    page, said = open_as(browser, live_server.url, User.objects.get(is_superuser=True))
    page.goto(live_server.url + pages["flow_rules"])
    rules = page.locator("#f-rules > ol > li")
    assert rules.count() == 4
    page.locator("#f-rules > [data-add]").click()
    rules.nth(4).locator("input[name$='.name']").fill("mine")
    assert rules.nth(4).locator("summary .name").inner_text() == "mine"
    rules.nth(4).get_by_role("button", name="Add").click()
    rules.nth(4).locator("input[name$='.value']").fill("shop")
    assert rules.nth(4).locator(":scope > .tools [data-up]").count() == 0, "the order of these rules has no effect"
    rules.nth(0).locator(":scope > .tools [data-remove]").click()
    page.get_by_role("button", name="Save, then review and publish").click()
    page.get_by_label("Why").fill("More rules")
    page.get_by_role("radio", name="Some instances first (gray release)").check()
    page.get_by_label("Per cent").fill("100")
    page.locator("[data-reach-url]").filter(has_text="would take part").wait_for()
    page.get_by_role("button", name="Publish", exact=True).click()
    page.get_by_text("Version 1 is rolling out to some instances.").wait_for()
    gray = items.module_item("flow_rules").gray
    assert gray
    found = orjson.loads(gray.content)["rules"]
    assert [rule["name"] for rule in found] == ["api", "callbacks", "public-pages", "mine"]
    assert [exception["value"] for exception in found[3]["exceptions"]] == ["shop"]
    assert said == []


def test_entries_whose_order_counts_are_moved_in_the_browser(live_server: Any, browser: Any, pages: dict[str, str]) -> None:
    page, said = open_as(browser, live_server.url, User.objects.get(is_superuser=True))
    page.goto(live_server.url + pages["flow_rules"].replace("flow_rules", "delivery_rules"))
    entries = page.locator("#f-quiet_hours > ol > li")
    for number, name in enumerate(("night", "noon")):
        page.locator("#f-quiet_hours > [data-add]").click()
        entries.nth(number).locator("input[name$='.name']").fill(name)
    entries.nth(1).locator(":scope > .tools [data-up]").click()
    page.get_by_role("button", name="Save draft").click()
    page.get_by_text("The draft is saved.").wait_for()
    draft = items.module_item("delivery_rules").draft
    assert draft
    assert [entry["name"] for entry in orjson.loads(draft)["quiet_hours"]] == ["noon", "night"]
    assert said == []


def test_an_inherited_field_is_typed_into_only_when_it_is_ticked(live_server: Any, browser: Any, pages: dict[str, str]) -> None:
    page, said = open_as(browser, live_server.url, User.objects.get(is_superuser=True))
    page.goto(live_server.url + pages["override"])
    assert page.locator("#f-max_retries").is_enabled()
    assert page.locator("#f-base_seconds").is_disabled()
    page.locator("input[name='own:base_seconds']").check()
    page.locator("#f-base_seconds").fill("9")
    page.get_by_role("button", name="Save draft").click()
    page.get_by_text("The draft is saved.").wait_for()
    draft = items.module_item("retry_policy", tenant=Tenant.objects.get(slug="demo")).draft
    assert draft
    assert orjson.loads(draft) == {"base_seconds": 9.0, "max_retries": 7}
    assert said == []


def test_the_versions_of_the_instances_follow_while_one_looks(live_server: Any, browser: Any, pages: dict[str, str]) -> None:
    page, said = open_as(browser, live_server.url, User.objects.get(is_superuser=True))
    report_instances()
    page.goto(live_server.url + pages["queues"])
    page.get_by_text("3 of 5 instances, 60 ms").wait_for()
    page.locator(".instances [data-state]", has_text="Live").wait_for()
    report_instances(everybody=2)
    page.get_by_text("5 of 5 instances, 60 ms").wait_for()
    assert said == []
