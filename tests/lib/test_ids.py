from datetime import UTC, datetime, timedelta
from uuid import RFC_4122, UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posthaste.lib.ids import first_id_at, made_at, new_id, trace_id, unix_ms
from tests import crowds

MOMENTS = st.datetimes(min_value=datetime(1970, 1, 2), max_value=datetime(2999, 12, 1), timezones=st.just(UTC))  # noqa: DTZ001 - the zone is given


def test_an_id_is_a_uuid_of_version_7() -> None:
    identifier = new_id()
    assert type(identifier) is UUID
    assert (identifier.version, identifier.variant) == (7, RFC_4122)


def test_ids_sort_by_age() -> None:
    made = [new_id() for _ in range(5000)]
    assert made == sorted(made)
    assert [identifier.hex for identifier in made] == sorted(identifier.hex for identifier in made)


def test_no_two_threads_make_the_same_id() -> None:
    with crowds.pool(16) as pool:
        made = list(pool.map(lambda _n: [new_id() for _ in range(500)], range(16)))
    assert len({identifier for some in made for identifier in some}) == 8000


def test_an_id_tells_when_it_was_made() -> None:
    before = datetime.now(UTC) - timedelta(milliseconds=2)
    identifier = new_id()
    assert before <= made_at(identifier) <= datetime.now(UTC) + timedelta(milliseconds=2)
    assert unix_ms(identifier) == int(made_at(identifier).timestamp() * 1000 + 0.5)


def test_the_trace_id_is_what_w3c_trace_context_asks_for() -> None:
    text = trace_id(new_id())
    assert len(text) == 32
    assert set(text) <= set("0123456789abcdef")
    assert text != "0" * 32


@given(MOMENTS, st.integers(min_value=1, max_value=10**6))
def test_the_first_id_at_a_moment_lies_between_before_and_after(moment: datetime, ms: int) -> None:
    first = first_id_at(moment)
    assert first_id_at(moment - timedelta(milliseconds=min(ms, int(moment.timestamp() * 1000)))) <= first
    assert abs((made_at(first) - moment).total_seconds()) < 0.0011


@pytest.mark.parametrize("moment", [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC), datetime(1969, 12, 31, tzinfo=UTC)])
def test_moments_outside_of_what_an_id_can_tell_still_have_a_first_id(moment: datetime) -> None:
    assert first_id_at(datetime.min.replace(tzinfo=UTC)) <= first_id_at(moment) <= first_id_at(datetime.max.replace(tzinfo=UTC))


def test_an_id_made_now_lies_after_the_first_id_of_this_millisecond() -> None:
    now = datetime.now(UTC)
    assert first_id_at(now) < new_id() < first_id_at(now + timedelta(seconds=10))
