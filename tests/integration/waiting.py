"""Wait for what a running installation does, for as long as something moves."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.patience import Watch

QUIET_SECONDS = 60.0
CAP_SECONDS = 600.0
LOOK_SECONDS = 1.0
#: Where a test does not say how often it asks: after a twentieth of what it has waited, so that long waits cost few calls.
SOONEST_SECONDS, LATEST_SECONDS, PART = 0.05, 0.25, 0.05


def poll(
    what: Callable[[], Any],
    *,
    progress: Callable[[], object] | None = None,
    quiet_seconds: float = QUIET_SECONDS,
    cap_seconds: float = CAP_SECONDS,
    every: float | None = None,
    look_seconds: float = LOOK_SECONDS,
    reason: str | Callable[[], object] = "",
) -> Any:
    """Ask until the answer is true and return it; fail when nothing moves any more.

    A slow or busy machine takes longer, but something goes on there; so the deadline starts anew whenever it does. Virtual machines
    are stopped for a minute now and then; so time in which we could not look either counts as one step.

    Args:
        what: the question.
        progress: what moves on the way there, such as a count; by default the answer itself.
        quiet_seconds: how long nothing may move.
        cap_seconds: the longest wait, whatever moves.
        every: seconds between two questions; by default the more, the longer the wait.
        look_seconds: the same for looks at the progress, which may cost a call.
        reason: what a failure says, or is asked for then.

    Raises:
        AssertionError: nothing has moved for `quiet_seconds`, or the cap is reached.
    """
    watch = Watch()
    moved = 0.0
    looked = float("-inf")
    seen: object = None
    while True:
        answer = what()
        if answer:
            return answer
        now = watch.read()
        if progress is None or now - looked >= look_seconds:
            value, looked = progress() if progress else answer, now
            if value != seen:
                seen, moved = value, now
        over = f"nothing has moved for {now - moved:.0f} s" if now - moved > quiet_seconds else ""
        if not over and now > cap_seconds:
            over = f"not within {cap_seconds:.0f} s, although something moves"
        if over:
            said = reason() if callable(reason) else reason
            raise AssertionError(f"{said or f'still {answer!r}'} ({over}; last seen: {seen!r})")
        time.sleep(min(max(PART * now, SOONEST_SECONDS), LATEST_SECONDS) if every is None else every)


def sizes(*paths: Path) -> list[int]:
    """Return the sizes of files, 0 where there is none: a growing log is progress."""
    return [path.stat().st_size if path.exists() else 0 for path in paths]


def reach(count: Callable[[], int], least: int, *, every: float | None = None, reason: str | Callable[[], object] = "") -> None:
    """Wait until a count has come so far; every step of it is progress."""
    poll(lambda: count() >= least, progress=count, every=every, reason=reason)
