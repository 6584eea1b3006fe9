"""Which times are taken: years 1970 to 2999, whatever the offset they are written or shown with."""

from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest

from posthaste.lib.dates import EARLIEST, LATEST, is_in_range
from posthaste.lib.ids import made_at

OFFSETS = [timedelta(hours=-23, minutes=-59), timedelta(), timedelta(hours=23, minutes=59)]


@pytest.mark.parametrize(
    "text",
    ["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "3000-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "2999-12-31T12:00:00-12:00"],
)
def test_a_time_that_leaves_the_years_in_some_zone_is_out_of_range(text: str) -> None:
    assert not is_in_range(datetime.fromisoformat(text))


@pytest.mark.parametrize("offset", OFFSETS, ids=str)
def test_what_is_in_range_stays_within_the_years_with_any_offset(offset: timedelta) -> None:
    zone = timezone(offset)
    assert EARLIEST.astimezone(zone).year >= 1970
    assert (LATEST - timedelta(microseconds=1)).astimezone(zone).year <= 2999
    assert is_in_range(datetime(2026, 1, 31, 8, tzinfo=zone))


def test_an_id_that_is_none_of_ours_has_a_time_all_the_same() -> None:
    assert made_at(UUID(int=2**128 - 1)) == LATEST
    assert made_at(UUID(int=0)) == datetime(1970, 1, 1, tzinfo=UTC)
