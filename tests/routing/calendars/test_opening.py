"""Arithmetic on opening times, against the clock on the wall."""

import random
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from routing.calendars.opening import OpeningTimes, Period

HOUR, MINUTE = 3600, timedelta(minutes=1)
OFFICE: list[list[Period]] = [[(9 * HOUR, 12 * HOUR), (13 * HOUR, 18 * HOUR)]] * 5 + [[], []]
NEVER: list[list[Period]] = [[] for _day in range(7)]
ALWAYS: list[list[Period]] = [[(0, 24 * HOUR)]] * 7
BERLIN = ZoneInfo("Europe/Berlin")
#: Zones with changes of half an hour, at midnight, of a whole day, or often.
ZONES = (
    "Europe/Berlin",
    "Australia/Lord_Howe",
    "America/Sao_Paulo",
    "Asia/Beirut",
    "America/St_Johns",
    "Pacific/Apia",
    "Africa/Casablanca",
)


def berlin(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN)


def some_week(dice: random.Random) -> list[list[Period]]:
    """Make a week with up to three periods a day."""
    week: list[list[Period]] = []
    for _day in range(7):
        edges = sorted(dice.sample(range(1441), 2 * dice.randint(0, 3)))
        week.append([(start * 60, end * 60) for start, end in zip(edges[::2], edges[1::2], strict=True)])
    return week


def some_start(dice: random.Random, zone: ZoneInfo) -> datetime:
    """Choose a moment, mostly little before a change of clocks."""
    start = datetime(dice.choice((2005, 2011, 2018, 2026)), 1, 1, tzinfo=UTC) + timedelta(minutes=dice.randrange(365 * 1440))
    offset = start.astimezone(zone).utcoffset()
    changes = (at for day in range(200) if (at := start + timedelta(days=day)).astimezone(zone).utcoffset() != offset)
    return next(changes, start) - timedelta(minutes=dice.randrange(2_000)) if dice.random() < 0.7 else start


@pytest.mark.parametrize("seed", range(40))
def test_opening_time_is_what_the_clock_on_the_wall_shows_minute_by_minute(seed: int) -> None:
    dice = random.Random(seed)
    zone, week = ZoneInfo(dice.choice(ZONES)), some_week(dice)
    opening, start = OpeningTimes(zone, week), some_start(dice, zone)
    open_minutes, at = 0, start
    for _minute in range(dice.randrange(3_000)):
        local = at.astimezone(zone)
        seconds = local.hour * HOUR + local.minute * 60
        is_open = any(begin <= seconds < end for begin, end in week[local.weekday()])
        assert opening.is_open(at) is is_open, at
        open_minutes, at = open_minutes + is_open, at + MINUTE
    assert opening.business_seconds_between(start, at) == open_minutes * 60
    if open_minutes:
        reached = opening.add_business_seconds(start, open_minutes * 60)
        assert reached is not None
        assert reached <= at
        assert opening.business_seconds_between(start, reached) == open_minutes * 60


def test_time_goes_on_at_the_next_opening() -> None:
    opening = OpeningTimes(BERLIN, OFFICE, {date(2026, 12, 25): []})
    assert opening.add_business_seconds(berlin("2026-12-24T17:30"), HOUR) == berlin("2026-12-28T09:30")
    assert opening.next_opening(berlin("2026-12-24T18:00")) == berlin("2026-12-28T09:00")
    assert opening.next_opening(berlin("2026-12-24T12:30")) == berlin("2026-12-24T13:00")
    assert opening.next_opening(berlin("2026-12-24T14:07")) == berlin("2026-12-24T14:07")


def test_a_make_up_day_has_hours_of_its_own() -> None:
    opening = OpeningTimes(ZoneInfo("Asia/Shanghai"), OFFICE, {date(2026, 2, 14): [(10 * HOUR, 12 * HOUR)]})
    saturday = datetime(2026, 2, 14, tzinfo=UTC)
    assert opening.business_seconds_between(saturday, saturday + timedelta(days=2)) == 2 * HOUR


def test_a_calendar_that_never_opens_says_so() -> None:
    opening = OpeningTimes(BERLIN, NEVER, {date(2026, 12, 1): [(0, 60)]})
    assert opening.next_opening(berlin("2026-12-02T00:00")) is None
    assert opening.add_business_seconds(berlin("2026-11-01T00:00"), 61) is None
    assert opening.add_business_seconds(berlin("2026-11-01T00:00"), 60) == berlin("2026-12-01T00:01")
    assert OpeningTimes(BERLIN, NEVER).end_of_day(date(2026, 12, 1)) is None


@pytest.mark.parametrize(
    ("week", "day", "due"),
    [
        (OFFICE, date(2026, 12, 1), "2026-12-01T18:00"),
        (OFFICE, date(2026, 12, 5), "2026-12-07T09:00"),  # a Saturday: when it opens again
        (ALWAYS, date(2026, 12, 1), "2026-12-02T09:00"),  # not at midnight
        ([[(0, 24 * HOUR)], *NEVER[1:]], date(2026, 11, 30), "2026-12-07T09:00"),
    ],
)
def test_what_is_due_on_a_day_is_due_when_the_desk_closes_then(week: list[list[Period]], day: date, due: str) -> None:
    assert OpeningTimes(BERLIN, week).end_of_day(day) == berlin(due)
