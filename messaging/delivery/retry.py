"""When a message is tried again."""

import random
from datetime import timedelta

from messaging.configuration import retry_policy


def delay(*, tenant_id: int, attempts: int, retry_after: float | None = None) -> timedelta | None:
    """Return the pause after the given number of attempts, or None if there were enough.

    Exponential back-off with equal jitter: min(base · 2^(n-1), longest) · uniform(0.5, 1) for the n-th retry, never below what the
    provider asked for (Brooker, "Exponential backoff and jitter", AWS architecture blog, 2015). The figures are those of the module
    *retry policy*, with the tenant's overrides.
    """
    policy = retry_policy.of(tenant_id)
    if attempts > policy.max_retries:
        return None
    seconds = min(policy.base_seconds * 2 ** (attempts - 1), policy.max_seconds) * random.uniform(0.5, 1.0)
    return timedelta(seconds=max(seconds, min(retry_after or 0.0, policy.max_retry_after_seconds)))
