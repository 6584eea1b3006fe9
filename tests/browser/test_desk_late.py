"""The desk in a real browser where answers come late: after one has gone on, one after the other, or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import Member, Tenant
from accounts.roles import Role
from routing.conversations import lines
from routing.models import Attachment, AuthorKind, Draft, Line, SkillGroup
from tests.browser.desks import of, opened, until
from tests.browser.looks import open_as
from tests.builders import make_tenant
from tests.routing.assignment.builders import make_group
from tests.routing.desk.builders import ask, hold, make_desk, make_staff
from tests.routing.tickets.builders import make_type

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(60)]
#: As if one had come back to the tab: what is shown is read again.
LOOK = "document.dispatchEvent(new Event('visibilitychange'))"
#: Scrolls up, and returns where that is.
UP = """
new Promise((done) => {
  const box = document.getElementById('lines');
  box.addEventListener('scroll', () => done(box.scrollTop), { once: true });
  box.scrollTop -= 400;
})
"""
#: Presses a button twice, and returns how often its form would be sent.
TWICE = """
(button) => {
  let sent = 0;
  document.addEventListener("submit", (event) => { sent += !event.defaultPrevented; event.preventDefault(); });
  for (let press = 0; press < 2; press += 1) document.querySelector(button).click();
  return sent;
}
"""
WRITTEN = "document.getElementById('composer-text').value"


@pytest.fixture
def tenant(monkeypatch: pytest.MonkeyPatch) -> Tenant:
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")  # playwright keeps an event loop in this thread
    return make_tenant()


@pytest.fixture
def group(tenant: Tenant) -> SkillGroup:
    return make_group(tenant, "orders", at=timezone.now())


@contextmanager
def held(page: Any, address: str, *, most: int = 100) -> Iterator[list[Any]]:
    """Hold so many requests until the end of the block."""
    found: list[Any] = []
    page.route(address, lambda route: found.append(route) if len(found) < most else route.continue_())
    yield found
    page.unroute(address)  # lets them pass


def attach(page: Any, name: str) -> None:
    page.locator("#composer-file").set_input_files({"name": name, "mimeType": "text/plain", "buffer": name.encode()})
    page.locator("#composer-files").get_by_text(name).wait_for()


def test_files_go_to_the_customer_that_they_were_chosen_for(live_server: Any, browser: Any, tenant: Tenant, group: SkillGroup) -> None:
    desk = make_desk(tenant, group)
    ada, mei = (hold(ask(tenant, group), desk.agent) for _number in range(2))
    page, said = opened(live_server, browser, desk, of(ada))
    page.locator("#lines .from-customer").wait_for()
    with held(page, "**/data/files/*", most=1) as uploads:
        attach(page, "for-ada.txt")
        until(page, lambda: uploads)
        page.keyboard.press("r")
        page.keyboard.type("Here it is.")
        page.keyboard.press("Control+Enter")
        page.locator(f".item[data-id='{mei.pk}']").click()
        page.locator(f".item.opened[data-id='{mei.pk}']").wait_for()
        attach(page, "for-mei.txt")
        page.locator("#composer-files li:not(.busy)").get_by_text("for-mei.txt").wait_for()
    until(page, lambda: Line.objects.filter(conversation=ada, author=AuthorKind.AGENT).exists())
    assert Attachment.objects.get(line__conversation=ada).name == "for-ada.txt"
    page.locator("#composer-files li:not(.busy)").get_by_text("for-mei.txt").wait_for()
    page.locator(f".item[data-id='{ada.pk}']").click()
    page.locator("#composer-files").wait_for(state="hidden")
    page.locator(f".item[data-id='{mei.pk}']").click()
    page.locator("#composer-files").get_by_text("for-mei.txt").wait_for()
    assert said == []


def test_what_was_sent_does_not_come_back_as_a_draft_and_what_was_begun_is_there_at_once(
    live_server: Any, browser: Any, tenant: Tenant, group: SkillGroup
) -> None:
    desk = make_desk(tenant, group)
    ada, mei = (hold(ask(tenant, group), desk.agent) for _number in range(2))
    page, said = opened(live_server, browser, desk, of(ada))
    page.locator("#lines .from-customer").wait_for()
    page.keyboard.press("r")
    page.keyboard.type("It arrives today.")
    page.locator("#draft-state").get_by_text("Draft kept").wait_for()
    page.locator(f".item[data-id='{mei.pk}']").click()
    page.locator("#lines .from-customer").wait_for()
    with held(page, f"**/data/c/{ada.pk}/"):
        page.locator(f".item[data-id='{ada.pk}']").click()
        page.locator(f".item.opened[data-id='{ada.pk}']").wait_for()
        assert page.evaluate(WRITTEN) == "It arrives today."
    with held(page, "**/reply/*") as replies:
        page.keyboard.press("r")
        page.keyboard.press("Control+Enter")
        until(page, lambda: replies)
        lines.append(ada, author=AuthorKind.CUSTOMER, text="Are you there?", now=timezone.now())
        page.evaluate(LOOK)
        page.locator("#lines .from-customer").get_by_text("Are you there?").wait_for()
        assert page.evaluate(WRITTEN) == ""
        assert Draft.objects.filter(conversation=ada).exists(), "the server has a draft of it until it has the reply"
    page.locator("#lines .from-agent:not(.pending)").get_by_text("It arrives today.").wait_for()
    assert page.evaluate(WRITTEN) == ""
    assert said == []


def test_a_view_is_shown_however_late_its_list_comes_and_what_was_resolved_does_not_return(
    live_server: Any, browser: Any, tenant: Tenant, group: SkillGroup
) -> None:
    desk = make_desk(tenant, group)
    own, _other = hold(ask(tenant, group), desk.agent), ask(tenant, group)
    page, said = opened(live_server, browser, desk, has_own_clock=True)
    page.locator(f".item:not(.loading)[data-id='{own.pk}']").wait_for()
    page.locator("#rows").hover()  # while one reads, new rows wait; a view that was chosen does not
    with held(page, "**/data/inbox/*") as asked:
        page.keyboard.press("g")
        page.locator("#desk-menu").get_by_text("Team").click()
        until(page, lambda: asked)
        page.evaluate(LOOK)
        page.clock.run_for(5_000)
        assert len(asked) == 1, "another question would make the answer to this one worthless"
    page.locator("#list-total").get_by_text("2 conversations").wait_for()
    until(page, lambda: page.locator(".item:not([hidden])").count() == 2)
    assert page.locator("#held").is_hidden()

    page.locator(f".item[data-id='{own.pk}']").click()
    page.clock.run_for(3_000)
    with held(page, "**/data/inbox/*") as asked:
        page.evaluate(LOOK)
        page.clock.run_for(3_000)
        until(page, lambda: asked)
        told = asked[0].fetch()
        page.keyboard.press("e")
        page.locator("#toasts").get_by_text("Resolved").wait_for()
        asked.pop(0).fulfill(response=told)
        page.locator("#list-total").get_by_text("2 conversations").wait_for()
        assert page.locator(f".item:not([hidden])[data-id='{own.pk}']").count() == 0
        assert page.locator("#held").is_hidden()
    assert said == []


def test_who_reads_further_up_is_not_moved_while_they_write(live_server: Any, browser: Any, tenant: Tenant, group: SkillGroup) -> None:
    desk = make_desk(tenant, group)
    own = hold(ask(tenant, group), desk.agent)
    for number in range(30):
        lines.append(own, author=AuthorKind.CUSTOMER, text=f"Line {number}", now=timezone.now())
    page, _said = opened(live_server, browser, desk, of(own))
    page.locator("#lines .from-customer").get_by_text("Line 29").wait_for()
    before = page.evaluate(UP)
    page.keyboard.press("r")
    for _line in range(6):
        page.keyboard.press("Enter")
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert page.evaluate("document.getElementById('lines').scrollTop") == before


def test_menus_and_forms_that_follow_each_other_are_their_own(live_server: Any, browser: Any, tenant: Tenant, group: SkillGroup) -> None:
    desk, mei = make_desk(tenant, group), make_desk(tenant, group, name="Mei")
    own = hold(ask(tenant, group), desk.agent)
    page, said = opened(live_server, browser, desk, of(own))
    page.locator("#lines .from-customer").wait_for()
    page.keyboard.press("m")
    page.keyboard.type("Transfer")
    page.keyboard.press("Enter")
    page.locator("#desk-menu-title").get_by_text("Transfer").wait_for()
    page.locator("#desk-menu [role=option]").get_by_text("Mei").click()
    page.locator("#toasts .toast").wait_for()
    own.refresh_from_db()
    assert own.agent == mei.agent

    page.evaluate("""async () => {
      const { ask } = await import(document.querySelector('script[src*="desk/main"]').src.replace(/main[^/]*$/, 'ask.js'));
      const title = (name) => ({ title: name, ok: "OK", fields: [{ name: "text", label: name }] });
      ask({ ...title("First"), submit: () => new Promise((done) => { window.finish = done; }) });
      window.askSecond = () => ask({ ...title("Second"), submit: () => {} });
    }""")
    page.keyboard.type("one")
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    page.locator("#desk-ask").wait_for(state="hidden")
    page.evaluate("askSecond()")
    page.keyboard.type("two")
    page.evaluate("finish()")
    page.evaluate("new Promise((done) => setTimeout(done))")
    assert page.locator("#desk-ask input").input_value() == "two"
    assert said == []


def test_a_clock_that_is_wrong_by_an_hour_changes_nothing(live_server: Any, browser: Any, tenant: Tenant, group: SkillGroup) -> None:
    desk = make_desk(tenant, group)
    own = hold(ask(tenant, group), desk.agent)
    now = timezone.now()
    page, _said = opened(live_server, browser, desk, of(own), clock_at=now + timedelta(hours=1))
    page.locator("#lines .from-customer").wait_for()
    assert page.locator(".item .when").first.inner_text() == "now"
    page.keyboard.press("s")
    page.keyboard.press("1")
    page.locator("#toasts").get_by_text("Snoozed").wait_for()
    own.refresh_from_db()
    assert own.snoozed_until is not None
    assert own.snoozed_until - now < timedelta(minutes=90)


def test_who_is_signed_out_is_led_to_the_sign_in_and_who_signed_in_again_can_act(
    live_server: Any, browser: Any, tenant: Tenant, group: SkillGroup
) -> None:
    desk = make_desk(tenant, group)
    own = hold(ask(tenant, group), desk.agent)
    page, _said = opened(live_server, browser, desk, of(own))
    page.locator("#lines .from-customer").wait_for()
    page.keyboard.press("r")
    page.keyboard.type("It arrives today.")
    # As by a sign-in in another tab: another session, and another token against forged requests.
    client = Client()
    client.force_login(desk.user)
    url = live_server.url
    page.context.add_cookies([{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": url}])
    page.context.clear_cookies(name="csrftoken")
    page.keyboard.press("Control+Enter")
    page.locator("#lines .pending").get_by_role("button", name="Retry").click()
    page.locator("#lines .from-agent:not(.pending)").get_by_text("It arrives today.").wait_for()

    Session.objects.all().delete()
    page.evaluate(LOOK)
    page.wait_for_url("**/login/**")


def test_a_form_that_is_pressed_twice_is_sent_once(live_server: Any, browser: Any, tenant: Tenant, group: SkillGroup) -> None:
    desk = make_desk(tenant, group)
    make_type(tenant, "refund", title="Refund")
    page, said = opened(live_server, browser, desk)
    page.goto(f"{live_server.url}/desk/tickets/new/?type=refund")
    page.get_by_label("Subject").fill("A lamp that flickers")
    assert page.evaluate(TWICE, "#content form [type=submit]") == 1
    assert said == []


def test_another_tenant_changes_the_choices_of_a_form_and_nothing_that_was_typed(
    live_server: Any, browser: Any, tenant: Tenant, group: SkillGroup
) -> None:
    owner, second = make_staff(tenant, Role.OWNER), make_tenant("Zenith")
    Member.objects.create(tenant=second, user=owner, role=Role.OWNER)
    returns = make_group(second, "returns", at=timezone.now())
    page, said = open_as(browser, live_server.url, owner)
    page.goto(f"{live_server.url}{reverse('admin:routing_agent_add')}?tenant={tenant.pk}&_changelist_filters=tenant%3D1")
    page.locator("#id_name").fill("Mei")
    page.locator("#id_is_active").uncheck()
    page.locator(".add-row a").click()
    page.locator("[name=skills-1-level]").wait_for()
    page.locator("[name=tenant]").select_option(str(second.pk))
    page.locator(f"[name=skills-1-group] option[value='{returns.pk}']").wait_for(state="attached")
    assert page.locator(f"[data-of-tenant] option[value='{group.pk}']").count() == 0
    assert (page.locator("#id_name").input_value(), page.locator("#id_is_active").is_checked()) == ("Mei", False)
    assert page.url.endswith(f"?tenant={second.pk}&_changelist_filters=tenant%3D1")
    assert said == []


def test_a_reply_whose_file_was_lost_is_edited_with_what_did_arrive(
    live_server: Any, browser: Any, tenant: Tenant, group: SkillGroup
) -> None:
    desk = make_desk(tenant, group)
    own = hold(ask(tenant, group), desk.agent)
    page, _said = opened(live_server, browser, desk, of(own))
    page.locator("#lines .from-customer").wait_for()
    attach(page, "one.txt")
    page.locator("#composer-files li:not(.busy)").get_by_text("one.txt").wait_for()
    with held(page, "**/data/files/*", most=1) as uploads:
        attach(page, "two.txt")
        until(page, lambda: uploads)
        page.keyboard.press("r")
        page.keyboard.type("Here they are.")
        page.keyboard.press("Control+Enter")
        uploads.pop().abort()
        page.locator("#lines .pending").get_by_role("button", name="Edit").wait_for()
    assert page.locator("#lines .pending").get_by_role("button", name="Retry").count() == 0
    page.locator("#lines .pending").get_by_role("button", name="Edit").click()
    assert page.evaluate(WRITTEN) == "Here they are."
    assert page.locator("#composer-files .name").all_inner_texts() == ["one.txt"]
    page.keyboard.press("Control+Enter")
    page.locator("#lines .from-agent:not(.pending)").get_by_text("Here they are.").wait_for()
    assert Attachment.objects.get(line__conversation=own).name == "one.txt"
