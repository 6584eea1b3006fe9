"""Which notices are due: delays, repeats, the end, inhibition, silences, groups and quiet hours."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

from monitor.alarms import notices
from monitor.alarms.configuration import Alarms
from monitor.alarms.notices import Due, Line, Told
from monitor.alarms.rules import Severity
from monitor.alarms.states import Episode, NoticeKind, Phase, step
from tests.monitor.alarms.rules import START, after, receiver, rule


def settings(**fields: Any) -> Alarms:
    return Alarms(**{"rules": [rule()], "receivers": [receiver()], "group_wait_seconds": 0, "group_interval_seconds": 0, **fields})


def firing(of: str = "backlog", series: str = "", **fields: Any) -> Episode:
    return Episode(
        **{"rule": of, "series": series, "phase": Phase.FIRING, "since": START, "started_at": START, "fired_at": START, **fields}
    )


def told(due: list[Due], now: datetime) -> list[Told]:
    return [Told(line, one.group, now) for one in due for line, _episode in one.lines]


def kinds(due: list[Due]) -> list[tuple[str, str, int]]:
    return sorted((line.receiver, line.kind.value, line.number) for one in due for line, _episode in one.lines)


def test_an_alarm_is_told_once_then_repeated_and_its_end_is_told() -> None:
    of = settings(rules=[rule(repeat_minutes=30)])
    episode, known = firing(), list[Told]()
    first = notices.due(of, [episode], known, now=START)
    assert kinds(first) == [("ops", "firing", 0)]
    known += told(first, START)
    assert notices.due(of, [episode], known, now=after(1_799)) == []
    again = notices.due(of, [episode], known, now=after(1_800))
    assert kinds(again) == [("ops", "repeat", 1)]
    known += told(again, after(1_800))
    assert kinds(notices.due(of, [episode], known, now=after(4 * 1_800 + 5))) == [("ops", "repeat", 4)]  # those missed are not made up for
    ended = replace(episode, phase=Phase.RESOLVED, resolved_at=after(2_000))
    last = notices.due(of, [ended], known, now=after(2_000))
    assert kinds(last) == [("ops", "resolved", 0)]
    assert not notices.is_settled(ended, of, known)
    known += told(last, after(2_000))
    assert notices.due(of, [ended], known, now=after(9_000)) == []
    assert notices.is_settled(ended, of, known)


def test_each_receiver_has_its_own_delay_and_an_acknowledgement_ends_the_escalation() -> None:
    of = settings(
        rules=[rule(receivers=["ops", "chief 30"])], receivers=[receiver(), receiver("chief", after_minutes=5), receiver("other")]
    )
    episode = firing()
    first = notices.due(of, [episode], [], now=after(1_799))
    assert kinds(first) == [("ops", "firing", 0)]
    known = told(first, after(1_799))
    assert kinds(notices.due(of, [episode], known, now=after(1_800))) == [("chief", "firing", 0)]
    taken = replace(episode, acknowledged_at=after(60), acknowledged_by="user:ada")
    assert notices.due(of, [taken], known, now=after(90_000)) == []
    ended = replace(taken, phase=Phase.RESOLVED, resolved_at=after(2_000))
    assert kinds(notices.due(of, [ended], known, now=after(2_000))) == [("ops", "resolved", 0)]  # the chief never heard of it


def test_receivers_may_want_only_severe_alarms_and_no_ends() -> None:
    of = settings(
        receivers=[receiver("loud", least_severity=Severity.CRITICAL), receiver("off", is_enabled=False), receiver(tells_the_end=False)]
    )
    episode = firing()
    first = notices.due(of, [episode], [], now=START)
    assert kinds(first) == [("ops", "firing", 0)]
    ended = replace(episode, phase=Phase.RESOLVED, resolved_at=after(5))
    assert notices.due(of, [ended], told(first, START), now=after(5)) == []
    assert notices.is_settled(ended, of, told(first, START))


def test_a_silenced_or_inhibited_alarm_is_told_when_that_is_over_if_it_is_still_active() -> None:
    of, episode = settings(), firing()
    for hidden in (replace(episode, is_silenced=True), replace(episode, inhibited_by="broker-away")):
        assert notices.due(of, [hidden], [], now=after(60)) == []
        assert notices.due(of, [replace(hidden, phase=Phase.RESOLVED, resolved_at=after(70))], [], now=after(70)) == []
    assert kinds(notices.due(of, [episode], [], now=after(61))) == [("ops", "firing", 0)]


def test_a_cause_inhibits_its_symptoms_also_while_it_is_pending() -> None:
    rules = {one.name: one for one in (rule("broker-away"), rule("queue", inhibited_by=["broker-away"]))}
    symptom = firing("queue")
    for phase, inhibitor in ((Phase.PENDING, "broker-away"), (Phase.FIRING, "broker-away"), (Phase.RESOLVED, ""), (Phase.MISSING, "")):
        assert notices.inhibitor_of(symptom, rules, [symptom, firing("broker-away", phase=phase)]) == inhibitor


def test_the_alarms_of_a_group_share_a_notice_and_others_do_not() -> None:
    rules = [rule("redis", group="services", severity=Severity.CRITICAL), rule("broker", group="services"), rule("disk")]
    found = notices.due(
        settings(rules=rules), [firing("redis"), firing("broker"), firing("disk", "host=a"), firing("disk", "host=b")], [], now=START
    )
    assert [(one.group, one.severity, sorted(episode.rule for _line, episode in one.lines)) for one in found] == [
        ("services", Severity.CRITICAL, ["broker", "redis"]),
        ("disk", Severity.WARNING, ["disk", "disk"]),
    ]


def test_a_first_notice_waits_for_the_group_and_the_next_for_its_interval() -> None:
    of = settings(group_wait_seconds=5, group_interval_seconds=60)
    first, second = firing(series="a"), firing(series="b", fired_at=after(3))
    assert notices.due(of, [first], [], now=after(4)) == []
    found = notices.due(of, [first, second], [], now=after(5))
    assert len(found) == 1
    assert len(found[0].lines) == 2
    known = told(found, after(5))
    third = firing(series="c", fired_at=after(10))
    assert notices.due(of, [first, second, third], known, now=after(64)) == []
    assert kinds(notices.due(of, [first, second, third], known, now=after(65))) == [("ops", "firing", 0)]


def test_an_outage_after_the_end_of_the_last_one_was_told_waits_for_no_interval() -> None:
    of = settings(group_wait_seconds=5, group_interval_seconds=60)
    first = firing()
    known = told(notices.due(of, [first], [], now=after(5)), after(5))
    ended = replace(first, phase=Phase.RESOLVED, resolved_at=after(50))
    again = firing(fired_at=after(60))
    assert notices.due(of, [ended, again], known, now=after(64)) == [], "the first outage is not over for who was not told its end"
    known += told(notices.due(of, [ended], known, now=after(65)), after(65))
    assert {one.line.kind for one in known} == {NoticeKind.FIRING, NoticeKind.RESOLVED}
    again = firing(fired_at=after(70))
    assert notices.due(of, [ended, again], known, now=after(74)) == []
    assert kinds(notices.due(of, [ended, again], known, now=after(75))) == [("ops", "firing", 0)]
    assert kinds(notices.due(of, [again], known, now=after(75))) == [("ops", "firing", 0)], "also when the ended one is no longer read"


def test_quiet_hours_hold_back_all_but_critical_alarms_until_their_end() -> None:
    of = settings(rules=[rule(), rule("worse", severity=Severity.CRITICAL, repeat_minutes=0)], quiet_start="22:00", quiet_end="07:00")
    night, morning = START.replace(hour=3), START.replace(hour=7)
    both = [firing(fired_at=night), firing("worse", fired_at=night)]
    found = notices.due(of, both, [], now=night)
    assert [episode.rule for one in found for _line, episode in one.lines] == ["worse"]
    assert {episode.rule for one in notices.due(of, both, told(found, night), now=morning) for _line, episode in one.lines} == {"backlog"}


@limits(max_examples=30)
@given(wait=st.integers(0, 60), hold=st.integers(30, 900), group_wait=st.integers(0, 30))
def test_a_metric_that_flaps_every_twenty_seconds_gives_at_most_two_notices_an_hour(wait: int, hold: int, group_wait: int) -> None:
    watched = rule(for_seconds=wait, hold_seconds=hold)
    of = settings(rules=[watched], group_wait_seconds=group_wait)
    known: list[Told] = []
    episodes: list[Episode] = []
    current: Episode | None = None
    for seconds in range(0, 3_600, 4):
        now, last = after(seconds), episodes[-1] if episodes else None
        current = step(watched, "", current, 101.0 if seconds // 20 % 2 else 5.0, now=now, before=last)
        if current is not None and current.phase == Phase.RESOLVED:
            episodes.append(current)
            current = None
        known += told(notices.due(of, [*episodes, *([current] if current else [])], known, now=now), now)
    assert len({one.at for one in known}) <= 2


def test_a_line_of_another_alarm_is_no_line_of_this_one() -> None:
    of, one, other = settings(), firing(series="a"), firing(series="b")
    known = [Told(Line(one.id, "ops", NoticeKind.FIRING), "backlog", START)]
    assert [episode.series for due in notices.due(of, [one, other], known, now=after(5)) for _line, episode in due.lines] == ["b"]
