"""The states of an alarm: what a sequence of readings makes of it."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from monitor.alarms.rules import AlarmRule
from monitor.alarms.states import AlarmState, Episode, Phase, evaluate, hold_of, step
from tests.monitor.alarms.rules import START, after, low, rule


def play(of: AlarmRule, readings: Iterable[tuple[float, float | None]], *, before: Episode | None = None) -> list[Episode | None]:
    """Step an alarm through readings, each at so many seconds after the start."""
    found: list[Episode | None] = []
    episode, last = None, before
    for seconds, value in readings:
        episode = step(of, "", episode, value, now=after(seconds), before=last)
        found.append(episode)
        if episode is not None and episode.phase == Phase.RESOLVED:
            last, episode = episode, None
    return found


def phases(found: Iterable[Episode | None]) -> list[str]:
    return ["ok" if one is None else one.phase.value for one in found]


def test_an_alarm_fires_only_once_its_condition_has_held_for_its_time_and_ends_once_it_was_clear_for_its_hold() -> None:
    readings = [(0, 101), (59, 150), (60, 150), (100, 90), (399, 90), (400, 90)]
    assert phases(play(rule(), readings)) == ["pending", "pending", "firing", "firing", "firing", "resolved"]


def test_a_condition_that_ends_before_its_time_was_never_an_alarm() -> None:
    assert phases(play(rule(), [(0, 101), (30, 100), (60, 101), (119, 101)])) == ["pending", "ok", "pending", "pending"]


def test_a_rule_without_a_time_fires_at_the_first_reading() -> None:
    assert phases(play(rule(for_seconds=0), [(0, 101)])) == ["firing"]


def test_between_the_two_thresholds_a_firing_alarm_stays_and_no_other_begins() -> None:
    of = low(for_seconds=0, hold_seconds=30)
    assert phases(play(of, [(0, 96)])) == ["ok"]
    assert phases(play(of, [(0, 94), (10, 96), (60, 96), (70, 97), (99, 97), (100, 97)])) == ["firing"] * 5 + ["resolved"]


def test_a_relapse_within_the_hold_starts_it_anew() -> None:
    readings = [(0, 101), (60, 101), (70, 50), (369, 101), (370, 50), (669, 50), (670, 50)]
    assert phases(play(rule(), readings))[2:] == ["firing", "firing", "firing", "firing", "resolved"]


def test_missing_data_neither_raises_nor_ends_an_alarm_of_a_rule_that_does_not_ask_for_it() -> None:
    assert phases(play(rule(), [(0, None), (600, None)])) == ["ok", "ok"]
    firing = [(0, 101), (60, 101), (70, None), (1_000, None), (1_001, 90), (1_300, 90), (1_301, 90)]
    assert phases(play(rule(), firing))[1:] == ["firing"] * 5 + ["resolved"]


def test_a_firing_alarm_whose_metric_is_gone_for_an_hour_is_over() -> None:
    assert phases(play(rule(), [(0, 101), (60, 101), (70, None), (3_669, None), (3_670, None)]))[-2:] == ["firing", "resolved"]


def test_no_data_is_a_state_of_its_own_with_its_own_time() -> None:
    of = rule(no_data_minutes=10)
    found = play(of, [(0, None), (599, None), (600, None), (700, 5), (999, 5), (1_000, 5)])
    assert phases(found) == ["missing", "missing", "no_data", "no_data", "no_data", "resolved"]
    assert [one.state for one in found if one] == [AlarmState.PENDING] * 2 + [AlarmState.NO_DATA] * 3 + [AlarmState.RESOLVED]


def test_a_short_gap_is_no_missing_data() -> None:
    assert phases(play(rule(no_data_minutes=10), [(0, None), (60, 5)])) == ["missing", "ok"]
    assert phases(play(rule(), [(0, 101), (30, None), (61, 101)])) == ["pending", "pending", "firing"]


def test_no_data_that_turns_out_to_be_bad_fires() -> None:
    of = rule(no_data_minutes=1)
    assert phases(play(of, [(0, None), (60, None), (70, 500), (129, 500), (130, 500)])) == [
        "missing",
        "no_data",
        "no_data",
        "no_data",
        "firing",
    ]


def test_an_alarm_that_comes_back_is_held_twice_as_long_each_time_up_to_an_hour() -> None:
    of = rule()
    assert [hold_of(of, times).total_seconds() for times in range(6)] == [300, 600, 1_200, 2_400, 3_600, 3_600]
    ended = Episode(rule=of.name, phase=Phase.RESOLVED, since=START, started_at=START, resolved_at=START, comebacks=2)
    back = step(of, "", None, 101, now=after(3_599), before=ended)
    late = step(of, "", None, 101, now=after(3_600), before=ended)
    assert back is not None
    assert late is not None
    assert (back.comebacks, late.comebacks) == (3, 0)


@given(hold=st.integers(30, 3_600), wait=st.integers(0, 120), start=st.booleans(), offset=st.floats(0, 4))
def test_a_metric_that_flaps_every_twenty_seconds_fires_at_most_once_in_an_hour(hold: int, wait: int, start: bool, offset: float) -> None:
    of = rule(for_seconds=wait, hold_seconds=hold)
    readings = [(at + offset, 101.0 if (int(at) // 20 % 2 == 0) == start else 5.0) for at in range(0, 3_600, 4)]
    found = play(of, readings)
    fired = {one.fired_at for one in found if one is not None and one.fired_at}
    assert len(fired) <= 1
    assert "resolved" not in phases(found)


reading = st.one_of(st.none(), st.floats(0, 200))


@given(
    gaps=st.lists(st.tuples(st.integers(1, 400), reading), max_size=60),
    wait=st.integers(0, 300),
    hold=st.integers(30, 600),
    no_data=st.integers(0, 10),
    clear=st.one_of(st.none(), st.integers(0, 100)),
)
def test_no_sequence_of_readings_breaks_the_promises(
    gaps: list[tuple[int, float | None]], wait: int, hold: int, no_data: int, clear: int | None
) -> None:
    of = rule(for_seconds=wait, hold_seconds=hold, no_data_minutes=no_data, clear_bound=clear)
    at, readings = 0, []
    for gap, value in gaps:
        at += gap
        readings.append((float(at), value))
    previous: Episode | None = None
    for (seconds, value), one in zip(readings, play(of, readings), strict=True):
        if one is not None and one.phase == Phase.FIRING and (previous is None or previous.phase != Phase.FIRING):
            assert value is not None  # only a reading raises an alarm
            assert value > of.bound
        if one is not None and one.phase == Phase.RESOLVED:
            assert previous is not None
            assert previous.is_active
            if value is not None:  # only a clear reading ends it, and not before its hold
                assert value <= of.clears_at or previous.phase == Phase.NO_DATA
                assert one.clear_since is not None
                assert after(seconds) - one.clear_since >= timedelta(seconds=hold)
        if previous is not None and previous.is_active:
            assert one is not None  # what was told never goes without an end
            assert one.is_active or one.phase == Phase.RESOLVED
        previous = None if one is None or one.phase == Phase.RESOLVED else one


def test_each_series_of_a_metric_is_an_alarm_of_its_own_and_a_series_that_is_gone_is_clear() -> None:
    of = rule(for_seconds=0, hold_seconds=30)
    first = evaluate({of.name: of}, {of.name: {"a": 101.0, "b": 5.0, "c": 300.0}}, {}, now=START)
    assert sorted(key[1] for key in first) == ["a", "c"]
    known = {key: one for key, one in first.items() if one}
    second = evaluate({of.name: of}, {of.name: {"a": 101.0}}, known, now=after(10))
    known |= {key: one for key, one in second.items() if one}
    third = evaluate({of.name: of}, {of.name: {"a": 101.0}}, known, now=after(40))
    assert {key[1]: one.phase for key, one in third.items() if one} == {"a": Phase.FIRING, "c": Phase.RESOLVED}


def test_a_metric_without_any_data_is_one_alarm_and_leaves_those_of_its_series_as_they_are() -> None:
    of = rule(for_seconds=0, no_data_minutes=1)
    firing = evaluate({of.name: of}, {of.name: {"a": 101.0}}, {}, now=START)
    known = {key: one for key, one in firing.items() if one}
    assert {key: one.phase for key, one in evaluate({of.name: of}, {of.name: None}, known, now=after(90)).items() if one} == {
        (of.name, "a"): Phase.FIRING
    }
    assert list(evaluate({of.name: of}, {of.name: None}, {}, now=START)) == [(of.name, "")]


def test_the_alarm_of_a_rule_that_was_removed_is_over() -> None:
    episode = Episode(rule="gone", phase=Phase.FIRING, since=START, started_at=START, fired_at=START)
    pending = replace(episode, rule="gone-too", phase=Phase.PENDING)
    found = evaluate({}, {}, {episode.key: episode, pending.key: pending}, now=after(5))
    assert found[pending.key] is None
    assert (ended := found[episode.key]) is not None
    assert ended.phase == Phase.RESOLVED
