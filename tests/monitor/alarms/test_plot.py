"""The plot of an alarm's metric: round numbers at its axis, whatever the values are."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.alarms import plot
from tests.monitor.alarms.rules import START, rule


def marks(*values: float) -> list[str]:
    samples = [(START + timedelta(seconds=place), value) for place, value in enumerate(values)]
    drawn = plot.draw(samples, (START, START + timedelta(hours=1)), None, fired_at=None, resolved_at=None)
    return [tick.text for tick in drawn.y_ticks]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([3, 141], ["0", "50", "100", "150"]),
        ([0], ["0", "0.25"]),
        ([1], ["0", "0.25", "0.5", "0.75", "1"]),
        ([99_500, 80_000], ["0", "25 k", "50 k", "75 k", "100 k"]),
        ([3_200_000], ["0", "1 M", "2 M", "3 M", "4 M"]),
        ([-3.0, 10.0], ["-5", "0", "5", "10"]),
        ([97.5], ["0", "25", "50", "75", "100"]),
    ],
)
def test_the_axis_has_round_numbers(values: list[float], expected: list[str]) -> None:
    assert marks(*values) == expected


@given(st.lists(st.floats(0, 1e9), min_size=1, max_size=20), st.floats(0, 1e9))
def test_every_value_and_threshold_lies_within_the_frame(values: list[float], bound: float) -> None:
    samples = [(START + timedelta(seconds=place), value) for place, value in enumerate(values)]
    span = START, START + timedelta(hours=1)
    drawn = plot.draw(samples, span, rule(bound=bound), fired_at=START, resolved_at=None)
    heights = [float(point.partition(",")[2]) for line in drawn.lines for point in line.split()]
    assert all(drawn.top - 0.1 <= height <= drawn.bottom + 0.1 for height in [*heights, drawn.bound or 0.0])
    assert 2 <= len(drawn.y_ticks) <= plot.TICKS + 2
