"""When clocks warn and are due, against a simulator that looks minute by minute."""

import random
from datetime import UTC, date, datetime, timedelta

import pytest

from benchmarks.service_levels import difference, some_case
from routing.calendars.opening import OpeningTimes
from routing.service_levels import timeline

NOW = datetime(2026, 12, 1, 10, tzinfo=UTC)
OFFICE = OpeningTimes(UTC, [[(9 * 3600, 17 * 3600)]] * 5 + [[], []])


@pytest.mark.parametrize("seed", range(6))
def test_the_engine_agrees_with_a_simulator_that_looks_at_each_minute(seed: int) -> None:
    dice = random.Random(1_000 + seed)
    assert [wrong for _case in range(15) if (wrong := difference(some_case(dice)))] == []


def test_a_pause_is_measured_on_the_same_calendar_as_the_target() -> None:
    night = (NOW.replace(hour=18), NOW.replace(hour=23))
    over_night = (NOW.replace(hour=16), NOW.replace(hour=10) + timedelta(days=1))

    def due_at(*pauses: timeline.Pause) -> datetime | None:
        return timeline.due(OFFICE, started_at=NOW, target_seconds=8 * 3600, warn_percent=80, pauses=pauses).due_at

    assert due_at(night) == due_at() == NOW + timedelta(days=1)
    assert due_at(over_night) == NOW + timedelta(days=1, hours=2)
    assert due_at((NOW + timedelta(hours=1), None)) is None


@pytest.mark.parametrize(
    ("day", "now", "warns", "due"),
    [
        ("2026-12-02", "2026-12-01T10:00", "2026-12-02T09:00", "2026-12-02T17:00"),
        ("2026-12-01", "2026-12-01T10:00", None, "2026-12-01T17:00"),
        ("2026-12-05", "2026-12-01T10:00", None, "2026-12-07T09:00"),  # a Saturday
        ("2026-12-01", "2026-12-01T20:00", None, "2026-12-02T09:00"),  # late from the start: at the next opening
    ],
)
def test_what_is_due_by_day_is_told_in_business_hours(day: str, now: str, warns: str | None, due: str) -> None:
    found = timeline.due_by_day(OFFICE, date.fromisoformat(day), now=datetime.fromisoformat(f"{now}+00:00"))
    assert found.due_at == datetime.fromisoformat(f"{due}+00:00")
    assert found.warn_at == (datetime.fromisoformat(f"{warns}+00:00") if warns else None)
