"""When a message is tried again."""

import random
from dataclasses import dataclass
from datetime import timedelta

from posthaste import env


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential back-off with equal jitter.

    delay(n) = min(base · 2^(n-1), longest) · uniform(0.5, 1) for the n-th retry, never below what the provider asked for
    (Brooker, "Exponential backoff and jitter", AWS architecture blog, 2015).
    """

    most_retries: int = 3
    base_seconds: float = 5.0
    longest_seconds: float = 900.0

    def delay(self, *, attempts: int, retry_after: float | None = None) -> timedelta | None:
        """This function will give the pause after the given number of attempts, or None if there were enough."""
        if attempts > self.most_retries:
            return None
        seconds = min(self.base_seconds * 2 ** (attempts - 1), self.longest_seconds) * random.uniform(0.5, 1.0)
        return timedelta(seconds=max(seconds, min(retry_after or 0.0, 86_400.0)))


def policy() -> RetryPolicy:
    """This function will give the policy in force."""
    return RetryPolicy(base_seconds=env.load().retry_base_seconds)
