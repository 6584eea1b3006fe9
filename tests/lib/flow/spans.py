"""Counting what was let in within spans of time."""

from collections.abc import Sequence


def max_in_any_span(taken: Sequence[int], span_us: int) -> int:
    """Return the largest number of (sorted) times within any span."""
    most = first = 0
    for last, at in enumerate(taken):
        while taken[first] <= at - span_us:
            first += 1
        most = max(most, last - first + 1)
    return most
