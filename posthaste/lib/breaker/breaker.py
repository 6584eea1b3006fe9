"""The breakers as one process sees them: a copy of what Redis has, and its own counts for when Redis is away."""

import threading
import time
from collections.abc import Iterable, Sequence
from heapq import nlargest
from pathlib import Path
from typing import Any

import orjson
import structlog

from posthaste.lib import redis
from posthaste.lib.breaker.local import LocalBreaker
from posthaste.lib.breaker.state import Phase, Rule, State, Tally
from posthaste.lib.process_state import on_reset

log = structlog.get_logger(__name__)
FRESH_SECONDS = 0.5
OLD_SECONDS = 1.0
WAIT_SECONDS = 1.0  # for another thread's reading
AWAY_SECONDS = 2.0  # between two questions while Redis does not answer
TRIAL_LEASE_SECONDS = 30.0  # a trial call that was never heard of again is given up
ASK_AGAIN_SECONDS = 0.2  # after all trial calls were taken
NEVER = float("-inf")
MAX_LISTED = 64  # receipts whose messages' times are told one by one: those of trial messages are the latest
MAX_LOCAL = 5_000  # breakers that a process counts by itself


def _script(name: str) -> str:
    """Return a script without comments and indentation, as it travels with each pipeline that reports calls."""
    folder = Path(__file__).parent
    lines = (line.strip() for part in ("shared.lua", f"{name}.lua") for line in (folder / part).read_text().splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("--"))


RECORD, ADMIT, FORCE = _script("record"), _script("admit"), _script("force")


def _keys(name: str) -> list[str]:
    return [redis.key("breakers"), redis.key("breakers", "events"), redis.key("breaker", name, "events"), redis.key("breakers", "names")]


def _window(name: str, counts: str) -> str:
    return redis.key("breaker", name, counts)


def _windows(name: str, first: str = "errors") -> list[str]:
    return [_window(name, counts) for counts in sorted(("errors", "receipts"), key=lambda counts: counts != first)]


class Recording:
    """What is reported within one pipeline, so that its answers can be understood."""

    def __init__(self, breakers: "Breakers", pipeline: Any) -> None:
        self._breakers = breakers
        self._pipeline = pipeline
        self._places: list[int] = []

    def add(self, name: str, tally: Tally, rule: Rule, *, release: int, epoch: int = 0) -> None:
        """Report what calls gave; `epoch` names the round that trial calls belong to."""
        self._breakers.local(name).record(tally, rule, is_trial=epoch != 0)
        keys = _keys(name) + _windows(name, rule.counts)
        self._places.append(len(self._pipeline))
        self._pipeline.eval(
            RECORD,
            len(keys),
            *keys,
            name,
            release,
            tally.calls,
            tally.slow,
            tally.errors,
            tally.code,
            epoch,
            tally.unused,
            max(1, int(rule.window_seconds * 100)),
            rule.min_requests,
            rule.slow_percent,
            rule.error_percent,
            rule.error_count,
            int(rule.open_seconds * 1000),
            rule.trial_calls,
            rule.counts,
            int(rule.max_open_seconds * 1000),
            int(rule.receipt_seconds * 1000),
            rule.receipt_percent,
            " ".join(f"{at}{'-' if failed else '+'}" for at, failed in nlargest(MAX_LISTED, tally.taken)),
        )

    def handle_answers(self, answers: Sequence[Any]) -> None:
        """Report the process, and its log, what moved."""
        for place in self._places:
            if answers[place]:
                self._breakers.handle_event(answers[place])


