import random
import subprocess
import sys
import time
from dataclasses import replace
from typing import Any

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from posthaste.lib import redis
from posthaste.lib.breaker import Breakers, Phase, Rule, Tally
from posthaste.lib.breaker import breaker as module
from posthaste.lib.ids import new_id
from tests import crowds
from tests.builders import poll

pytestmark = pytest.mark.both_stacks
RULE = Rule(window_seconds=30, min_requests=10, slow_percent=60, error_percent=50, open_seconds=60, trial_calls=3)
SOON = Rule(window_seconds=30, min_requests=10, slow_percent=60, error_percent=50, open_seconds=0.05, trial_calls=3)

NOBODY = Redis(port=1, socket_connect_timeout=0.2, retry=Retry(NoBackoff(), 0))  # a port without a listener


@pytest.fixture
def name() -> str:
    return f"test:{new_id().hex}"


@pytest.fixture
def mine() -> Breakers:
    return Breakers()


def tell(breakers: Breakers, name: str, rule: Rule = RULE, *, epoch: int = 0, **counts: Any) -> None:
    pipeline = redis.client().pipeline(transaction=False)
    pipeline.ping()  # something else goes the same way
    recording = breakers.recording(pipeline)
    recording.add(name, Tally(**counts), rule, release=7, epoch=epoch)
    recording.handle_answers(pipeline.execute())


def opened(breakers: Breakers, name: str, rule: Rule = RULE) -> None:
    tell(breakers, name, rule, calls=10, errors=10, code="http_500")
    assert breakers.phase(name) in (Phase.OPEN, Phase.HALF_OPEN)


def half_open(breakers: Breakers, name: str) -> None:
    opened(breakers, name, SOON)
    poll(lambda: breakers.phase(name) == Phase.HALF_OPEN)


def test_a_few_failures_say_nothing_until_there_were_enough_calls(mine: Breakers, name: str) -> None:
    tell(mine, name, calls=9, errors=9)
    assert mine.phase(name) == Phase.CLOSED
    tell(mine, name, calls=1)
    assert mine.phase(name) == Phase.OPEN


@pytest.mark.parametrize(
    ("counts", "rule", "why"),
    [
        ({"calls": 20, "errors": 10}, RULE, "errors"),
        ({"calls": 20, "slow": 12}, RULE, "slow"),
        ({"calls": 1000, "errors": 5}, Rule(error_count=5, error_percent=0, slow_percent=0), "errors"),
        ({"calls": 50, "errors": 25}, Rule(counts="receipts"), "receipts"),
    ],
)
def test_it_opens_at_errors_slow_calls_or_receipts(counts: dict[str, int], rule: Rule, why: str, mine: Breakers, name: str) -> None:
    tell(mine, name, rule, **counts)
    assert mine.phase(name) == Phase.OPEN
    state = mine.state(name)
    assert (state.why, state.of, state.release) == (why, counts["calls"], 7)


@pytest.mark.parametrize(
    ("counts", "rule"),
    [
        ({"calls": 20, "errors": 9, "slow": 11}, RULE),
        ({"calls": 20, "errors": 20, "slow": 0}, Rule(error_percent=0, slow_percent=50)),
    ],
)
def test_below_the_thresholds_and_where_one_is_not_looked_at_it_stays_closed(
    counts: dict[str, int], rule: Rule, mine: Breakers, name: str
) -> None:
    tell(mine, name, rule, **counts)
    assert mine.phase(name) == Phase.CLOSED


def test_what_one_process_saw_counts_for_all_and_all_see_it_open(mine: Breakers, name: str) -> None:
    other = Breakers()
    assert other.phase(name) == Phase.CLOSED
    tell(other, name, calls=5, errors=5)
    tell(mine, name, calls=5, errors=5)
    assert mine.phase(name) == Phase.OPEN
    poll(lambda: other.phase(name) == Phase.OPEN)


def test_a_process_that_was_idle_lets_no_thread_go_by_its_old_copy(mine: Breakers, name: str) -> None:
    assert mine.phase(name) == Phase.CLOSED
    opened(Breakers(), name)
    for _ in range(20):
        mine._read_at = -60.0  # the copy is a minute old
        with crowds.pool(8) as pool:
            assert set(pool.map(mine.phase, [name] * 8)) == {Phase.OPEN}
        mine._states = {}


def test_what_lies_before_the_window_is_forgotten(mine: Breakers, name: str) -> None:
    short = Rule(window_seconds=0.2, min_requests=10, error_percent=50)
    tell(mine, name, short, calls=9, errors=9)
    poll(lambda: mine.snapshot([name])[name]["calls"] == 0)
    tell(mine, name, short, calls=9, errors=4)
    assert mine.phase(name) == Phase.CLOSED
    assert mine.snapshot([name])[name]["calls"] == 9


