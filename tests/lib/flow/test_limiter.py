"""The limiter as processes use it: many at once, one that dies, Redis away."""

import json
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from typing import Any

import pytest

from posthaste.env import ROOT
from posthaste.lib import redis
from posthaste.lib.flow import headers
from posthaste.lib.flow import limiter as limiter_module
from posthaste.lib.flow.limiter import Limiter, Pass
from posthaste.lib.flow.plan_cache import PlanCache, plan_for
from posthaste.lib.flow.rules import LEASE_SECONDS, Limits, Plan, Rule
from tests import crowds
from tests.builders import poll
from tests.lib.flow.spans import max_in_any_span
from tests.services import Service

pytestmark = pytest.mark.both_stacks
SECOND = 1_000_000


def make_plan(prefix: str = "", **limits: Any) -> Plan:
    """Return the plan of one rule with counters of its own."""
    return plan_for([Rule("r", "x", "all", Limits(**limits))], {}, prefix=prefix or redis.key("flow", secrets.token_hex(6)))


def hammer(processes: int, seconds: float, limits: dict[str, Any]) -> tuple[list[int], int]:
    """Let processes ask one rule and return the times at which a request was let in, and the number of questions."""
    command = [sys.executable, "-m", "tests.lib.flow.hammer", str(processes), str(seconds), json.dumps(limits)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=100, check=True)
    told = json.loads(done.stdout.splitlines()[-1])
    return told["taken"], told["asked"]


def test_eight_processes_never_pass_more_than_the_rule_and_use_nearly_all_of_it() -> None:
    per_second, seconds = 200, 2.0
    taken, asked = hammer(8, seconds, {"per_second": per_second, "in_window": 100_000, "at_once": 1000})
    assert asked > len(taken), "nobody was refused: the rule was not tried"
    assert max_in_any_span(taken, SECOND) <= per_second
    # from the first one let in; whole seconds, as each brings a new lot
    assert len(taken) >= 0.95 * per_second * (taken[-1] - taken[0]) / SECOND


def test_threads_that_ask_together_share_one_call_and_get_their_own_answers() -> None:
    limiter, plan = Limiter(), make_plan(in_window=100)
    with crowds.pool(32) as pool:
        passes = list(pool.map(lambda _n: limiter.enter(plan), range(300)))
    assert sum(passed.allowed for passed in passes) == 100
    assert sorted(passed.answer.remaining for passed in passes if passed.allowed) == list(range(100))


def test_a_lease_that_was_left_is_free_at_once_for_the_next() -> None:
    limiter, plan = Limiter(), make_plan(at_once=1)
    for _ in range(50):
        passed = limiter.enter(plan)
        assert passed.allowed
        assert not limiter.enter(plan).allowed
        limiter.leave(passed)


def test_a_lease_that_was_left_is_given_back_without_another_question() -> None:
    limiter, plan = Limiter(), make_plan(at_once=5)
    passes = [limiter.enter(plan) for _ in range(5)]
    assert redis.client().zcard(plan.lease_keys[0]) == 5
    for passed in passes:
        limiter.leave(passed)
    poll(lambda: redis.client().zcard(plan.lease_keys[0]) == 0, seconds=LEASE_SECONDS / 2)


def test_leases_of_a_killed_process_become_free_and_those_of_a_living_one_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    prefix = redis.key("flow", secrets.token_hex(6))
    code = (
        "import time\nfrom posthaste.lib.flow import rules\nfrom posthaste.lib.flow.plan_cache import plan_for\n"
        "from posthaste.lib.flow import limiter as m\n"
        "rules.LEASE_SECONDS = m.LEASE_SECONDS = 1\nm.RENEW_SECONDS = 0.3\nm.SIGN_OF_LIFE_SECONDS = 0.2\n"
        f"plan = plan_for([rules.Rule('r', 'x', 'all', rules.Limits(at_once=2))], {{}}, prefix={prefix!r})\n"
        "limiter = m.Limiter()\nprint([limiter.enter(plan).allowed for _ in range(2)], flush=True)\ntime.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        assert process.stdout.readline().strip() == "[True, True]"
        plan = make_plan(prefix, at_once=2)
        limiter = Limiter()
        until = time.monotonic() + 1.6  # longer than a lease
        while time.monotonic() < until:
            assert not limiter.enter(plan).allowed, "a living process lost its leases"
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGKILL)
        poll(lambda: limiter.enter(plan).allowed)
    finally:
        process.kill()
        process.communicate()


def test_while_redis_is_away_each_process_keeps_to_its_share_and_comes_back(own_redis: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limiter_module, "REST_SECONDS", 0.1)
    limiter, plan = Limiter(), make_plan(in_window=100, window_seconds=60)
    assert limiter.enter(plan).allowed
    limiter.local.processes = 4
    own_redis.kill()
    passes = [limiter.enter(plan) for _ in range(60)]
    assert limiter.is_local
    assert sum(passed.allowed for passed in passes) == 25, "never open, never dead"
    assert all(passed.is_local for passed in passes)
    own_redis.start()
    poll(lambda: not limiter.enter(plan).is_local)
    assert not limiter.is_local