class Breakers:
    """All breakers; one object a process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.forget()

    def forget(self) -> None:
        """Make the next question ask Redis."""
        self._states: dict[str, State] = {}
        self._locals: dict[str, LocalBreaker] = {}
        self._resting: dict[str, float] = {}
        self._refused: dict[str, float] = {}
        self._read_at = NEVER
        self._ahead_ms = time.time() * 1000 - time.monotonic() * 1000  # Redis's clock, of our monotonic one
        self._is_away = False

    # --- reading ---------------------------------------------------------------------------------------------

    def _now_ms(self) -> float:
        return time.monotonic() * 1000 + self._ahead_ms

    def refresh(self) -> None:
        """Read all states if the copy is older than half a second.

        One thread reads; the others go on with the copy, or wait for it where the process was idle and the copy is old.
        """
        age = time.monotonic() - self._read_at
        if age < (AWAY_SECONDS if self._is_away else FRESH_SECONDS):
            return
        is_old = age > OLD_SECONDS and not self._is_away
        if not self._lock.acquire(timeout=WAIT_SECONDS if is_old else 0):
            return
        if time.monotonic() - self._read_at < FRESH_SECONDS:  # another thread has read it meanwhile
            self._lock.release()
            return
        try:
            pipeline = redis.client().pipeline(transaction=False)
            pipeline.time()
            pipeline.hgetall(redis.key("breakers"))
            (seconds, micros), stored = pipeline.execute()
            self._ahead_ms = seconds * 1000 + micros / 1000 - time.monotonic() * 1000
            self._states = {name.decode(): State.read(name.decode(), orjson.loads(value)) for name, value in stored.items()}
            if self._is_away:
                self._locals = {}  # what all processes know is better than what this one saw meanwhile
            self._is_away = False
        except redis.Unavailable:
            self._is_away = True  # the states last known stay in force, beside what this process sees itself
        finally:
            self._read_at = time.monotonic()
            self._lock.release()

    def local(self, name: str) -> LocalBreaker:
        """Return this process's own breaker of that name."""
        found = self._locals.get(name)
        if found is None:
            if len(self._locals) >= MAX_LOCAL:
                self._locals.clear()
            found = self._locals[name] = LocalBreaker()
        return found

    def state(self, name: str) -> State:
        """Return the state last read."""
        return self._states.get(name) or State(name)

    def phase(self, name: str) -> Phase:
        """Return whether calls may be made."""
        self.refresh()
        if not self._states and not self._is_away:
            return Phase.CLOSED  # all of them are: the usual case
        state = self.state(name)
        phase = state.phase(self._now_ms())
        # What this process sees says nothing of one that receipts have opened: it stays half-open, with a few calls a trial lease.
        return self.local(name).phase() if self._is_away and phase != Phase.OPEN and not state.cause else phase

    @property
    def is_away(self) -> bool:
        """Whether Redis did not answer when the states were read last."""
        return self._is_away

    def is_forced(self, name: str) -> bool:
        """Return whether it is held by hand."""
        return self.state(name).is_forced(self._now_ms())

    def wait_seconds(self, name: str) -> float:
        """Return the seconds until a breaker may be tried.

        An open one is tried when it is half-open, one whose trial calls were made when their receipts are overdue. Infinite while an
        operator holds it open.
        """
        state, now = self.state(name), self._now_ms()
        if state.is_forced(now) and state.forced_until == 0:
            return float("inf")
        if state.phase(now) == Phase.OPEN:
            return max(0.0, (state.retry_at - now) / 1000)
        if state.judged_at > now and not state.is_forced(now):
            return (state.judged_at - now) / 1000
        return self.local(name).wait_seconds if self._is_away else 0.0

    def share(self, name: str, drift_seconds: float) -> float:
        """Return the part of its usual traffic that one gets which closed a while ago: 0.05 at first, 1 in the end."""
        state = self._states.get(name)
        if state is None or not state.closed_at or drift_seconds <= 0:
            return 1.0
        return min(1.0, max(0.05, (self._now_ms() - state.closed_at) / 1000 / drift_seconds))

    def rest(self, name: str, seconds: float) -> None:
        """Have this process ask it last for a while: it could not be reached just now."""
        self._resting[name] = time.monotonic() + seconds

    def is_resting(self, name: str) -> bool:
        """Return whether it could not be reached a moment ago."""
        return self._resting.get(name, 0.0) > time.monotonic()

    # --- calls -----------------------------------------------------------------------------------------------

    def admit(self, name: str, rule: Rule, *, wanted: int = 1, release: int = 0) -> tuple[int, int]:
        """Ask for trial calls of a half-open breaker and give (how many, their epoch).

        (-1, 0): it has closed meanwhile, and as many as one likes may be made.
        """
        if self._refused.get(name, 0.0) > time.monotonic():
            return 0, 0
        try:
            keys = _keys(name) + _windows(name)
            lease_ms, open_ms, max_ms = (int(seconds * 1000) for seconds in (TRIAL_LEASE_SECONDS, rule.open_seconds, rule.max_open_seconds))
            said = (name, release, wanted, rule.trial_calls, lease_ms, rule.receipt_percent, open_ms, max_ms)
            answer: Any = redis.client().eval(ADMIT, len(keys), *keys, *said)
            granted, epoch, event = int(answer[0]), int(answer[1]), answer[2]
        except redis.Unavailable:
            granted, epoch, event = self.local(name).admit(wanted, rule, TRIAL_LEASE_SECONDS), -1, b""
        if event:
            self.handle_event(event)
        if granted == 0:
            self._refused[name] = time.monotonic() + ASK_AGAIN_SECONDS
        return granted, epoch

    def recording(self, pipeline: Any) -> Recording:
        """Report what calls gave within a pipeline of the caller's."""
        return Recording(self, pipeline)

    def handle_event(self, event: bytes) -> None:
        """Take note of an event, and have the states read again at the next question."""
        self._read_at = NEVER
        values = orjson.loads(event)
        log.warning(
            "breaker", breaker=values["name"], **{k: v for k, v in values.items() if k not in ("name", "event", "at")}, now=values["event"]
        )

    # --- by hand, and for people -----------------------------------------------------------------------------

    def force(self, name: str, to: str, *, by: str, seconds: float = 0, release: int = 0) -> bool:
        """Hold a breaker `open` or `closed` for so long (0: until released), or let it go (`automatic`).

        It tells whether anything changed: a breaker that is not held can't be released.

        Raises:
            posthaste.lib.redis.Unavailable: Redis is away.
        """
        keys = _keys(name) + _windows(name)
        event: Any = redis.client().eval(FORCE, len(keys), *keys, name, release, to, int(seconds * 1000), by)
        if event:
            self.handle_event(event)
        return bool(event)

    def names(self) -> list[str]:
        """Return the names of all breakers that were used within a day.

        Raises:
            posthaste.lib.redis.Unavailable: Redis is away.
        """
        found: Any = redis.client().zrange(redis.key("breakers", "names"), 0, -1)
        return sorted(name.decode() for name in found)

    def snapshot(self, names: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Return by name what a page shows: phase, state, and what the windows hold.

        Raises:
            posthaste.lib.redis.Unavailable: Redis is away.
        """
        asked = list(names)
        if not asked:
            return {}
        pipeline = redis.client().pipeline(transaction=False)
        pipeline.time()
        pipeline.hmget(redis.key("breakers"), asked)
        for name in asked:
            pipeline.hgetall(_window(name, "errors"))
            pipeline.hgetall(_window(name, "receipts"))
        (seconds, micros), states, *windows = pipeline.execute()
        now = seconds * 1000 + micros / 1000
        found = {}
        for i, name in enumerate(asked):
            state = State.read(name, orjson.loads(states[i])) if states[i] else State(name)
            calls, slow, errors = _sum(windows[2 * i], now)
            receipts, _none, failed = _sum(windows[2 * i + 1], now)
            found[name] = {
                "phase": state.phase(now),
                "state": state,
                "is_forced": state.is_forced(now),
                "calls": calls,
                "slow": slow,
                "errors": errors,
                "receipts": receipts,
                "failed_receipts": failed,
            }
        return found

    def phases(self) -> dict[str, Phase]:
        """Return the phase of every breaker that has ever left the first one, in one round trip.

        Raises:
            posthaste.lib.redis.Unavailable: Redis is away.
        """
        pipeline = redis.client().pipeline(transaction=False)
        pipeline.time()
        pipeline.hgetall(redis.key("breakers"))
        (seconds, micros), states = pipeline.execute()
        now = seconds * 1000 + micros / 1000
        return {name.decode(): State.read(name.decode(), orjson.loads(stored)).phase(now) for name, stored in states.items()}

    def history(self, name: str) -> list[dict[str, Any]]:
        """Return the last hundred events of one breaker, newest first.

        Raises:
            posthaste.lib.redis.Unavailable: Redis is away.
        """
        stored: Any = redis.client().lrange(redis.key("breaker", name, "events"), 0, -1)
        return [orjson.loads(event) for event in stored]

    def events(self, limit: int = 100) -> list[dict[str, Any]]:
        """Return the latest events of all breakers, newest first; the last thousand are kept. Alarms read them.

        Raises:
            posthaste.lib.redis.Unavailable: Redis is away.
        """
        stored: Any = redis.client().lrange(redis.key("breakers", "events"), 0, limit - 1)
        return [orjson.loads(event) for event in stored]


def _sum(window: dict[bytes, bytes], now_ms: float) -> tuple[int, int, int]:
    """Return the calls, the slow ones and the failed ones of the last ten tenths of the window."""
    sums = {"n": 0, "s": 0, "e": 0}
    width = int(window.get(b"w", 1))
    for field, value in window.items():
        tenth, colon, kind = field.decode().partition(":")
        if colon and int(tenth) > now_ms // width - 10:
            sums[kind] += int(value)
    return sums["n"], sums["s"], sums["e"]


breakers = Breakers()
on_reset(breakers.forget)
