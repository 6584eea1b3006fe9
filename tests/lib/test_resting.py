"""What failed in a sweep rests, longer each time, and is forgotten after a while."""

from datetime import UTC, datetime, timedelta

import pytest

from posthaste.lib import resting as module
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


def test_where_too_much_fails_what_rests_already_goes_on_resting_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 1)
    resting = Resting(f"sweep-{new_id()}")
    resting.failed("a", now=NOW)
    resting.failed("b", now=NOW)
    assert resting.ids(now=NOW) == ["a"]
    resting.failed("a", now=NOW + BACK_OFF[0])
    assert resting.ids(now=NOW + BACK_OFF[0] + BACK_OFF[1] - timedelta(seconds=1)) == ["a"]