def test_that_redis_is_back_is_noticed_although_nobody_asks(own_redis: Any) -> None:
    limiter, plan = Limiter(), make_plan(in_window=100, window_seconds=60)
    assert limiter.enter(plan).allowed
    own_redis.kill()
    assert limiter.enter(plan).is_local
    own_redis.start()
    poll(lambda: not limiter.is_local)


def test_requests_that_wait_together_while_redis_dies_are_all_answered(own_redis: Any) -> None:
    limiter, plan = Limiter(), make_plan(in_window=1_000_000)
    answered: list[Pass] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            answered.append(limiter.enter(plan))

    crowd = crowds.start(*[ask] * 8)
    poll(lambda: len(answered) > 100)
    own_redis.kill()
    poll(lambda: limiter.is_local)
    before = len(answered)
    poll(lambda: len(answered) > before + 100)
    stop.set()
    crowd.join()


def test_headers_name_every_policy_and_what_is_left_of_the_tightest() -> None:
    limiter, plan = Limiter(), make_plan(per_second=50, at_once=20, in_window=10)
    passed = limiter.enter(plan)
    found = headers.of(passed)
    assert found["RateLimit-Policy"] == (
        '"r-at-once";q=20;qu="concurrent-requests", "r-rate";q=50;w=1;qu="messages", "r-window";q=10;w=60;qu="messages"'
    )
    assert found["RateLimit"] == '"r-window";r=9;t=60'
    limiter.leave(passed)


def test_a_refusal_tells_what_is_left_for_a_smaller_request_and_no_longer_time_than_the_window() -> None:
    limiter, plan = Limiter(), make_plan(in_window=10)
    assert limiter.enter(plan, cost=6).allowed
    refused = limiter.enter(plan, cost=6)
    assert not refused.allowed
    assert headers.of(refused)["RateLimit"] == '"r-window";r=4;t=60'
    passed = limiter.enter(plan, cost=1)
    assert passed.allowed
    assert headers.of(passed)["RateLimit"] == '"r-window";r=3;t=60'
    assert headers.of(limiter.enter(plan, cost=4))["RateLimit"] == '"r-window";r=3;t=60'
    assert headers.of(limiter.enter(plan, cost=3))["RateLimit"] == '"r-window";r=0;t=60'
    assert headers.of(limiter.enter(plan, cost=1))["RateLimit"] == '"r-window";r=0;t=60'


def test_a_refusal_by_a_rate_tells_the_tokens_that_are_left() -> None:
    limiter, plan = Limiter(), make_plan(per_second=0.1, burst=5)
    assert limiter.enter(plan, cost=3).allowed
    assert headers.of(limiter.enter(plan, cost=4))["RateLimit"].startswith('"r-rate";r=2;t=')


def test_a_plan_is_made_once_for_each_caller_and_rules_are_swapped_as_a_whole() -> None:
    cache = PlanCache()
    cache.put([Rule("a", "accept", "tenant", Limits(per_second=5)), Rule("b", "accept", "key", Limits(at_once=2), only=frozenset({"k1"}))])
    first = cache.plan("accept", {"tenant": "acme", "key": "k1"})
    assert cache.plan("accept", {"tenant": "acme", "key": "k1"}) is first
    assert [label.policy for label in first.labels] == ["a-rate", "b-at-once"]
    assert [label.policy for label in cache.plan("accept", {"tenant": "acme", "key": "k2"}).labels] == ["a-rate"]
    assert cache.plan("other", {"tenant": "acme"}).checks == ()
    cache.put([])
    assert cache.plan("accept", {"tenant": "acme", "key": "k1"}).checks == ()


def test_made_up_values_make_no_more_counters_than_there_are_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    from posthaste.lib.flow import rules

    monkeypatch.setattr(rules, "SLOTS", 16)
    cache = PlanCache()
    cache.put([Rule("a", "public", "ip", Limits(per_second=5))])
    assert len({cache.plan("public", {"ip": f"10.0.{n // 256}.{n % 256}"}).checks[0].key for n in range(2000)}) == 16


def test_callers_and_the_keeper_take_each_lease_that_was_left_once() -> None:
    limiter = Limiter()
    left = [("key", str(number)) for number in range(20_000)]
    limiter._leaving.extend(left)

    def take() -> list[tuple[str, str]]:
        taken: list[tuple[str, str]] = []
        while pairs := limiter._left(3):
            taken += pairs
        return taken

    taken = crowds.at_once(*[take] * 8)
    assert sorted(pair for pairs in taken for pair in pairs) == sorted(left)


def test_leases_that_could_not_be_given_back_are_kept_for_the_next_try(own_redis: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limiter_module, "KEEPER_SECONDS", 1_000.0)
    limiter, plan = Limiter(), make_plan(at_once=2)
    first, second = limiter.enter(plan), limiter.enter(plan)
    own_redis.kill()
    limiter.leave(first)
    assert limiter.enter(plan).is_local
    assert limiter._leaving
    limiter.leave(second)
    with pytest.raises(redis.Unavailable):
        limiter._give_back()
    assert {lease for _key, lease in limiter._leaving} == {first.lease, second.lease}
