"""The big screen in a real browser before a real WebSocket server: what it draws, how it is used, and what it says when Redis goes."""

import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import User
from messaging.statistics.rollups import roll_up
from monitor.screen import pages as screen_pages
from posthaste import env
from posthaste.lib import redis
from tests.browser.looks import CONTRAST, open_as
from tests.builders import make_tenant
from tests.configcenter.nacos_server import NacosServer, running
from tests.services import Redis
from tracing.services.record import count

axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(600)]
NAMES = ("throughput", "channels", "queue", "latency")
GRAVE = ("serious", "critical")
MS = 120_000
#: The times from the begin of an outage to the mark, and from its end to figures that are right.
MAX_STALE_SECONDS, MAX_RIGHT_SECONDS = 3.0, 5.0
ATTEMPTS = 4  # a busy machine may be late once; a page that is slow always is
#: Notes each change of what the page says of its figures, with the time.
TOLD = """
addEventListener('DOMContentLoaded', () => {
  window.told = [];
  const badge = document.getElementById('live-state');
  const note = () => { if (badge.dataset.state !== told.at(-1)?.[0]) told.push([badge.dataset.state, Date.now() / 1000]); };
  new MutationObserver(note).observe(badge, { attributes: true, attributeFilter: ['data-state'] });
});
"""
IS_LIVE = "document.getElementById('live-state').dataset.state === 'live' && !document.querySelector('.stale')"
#: How many points of a chart's line are drawn as dots.
DOTS = """
async ([chart, line]) => {
  const own = document.querySelector('script[type=module]').src;
  const echarts = await import(own.replace('js/screen/screen.js', 'vendor/echarts/echarts.esm.min.mjs'));
  const option = echarts.getInstanceByDom(document.getElementById(chart)).getOption();
  return option.series.find((series) => series.id === line).data.filter((entry) => entry.symbol === 'circle').length;
}
"""


