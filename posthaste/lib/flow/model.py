"""The limiter in plain Python, step by step as in `enter.lua`, on whatever clock it is given.

Three uses: the local limiter while Redis is away, the replay of recorded traffic against a draft, and the tests, which compare
the script with it.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil, floor
from typing import NamedTuple

from posthaste.lib.flow.rules import PARTS, Check


class Answer(NamedTuple):
    """What became of a question; see the header of `enter.lua`."""

    verdict: int
    wait_us: int
    check: int
    remaining: int
    reset_us: int


def warmth(rate: float, cold: float, warm_us: int) -> tuple[float, float]:
    """Return the stored tokens above which a rule is cold, and their most (Guava's SmoothWarmingUp)."""
    warning = rate * warm_us / 1_000_000 / (cold - 1)
    return warning, warning + 2 * rate * warm_us / 1_000_000 / (1 + cold)


def warm_rate(stored: float, rate: float, cold: float, warm_us: int) -> float:
    """Return the rate at so many stored tokens: from rate ÷ cold factor at the most of them up to the rate."""
    warning, most = warmth(rate, cold, warm_us)
    if stored <= warning:
        return rate
    return 1 / ((stored - warning) * (cold - 1) / rate / (most - warning) + 1 / rate)


@dataclass(slots=True)
class Window:
    """Counts in parts of a span."""

    span: int
    width: int
    parts: dict[int, int] = field(default_factory=dict)
    total: int = 0
    oldest: int = 0
    newest: int = 0
    owed: int = 0
    stored: float | None = None
    at: int = 0

    def forward(self, check: Check, now: int) -> None:
        if self.total > 0:
            first = floor((now - self.span) / self.width)
            if self.newest < first:
                self.total, self.parts = 0, {}
            while self.total > 0 and self.oldest < first:
                self.total -= self.parts.pop(self.oldest, 0)
                self.oldest += 1
        if check.warm_up_us:
            rate, cold = check.rate, check.cold_factor
            warning, most = warmth(rate, cold, check.warm_up_us)
            if self.stored is None:
                self.stored = most
            elif self.stored < warning or self.total < 0.9 * rate / cold:
                self.stored = min(most, self.stored + rate * max(0, now - self.at) / 1_000_000)
            self.at = now

    def present(self, check: Check, limit: float) -> float:
        if not check.warm_up_us or self.stored is None:
            return limit
        return min(limit, max(1.0, warm_rate(self.stored, check.rate, check.cold_factor, check.warm_up_us)))

    def until_free(self, need: float, now: int) -> int:
        index = self.oldest
        while index < self.newest:
            need -= self.parts.get(index, 0)
            if need <= 0:
                break
            index += 1
        return max(1, (index + 1) * self.width + self.span - now)

    def ask(self, check: Check, cost: int, limit: float, now: int) -> tuple[int, int]:
        whole, limit = limit, self.present(check, limit)
        if now < self.owed:
            return 0, self.owed - now
        if cost > limit:
            if not check.owes and cost > whole:
                return -1, 0
            if check.owes and self.total + 1 <= limit:
                return 1, 0
            if self.total == 0:
                return 0, 1_000_000
            return 0, self.until_free(max(1, self.total - floor(limit) + 1), now)
        if self.total + cost <= limit:
            return 1, 0
        return 0, self.until_free(ceil(self.total + cost - limit), now)

    def left(self, check: Check, limit: float, now: int) -> int:
        return 0 if now < self.owed else max(0, floor(self.present(check, limit) - self.total))

    def take(self, check: Check, cost: int, limit: float, now: int) -> tuple[int, int]:
        present = self.present(check, limit)
        if self.stored is not None and check.warm_up_us:
            self.stored = max(0.0, self.stored - cost)
        current = floor(now / self.width)
        if self.total == 0 or current < self.oldest:
            self.oldest = current
        if self.total == 0 or current > self.newest:
            self.newest = current
        self.total += cost
        self.parts[current] = self.parts.get(current, 0) + cost
        if cost > present:
            self.owed = now + ceil(cost * self.span / present)
        return max(0, floor(limit - self.total)), max((self.oldest + 1) * self.width + self.span, self.owed) - now


@dataclass(slots=True)
class Bucket:
    """Tokens that come back at a rate."""

    tokens: float
    at: int
    present: float = 0.0  # at the time of the last look; kept only when something is taken, as the script does

    def forward(self, limit: float, rate: float, now: int) -> None:
        self.present = min(limit, self.tokens + rate * max(0, now - self.at) / 1_000_000)

    def ask(self, cost: int, limit: float, rate: float) -> tuple[int, int]:
        need = min(1.0, limit) if cost > limit else cost
        if self.present >= need:
            return 1, 0
        return 0, max(1, ceil((need - self.present) * 1_000_000 / rate))

    def take(self, cost: int, limit: float, rate: float, now: int) -> tuple[int, int]:
        self.tokens, self.at = self.present - cost, now
        return max(0, floor(self.tokens)), ceil((limit - self.tokens) * 1_000_000 / rate)


@dataclass(slots=True)
class Queue:
    """One after the other."""

    free: int = 0
    stored: float | None = None
    present: float | None = None

    def forward(self, check: Check, now: int) -> None:
        if check.warm_up_us:
            _warning, most = warmth(check.rate, check.cold_factor, check.warm_up_us)
            if self.stored is None:
                self.present = most
            else:
                self.present = min(most, self.stored + max(0, now - self.free) * most / check.warm_up_us)

    def ask(self, check: Check, now: int) -> tuple[int, int]:
        wait = max(0, self.free - now)
        return (0, wait - check.span_us) if wait > check.span_us else (1, wait)

    def take(self, check: Check, cost: int, rate: float, now: int) -> tuple[int, int]:
        if check.warm_up_us and self.present is not None:
            rate = warm_rate(self.present, rate, check.cold_factor, check.warm_up_us)
            self.stored = max(0.0, self.present - cost)
        self.free = max(self.free, now) + ceil(cost * 1_000_000 / rate)
        return -1, 0


@dataclass(slots=True)
class Leases:
    """Who is in."""

    until: dict[str, int] = field(default_factory=dict)

    def forward(self, now: int) -> None:
        for lease in [lease for lease, until in self.until.items() if until <= now]:
            del self.until[lease]


State = Window | Bucket | Queue | Leases
#: What a check that says yes will take when all others say yes too: state, check, cost, limit, rate.
_Yes = tuple[State, Check, int, float, float]


class Model:
    """Counters of one process. Not safe for threads; `max_counters` bounds how many are kept, the least used go first."""

    def __init__(self, *, max_counters: int = 100_000) -> None:
        self._states: OrderedDict[str, State] = OrderedDict()
        self._max_counters = max_counters

    def _state(self, key: str, make: State) -> State:
        state = self._states.get(key)
        if state is None:
            state = self._states[key] = make
            if len(self._states) > self._max_counters:
                self._states.popitem(last=False)
        else:
            self._states.move_to_end(key)
        return state

    def enter(self, checks: Sequence[Check], *, cost: int, urgent: bool, lease: str, now_us: int) -> Answer:
        """Let a request in or refuse it: all checks must say yes, or nothing is taken from any."""
        takes: list[_Yes] = []
        longest = 0
        refusal: Answer | None = None
        for index, check in enumerate(checks, 1):
            verdict, wait, left, yes = self._ask(check, cost if check.counts else 1, urgent, now_us)
            if yes is not None:
                takes.append(yes)
                longest = max(longest, wait)
            elif refusal is None or (verdict, -wait) < (refusal.verdict, -refusal.wait_us):
                refusal = Answer(verdict, wait, index, left, wait)
        if refusal is not None:  # of all checks that refuse, the one with the longest wait
            return refusal
        least, which, left, back = 2.0, 0, 0, 0
        for index, (yes, check) in enumerate(zip(takes, checks, strict=True), 1):
            remaining, reset = self._take(yes, lease, now_us)
            if remaining >= 0 and remaining / check.limit < least:
                least, which, left, back = remaining / check.limit, index, remaining, reset
        return Answer(1, longest, which, left, back)

    def leave(self, keys: Sequence[str], lease: str) -> None:
        """Return back the leases of a request that is over."""
        for key in keys:
            state = self._states.get(key)
            if isinstance(state, Leases):
                state.until.pop(lease, None)

    def _ask(self, check: Check, cost: int, urgent: bool, now: int) -> tuple[int, int, int, _Yes | None]:
        """Return verdict, wait, what is left where it refuses, and what is taken when all say yes."""
        limit, rate, reserve = check.limit, check.rate, check.reserve_percent
        if check.kind == "l":
            leases = self._state(check.key, Leases())
            assert isinstance(leases, Leases)
            leases.forward(now)
            maximum = limit + (ceil(limit * reserve / 100) if urgent else 0)
            if len(leases.until) + 1 > maximum:
                return 0, min(1_000_000, max(1, min(leases.until.values(), default=now) - now)), 0, None
            return 1, 0, 0, (leases, check, cost, limit, rate)
        verdict, wait, state = self._look(check.key, check, cost, limit, rate, now)
        left = 0 if verdict == 1 else self._left(state, check, limit, now)
        if verdict == 0 and urgent and reserve > 0:
            # what is urgent has a small limit of its own behind the rule
            limit, rate = float(max(1, floor(limit * reserve / 100))), rate * reserve / 100
            if check.kind == "q" or cost <= limit:
                check = check._replace(warm_up_us=0)
                verdict, wait, state = self._look(f"{check.key}:u", check, cost, limit, rate, now)
        return verdict, wait, left, (state, check, cost, limit, rate) if verdict == 1 else None

    @staticmethod
    def _left(state: State, check: Check, limit: float, now: int) -> int:
        match state:
            case Window():
                return state.left(check, limit, now)
            case Bucket():
                return max(0, floor(state.present))
        return 0

    def _look(self, key: str, check: Check, cost: int, limit: float, rate: float, now: int) -> tuple[int, int, State]:
        if check.kind == "w":
            window = self._state(key, Window(check.span_us, check.span_us // PARTS))
            assert isinstance(window, Window)
            window.forward(check, now)
            return (*window.ask(check, cost, limit, now), window)
        if check.kind == "b":
            bucket = self._state(key, Bucket(limit, now))
            assert isinstance(bucket, Bucket)
            bucket.forward(limit, rate, now)
            return (*bucket.ask(cost, limit, rate), bucket)
        queue = self._state(key, Queue())
        assert isinstance(queue, Queue)
        queue.forward(check, now)
        return (*queue.ask(check, now), queue)

    def _take(self, yes: _Yes, lease: str, now: int) -> tuple[int, int]:
        state, check, cost, limit, rate = yes
        match state:
            case Window():
                return state.take(check, cost, limit, now)
            case Bucket():
                return state.take(cost, limit, rate, now)
            case Queue():
                return state.take(check, cost, rate, now)
        state.until[lease] = now + check.span_us
        return max(0, floor(limit - len(state.until))), 0
