"""The service desk from end to end: customers in the widget on another site and in WeCom, agents at their desks, all in real browsers.

Nothing is played but the site and WeCom: the running product recognizes, assigns, carries, warns, and rates.
"""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from tests.integration.customer import asked
from tests.integration.stack import Stack
from tests.integration.two_sides import SITE, AtDesk, Service, Visitor
from tests.integration.waiting import poll
from tests.peers.shop import Shop
from tests.peers.wecom import AES_KEY, CORP_ID, CUSTOMER, ENDED, KF, SECRET, TOKEN, WeCom

REFUND = "我要退款，订单 A-1042"
#: Moves when a clock warns or is due, as if the time until then had passed.
MOVE_CLOCK = """
from datetime import timedelta
from django.utils import timezone
from routing.models import Clock
print(Clock.objects.filter(conversation="%s", metric="first_response").update(%s_at=timezone.now() - timedelta(seconds=1)))
"""


@pytest.fixture(scope="module")
def service(stack: Stack) -> Service:
    return Service(stack)


@pytest.fixture
def shop() -> Iterator[Shop]:
    with Shop() as site:
        yield site


@pytest.fixture
def lin(browser: Any, service: Service) -> Iterator[AtDesk]:
    """Seat an agent at the desk, online, before anything is written."""
    desk = AtDesk(browser, service, "Lin")
    desk.come_online()
    yield desk
    desk.context.close()


@pytest.fixture
def visitor(browser: Any, service: Service, shop: Shop) -> Iterator[Visitor]:
    """Bring a visitor to the shop's page."""
    slug = f"shop-{uuid4().hex[:8]}"
    service.portal(shop.origin, slug=slug)
    shop.embed(desk=service.stack.base_url, slug=slug)
    someone = Visitor(browser, shop)
    someone.open()
    yield someone
    someone.context.close()


@pytest.mark.both_stacks
def test_a_visitor_of_another_site_is_recognized_answered_and_rates(browser: Any, service: Service, lin: AtDesk, visitor: Visitor) -> None:
    titles = {intent["name"]: intent["title"] for intent in service.listed("/api/intents/", limit="100")}
    visitor.write(REFUND)
    lin.take_up(REFUND)
    asked_for = poll(lambda: service.conversation(REFUND))
    assert (asked_for["language"], asked_for["group"], asked_for["agent"]["name"]) == ("zh", "returns", "Lin")
    assert lin.page.locator("#lines [data-correct]").inner_text() == titles[asked_for["intent"]]
    assert asked_for["intent"] in ("return_request", "refund_status")

    lin.begin("您好，退款今天到账。")
    typing = visitor.chat.locator("#typing:not([hidden])", has_text="Lin")
    poll(lambda: lin.goes_on_writing() and typing.is_visible(), every=0.5, reason="the visitor does not see that Lin is writing")
    lin.send()
    visitor.sees("退款今天到账")
    lin.sees("退款今天到账", author="agent")
    assert visitor.lines() == lin.lines() == [REFUND, "您好，退款今天到账。"]

    lin.page.keyboard.press("i")
    first = lin.page.locator("#desk-menu[open] [role=option]").first
    assert first.locator("kbd").inner_text() == "1"
    other = first.locator(".label").inner_text()
    lin.page.keyboard.press("1")
    lin.page.locator("#talk-strip").get_by_text(other).wait_for()
    (correction,) = poll(lambda: service.listed("/api/utterances/", source="correction"))
    corrected = service.conversation(REFUND)
    assert corrected["intent"] != asked_for["intent"]
    assert (titles[corrected["intent"]], correction["intent"], correction["state"]) == (other, corrected["intent"], "suggested")

    lin.resolve()
    visitor.chat.locator("#rating:not([hidden])").wait_for()
    visitor.chat.locator(".score", has_text="5").click()
    visitor.chat.locator("#rating textarea").fill("很快，谢谢！")
    visitor.chat.locator("#rating [type=submit]").click()
    visitor.chat.locator("#rated:not([hidden])").wait_for()
    (rating,) = service.listed("/api/satisfaction/", answered="true", conversation=asked_for["id"])
    assert (rating["score"], rating["comment"], rating["agent_name"], rating["group"]) == (5, "很快，谢谢！", "Lin", "returns")
    lead = AtDesk(browser, service, "Lea")
    lead.open("/desk/supervisor/").locator("#supervisor-now").get_by_text("1 rating").wait_for()
    lead.open("/admin/routing/satisfaction/").get_by_text("很快，谢谢！").first.wait_for()
    assert visitor.said + lin.said + lead.said == []


