"""The big screen in a real browser before the running product: it moves while messages flow, and says when it does not."""

import re
from typing import Any

import pytest

from tests.integration.customer import Customer
from tests.integration.stack import Stack
from tests.integration.waiting import poll

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: the big screen was not looked at")

NAMES = ("throughput", "channels", "queue", "latency")
MS = 90_000
#: The newest values of each chart, and how often it was made: the charts' own objects are asked.
NEWEST = """
async ({ names, since }) => {
  const own = document.querySelector('script[type=module]').src;
  const echarts = await import(own.replace('js/screen/screen.js', 'vendor/echarts/echarts.esm.min.mjs'));
  return Object.fromEntries(names.map((name) => {
    const chart = echarts.getInstanceByDom(document.getElementById(name));
    const option = chart.getOption();
    const points = (line) => line.data.map((entry) => entry.value ?? entry).filter(([at]) => at > since);
    const sum = (line) => points(line).reduce((whole, [, value]) => whole + (value ?? 0), 0);
    return [name, {
      id: chart.id,
      until: option.xAxis[0].max,
      sums: Object.fromEntries(option.series.map((line) => [line.id, sum(line)])),
    }];
  }));
}
"""
#: Texts that do not fit their place.
CUT_OFF = """
[...document.querySelectorAll('.figures dd, h1, h2, .badge, .btn')]
  .filter((e) => e.scrollWidth > e.clientWidth + 1)
  .map((e) => e.textContent)
"""


@pytest.fixture
def said() -> list[str]:
    """Collect what the console complains of."""
    return []


def signed_in(browser: Any, stack: Stack) -> Any:
    """Sign in and return what the browser keeps of it."""
    page = browser.new_page()
    page.set_default_timeout(MS)
    page.goto(f"{stack.base_url}/admin/login/?next=/monitor/")
    page.fill("#id_username", stack.demo["admin"]["username"])
    page.fill("#id_password", stack.demo["admin"]["password"])
    page.press("#id_password", "Enter")
    page.wait_for_url(re.compile(r":\d+/monitor/"))
    kept = page.context.storage_state()
    page.close()
    return kept


@pytest.fixture(scope="module")
def session(browser: Any, stack: Stack) -> Any:
    """Sign in once: only some attempts a minute are let in."""
    return signed_in(browser, stack)


def opened(browser: Any, stack: Stack, said: list[str], session: Any, *, width: int = 1920, height: int = 1080, **context: Any) -> Any:
    """Open the big screen as one who is signed in."""
    page = browser.new_context(viewport={"width": width, "height": height}, storage_state=session, **context).new_page()
    page.set_default_timeout(MS)
    page.on(
        "console", lambda line: said.append(line.text) if line.type in ("error", "warning") and "/ws/statistics" not in line.text else None
    )
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(f"{stack.base_url}/monitor/")
    return page


def state(page: Any) -> str:
    return str(page.locator("#live-state").get_attribute("data-state"))


def wait_for(page: Any, wanted: str, said: list[str]) -> None:
    try:
        page.locator(f"#live-state[data-state={wanted}]").wait_for()
    except playwright.TimeoutError as error:
        raise AssertionError(f"{state(page)} instead of {wanted}; the console says {said}") from error


def test_four_charts_move_while_messages_flow(stack: Stack, browser: Any, said: list[str], session: Any) -> None:
    page = opened(browser, stack, said, session)
    wait_for(page, "live", said)
    until = page.evaluate(NEWEST, {"names": NAMES, "since": 0})["queue"]["until"]

    def newest() -> dict[str, Any]:
        # From one moment on: where the time that a chart shows is full, as much goes as comes.
        return dict(page.evaluate(NEWEST, {"names": NAMES, "since": until - 60_000}))

    before = newest()
    customer = Customer(stack)
    customer.provider("sms", "sandbox", {})
    customer.provider("email", "sandbox", {})
    for channel, recipient in (("sms", "+8613812345678"), ("email", "ada@example.com")):
        body = {"channel": channel, "subject": "Hi", "body": "Hello", "recipients": [{"recipient": recipient}] * 300}
        body |= {"subject": ""} if channel == "sms" else {}
        assert customer.http.post("/api/messages/batch/", body).status in (200, 201, 202)

    def grown(name: str, *lines: str) -> bool:
        sums = newest()[name]["sums"]
        return all(sums.get(line, 0) > before[name]["sums"].get(line, 0) for line in lines)

    for name, lines in (
        ("throughput", ("accepted", "sent")),
        ("channels", ("sms", "email")),
        ("queue", ("threads",)),
        ("latency", ("p95", "success")),
    ):
        poll(lambda: grown(name, *lines), progress=lambda: newest()[name]["sums"], reason=f"{name} does not move")  # noqa: B023 - called at once
    after = newest()
    assert {name: after[name]["id"] for name in NAMES} == {name: before[name]["id"] for name in NAMES}, "made once"
    assert len({after[name]["until"] for name in NAMES}) == 1, "one axis of time"
    assert after["queue"]["until"] > before["queue"]["until"]
    assert re.fullmatch(r"[\d.]+ %", page.locator("[data-figure=success_rate]").inner_text())
    assert said == []


