"""The desk in a real browser before a real WebSocket server: agents at work, a cut connection, and very many conversations."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import Tenant
from posthaste import env
from posthaste.lib.ids import new_id
from routing.conversations import lines
from routing.models import AuthorKind, Conversation, ConversationStatus, Draft, Line, SkillGroup
from tests.browser.desks import is_live, of, opened, until
from tests.browser.looks import AT_ONCE, CONTRAST
from tests.builders import make_tenant
from tests.configcenter.nacos_server import NacosServer, running
from tests.routing.assignment.builders import make_group
from tests.routing.builders import make_customer, make_entrance, make_identity
from tests.routing.desk.builders import ask, hold, make_desk
from tests.routing.satisfaction.builders import make_rating
from tests.routing.tickets.builders import make_type

axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(600)]
GRAVE = ("serious", "critical")
MANY = 5_000
#: The greatest time from an action to what it shows, in milliseconds, as the page measured it; a busy machine may be late once.
SHOWN = """
(name) => {
  const times = (part) => performance.getEntriesByName(`desk:${name}:${part}`).map((mark) => mark.startTime);
  return Math.min(...times("shown").map((at, index) => at - times("begin")[index]));
}
"""


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[NacosServer]:
    """Run the WebSocket server that the desks of this test connect to."""
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")  # playwright keeps an event loop in this thread
    with running(tmp_path, REDIS_URL=env.load().redis_url) as server:
        monkeypatch.setattr(env.load(), "ws_port", server.port)
        policy = settings.CONTENT_SECURITY_POLICY
        allowed = policy["DIRECTIVES"] | {"connect-src": [*policy["DIRECTIVES"]["connect-src"], f"ws://localhost:{server.port}"]}
        settings.CONTENT_SECURITY_POLICY = policy | {"DIRECTIVES": allowed}
        yield server


@pytest.fixture
def tenant(monkeypatch: pytest.MonkeyPatch) -> Tenant:
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")  # playwright keeps an event loop in this thread
    return make_tenant()


@pytest.fixture
def group(tenant: Tenant) -> SkillGroup:
    return make_group(tenant, "orders", at=timezone.now())


def test_two_agents_want_one_conversation_and_the_one_who_has_it_answers_by_keyboard(
    served: NacosServer, live_server: Any, browser: Any, tenant: Tenant, group: SkillGroup
) -> None:
    asked = ask(tenant, group)
    lin, mei = make_desk(tenant, group, name="Lin"), make_desk(tenant, group, name="Mei")
    first, first_said = opened(live_server, browser, lin, "?view=unassigned")
    second, second_said = opened(live_server, browser, mei, "?view=unassigned")
    for page in (first, second):
        page.locator(".item .name").get_by_text("Ada").wait_for()
        is_live(page)
        page.keyboard.press("j")
        page.keyboard.press("Enter")
        page.locator("#lines .from-customer").get_by_text("Where is my order?").wait_for()
    first.locator("#talk-banner").get_by_text("Mei").wait_for()
    # Neither page knows of the other's key: both have asked, and each shows that it is theirs, before the server hears of any.
    claims: list[Any] = []
    for page in (first, second):
        page.route("**/claim/", lambda route: claims.append(route))
        page.keyboard.press("a")
        page.locator("#talk-facts").get_by_text("You", exact=True).wait_for()
    until(first, lambda: len(claims) == 2)
    for claim in claims:
        claim.continue_()
    asked_by = {first: "Lin", second: "Mei"}
    first.locator("#toasts .toast").first.wait_for()
    second.locator("#toasts .toast").first.wait_for()
    asked.refresh_from_db()
    assert asked.agent is not None
    (winner,) = [page for page, name in asked_by.items() if name == asked.agent.name]
    (loser,) = [page for page in asked_by if page is not winner]
    loser.locator("#toasts .tone-failed").get_by_text(asked.agent.name).wait_for()
    loser.locator("#talk-facts").get_by_text(asked.agent.name).wait_for()
    winner.locator("#talk-facts").get_by_text("You", exact=True).wait_for()

    winner.keyboard.press("r")
    winner.keyboard.type("It arrives today.")
    winner.keyboard.press("Control+Enter")
    winner.locator("#lines .from-agent:not(.pending)").get_by_text("It arrives today.").wait_for()
    loser.locator("#lines .from-agent").get_by_text("It arrives today.").wait_for()
    winner.locator("#lines .from-agent a.state").get_by_text(re.compile("Pending|Queued|Sen")).wait_for()
    assert Line.objects.filter(conversation=asked, author=AuthorKind.AGENT).count() == 1
    assert winner.evaluate(SHOWN, "send") < 100
    assert loser.evaluate("shifted") < 0.1, "nothing jumps where others work"
    refusals = [line for line in first_said + second_said if "409" not in line]
    assert refusals == []


def test_what_was_begun_is_kept_where_the_page_is_left(live_server: Any, browser: Any, tenant: Tenant, group: SkillGroup) -> None:
    desk = make_desk(tenant, group)
    held = hold(ask(tenant, group), desk.agent)
    page, said = opened(live_server, browser, desk, of(held))
    page.locator("#lines .from-customer").wait_for()
    page.keyboard.press("n")
    page.keyboard.type("Ask the warehouse.")
    page.locator("#composer [data-mode=reply]").click()
    page.keyboard.type("Your parcel is")
    page.locator("#draft-state").get_by_text("Draft kept").wait_for()
    assert {draft.is_note: draft.text for draft in Draft.objects.filter(conversation=held)} == {
        True: "Ask the warehouse.",
        False: "Your parcel is",
    }
    page.locator("#rows .snippet").get_by_text("Draft: Your parcel is").wait_for()
    other, _said = opened(live_server, browser, desk, of(held))
    other.locator("#lines .from-customer").wait_for()
    assert other.locator("#composer-text").input_value() == "Your parcel is"
    assert said == []


def test_rows_that_could_not_be_read_come_by_themselves_and_ratings_stand_beside_them(
    live_server: Any, browser: Any, tenant: Tenant, group: SkillGroup
) -> None:
    desk = make_desk(tenant, group)
    held = hold(ask(tenant, group), desk.agent)
    make_rating(held, score=2, comment="Too slow")
    page, _said = opened(live_server, browser, desk, "")
    refused: list[str] = []

    def refuse(route: Any) -> None:
        refused.append(route.request.url)
        route.fulfill(status=503, json={}) if len(refused) < 3 else route.continue_()

    page.route("**/desk/data/rows/**", refuse)
    page.reload()
    page.locator("#rows .item:not(.loading)").wait_for()
    assert len(refused) == 3
    page.locator("#presence").click()
    page.locator("#desk-menu").wait_for()
    page.keyboard.press("Escape")
    page.locator("#rows:focus").wait_for()
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.locator("#lines .rating").get_by_text("Too slow").wait_for()
    page.locator("#customer .rating").get_by_text("The customer gave 2 of 5").wait_for()


def test_a_cut_connection_loses_nothing(served: NacosServer, live_server: Any, browser: Any, tenant: Tenant, group: SkillGroup) -> None:
    desk = make_desk(tenant, group)
    held = hold(ask(tenant, group), desk.agent)
    page, _said = opened(live_server, browser, desk, of(held))
    is_live(page)
    page.locator("#lines .from-customer").wait_for()
    page.context.set_offline(True)
    page.locator("#live-state").get_by_text("reconnecting").wait_for()
    lines.append(held, author=AuthorKind.CUSTOMER, text="Are you there?", now=timezone.now())
    page.keyboard.press("r")
    page.keyboard.type("Yes, I am.")
    page.keyboard.press("Control+Enter")
    page.locator("#lines .pending").get_by_text("Not sent").wait_for()
    page.context.set_offline(False)
    is_live(page)
    page.locator("#lines .from-customer").get_by_text("Are you there?").wait_for()
    page.locator("#lines .pending").get_by_role("button", name="Retry").click()
    page.locator("#lines .from-agent:not(.pending)").get_by_text("Yes, I am.").wait_for()
    assert page.locator("#lines .pending").count() == 0
    assert Line.objects.filter(conversation=held, author=AuthorKind.AGENT).count() == 1


def test_a_connection_that_only_looks_open_is_made_anew(
    served: NacosServer, live_server: Any, browser: Any, tenant: Tenant, group: SkillGroup
) -> None:
    desk = make_desk(tenant, group)
    held = hold(ask(tenant, group), desk.agent)
    page, _said = opened(live_server, browser, desk, of(held), has_own_clock=True)
    is_live(page)
    with served.frozen():
        lines.append(held, author=AuthorKind.CUSTOMER, text="Are you there?", now=timezone.now())
        page.clock.fast_forward(60_000)
        page.locator("#live-state[data-state=reconnecting]").wait_for()
    is_live(page)
    page.locator("#lines .from-customer").get_by_text("Are you there?").wait_for()


def test_what_is_done_by_keyboard_is_shown_at_once_and_can_be_undone(
    live_server: Any, browser: Any, tenant: Tenant, group: SkillGroup
) -> None:
    desk = make_desk(tenant, group)
    first, _second = (hold(ask(tenant, group), desk.agent) for _number in range(2))
    page, said = opened(live_server, browser, desk)
    page.locator(".item:not(.loading):not([hidden])").nth(1).wait_for()
    page.keyboard.press("j")
    page.keyboard.press("e")
    page.locator("#list-total").get_by_text("1 conversation", exact=True).wait_for()
    first.refresh_from_db()
    assert first.status == ConversationStatus.RESOLVED
    page.locator("#toasts").get_by_role("button", name="Undo").click()
    page.locator("#toasts").get_by_text("Reopened").wait_for()
    first.refresh_from_db()
    assert first.status != ConversationStatus.RESOLVED

    page.locator("#views [data-view=team]").click()
    page.locator("#list-total").get_by_text("2 conversations").wait_for()
    for key in "jxjxp1":  # both are picked, and the first priority of the menu is chosen
        page.keyboard.press(key)
    page.locator("#toasts").get_by_text("2 done").wait_for()
    assert set(Conversation.objects.values_list("priority", flat=True)) == {9}
    assert page.evaluate(SHOWN, "resolve") < 100

    page.keyboard.press("Escape")  # none is picked any more
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    page.locator(".item.opened#row-0").wait_for()
    page.keyboard.press("j")  # what is read goes along
    page.locator(".item.opened#row-1").wait_for()
    assert said == []


def make_many(tenant: Tenant, group: SkillGroup) -> None:
    """Make very many open conversations of one customer, each about something else."""
    now = timezone.now()
    identity = make_identity(make_customer(tenant, name="Ada"))
    entrance = make_entrance(tenant)
    status = ConversationStatus.QUEUED
    made = [
        Conversation(
            id=new_id(),
            tenant=tenant,
            customer=identity.customer,
            identity=identity,
            entrance=entrance,
            thread=str(n),
            subject=f"Order {n}",
            status=status,
            group=group,
            queued_at=now,
            unanswered_since=now,
            created_at=now,
        )
        for n in range(MANY)
    ]
    Conversation.objects.bulk_create(made, batch_size=1_000)


def test_five_thousand_conversations_take_a_few_elements_and_few_requests(
    live_server: Any, browser: Any, tenant: Tenant, group: SkillGroup
) -> None:
    make_many(tenant, group)
    desk = make_desk(tenant, group)
    asked: list[str] = []
    page, said = opened(live_server, browser, desk, "?view=team")
    page.on("request", lambda request: asked.append(request.url) if "/desk/data/" in request.url else None)
    page.locator("#list-total").get_by_text("5,000").wait_for()
    page.locator(".item:not(.loading):not([hidden])").first.wait_for()
    assert page.locator("#rows .item").count() <= 60
    page.evaluate("""
      new Promise((resolve) => {
        const rows = document.getElementById('rows');
        let steps = 0;
        const step = () => {
          rows.scrollTop += rows.scrollHeight / 100;
          steps += 1;
          if (steps < 100) requestAnimationFrame(step); else resolve();
        };
        step();
      })
    """)
    page.locator(f".item[aria-rowindex='{MANY}']:not(.loading)").wait_for()
    assert page.locator("#rows .item").count() <= 60
    assert len([url for url in asked if "/rows/" in url]) <= 40, "rows that are passed by are not asked for"
    asked.clear()
    page.keyboard.press("/")
    page.keyboard.type("Order 4321")
    page.locator("#list-total").get_by_text("1 conversation", exact=True).wait_for()
    assert len([url for url in asked if "/inbox/" in url]) <= 5
    assert "q=Order" in page.url
    assert said == []


def test_new_conversations_wait_behind_a_counter_while_one_reads(live_server: Any, browser: Any, tenant: Tenant, group: SkillGroup) -> None:
    for _number in range(20):
        ask(tenant, group)
    page, said = opened(live_server, browser, make_desk(tenant, group), "?view=team")
    page.locator(".item:not(.loading):not([hidden])").first.wait_for()
    page.evaluate("document.getElementById('rows').scrollTop = 300")
    in_sight = page.locator(".item[aria-rowindex='8']").get_attribute("data-id")
    Conversation.objects.filter(pk=in_sight).update(priority=9)
    ask(tenant, group, text="A new one")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    page.locator("#held").get_by_text("1 new").wait_for()
    assert page.locator(".item[aria-rowindex='8']").get_attribute("data-id") == in_sight
    page.locator("#held").click()
    page.locator("#list-total").get_by_text("21").wait_for()
    assert page.locator("#rows").get_attribute("aria-rowcount") == "21"
    assert said == []


def grave(page: Any) -> list[str]:
    """Return the grave faults that axe-core finds, text that is hard to read, and what is too wide."""
    found = axe.Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    faults = [f"{fault['id']}: {node['html'][:160]}" for fault in found if fault["impact"] in GRAVE for node in fault["nodes"]]
    too_wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    return [*faults, *page.evaluate(CONTRAST), *([f"{too_wide} px too wide"] if too_wide > 0 else [])]


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (390, "dark")])
def test_nothing_is_hard_to_read_or_to_reach(
    live_server: Any, browser: Any, tenant: Tenant, group: SkillGroup, width: int, scheme: str
) -> None:
    desk = make_desk(tenant, group)
    hold(ask(tenant, group, intent="order_status", confidence=0.9), desk.agent)
    page, said = opened(live_server, browser, desk, width=width, scheme=scheme)
    page.locator(".item:not(.loading) .name").get_by_text("Ada").click()
    page.locator("#lines .from-customer").wait_for()
    assert grave(page) == []
    if width == 1440:
        page.set_viewport_size({"width": 1024, "height": 768})
        page.keyboard.press("c")
        page.evaluate(AT_ONCE)
        page.emulate_media(color_scheme="dark")
        page.locator("#customer").get_by_text("Identities").wait_for()
    else:
        page.locator("#talk-back").click()
        page.locator(".item:not(.loading) .name").get_by_text("Ada").wait_for()
    assert grave(page) == []
    assert said == []


def test_an_agent_without_a_conversation_is_led_to_what_waits_and_is_told_to_go_online(
    live_server: Any, browser: Any, tenant: Tenant, group: SkillGroup
) -> None:
    ask(tenant, group)
    page, said = opened(live_server, browser, make_desk(tenant, group, presence="offline", present_until=None))
    page.locator("#list-empty").get_by_text("You are not online").wait_for()
    page.locator("#list-empty").get_by_role("button", name="Go online").click()
    page.locator(".item .name").get_by_text("Ada").wait_for()
    assert said == []

    billing = make_group(tenant, "billing", at=timezone.now())
    ask(tenant, billing)
    page, said = opened(live_server, browser, make_desk(tenant, billing))
    page.locator("#list-empty").get_by_text("You have no conversation").wait_for()
    page.locator("#list-empty").get_by_role("button", name="Unassigned · 1").click()
    page.locator(".item .name").get_by_text("Ada").wait_for()
    assert said == []


def test_chosen_lines_become_a_ticket_and_picked_conversations_one(
    live_server: Any, browser: Any, tenant: Tenant, group: SkillGroup
) -> None:
    make_type(tenant, "refund", title="Refund")
    desk, ada = make_desk(tenant, group), make_customer(tenant)
    older, newer = (hold(ask(tenant, group, customer=ada, text=text), desk.agent) for text in ("Where is it?", "And my invoice?"))
    page, said = opened(live_server, browser, desk, of(newer))
    page.locator("#customer").get_by_role("button", name="New ticket from lines").click()
    assert page.locator("#desk-ask .boxes input").is_checked(), "what the customer wrote last is chosen at first"
    with page.context.expect_page() as found:
        page.locator("#desk-ask-ok").click()
    form = found.value
    form.get_by_role("link", name="Refund").click()
    assert form.get_by_label("Description").input_value() == "Ada: And my invoice?"
    form.get_by_role("button", name="Open a ticket").click()
    form.get_by_text("Ticket #1 was opened.").wait_for()
    form.close()
    page.reload()
    page.locator("#customer").get_by_text("#1 And my invoice?").wait_for()

    page.keyboard.press("Escape")
    for row in range(2):
        page.locator(".item .pick").nth(row).click()
    page.locator("#bulk").get_by_role("button", name="Merge").click()
    page.locator("#desk-ask .plan").get_by_text("Where is it?").wait_for()
    page.locator("#desk-ask-ok").click()
    page.locator("#toasts").get_by_text("1 done").wait_for()
    page.locator("#talk-open .merged").wait_for()
    newer.refresh_from_db()
    assert (newer.merged_into_id, newer.status) == (older.pk, "closed")
    page.locator("#toasts").get_by_role("button", name="Undo").click()
    page.locator("#talk-open .merged").wait_for(state="detached")
    newer.refresh_from_db()
    assert newer.merged_into_id is None
    assert said == []


def test_someone_who_is_no_agent_is_told_what_to_do(live_server: Any, browser: Any, tenant: Tenant, group: SkillGroup) -> None:
    desk = make_desk(tenant, group)
    assert desk.agent is not None
    desk.agent.is_active = False
    desk.agent.save()
    page, _said = opened(live_server, browser, desk)
    page.locator("#list-empty").get_by_text("You are not an agent here").wait_for()
    page.locator("#list-empty").get_by_role("link", name="Agents").wait_for()
