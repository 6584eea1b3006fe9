"""Buckets of latencies."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from tracing.services.latency import bucket_of, middle_of, percentiles

LATENCIES = st.integers(0, 2**31 - 1)


@given(LATENCIES)
def test_the_middle_of_a_bucket_is_within_six_per_cent(latency: int) -> None:
    assert abs(middle_of(bucket_of(latency)) - latency) <= 0.0625 * latency


@given(LATENCIES, LATENCIES)
def test_buckets_rise_with_the_latency(one: int, other: int) -> None:
    assert (bucket_of(min(one, other))) <= bucket_of(max(one, other))
    assert bucket_of(middle_of(bucket_of(one))) == bucket_of(one)


@given(st.lists(LATENCIES, min_size=1), st.lists(LATENCIES))
def test_histograms_add_up(some: list[int], more: list[int]) -> None:
    together = Counter(map(bucket_of, some)) + Counter(map(bucket_of, more))
    exact = sorted(some + more)
    for percent, found in zip((50, 95, 99), percentiles(together, (50, 95, 99)), strict=True):
        at_rank = exact[max(1, -(-len(exact) * percent // 100)) - 1]
        assert found is not None
        assert abs(found - at_rank) <= 0.0625 * at_rank


def test_nothing_has_no_percentile() -> None:
    assert percentiles({}, (50, 99)) == [None, None]
