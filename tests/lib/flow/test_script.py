"""The script in Redis against the model in Python, step by step, and both against what a rule promises."""

import secrets
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from posthaste.lib.flow.limiter import Limiter
from posthaste.lib.flow.model import Answer, Model
from posthaste.lib.flow.rules import Behaviour, Check, Limits, Rule, checks_of

pytestmark = pytest.mark.both_stacks
SECOND = 1_000_000
BEGIN = 1_790_000_000 * SECOND


def limits() -> "st.SearchStrategy[Limits]":
    """Make rules with any mixture of layers."""
    return st.builds(
        Limits,
        per_second=st.sampled_from([0, 0.5, 1, 3, 7.5, 20]),
        burst=st.sampled_from([0, 0, 1, 5, 40]),
        at_once=st.sampled_from([0, 1, 3]),
        in_window=st.sampled_from([0, 2, 10, 30]),
        window_seconds=st.sampled_from([1, 2, 60]),
    )


def flow_rules() -> "st.SearchStrategy[Rule]":
    """Make rules with any behaviour."""
    return st.builds(
        Rule,
        name=st.just("r"),
        resource=st.just("x"),
        origin=st.just("all"),
        limits=limits(),
        behaviour=st.sampled_from(list(Behaviour)),
        cold_factor=st.sampled_from([1.5, 3.0]),
        warm_up_seconds=st.sampled_from([1.0, 5.0]),
        max_wait_ms=st.sampled_from([0, 200, 1500]),
        urgent_reserve_percent=st.sampled_from([0, 10, 50]),
        counts_cost=st.booleans(),
    )


def max_in_any_span(taken: list[tuple[int, int]], span_us: int) -> int:
    """Return the largest sum of costs within any span that begins with one of them."""
    return max((sum(cost for at, cost in taken if begin <= at < begin + span_us) for begin, _cost in taken), default=0)


class ScriptAgainstModel(RuleBasedStateMachine):
    """Several rules, a clock that jumps, several questions in one call."""

    def __init__(self) -> None:
        super().__init__()
        self.limiter = Limiter()
        self.model = Model()
        self.now = BEGIN
        self.checks: list[list[Check]] = []
        self.held: list[tuple[list[Check], str]] = []
        self.leaves: list[tuple[str, str]] = []
        self.taken: dict[Check, list[tuple[int, int]]] = {}

    @initialize(rules=st.lists(flow_rules(), min_size=1, max_size=3), jitter=st.integers(0, SECOND))
    def begin(self, rules: list[Rule], jitter: int) -> None:
        space = secrets.token_hex(6)
        self.now += jitter
        sets = [[check for check, _label in checks_of(r, "all", prefix=f"test:{space}:{n}")] for n, r in enumerate(rules)]
        self.checks = [*sets, [check for found in sets for check in found]]

    @rule(us=st.sampled_from([1, 999, 10_000, 77_777, 250_000, SECOND, 1_010_000, 3 * SECOND, 61 * SECOND]))
    def time_passes(self, us: int) -> None:
        self.now += us

    @rule(asked=st.lists(st.tuples(st.integers(0, 3), st.sampled_from([1, 1, 1, 2, 5, 12, 50]), st.booleans()), min_size=1, max_size=8))
    def ask(self, asked: list[tuple[int, int, bool]]) -> None:
        questions: list[Any] = []
        expected = []
        for key, lease in self.leaves:
            self.model.leave([key], lease)
        for which, cost, urgent in asked:
            checks = self.checks[which % len(self.checks)]
            lease = secrets.token_hex(4)
            questions.append((cost, int(urgent), lease, tuple(checks)))
            answer = self.model.enter(checks, cost=cost, urgent=urgent, lease=lease, now_us=self.now)
            expected.append(answer)
            if answer.verdict == 1:
                self.held.append((checks, lease))
                for check in checks:
                    if check.kind == "w" and not urgent:
                        self.taken.setdefault(check, []).append((self.now, cost if check.counts else 1))
        self.limiter._leaving.extend(self.leaves)
        self.leaves = []
        assert [Answer(*found) for found in self.limiter._call(questions, self.now)] == expected
        for check, taken in self.taken.items():
            if not check.owes:  # who owes may be larger than the limit: that is its own test
                assert max_in_any_span(taken, check.span_us) <= check.limit

    @rule(which=st.integers(0, 100))
    def leave(self, which: int) -> None:
        if self.held:
            checks, lease = self.held.pop(which % len(self.held))
            self.leaves += [(check.key, lease) for check in checks if check.kind == "l"]

    def teardown(self) -> None:
        if self.limiter._connection is not None:
            self.limiter._connection.disconnect()


ScriptAgainstModel.TestCase.settings = settings(
    max_examples=60, stateful_step_count=25, suppress_health_check=list(HealthCheck), derandomize=True, database=None
)


TestScriptAgainstModel = ScriptAgainstModel.TestCase


# --- what a rule promises, on the model: the script gives the same answers -----------------------------------------------


def let_in(rule: Rule, times: list[int], *, cost: int = 1) -> list[int]:
    """Ask at given times and return those at which something was let in (after its wait)."""
    model, checks = Model(), [check for check, _label in checks_of(rule, "all", prefix="t")]
    found = []
    for at in times:
        answer = model.enter(checks, cost=cost, urgent=False, lease=str(at), now_us=BEGIN + at)
        if answer.verdict == 1:
            found.append(at + answer.wait_us)
    return found


