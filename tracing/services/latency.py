"""Buckets of latencies, coarse enough to be counted in Redis each second: exact below 16 ms, within 6 per cent above.

A histogram after G. Tene's HdrHistogram, with eight buckets to the next power of two. Histograms of any spans add up bucket by bucket.
"""

from collections.abc import Mapping
from itertools import accumulate

STEPS = 8


def bucket_of(latency_ms: int) -> int:
    """Return the bucket of a latency: one a millisecond below 16, then 8 to the next power of two."""
    shift = max(0, latency_ms.bit_length() - 4)
    return STEPS * shift + (latency_ms >> shift)


def middle_of(bucket: int) -> int:
    """Return the latency in the middle of a bucket, in ms."""
    shift = max(0, bucket // STEPS - 1)
    return (bucket - STEPS * shift << shift) + ((1 << shift) - 1) // 2


def percentiles(histogram: Mapping[int, int], wanted: tuple[int, ...]) -> list[int | None]:
    """Return percentiles (nearest rank) in ms of a histogram, numbers by bucket; None for each where it is empty."""
    buckets = sorted(histogram)
    ranks = list(accumulate(histogram[bucket] for bucket in buckets))
    if not ranks or not ranks[-1]:
        return [None] * len(wanted)
    found = []
    for percent in wanted:
        rank = max(1, -(-ranks[-1] * percent // 100))
        found.append(next(middle_of(bucket) for bucket, reached in zip(buckets, ranks, strict=True) if reached >= rank))
    return list(found)