def test_a_customer_in_wecom_is_answered_from_the_desk(service: Service, lin: AtDesk) -> None:
    with WeCom() as wecom:
        settings = {"corp_id": CORP_ID, "base_url": wecom.url}
        entrance = service.entrance("wecom_kf", settings, {"secret": SECRET, "token": TOKEN, "encoding_aes_key": AES_KEY})
        wecom.customer_writes("我想退货，订单 A-1043")
        assert wecom.notify(address=f"{service.stack.base_url}/in/{entrance}/") == [200]
        lin.take_up("我想退货")
        asked_for = service.conversation("我想退货，订单 A-1043")
        assert (asked_for["intent"], asked_for["agent"]["name"]) == ("return_request", "Lin")

        lin.answer("请把商品寄回，运费我们承担。")
        poll(lambda: [(sent.to, sent.text) for sent in wecom.sent] == [(CUSTOMER, "请把商品寄回，运费我们承担。")])
        lin.page.locator("#lines .from-agent a.state").get_by_text("Sent").wait_for()
        lin.page.locator("#composer-quota").get_by_text("4 more replies").wait_for()

        lin.resolve()
        poll(lambda: wecom.sessions[KF, CUSTOMER].state == ENDED)
        assert service.conversation("我想退货，订单 A-1043")["status"] == "resolved"
        assert lin.said == []


def test_what_is_written_while_both_sides_are_cut_arrives_once_and_in_order(
    stack: Stack, service: Service, lin: AtDesk, visitor: Visitor
) -> None:
    visitor.write("我要退货，断线之前")
    lin.take_up("断线之前")
    conversation = service.conversation("我要退货，断线之前")["id"]
    lin.answer("在的。")
    visitor.sees("在的")

    stack.kill("ws")
    lin.page.locator("#live-state[data-state=reconnecting]").get_by_text("reconnecting").wait_for()
    visitor.chat.locator("#connection:not([hidden])").wait_for()
    for side in (lin, visitor):
        side.context.set_offline(True)
    visitor.chat.locator("#connection[data-state=offline]").get_by_text("离线").wait_for()
    for text in ("断线时写的第一句", "断线时写的第二句"):
        visitor.write(text)
        visitor.chat.locator(".line.mine[data-pending]", has_text=text).wait_for()
    body = {"text": "我来看一下。", "client_id": uuid4().hex, "agent": service.agents["Mei"]}
    assert service.http.post(f"/api/conversations/{conversation}/reply/", body).status == 201
    lin.begin("断线时答的")
    lin.send()
    lin.page.locator("#lines .pending", has_text="断线时答的").get_by_text("Not sent").wait_for()

    stack.start("ws")
    stack.wait_healthy()
    for side in (lin, visitor):
        side.context.set_offline(False)
        side.is_live()
    for text in ("断线时写的第一句", "断线时写的第二句"):
        lin.sees(text)
    lin.sees("我来看一下", author="agent")
    lin.page.locator("#lines .pending").get_by_role("button", name="Retry").click()
    lin.sees("断线时答的", author="agent")
    visitor.sees("断线时答的")
    stored = [line["text"] for line in service.lines(conversation)]
    assert stored[:3] == ["我要退货，断线之前", "在的。", "我来看一下。"]
    assert stored[3:] == ["断线时写的第一句", "断线时写的第二句", "断线时答的"]
    assert visitor.lines() == stored
    assert lin.lines() == stored
    lin.resolve()


def test_a_service_level_that_is_missed_is_told_at_the_desk_and_to_the_supervisor(
    stack: Stack, browser: Any, service: Service, lin: AtDesk
) -> None:
    text = "退款一直没有到账"
    lead = AtDesk(browser, service, "Lea")
    overview = lead.open("/desk/supervisor/").locator("#supervisor-now")
    missed = overview.locator(".card", has_text="Service levels missed").locator(".value")
    assert missed.inner_text() == "0"
    service.write(service.portal(SITE), text)
    clock = lin.row(text).locator(".clock")
    clock.wait_for()
    assert "tone" not in clock.get_attribute("class")
    conversation = service.conversation(text)["id"]

    def told(name: str) -> None:
        """Let the clock come to where it warns or is due, and wait until the scheduler's job has told of it."""
        assert asked(stack, MOVE_CLOCK % (conversation, name)).strip() == "1"
        field = {"warn": "warned_at", "due": "breached_at"}[name]
        poll(lambda: service.listed("/api/clocks/", conversation=conversation, metric="first_response")[0][field])

    told("warn")
    lin.page.locator(".item .clock.tone-unknown").wait_for()
    overview.locator(".answer").get_by_text("1 service level will be missed soon.").wait_for()
    told("due")
    lin.page.locator(".item .clock.tone-failed").get_by_text("over").wait_for()
    lin.page.locator("#views [data-view=breaching] .count").get_by_text("1", exact=True).wait_for()
    missed.get_by_text("1", exact=True).wait_for()
    overview.locator(".answer .tone-failed").get_by_text("1 service level is missed.").wait_for()

    lin.page.locator("#notices").click()
    for kind in ("Service level warning", "Service level breach"):
        assert lin.page.locator("#desk-menu [role=option]", has_text=kind).count() == 1
    lin.page.keyboard.press("Escape")
    lin.page.locator("#views [data-view=breaching]").click()
    lin.take_up(text)
    lin.answer("马上为您处理。")
    lin.page.locator("#views [data-view=breaching] .count").get_by_text("1", exact=True).wait_for(state="detached")
    lead.open("/desk/supervisor/")
    assert missed.inner_text() == "0"
    lin.resolve()
    assert lin.said + lead.said == []
