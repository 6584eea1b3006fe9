"""When jobs fire: through clock changes, on working days, at intervals."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.utils import translation

from jobs.services import calendars
from jobs.services.timing import Schedule
from posthaste.lib.crontab import check_cron

#: Nights in which clocks change, with an hour before and after: zone, start, end (UTC).
NIGHTS = {
    "New York, forward": ("America/New_York", datetime(2026, 3, 8, 4, tzinfo=UTC), datetime(2026, 3, 8, 10, tzinfo=UTC)),
    "New York, back": ("America/New_York", datetime(2026, 11, 1, 3, tzinfo=UTC), datetime(2026, 11, 1, 9, tzinfo=UTC)),
    "Lord Howe, forward": ("Australia/Lord_Howe", datetime(2026, 10, 3, 13, tzinfo=UTC), datetime(2026, 10, 3, 19, tzinfo=UTC)),
    "Lord Howe, back": ("Australia/Lord_Howe", datetime(2026, 4, 4, 12, tzinfo=UTC), datetime(2026, 4, 4, 18, tzinfo=UTC)),
    "Cairo, forward": ("Africa/Cairo", datetime(2026, 4, 23, 20, tzinfo=UTC), datetime(2026, 4, 24, 2, tzinfo=UTC)),
    "Santiago, back": ("America/Santiago", datetime(2026, 4, 5, 0, tzinfo=UTC), datetime(2026, 4, 5, 7, tzinfo=UTC)),
}


def fired(schedule: Schedule, start: datetime, end: datetime) -> list[datetime]:
    """Return all fire times of a span, asking from one to the next."""
    found: list[datetime] = []
    moment = start
    while (following := schedule.next_after(moment)) is not None and following <= end:
        found.append(following)
        moment = following
    return found


def local(moments: list[datetime], zone: str) -> list[str]:
    return [f"{moment.astimezone(ZoneInfo(zone)):%H:%M %z}" for moment in moments]


@pytest.mark.parametrize(
    ("cron", "night", "expected"),
    [
        ("30 2 * * *", "New York, forward", ["03:00 -0400"]),
        ("30 1 * * *", "New York, back", ["01:30 -0400"]),
        ("0 * * * *", "New York, forward", ["00:00 -0500", "01:00 -0500", "03:00 -0400", "04:00 -0400", "05:00 -0400", "06:00 -0400"]),
        ("0 * * * *", "New York, back", ["00:00 -0400", "01:00 -0400", "01:00 -0500", "02:00 -0500", "03:00 -0500", "04:00 -0500"]),
        ("15 2 * * *", "Lord Howe, forward", ["02:30 +1100"]),
        ("45 1 * * *", "Lord Howe, back", ["01:45 +1100"]),
        ("15 0 * * *", "Cairo, forward", ["01:00 +0300"]),
        ("30 23 * * *", "Santiago, back", ["23:30 -0300"]),
    ],
)
def test_a_cron_job_follows_debians_rules_when_clocks_change(cron: str, night: str, expected: list[str]) -> None:
    zone, start, end = NIGHTS[night]
    assert local(fired(Schedule(cron=cron, zone=zone), start, end), zone) == expected


@pytest.mark.parametrize("night", NIGHTS)
@pytest.mark.parametrize("cron", ["30 2 * * *", "45 1 * * *", "*/7 * * * *", "0 * * * *", "15,45 1,2 * * *", "0 0 * * *"])
def test_fire_times_do_not_depend_on_when_one_asks(cron: str, night: str) -> None:
    zone, start, end = NIGHTS[night]
    schedule = Schedule(cron=cron, zone=zone)
    expected = fired(schedule, start, end)
    assert expected == sorted(set(expected))
    moment = start
    while moment < end:
        following = next((each for each in expected if each > moment), None)
        found = schedule.next_after(moment)
        assert (found if found is not None and found <= end else None) == following, moment
        moment += timedelta(minutes=1)


def test_an_interval_is_exact_and_one_of_days_keeps_its_time_of_day() -> None:
    anchor = datetime(2026, 3, 7, 14, 30, tzinfo=UTC)  # 09:30 in New York
    daily = Schedule(every=timedelta(days=1), zone="America/New_York", anchor=anchor)
    assert local(daily.upcoming(anchor, 3), "America/New_York") == ["09:30 -0400"] * 3
    shorter = Schedule(every=timedelta(hours=23, minutes=59), zone="America/New_York", anchor=anchor)
    assert shorter.upcoming(anchor, 2) == [anchor + timedelta(hours=23, minutes=59), anchor + timedelta(hours=47, minutes=58)]


def test_an_interval_keeps_its_beat_however_late_one_asks() -> None:
    anchor = datetime(2026, 5, 1, tzinfo=UTC)
    schedule = Schedule(every=timedelta(hours=7), anchor=anchor)
    late = anchor + timedelta(hours=100)
    assert schedule.next_after(late) == anchor + timedelta(hours=105)
    assert schedule.last_until(after=anchor, until=late) == anchor + timedelta(hours=98)
    assert schedule.last_until(after=anchor, until=anchor + timedelta(hours=6)) is None


def test_a_job_of_a_working_day_calendar_knows_weekends_holidays_and_exchanged_days() -> None:
    weekdays = Schedule(cron="0 9 * * *", calendar="weekdays")
    friday = datetime(2026, 11, 27, 12, tzinfo=UTC)
    assert [each.day for each in weekdays.upcoming(friday, 2)] == [30, 1]
    china = Schedule(cron="0 9 * * *", zone="Asia/Shanghai", calendar="CN")
    before = datetime(2025, 9, 30, 12, tzinfo=UTC)
    days = [f"{each.astimezone(ZoneInfo('Asia/Shanghai')):%m-%d}" for each in china.upcoming(before, 3)]
    assert days == ["10-09", "10-10", "10-11"], "the national holiday is long, and the Saturday after it is worked"


def test_one_moment_a_start_and_an_end_bound_the_times() -> None:
    at = datetime(2026, 6, 1, 12, tzinfo=UTC)
    once = Schedule(at=at)
    assert once.upcoming(at - timedelta(days=3)) == [at]
    assert once.next_after(at) is None
    hour = timedelta(hours=1)
    bounded = Schedule(cron="0 * * * *", starts_at=at, ends_at=at + 2 * hour)
    assert bounded.upcoming(at - timedelta(days=9)) == [at, at + hour, at + 2 * hour]


@pytest.mark.parametrize("wrong", ["", "* * * *", "99 4 * * *", "0 0 31 2 *", "* * * * * *", "every day at noon now"])
def test_a_cron_expression_that_is_wrong_or_never_comes_round_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        check_cron(wrong)


@pytest.mark.parametrize(("cron", "calendar"), [("0 0 25 12 *", "DE"), ("0 0 1 1 *", "US"), ("0 0 * * 0", "weekdays")])
def test_a_schedule_of_nothing_but_days_off_never_fires(cron: str, calendar: str) -> None:
    assert Schedule(cron=cron, calendar=calendar).next_after(datetime(2026, 11, 29, tzinfo=UTC)) is None


def test_countries_are_named_in_the_language_of_the_reader() -> None:
    with translation.override("en"):
        english = calendars.names()
    with translation.override("zh-hans"):
        chinese = calendars.names()
    assert (english["CN"], english["US"]) == ("CN · China", "US · United States")
    assert (chinese["CN"], chinese["US"]) == ("CN · 中国", "US · 美国")
    assert list(english) == list(chinese)
    assert len(english) > 150