@pytest.fixture
def served(own_redis: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[NacosServer]:
    """Run the WebSocket server that the pages of this test connect to, with a Redis that may be killed."""
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")  # playwright keeps an event loop in this thread
    monkeypatch.setattr(screen_pages, "_kept", {})
    with running(tmp_path, REDIS_URL=own_redis.url_of(0)) as server:
        monkeypatch.setattr(env.load(), "ws_port", server.port)
        policy = settings.CONTENT_SECURITY_POLICY
        allowed = policy["DIRECTIVES"] | {"connect-src": [*policy["DIRECTIVES"]["connect-src"], f"ws://localhost:{server.port}"]}
        settings.CONTENT_SECURITY_POLICY = policy | {"DIRECTIVES": allowed}
        yield server


def opened(live_server: Any, browser: Any, *, query: str = "", **look: Any) -> tuple[Any, list[str]]:
    user, _made = User.objects.get_or_create(username="wall", is_staff=True, is_superuser=True)
    page, said = open_as(browser, live_server.url, user, **look)
    page.set_default_timeout(MS)
    page.add_init_script(TOLD)
    page.goto(f"{live_server.url}/monitor/{query}")
    return page, said


def is_live(page: Any) -> None:
    page.locator("#live-state[data-state=live]").wait_for()


def happen(tenant_id: int, number: int, *, ago: timedelta = timedelta(0), channel: str = "sms") -> None:
    """Let so many messages be accepted and sent."""
    pipeline = redis.client().pipeline()
    at = timezone.now() - ago
    counted = {"accepted": number, "sent/57": number - number // 50, "failed": number // 50}
    count(pipeline, at, {(tenant_id, channel, event): many for event, many in counted.items() if many})
    pipeline.execute()


def traffic(tenant_id: int) -> None:
    """Let the last quarter of an hour be busy on three channels."""
    for second in range(0, 900, 5):
        for place, channel in enumerate(("sms", "email", "push")):
            happen(tenant_id, 100 * (place + 1) + second % 70, ago=timedelta(seconds=second), channel=channel)


@pytest.mark.parametrize(
    ("language", "scheme", "width", "is_busy"),
    [("en", "dark", 1920, True), ("zh-hans", "light", 1440, True), ("en", "light", 390, True), ("zh-hans", "dark", 390, False)],
)
def test_nothing_is_hard_to_read_or_to_reach(
    served: NacosServer, live_server: Any, browser: Any, language: str, scheme: str, width: int, is_busy: bool
) -> None:
    if is_busy:
        traffic(make_tenant().pk)
    page, said = opened(live_server, browser, language=language, width=width)
    is_live(page)
    if page.evaluate("document.documentElement.dataset.theme") != scheme:
        page.keyboard.press("d")
    for _view in ("charts", "tables"):
        found = axe.Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
        grave = [f"{fault['id']}: {node['html'][:160]}" for fault in found if fault["impact"] in GRAVE for node in fault["nodes"]]
        assert grave == []
        assert page.evaluate(CONTRAST) == []
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        page.keyboard.press("t")
    assert said == []


def test_each_chart_becomes_a_table_by_keyboard(served: NacosServer, live_server: Any, browser: Any) -> None:
    traffic(make_tenant().pk)
    page, said = opened(live_server, browser)
    is_live(page)
    reached: list[str] = []
    while len(reached) < len(NAMES):
        page.keyboard.press("Tab")
        name = page.evaluate("document.activeElement.dataset.table ?? ''")
        if name:
            reached.append(name)
            page.keyboard.press("Enter")
            page.locator(f"#table-{name} tbody tr").first.wait_for()
            assert page.locator(f"[data-table={name}]").get_attribute("aria-pressed") == "true"
            page.keyboard.press("Tab")
            assert page.evaluate("document.activeElement.id") == f"table-{name}", "a table that scrolls is reached by keyboard"
    assert reached == list(NAMES)
    assert said == []


def test_a_point_that_stands_alone_is_a_dot(served: NacosServer, live_server: Any, browser: Any) -> None:
    happen(make_tenant().pk, 600)
    roll_up(now=timezone.now() + timedelta(seconds=30))
    page, said = opened(live_server, browser, query="?range=24h")
    page.locator("body[data-shown='24h']").wait_for()
    assert page.evaluate(DOTS, ["throughput", "accepted"]) == 1
    assert said == []


def test_an_installation_that_has_sent_nothing_says_so(served: NacosServer, live_server: Any, browser: Any) -> None:
    make_tenant()
    page, said = opened(live_server, browser)
    is_live(page)
    for name in ("channels", "latency"):
        page.locator(f"[data-empty={name}]").get_by_text("Nothing was sent in this time.").wait_for()
    assert page.locator("[data-figure=success_rate]").inner_text() == "–"
    assert said == []


def test_without_redis_the_figures_are_marked_and_soon_after_it_is_back_they_are_right(
    served: NacosServer, own_redis: Redis, live_server: Any, browser: Any
) -> None:
    tenant = make_tenant()
    page, _said = opened(live_server, browser)
    is_live(page)
    found: list[tuple[float, float]] = []
    for _attempt in range(ATTEMPTS):
        found.append(outage(page, own_redis, tenant.pk))
        if found[-1][0] <= MAX_STALE_SECONDS and found[-1][1] <= MAX_RIGHT_SECONDS:
            break
    stale, right = found[-1]
    assert stale <= MAX_STALE_SECONDS, found
    assert right <= MAX_RIGHT_SECONDS, found


def when(page: Any, condition: str) -> float:
    """Wait until a condition holds in the page, and return the time at which it did. The page's policy forbids playwright's own way."""
    found = page.evaluate(
        f"""new Promise((resolve) => {{
          const began = Date.now();
          const look = () => {{
            const now = Date.now();
            if ({condition}) resolve(now / 1000);
            else if (now - began > {MS}) resolve(null);
            else setTimeout(look, 20);
          }};
          look();
        }})"""
    )
    assert found is not None, f"not within {MS} ms: {condition}"
    return float(found)


def outage(page: Any, own_redis: Redis, tenant_id: int) -> tuple[float, float]:
    """Kill Redis and start it; return the seconds until the page says that its figures are old, and until they are right again."""
    page.evaluate("told.length = 0")
    killed_at = time.time()
    own_redis.kill()
    stale_at = when(page, "told.length")
    assert page.locator(".stale").count() == 1 + len(NAMES), "the figures and the charts fade"
    assert "as of" in page.locator("#live-state").inner_text()
    started_at = time.time()
    own_redis.start()
    back_at = time.time()
    happen(tenant_id, 5_000)
    right_at = when(page, f"{IS_LIVE} && parseFloat(document.querySelector('[data-figure=accepted]').textContent) > 100")
    early = [at for state, at in page.evaluate("told") if state == "live" and at < started_at]
    assert early == [], "nothing old is told as new"
    return stale_at - killed_at, right_at - back_at
