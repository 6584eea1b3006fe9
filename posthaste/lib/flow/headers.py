"""What an answer says about limits: `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-10), `Retry-After`.

    RateLimit-Policy: "accept-rate";q=1000;w=1, "accept-window";q=10000;w=60, "accept-at-once";q=500;qu="concurrent-requests"
    RateLimit: "accept-window";r=9313;t=58

Policies are all limits that a request had to pass; `RateLimit` is the one with the least left of it: `r` units, and `t` seconds until
the first of those in use come back.
"""

from collections.abc import Iterable

from posthaste.lib.flow.limiter import Pass
from posthaste.lib.flow.rules import Label


def policies(labels: Iterable[Label]) -> str:
    """Return the value of `RateLimit-Policy`."""
    return ", ".join(f'"{label.policy}";{_quota(label)}' for label in labels)


def _quota(label: Label) -> str:
    if not label.seconds:
        return f'q={label.quota};qu="concurrent-requests"'
    counted = ';qu="messages"' if label.counts_cost else ""
    return f"q={label.quota};w={label.seconds}{counted}"


def retry_after_seconds(wait_us: int) -> int:
    """Return whole seconds, at least one."""
    return max(1, -(-wait_us // 1_000_000))


def of(passed: Pass) -> dict[str, str]:
    """Return the headers of an answer, whether it was let in or refused."""
    plan, answer = passed.plan, passed.answer
    if not plan.policies:
        return {}
    found = {"RateLimit-Policy": plan.policies}
    if answer.check:
        label = plan.labels[answer.check - 1]
        seconds = retry_after_seconds(answer.reset_us)
        if label.seconds:  # the parts of a window end somewhat after it, and a cost above the limit is paid off over several windows
            seconds = min(seconds, label.seconds)
        found["RateLimit"] = f'"{label.policy}";r={answer.remaining};t={seconds}'
    return found