def make_rule(limits: Limits, **fields: Any) -> Rule:
    return Rule(**{"name": "r", "resource": "x", "origin": "all", "limits": limits, **fields})


@pytest.mark.parametrize("per_second", [1, 7, 100, 1000])
def test_never_more_than_the_rate_in_any_second_and_nearly_all_of_it(per_second: int) -> None:
    step = max(97, SECOND // per_second // 5)
    taken = let_in(make_rule(Limits(per_second=per_second)), list(range(0, 5 * SECOND, step)))
    assert max_in_any_span([(at, 1) for at in taken], SECOND) <= per_second
    assert len(taken) >= 0.95 * 5 * per_second


def test_a_window_is_never_passed_and_nearly_used_up() -> None:
    taken = let_in(make_rule(Limits(in_window=500, window_seconds=10)), list(range(0, 60 * SECOND, 7_001)))
    assert max_in_any_span([(at, 1) for at in taken], 10 * SECOND) <= 500
    assert len(taken) >= 0.95 * 6 * 500


def test_a_burst_is_let_in_after_a_quiet_time_and_the_rate_after_it() -> None:
    taken = let_in(make_rule(Limits(per_second=10, burst=50)), [1] * 60 + list(range(SECOND, 4 * SECOND, 10_000)))
    assert taken.count(1) == 50
    assert 39 - 10 - 1 <= len(taken) - 50 <= 40


def test_a_batch_larger_than_a_second_is_let_in_and_paid_off() -> None:
    rule = make_rule(Limits(per_second=1000))
    model, checks = Model(), [check for check, _label in checks_of(rule, "all", prefix="t")]

    def ask(at_seconds: float, cost: int) -> Answer:
        return model.enter(checks, cost=cost, urgent=False, lease="", now_us=BEGIN + int(at_seconds * SECOND))

    assert ask(0, 10_000).verdict == 1
    assert ask(1.5, 1).verdict == 0
    refused = ask(9.9, 1)
    assert (refused.verdict, refused.wait_us) == (0, 100_000)
    assert ask(10.01, 1).verdict == 1


def test_what_is_larger_than_a_window_is_told_that_waiting_does_not_help() -> None:
    checks = [check for check, _label in checks_of(make_rule(Limits(in_window=100)), "all", prefix="t")]
    assert Model().enter(checks, cost=101, urgent=False, lease="", now_us=BEGIN).verdict == -1


def test_a_cold_start_begins_slowly_and_reaches_the_full_rate() -> None:
    rule = make_rule(Limits(per_second=300), behaviour=Behaviour.WARM_UP, cold_factor=3.0, warm_up_seconds=10.0)
    taken = let_in(rule, list(range(0, 20 * SECOND, 1_000)))
    a_second = [sum(n * SECOND <= at < (n + 1) * SECOND for at in taken) for n in range(20)]
    assert 95 <= a_second[0] <= 110
    assert max(a - b for a, b in pairwise(a_second)) <= 6
    assert a_second[5] < 250
    assert min(a_second[14:]) >= 290
    assert max_in_any_span([(at, 1) for at in taken], SECOND) <= 300


def test_a_queue_lets_one_after_the_other_in_and_refuses_who_would_wait_too_long() -> None:
    rule = make_rule(Limits(per_second=10), behaviour=Behaviour.QUEUE, max_wait_ms=500)
    taken = let_in(rule, [0] * 20)
    assert taken == [n * 100_000 for n in range(6)]


def test_a_refusal_by_one_rule_takes_nothing_from_another() -> None:
    model = Model()
    wide, narrow = ([c for c, _l in checks_of(make_rule(Limits(in_window=n), name=f"r{n}"), "all", prefix="t")] for n in (5, 1))
    both = [*wide, *narrow]
    answers = [model.enter(both, cost=1, urgent=False, lease="", now_us=BEGIN).verdict for _ in range(4)]
    assert answers == [1, 0, 0, 0]
    assert model.enter(wide, cost=1, urgent=False, lease="", now_us=BEGIN).remaining == 3


def test_urgent_messages_have_a_small_reserve_behind_the_rule() -> None:
    model = Model()
    checks = [c for c, _l in checks_of(make_rule(Limits(in_window=100), urgent_reserve_percent=10), "all", prefix="t")]
    ask = [model.enter(checks, cost=1, urgent=n >= 100, lease="", now_us=BEGIN).verdict for n in range(120)]
    assert ask == [1] * 110 + [0] * 10
    assert model.enter(checks, cost=1, urgent=False, lease="", now_us=BEGIN).verdict == 0


def test_an_exception_has_its_own_limits_and_nobody_can_be_read_from_a_key() -> None:
    rule = make_rule(Limits(per_second=1), origin="recipient", exceptions={"+8613800000000": Limits(per_second=50)})
    (usual, _label), (vip, _other) = (checks_of(rule, value, prefix="t")[0] for value in ("+8613811111111", "+8613800000000"))
    assert (usual.limit, vip.limit) == (1, 50)
    assert "+86138" not in usual.key + vip.key
