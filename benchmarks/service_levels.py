"""Proof of the clocks of service levels, against a simulator that looks at the clock on the wall minute by minute.

    python -m benchmarks.service_levels [--cases 10000] [--seed 1]

Each case has a time zone, mostly with a change of clocks within reach, a week, holidays and make-up days, a target, and pauses. Exit status
0: in every case the engine says the same due time and warning as the simulator, and counts the same time used. The first case that differs
is printed. The short form is in tests/routing/service_levels/test_timeline.py.
"""

import argparse
import random
import sys
import time
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from routing.calendars.opening import OpeningTimes
from routing.service_levels import timeline

MINUTE = timedelta(minutes=1)
#: So long the simulator looks; what is due later is not due for it.
HORIZON = timedelta(days=12)
ZONES = (
    "Africa/Cairo", "Africa/Casablanca", "America/Havana", "America/New_York", "America/Santiago", "America/Sao_Paulo", "America/St_Johns",
    "Asia/Beirut", "Asia/Kathmandu", "Asia/Shanghai", "Australia/Lord_Howe", "Europe/Berlin", "Pacific/Apia", "UTC",
)  # fmt: skip
YEARS = (2005, 2011, 2018, 2024, 2026)
Periods = list[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Case:
    """A clock and its calendar."""

    zone: str
    week: list[Periods]
    days: dict[date, Periods]
    started_at: datetime
    target_minutes: int
    warn_percent: int
    pauses: list[timeline.Pause]

    def opening(self) -> OpeningTimes:
        """Return the opening times that the engine uses."""
        return OpeningTimes(ZoneInfo(self.zone), self.week, self.days)


def some_case(dice: random.Random) -> Case:
    """Make a case by chance."""
    zone = dice.choice(ZONES)
    start = _some_start(dice, ZoneInfo(zone))
    closed_days = dice.choice((0, 2, 2, 5))
    week = [[] if day >= 7 - closed_days else _some_periods(dice) for day in range(7)]
    near = [(start + timedelta(days=dice.randint(0, 8))).date() for _day in range(dice.randint(0, 3))]
    days: dict[date, Periods] = {day: _some_periods(dice) if dice.random() < 0.4 else [] for day in near}
    return Case(
        zone, week, days, start, dice.choice((1, 15, 60, 240, dice.randint(1, 3_000))), dice.randint(1, 99), _some_pauses(dice, start)
    )


def simulate(case: Case) -> tuple[datetime | None, datetime | None, int]:
    """Look at each minute: return when it warns, when it is due, and how many seconds it has used at the end; None: not within reach."""
    zone, wanted = ZoneInfo(case.zone), case.target_minutes * 60
    reached: dict[float, datetime | None] = {wanted * case.warn_percent / 100: None, wanted: None}
    used, at = 0, case.started_at
    while at < case.started_at + HORIZON and reached[wanted] is None:
        local = at.astimezone(zone)
        seconds = local.hour * 3600 + local.minute * 60
        periods = case.days.get(local.date(), case.week[local.weekday()])
        is_open = any(start <= seconds < end for start, end in periods)
        is_paused = any(start <= at and (end is None or at < end) for start, end in case.pauses)
        if is_open and not is_paused:
            for mark, when in reached.items():
                if when is None and used + 60 >= mark:
                    reached[mark] = at + timedelta(seconds=mark - used)
            used += 60
        at += MINUTE
    warn_at, due_at = reached.values()
    return warn_at, due_at, used


def difference(case: Case) -> str:
    """Say in what the engine and the simulator differ; empty: in nothing."""
    warn_at, due_at, used = simulate(case)
    opening = case.opening()
    found = timeline.due(
        opening,
        started_at=case.started_at,
        target_seconds=case.target_minutes * 60,
        warn_percent=case.warn_percent,
        pauses=case.pauses,
    )
    end = case.started_at + HORIZON
    for name, simulated, engine in (("warns", warn_at, found.warn_at), ("is due", due_at, found.due_at)):
        if simulated != (engine if engine is not None and engine <= end else None):
            return f"{name} {engine}, simulated {simulated}: {case}"
    until = due_at or end
    counted = timeline.used_seconds(opening, started_at=case.started_at, until=until, pauses=case.pauses)
    if counted != (case.target_minutes * 60 if due_at else used):
        return f"used {counted} s, simulated {used}: {case}"
    return ""


def _some_start(dice: random.Random, zone: ZoneInfo) -> datetime:
    start = datetime(dice.choice(YEARS), 1, 1, tzinfo=UTC) + timedelta(minutes=dice.randrange(365 * 1440))
    if dice.random() < 0.4:
        return start
    offset = start.astimezone(zone).utcoffset()
    changes = (at for day in range(250) if (at := start + timedelta(days=day)).astimezone(zone).utcoffset() != offset)
    return next(changes, start) - timedelta(minutes=dice.randrange(4_000))


def _some_periods(dice: random.Random) -> Periods:
    """Make up to three periods of a day, some from or until midnight."""
    if dice.random() < 0.1:
        return [(0, 86_400)]
    edges = sorted(dice.sample(range(0, 1441, dice.choice((1, 15, 30))), 2 * dice.randint(0, 3)))
    return [(start * 60, end * 60) for start, end in zip(edges[::2], edges[1::2], strict=True)]


def _some_pauses(dice: random.Random, start: datetime) -> list[timeline.Pause]:
    found: list[timeline.Pause] = []
    for _pause in range(dice.choice((0, 0, 1, 2, 4))):
        begin = start + timedelta(minutes=dice.randrange(-60, 5_000))
        found.append((begin, None if dice.random() < 0.1 else begin + timedelta(minutes=dice.randrange(3_000))))
    return found


def main() -> int:
    """Compare, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    dice, began = random.Random(options.seed), time.monotonic()
    due = 0
    for number in range(options.cases):
        case = some_case(dice)
        if wrong := difference(case):
            print(f"case {number}: {wrong}")
            return 1
        due += simulate(case)[1] is not None if number < 500 else 0
    print(f"{options.cases} cases agree, {time.monotonic() - began:.0f} s; of the first 500, {due} are due within {HORIZON.days} days")
    return 0


if __name__ == "__main__":
    sys.exit(main())
