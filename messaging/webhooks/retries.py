"""When a request that failed is tried again, and for how long an endpoint counts as failing."""

import random
from datetime import datetime, timedelta

from messaging.configuration import webhooks
from messaging.models import WebhookEndpoint

FIRST_PAUSE_SECONDS, MAX_PAUSE_SECONDS = 5.0, 3_600.0
JITTER = 0.2
MIN_ATTEMPTS = 4  # before a request is given up, if max_attempt_hours is short


def backoff(failures: int, retry_after: float | None = None) -> timedelta:
    """Return how long to wait after so many failures in a row: doubled each time, and as long as the receiver asked for, up to `max_pause`.

    Jitter keeps endpoints that failed together from coming back together.
    """
    seconds = min(max_pause(), FIRST_PAUSE_SECONDS * 2 ** min(failures - 1, 20)) * random.uniform(1 - JITTER, 1 + JITTER)
    return timedelta(seconds=max(seconds, min(retry_after or 0.0, max_pause())))


def max_pause() -> float:
    """Return the longest pause between two attempts in seconds. A request is tried some times before it is given up."""
    return min(MAX_PAUSE_SECONDS, webhooks.value.max_attempt_hours * 3600 / MIN_ATTEMPTS)


def leave_out_idle_time(endpoint: WebhookEndpoint, now: datetime) -> None:
    """Move the beginning of failing so that it counts only times in which the endpoint was tried.

    While it is disabled, its breaker is held open, its tenant is inactive, it has no events or no sender runs, nothing is tried: the first
    failure afterwards must neither give up a request nor disable the endpoint.
    """
    if endpoint.attempted_at is None:
        return
    idle = now - endpoint.attempted_at - timedelta(seconds=max_pause() * (1 + JITTER))
    if idle > timedelta(0):
        endpoint.inflight_since = endpoint.inflight_since and min(endpoint.inflight_since + idle, now)
        endpoint.failing_since = endpoint.failing_since and min(endpoint.failing_since + idle, now)