def test_another_length_of_the_window_begins_anew(mine: Breakers, name: str) -> None:
    tell(mine, name, calls=9, errors=9)
    tell(mine, name, Rule(window_seconds=60, min_requests=10), calls=1)
    assert mine.phase(name) == Phase.CLOSED


def test_calls_that_had_begun_before_it_opened_change_nothing(mine: Breakers, name: str) -> None:
    half_open(mine, name)
    tell(mine, name, SOON, calls=50)
    tell(mine, name, SOON, calls=50, errors=50)
    assert mine.phase(name) == Phase.HALF_OPEN


def test_trial_calls_that_succeed_close_it(mine: Breakers, name: str) -> None:
    half_open(mine, name)
    granted, epoch = mine.admit(name, SOON, wanted=3)
    assert granted == 3
    tell(mine, name, SOON, epoch=epoch, calls=2)
    assert mine.phase(name) == Phase.HALF_OPEN
    tell(mine, name, SOON, epoch=epoch, calls=1)
    assert mine.phase(name) == Phase.CLOSED
    assert mine.admit(name, SOON) == (-1, 0)
    assert mine.share(name, 1000) < 0.1
    assert mine.share(name, 0) == 1.0
    assert [event["event"] for event in mine.history(name)] == ["closed", "half_open", "opened"]


@pytest.mark.parametrize("trouble", [{"errors": 1}, {"slow": 1}])
def test_one_trial_call_that_fails_or_is_slow_opens_it_again(trouble: dict[str, int], mine: Breakers, name: str) -> None:
    half_open(mine, name)
    _granted, epoch = mine.admit(name, SOON, wanted=3)
    tell(mine, name, RULE, epoch=epoch, calls=1, **trouble)
    assert mine.phase(name) == Phase.OPEN
    tell(mine, name, RULE, epoch=epoch, calls=2)  # the other two, too late
    assert mine.phase(name) == Phase.OPEN


def test_its_trials_leave_the_time_since_which_it_has_been_open(mine: Breakers, name: str) -> None:
    def since(phase: Phase) -> int:
        poll(lambda: mine.phase(name) == phase)
        return mine.state(name).since

    opened(mine, name, SOON)
    first = since(Phase.HALF_OPEN)
    for _trial in range(3):
        _granted, epoch = mine.admit(name, SOON, wanted=1)
        assert since(Phase.HALF_OPEN) == first, "tried"
        tell(mine, name, SOON, epoch=epoch, calls=1, errors=1)
        assert since(Phase.HALF_OPEN) == first, "open again, until its time was up"
    _granted, epoch = mine.admit(name, SOON, wanted=3)
    tell(mine, name, SOON, epoch=epoch, calls=3)
    closed = since(Phase.CLOSED)
    assert closed > first
    opened(mine, name, RULE)
    assert since(Phase.OPEN) >= closed
    mine.force(name, "open", by="user:ada")
    held = since(Phase.OPEN)
    mine.force(name, "automatic", by="user:ada")
    assert since(Phase.HALF_OPEN) == held, "it was not closed meanwhile"


def test_trial_calls_that_were_not_made_are_given_back(mine: Breakers, name: str) -> None:
    half_open(mine, name)
    _granted, epoch = mine.admit(name, SOON, wanted=3)
    assert mine.admit(name, SOON) == (0, epoch)
    tell(mine, name, SOON, epoch=epoch, unused=2)
    assert Breakers().admit(name, SOON, wanted=9) == (2, epoch)


