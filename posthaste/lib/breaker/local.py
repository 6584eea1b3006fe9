"""The breaker of one process alone, for the time that Redis is away: the same rules on what this process sees itself."""

import time

from posthaste.lib.breaker.state import Phase, Rule, Tally


class LocalBreaker:
    """Counts in tenths of the window; times are monotonic seconds."""

    def __init__(self) -> None:
        self._tenths: dict[int, list[int]] = {}
        self._retry_at = 0.0
        self._is_open = False
        self._trials = self._passed = 0
        self._asked = 0.0
        self.epoch = 0

    def phase(self) -> Phase:
        """Return whether calls may be made."""
        if not self._is_open:
            return Phase.CLOSED
        return Phase.HALF_OPEN if time.monotonic() >= self._retry_at else Phase.OPEN

    @property
    def wait_seconds(self) -> float:
        """Until trial calls are made."""
        return max(0.0, self._retry_at - time.monotonic())

    def admit(self, wanted: int, rule: Rule, lease_seconds: float) -> int:
        """Grant trial calls."""
        clock = time.monotonic()
        if self._trials >= rule.trial_calls and clock - self._asked > lease_seconds:
            self._trials = self._passed = 0
        granted = max(0, min(wanted, rule.trial_calls - self._trials))
        if granted:
            self._trials, self._asked = self._trials + granted, clock
        return granted

    def record(self, tally: Tally, rule: Rule, *, is_trial: bool) -> None:
        """Count what calls gave, and open or close."""
        clock = time.monotonic()
        if is_trial and self._is_open:
            self._trials -= tally.unused
            self._passed += tally.calls
            if tally.errors + tally.slow:
                self._open(clock, rule)
            elif self._passed >= rule.trial_calls:
                self._is_open = False
            return
        if is_trial or self._is_open:
            return
        tenth = int(clock / (rule.window_seconds / 10))
        counts = self._tenths.setdefault(tenth, [0, 0, 0])
        for i, number in enumerate((tally.calls, tally.slow, tally.errors)):
            counts[i] += number
        for old in [at for at in self._tenths if at <= tenth - 10]:
            del self._tenths[old]
        calls, slow, errors = (sum(kept[i] for kept in self._tenths.values()) for i in range(3))
        if calls >= rule.min_requests and (
            (rule.error_percent and errors * 100 >= rule.error_percent * calls)
            or (rule.error_count and errors >= rule.error_count)
            or (rule.slow_percent and slow * 100 >= rule.slow_percent * calls)
        ):
            self._open(clock, rule)

    def _open(self, clock: float, rule: Rule) -> None:
        self._is_open, self._retry_at = True, clock + rule.open_seconds
        self._trials = self._passed = 0
        self._tenths.clear()
