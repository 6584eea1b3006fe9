"""What failed in a sweep rests, longer each time, and is forgotten after a while."""

from datetime import UTC, datetime, timedelta

from posthaste.lib.ids import new_id
from posthaste.lib.resting import BACK_OFF, FORGOTTEN, Resting

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)


def test_what_failed_rests_longer_each_time_and_is_forgotten_in_the_end() -> None:
    resting, one, at = Resting(f"sweep-{new_id()}"), new_id(), NOW
    for rest in (*BACK_OFF, BACK_OFF[-1]):
        assert resting.ids(now=at) == []
        resting.failed(one, now=at)
        assert resting.ids(now=at + rest - timedelta(seconds=1)) == [str(one)]
        at += rest
    at += FORGOTTEN
    assert resting.ids(now=at) == []
    resting.failed(one, now=at)
    assert resting.ids(now=at + BACK_OFF[0]) == [], "it counts as the first failure again"