def test_trial_calls_of_a_process_that_died_are_given_up(mine: Breakers, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TRIAL_LEASE_SECONDS", 0.05)
    monkeypatch.setattr(module, "ASK_AGAIN_SECONDS", 0.0)
    half_open(mine, name)
    _granted, first = mine.admit(name, SOON, wanted=3)
    granted, second = poll(lambda: (answer := mine.admit(name, SOON))[0] and answer)
    assert (granted, second) == (1, first + 1)
    tell(mine, name, SOON, epoch=first, calls=3)  # it was only stopped for a while: its round is over
    assert mine.phase(name) == Phase.HALF_OPEN


#: Another process that asks twenty times for a trial call and says how many it got.
ASK = """
import sys
from posthaste.lib.breaker import Breakers, Rule
breakers = Breakers()
sys.stdin.readline()
print(sum(breakers.admit(sys.argv[1], Rule(trial_calls=3), wanted=1)[0] for _ in range(20)))
"""


def test_all_processes_together_make_only_so_many_trial_calls(mine: Breakers, name: str) -> None:
    half_open(mine, name)
    command = [sys.executable, "-c", ASK, name]
    asking = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    for process in asking:
        assert process.stdin is not None
        process.stdin.write("now\n")
        process.stdin.flush()
    assert sum(int(process.communicate(timeout=30)[0].split()[-1]) for process in asking) == SOON.trial_calls


def test_one_held_open_lets_nothing_through_until_it_is_released_and_is_then_tried(mine: Breakers, name: str) -> None:
    assert mine.force(name, "open", by="user:ada")
    assert mine.phase(name) == Phase.OPEN
    assert mine.admit(name, SOON) == (0, 0)
    tell(mine, name, calls=100)
    state = mine.snapshot([name])[name]
    assert (state["phase"], state["is_forced"], state["state"].forced_by) == (Phase.OPEN, True, "user:ada")
    assert mine.force(name, "automatic", by="user:bob")
    assert mine.phase(name) == Phase.HALF_OPEN
    assert not mine.force(name, "automatic", by="user:bob"), "nobody holds it any more"
    assert [(event["event"], event["by"]) for event in mine.history(name)] == [("released", "user:bob"), ("forced_open", "user:ada")]


def test_one_held_closed_stays_closed_whatever_happens_until_its_time_is_up(mine: Breakers, name: str) -> None:
    opened(mine, name)
    mine.force(name, "closed", by="user:ada", seconds=0.3)
    assert mine.phase(name) == Phase.CLOSED
    tell(mine, name, calls=100, errors=100)
    assert mine.phase(name) == Phase.CLOSED
    poll(lambda: not mine.snapshot([name])[name]["is_forced"])
    tell(mine, name, calls=1)
    assert mine.phase(name) == Phase.OPEN


def test_one_held_open_for_a_while_is_tried_afterwards(mine: Breakers, name: str) -> None:
    mine.force(name, "open", by="user:ada", seconds=0.2)
    assert 0 < mine.wait_seconds(name) <= 0.2 or mine.phase(name) == Phase.OPEN
    poll(lambda: mine.phase(name) == Phase.HALF_OPEN)
    assert mine.admit(name, SOON)[0] == 1


def test_events_of_all_breakers_are_kept_for_alarms_newest_first(mine: Breakers, name: str) -> None:
    opened(mine, name)
    newest = mine.events(1)[0]
    assert (newest["name"], newest["event"], newest["why"], newest["number"], newest["of"], newest["code"], newest["release"]) == (
        name, "opened", "errors", 10, 10, "http_500", 7,
    )  # fmt: skip
    for _ in range(60):
        mine.force(name, "open", by="user:ada")
        mine.force(name, "automatic", by="user:ada")
    assert len(mine.history(name)) == 100
    assert name in mine.names()


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return what makes Redis unreachable for the rest of the test."""
    return lambda: monkeypatch.setattr(redis, "client", lambda: NOBODY)


def test_without_redis_the_last_known_state_stays_and_the_process_counts_for_itself(mine: Breakers, name: str, away: Any) -> None:
    other = f"{name}-other"
    opened(mine, name, RULE)
    assert mine.phase(name) == Phase.OPEN
    away()
    mine._read_at = -60.0
    assert mine.phase(name) == Phase.OPEN
    assert mine.phase(other) == Phase.CLOSED

    def lost(rule: Rule, *, epoch: int = 0, **counts: int) -> None:
        with pytest.raises(redis.Unavailable):
            tell(mine, other, rule, epoch=epoch, **counts)

    lost(SOON, calls=10, errors=10)
    poll(lambda: mine.phase(other) == Phase.HALF_OPEN)
    granted, epoch = mine.admit(other, SOON, wanted=5)
    assert granted == 3
    lost(SOON, epoch=epoch, calls=3)
    assert mine.phase(other) == Phase.CLOSED


def test_when_redis_is_back_what_all_know_is_in_force_again(mine: Breakers, name: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(redis, "client", lambda: NOBODY)
        mine.phase(name)
        with pytest.raises(redis.Unavailable):
            tell(mine, name, calls=10, errors=10)
        assert mine.phase(name) == Phase.OPEN
    mine._read_at = -60.0
    assert mine.phase(name) == Phase.CLOSED


# --- opened by receipts -------------------------------------------------------------------------------------------------

VOID = Rule(counts="receipts", min_requests=10, error_percent=50, open_seconds=0.05, trial_calls=3, max_open_seconds=60, receipt_seconds=60)
CALLS = replace(VOID, counts="errors")


def receipts(breakers: Breakers, name: str, rule: Rule = VOID, *, good: int = 0, bad: int = 0, at: float | None = None) -> None:
    """Report receipts of messages that were taken now, or `at` so many seconds since 1970."""
    moment = int(1000 * (time.time() if at is None else at))
    tell(breakers, name, rule, calls=good + bad, errors=bad, code="lost", taken=[(moment, False)] * good + [(moment, True)] * bad)


def tried(breakers: Breakers, name: str, rule: Rule = CALLS) -> None:
    """Have receipts open it and all trial calls taken."""
    receipts(breakers, name, replace(VOID, open_seconds=rule.open_seconds), bad=10)
    taken(breakers, name, rule)


def taken(breakers: Breakers, name: str, rule: Rule = CALLS) -> None:
    """Wait until it may be tried and have all trial calls taken."""
    granted, epoch = poll(lambda: (answer := breakers.admit(name, rule, wanted=3))[0] and answer)
    tell(breakers, name, rule, epoch=epoch, calls=granted)


def openings(breakers: Breakers, name: str) -> list[dict[str, Any]]:
    """Return how it opened, the last time first."""
    return [event for event in breakers.history(name) if event["event"] == "opened"]


def span_ms(breakers: Breakers, name: str) -> int:
    """Return for how long it opened the last time."""
    last = openings(breakers, name)[0]
    return int(last["retry_at"] - last["at"])


def test_one_that_receipts_opened_is_not_closed_by_calls_that_are_taken_but_by_their_receipts(mine: Breakers, name: str) -> None:
    tried(mine, name)
    assert mine.phase(name) == Phase.HALF_OPEN
    assert mine.state(name).judged_at > 0
    assert Breakers().admit(name, CALLS) == (0, 1), "no further trial calls while receipts are waited for"
    receipts(mine, name, good=2)
    assert mine.phase(name) == Phase.HALF_OPEN
    receipts(mine, name, bad=1)
    assert mine.phase(name) == Phase.CLOSED
    state = mine.state(name)
    assert (state.why, state.number, state.of, state.judged_at) == ("receipts", 2, 3, 0)


def test_receipts_of_its_trial_messages_that_tell_of_failure_open_it_again_for_twice_as_long_each_time(mine: Breakers, name: str) -> None:
    spans: list[int] = []
    for _ in range(3):
        if spans:
            taken(mine, name)
        else:
            tried(mine, name)
        receipts(mine, name, good=1, bad=2)
        state = mine.snapshot([name])[name]["state"]
        assert (state.state, state.why, state.number, state.of, state.code) == (Phase.OPEN, "receipts", 2, 3, "lost")
        spans.append(span_ms(mine, name))
    assert spans == [100, 200, 400]


@pytest.mark.parametrize(("longest", "span"), [(0.15, 150), (0.01, 50)])
def test_it_never_stays_open_for_longer_than_configured(longest: float, span: int, mine: Breakers, name: str) -> None:
    void = replace(VOID, max_open_seconds=longest)
    receipts(mine, name, void, bad=10)
    for _ in range(2):
        taken(mine, name, replace(void, counts="errors"))
        receipts(mine, name, void, bad=3)
    state = mine.snapshot([name])[name]["state"]
    assert (state.state, span_ms(mine, name)) == (Phase.OPEN, span)


def test_it_goes_on_doubling_when_it_had_closed_only_for_a_moment(mine: Breakers, name: str) -> None:
    tried(mine, name)
    receipts(mine, name, good=3)
    assert mine.phase(name) == Phase.CLOSED
    receipts(mine, name, bad=10)
    state = mine.snapshot([name])[name]["state"]
    assert (state.state, span_ms(mine, name)) == (Phase.OPEN, 100)


def test_where_no_receipt_comes_in_time_it_closes_and_says_so(mine: Breakers, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ASK_AGAIN_SECONDS", 0.0)
    tried(mine, name, replace(CALLS, receipt_seconds=0.1))
    assert mine.admit(name, CALLS)[0] == 0
    poll(lambda: mine.admit(name, CALLS)[0] == -1)
    assert mine.phase(name) == Phase.CLOSED
    assert mine.state(name).why == "silence"


def test_too_few_receipts_decide_when_the_time_is_up(mine: Breakers, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ASK_AGAIN_SECONDS", 0.0)
    tried(mine, name, replace(CALLS, receipt_seconds=0.1))
    receipts(mine, name, bad=1)
    poll(lambda: mine.admit(name, CALLS) and len(openings(mine, name)) == 2)
    assert [(opening["why"], opening["of"]) for opening in openings(mine, name)] == [("receipts", 1), ("receipts", 10)]


def test_receipts_of_messages_from_before_it_was_tried_say_nothing_then_nor_after_it_closed(mine: Breakers, name: str) -> None:
    before = time.time() - 60
    tried(mine, name)
    receipts(mine, name, bad=50, at=before)
    assert mine.phase(name) == Phase.HALF_OPEN
    receipts(mine, name, good=3)
    assert mine.phase(name) == Phase.CLOSED
    receipts(mine, name, bad=50, at=before)
    assert mine.phase(name) == Phase.CLOSED
    receipts(mine, name, bad=10)
    assert mine.phase(name) == Phase.OPEN


def test_where_receipts_are_not_waited_for_a_call_that_was_taken_closes_it(mine: Breakers, name: str) -> None:
    tried(mine, name, replace(CALLS, receipt_seconds=0))
    assert mine.phase(name) == Phase.CLOSED


def test_a_trial_call_that_fails_opens_it_again_before_any_receipt(mine: Breakers, name: str) -> None:
    receipts(mine, name, bad=10)
    _granted, epoch = poll(lambda: (answer := mine.admit(name, CALLS, wanted=3))[0] and answer)
    tell(mine, name, CALLS, epoch=epoch, calls=1, errors=1)
    state = mine.snapshot([name])[name]["state"]
    assert (state.state, state.why, span_ms(mine, name)) == (Phase.OPEN, "trial", 100)


def test_one_that_errors_opened_asks_for_no_receipts(mine: Breakers, name: str) -> None:
    tell(mine, name, CALLS, calls=10, errors=10)
    taken(mine, name)
    assert mine.phase(name) == Phase.CLOSED


def test_what_receipts_opened_and_somebody_held_and_let_go_is_trusted_when_a_trial_call_is_taken(mine: Breakers, name: str) -> None:
    receipts(mine, name, bad=10)
    mine.force(name, "open", by="user:ada")
    mine.force(name, "automatic", by="user:ada")
    taken(mine, name)
    assert mine.phase(name) == Phase.CLOSED


def test_without_redis_one_that_receipts_opened_is_not_trusted_for_what_one_process_sees(
    mine: Breakers, name: str, away: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ASK_AGAIN_SECONDS", 0.0)
    tried(mine, name)
    assert mine.phase(name) == Phase.HALF_OPEN
    away()
    mine._read_at = -60.0
    assert mine.phase(name) == Phase.HALF_OPEN
    granted, epoch = mine.admit(name, CALLS, wanted=9)
    assert granted == 3
    with pytest.raises(redis.Unavailable):
        tell(mine, name, CALLS, epoch=epoch, calls=3)
    assert (mine.phase(name), mine.admit(name, CALLS)[0]) == (Phase.HALF_OPEN, 0)


@pytest.mark.parametrize("seed", range(8))
def test_whatever_happens_what_receipts_opened_never_carries_more_than_its_trial_calls_and_closes_by_good_receipts_alone(
    seed: int, mine: Breakers, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ASK_AGAIN_SECONDS", 0.0)
    chance, long_ago = random.Random(seed), time.time() - 60
    void, calls = (replace(rule, open_seconds=0.002, max_open_seconds=0.004) for rule in (VOID, CALLS))
    receipts(mine, name, void, bad=10)
    granted, rounds = 0, mine.snapshot([name])[name]["state"].epoch
    pending: list[int] = []
    for _ in range(150):
        match chance.randrange(6):
            case 0 | 1:
                more, epoch = mine.admit(name, calls, wanted=chance.randint(1, 4))
                if more > 0 and epoch != rounds:
                    granted, rounds, pending = 0, epoch, []
                granted += max(0, more)
                pending += [epoch] * max(0, more)
            case 2 if pending:
                tell(mine, name, calls, epoch=pending.pop(), calls=1, errors=int(chance.random() < 0.1))
            case 3:
                receipts(mine, name, void, good=chance.randint(0, 40), bad=chance.randint(1, 40), at=long_ago)
            case 4:
                tell(mine, name, calls, calls=30, errors=chance.choice((0, 30)))  # calls that had begun before
            case 5 if pending or granted:
                is_good = chance.random() < 0.3
                receipts(mine, name, void, good=int(is_good), bad=int(not is_good))
        assert granted <= void.trial_calls
        state = mine.snapshot([name])[name]["state"]
        if state.state == Phase.CLOSED:
            assert state.why == "receipts"
            assert 2 * state.number > state.of >= void.trial_calls
            return
        if state.state == Phase.OPEN:
            pending, granted = [], 0
