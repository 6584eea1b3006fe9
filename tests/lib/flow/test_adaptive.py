"""The adaptive limit stays within its bounds, comes down by latency, climbs by need, and tells why."""

import secrets

import pytest

from posthaste import env
from posthaste.lib.flow import adaptive
from posthaste.lib.flow.adaptive import Adaptive, Seen, Settings, Step, step
from posthaste.lib.flow.system import Bounds, LoadMonitor, refused_below

SETTINGS = Settings(minimum=100, maximum=1000, target_latency_ms=200, step_percent=10, every_seconds=5)


def seen(*, latency_ms: float, per_second: float, refused: int = 0) -> Seen:
    number = int(per_second * 5)
    return Seen(number, number, latency_ms * number, refused, 5)


@pytest.mark.parametrize(
    ("limit", "what", "expected", "reason"),
    [
        (500, seen(latency_ms=400, per_second=500), 450, "latency"),
        (500, seen(latency_ms=210, per_second=500), 490, "latency"),
        (105, seen(latency_ms=900, per_second=100), 100, "latency"),
        (500, seen(latency_ms=50, per_second=500, refused=9), 550, "room"),
        (500, seen(latency_ms=50, per_second=100), 500, "enough"),
        (500, seen(latency_ms=0, per_second=0), 500, "no_traffic"),
        (990, seen(latency_ms=50, per_second=990, refused=1), 1000, "room"),
    ],
)
def test_a_step(limit: float, what: Seen, expected: float, reason: str) -> None:
    after = step(Step(limit, "", 0, 0), what, SETTINGS, now=1000)
    assert (round(after.limit), after.reason) == (expected, reason)


def test_it_remembers_where_it_had_to_come_down_and_climbs_slowly_near_there() -> None:
    down = step(Step(500, "", 0, 0), seen(latency_ms=400, per_second=480), SETTINGS, now=1000)
    assert down.knee == 480
    up = step(down, seen(latency_ms=50, per_second=450, refused=5), SETTINGS, now=1005)
    assert (up.reason, round(up.limit - down.limit, 1)) == ("near_the_knee", 4.5)
    later = step(down, seen(latency_ms=50, per_second=450, refused=5), SETTINGS, now=1000 + 3600)
    assert later.reason == "room"


@pytest.mark.both_stacks
def test_all_processes_share_one_limit_and_one_of_them_takes_the_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(env.load(), "redis_prefix", f"t{secrets.token_hex(4)}")
    clock = [10_000.0]
    crowd = [Adaptive(lambda: clock[0]) for _ in range(3)]
    for one in crowd:
        one.tick(SETTINGS, requests=100, counted=100, took_ms=100 * 400, refused=0)
    clock[0] += 5
    limits = {one.tick(SETTINGS, requests=0, counted=0, took_ms=0, refused=0) for one in crowd}
    assert limits == {900}
    told = adaptive.history()
    assert (told[0]["reason"], told[0]["before"], told[0]["limit"], told[0]["latency_ms"]) == ("latency", 1000, 900, 400)


def test_the_pressure_says_who_is_refused() -> None:
    bounds = Bounds(load_per_core=1000, latency_ms=100, threads_percent=50, spared_priority=9)
    load = LoadMonitor(threads=10)
    assert refused_below(load.pressure(bounds)[0], 9) == 0
    load.in_progress = 6
    assert load.pressure(bounds) == (1.2, "threads")
    assert [refused_below(p, 9) for p in (0.99, 1.0, 1.2, 1.5, 9.0)] == [0, 1, 4, 9, 9]