def test_a_lost_connection_is_said_and_found_again(stack: Stack, browser: Any, said: list[str], session: Any) -> None:
    page = opened(browser, stack, said, session)
    wait_for(page, "live", said)
    stack.kill("ws")
    wait_for(page, "reconnecting", said)
    assert re.search(r"\d\d:\d\d:\d\d", page.locator("#live-state").inner_text()), "it says of when the figures are"
    assert page.locator("figure.stale").count() == 4
    stack.start("ws")
    wait_for(page, "live", said)
    assert page.locator(".stale").count() == 0
    stack.wait_healthy()


def test_a_sign_out_ends_the_page(stack: Stack, browser: Any, said: list[str]) -> None:
    page = opened(browser, stack, said, signed_in(browser, stack))
    wait_for(page, "live", said)
    other = page.context.new_page()
    other.goto(f"{stack.base_url}/admin/")
    other.evaluate("document.getElementById('logout-form').submit()")
    page.wait_for_url("**/login/**")


def test_ranges_tables_and_keys_work(stack: Stack, browser: Any, said: list[str], session: Any) -> None:
    page = opened(browser, stack, said, session)
    wait_for(page, "live", said)
    for key, name in (("2", "1h"), ("3", "24h"), ("4", "7d"), ("1", "15m")):
        page.keyboard.press(key)
        page.locator(f"body[data-shown='{name}']").wait_for()
        assert page.locator(f"[name=range][value='{name}']").is_checked()
        assert ("range=" in page.url) == (name != "15m")
    page.locator("[data-table=latency]").click()
    table = page.locator("#table-latency table")
    assert [cell.strip() for cell in table.locator("thead th").all_inner_texts()][1:4] == ["p50", "p95", "p99"]
    assert table.locator("tbody tr").count() > 5
    assert not page.locator("#latency").is_visible()
    page.keyboard.press("t")
    assert page.locator(".table:visible").count() == 4
    page.keyboard.press("t")
    assert page.locator(".table:visible").count() == 0
    page.keyboard.press("?")
    assert page.get_by_role("dialog").is_visible()
    page.keyboard.press("Escape")
    theme = page.evaluate("document.documentElement.dataset.theme")
    page.keyboard.press("d")
    assert {theme, page.evaluate("document.documentElement.dataset.theme")} == {"dark", "light"}
    page.reload()
    assert page.evaluate("document.documentElement.dataset.theme") != theme, "remembered"
    assert said == []


@pytest.mark.parametrize("language", ["en-GB", "zh-CN"])
def test_it_fits_its_window(stack: Stack, browser: Any, said: list[str], session: Any, language: str) -> None:
    for width, height, may_scroll in ((1920, 1080, False), (1440, 900, False), (1000, 700, False), (768, 1024, True), (390, 844, True)):
        page = opened(browser, stack, said, session, width=width, height=height, locale=language, reduced_motion="reduce")
        wait_for(page, "live", said)
        across, down = page.evaluate(
            "[document.documentElement.scrollWidth - innerWidth, document.documentElement.scrollHeight - innerHeight]"
        )
        assert across <= 0, (width, across)
        assert may_scroll or down <= 0, (width, down)
        cut = page.evaluate(CUT_OFF)
        assert cut == [], (width, cut)
        for name in NAMES:
            assert page.locator(f"#{name} canvas").bounding_box()["height"] > 100, (width, name)
        page.context.close()
    assert said == []
