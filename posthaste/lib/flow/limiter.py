"""Asks the script of `enter.lua`: one round trip for all rules of a request, and one for all requests that ask at the same time.

Single messages come with their group (`enter_all`). Other threads share a call (`posthaste.lib.batching.Combiner`). What a request
holds (its lease) is given back with the next question, or by the keeper thread within some milliseconds; no request waits for that.

While Redis is away each process limits by itself, to its share of every limit: see `local.py`.
"""

import hashlib
import os
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import redis.exceptions
import structlog

from posthaste.lib import redis as store
from posthaste.lib.batching import Combiner
from posthaste.lib.flow.local import LocalLimiter
from posthaste.lib.flow.model import Answer
from posthaste.lib.flow.rules import LEASE_SECONDS, Plan
from posthaste.lib.flow.wire_format import Query, encode

log = structlog.get_logger(__name__)
SOURCE = (Path(__file__).parent / "enter.lua").read_text()
SHA = hashlib.sha1(SOURCE.encode()).hexdigest()  # noqa: S324 - how Redis names scripts
MAX_BATCH = 200  # questions in one call
ANSWER_SECONDS = 1.0  # an answer that takes longer counts as none
REST_SECONDS = 1.0  # Redis is not asked again for so long after it was away
KEEPER_SECONDS = 0.005
ASKED_SECONDS = 0.02  # the same while questions are asked, as they take along what has been given back
RENEW_SECONDS = LEASE_SECONDS / 3
SIGN_OF_LIFE_SECONDS = 1.0
PROCESS_EXPIRES_SECONDS = 5.0


@dataclass(slots=True)
class Pass:
    """A request's permission: to be given back when it is over."""

    plan: Plan
    answer: Answer
    lease: str
    is_local: bool = False

    @property
    def allowed(self) -> bool:
        return self.answer.verdict == 1


class Limiter:
    """One a process."""

    #: Processes that share limits announce themselves under this name.
    group = "processes"

    def __init__(self) -> None:
        self.local = LocalLimiter()
        #: Which of the processes this one is, counted from 0.
        self.rank = 0
        #: Called by the keeper thread about once a second (the adaptive limit).
        self.on_tick: list[Callable[[], None]] = []
        #: Put behind the prefix of all keys; tests have one each.
        self.space = ""
        self._start()

    def _start(self) -> None:
        self._calls = 0
        self._lock = threading.Lock()
        self._line = threading.Lock()  # the connection
        self._combiner: Combiner[Query, list[int]] = Combiner(self._call, max_batch=MAX_BATCH)
        self._connection: Any = None
        self._leaving: deque[tuple[str, str]] = deque()
        self._held: dict[str, tuple[tuple[str, ...], float]] = {}
        self._rests_until = 0.0
        self._is_away = False
        self._calls_when_away = 0
        self._prefix = secrets.token_hex(4)
        self._numbers = count()
        self._wake = threading.Event()
        self._keeper: threading.Thread | None = None

    # --- what callers use ------------------------------------------------------------------------------------

    @property
    def is_local(self) -> bool:
        """Whether Redis is away, so that this process limits by itself."""
        return self._is_away

    def enter(self, plan: Plan, *, cost: int = 1, urgent: bool = False) -> Pass:
        """Ask all checks of a plan at once; all or nothing. An allowed caller must call `leave`."""
        if self._keeper is None:
            self._start_keeper()
        lease = self._new_lease(plan)
        if time.monotonic() >= self._rests_until:
            try:
                answer = Answer(*self._combiner.submit((cost, int(urgent), lease, plan.checks)))
            except store.Unavailable as error:
                self._noticed(error)
            else:
                return self._shared(plan, answer, lease)
        return self._locally(plan, cost, urgent, lease)

    def enter_all(self, wanted: Sequence[tuple[Plan, int, bool]]) -> list[Pass]:
        """Ask for several requests, each (plan, cost, urgent), in one call and return a pass each, in order.

        For callers that already handle many requests in one thread: none of them has to change threads for its answer.
        """
        if self._keeper is None:
            self._start_keeper()
        leases = [self._new_lease(plan) for plan, _cost, _urgent in wanted]
        if time.monotonic() >= self._rests_until:
            questions = [(cost, int(urgent), lease, plan.checks) for (plan, cost, urgent), lease in zip(wanted, leases, strict=True)]
            try:
                found = [answer for at in range(0, len(questions), MAX_BATCH) for answer in self._call(questions[at : at + MAX_BATCH])]
            except store.Unavailable as error:
                self._noticed(error)
            else:
                return [
                    self._shared(plan, Answer(*answer), lease)
                    for (plan, _cost, _urgent), answer, lease in zip(wanted, found, leases, strict=True)
                ]
        return [self._locally(plan, cost, urgent, lease) for (plan, cost, urgent), lease in zip(wanted, leases, strict=True)]

    def _new_lease(self, plan: Plan) -> str:
        return f"{self._prefix}{next(self._numbers):x}" if plan.lease_keys else ""

    def _shared(self, plan: Plan, answer: Answer, lease: str) -> Pass:
        self._is_back()
        if lease and answer.verdict == 1:
            self._held[lease] = (plan.lease_keys, time.monotonic())
            if not self._wake.is_set():
                self._wake.set()
        return Pass(plan, answer, lease)

    def _is_back(self) -> None:
        if self._is_away:
            self._is_away = False
            log.warning("flow control is shared again")

    def _locally(self, plan: Plan, cost: int, urgent: bool, lease: str) -> Pass:
        return Pass(plan, self.local.enter(plan.checks, cost=cost, urgent=urgent, lease=lease), lease, is_local=True)

    def leave(self, passed: Pass) -> None:
        """Return back what a request holds; it waits for nothing."""
        if not passed.lease or not passed.allowed:
            return
        if passed.is_local:
            self.local.leave(passed.plan.lease_keys, passed.lease)
            return
        if self._held.pop(passed.lease, None) is not None:
            self._leaving.extend((key, passed.lease) for key in passed.plan.lease_keys)

    def forget(self) -> None:
        """Begin anew with counters of its own: for tests."""
        self.space = secrets.token_hex(4)
        self.local = LocalLimiter()
        self._rests_until = 0.0
        self._is_away = False

    # --- one call --------------------------------------------------------------------------------------------

    def _call(self, questions: Sequence[Query], now_us: int = 0) -> list[list[int]]:
        """One call of the script on the limiter's own connection: made by the leading caller or by `enter_all`."""
        with self._line:
            return self._call_alone(questions, now_us)

    def _call_alone(self, questions: Sequence[Query], now_us: int) -> list[list[int]]:
        self._calls += 1
        pairs = self._left(1_000)
        try:
            return self._ask(encode(questions, [word for pair in pairs for word in pair]), now_us)
        except redis.exceptions.RedisError:
            self._leaving.extend(pairs)  # giving one back twice does no harm
            raise

    def _ask(self, body: bytes, now_us: int) -> list[list[int]]:
        if self._connection is None:
            self._connection = store.own_connection(timeout_seconds=ANSWER_SECONDS)
        # Twice, as an idle connection may have died. Should the first have been heard all the same, it counted too much, not too little.
        for last in (False, True):
            try:
                return self._run(body, now_us)
            except (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError) as error:
                self._connection.disconnect()
                if last or isinstance(error, redis.exceptions.TimeoutError):
                    raise
        raise AssertionError

    def _run(self, body: bytes, now_us: int) -> list[list[int]]:
        connection = self._connection
        connection.send_command("EVALSHA", SHA, 0, body, now_us)
        try:
            answer: list[list[int]] = connection.read_response()
        except redis.exceptions.NoScriptError:
            connection.send_command("EVAL", SOURCE, 0, body, now_us)
            answer = connection.read_response()
        return answer

    def _noticed(self, error: Exception) -> None:
        self._rests_until = time.monotonic() + REST_SECONDS
        self._calls_when_away = self._calls
        if not self._is_away:
            self._is_away = True
            log.error("flow control is local: Redis is away", share_of=self.local.processes, error=type(error).__name__)

    # --- the keeper ------------------------------------------------------------------------------------------

    def _start_keeper(self) -> None:
        with self._lock:
            if self._keeper is None:
                self._keeper = threading.Thread(target=self._keep, name="flow-keeper", daemon=True)
                self._keeper.start()

    def _keep(self) -> None:
        """Give back leases that no query carried, renew those of long requests, and report that this process lives."""
        announced_at, calls, asked = 0.0, 0, False
        rest = threading.Event()  # never set
        while True:
            busy = bool(self._held or self._leaving)
            if busy:
                rest.wait(ASKED_SECONDS if asked else KEEPER_SECONDS)
            else:
                self._wake.clear()
                if not (self._held or self._leaving):
                    self._wake.wait(SIGN_OF_LIFE_SECONDS)
            clock = time.monotonic()
            try:
                asked, calls = calls != self._calls, self._calls
                if self._leaving and not asked and clock >= self._rests_until:  # while others ask, their calls take it along
                    self._give_back()
                if clock - announced_at >= SIGN_OF_LIFE_SECONDS:
                    announced_at = clock
                    self._announce(clock)
            except store.Unavailable:
                pass  # questions find out and say so
            except Exception:
                log.exception("flow keeper failed")

    def _left(self, limit: int) -> list[tuple[str, str]]:
        """Take leases that are to be given back; callers and the keeper take from the same end, each lease once."""
        pairs: list[tuple[str, str]] = []
        with suppress(IndexError):  # another thread took the last one
            while len(pairs) < limit:
                pairs.append(self._leaving.popleft())
        return pairs

    def _give_back(self) -> None:
        pairs = self._left(2_000)
        pipeline = store.client().pipeline(transaction=False)
        for key, lease in pairs:
            pipeline.zrem(key, lease)
        try:
            pipeline.execute()
        except store.Unavailable:
            self._leaving.extend(pairs)  # giving one back twice does no harm
            raise

    def _announce(self, clock: float) -> None:
        now = time.time()
        processes, own = store.key("flow", self.group), f"{os.uname().nodename}:{os.getpid()}"
        pipeline = store.client().pipeline(transaction=False)
        pipeline.zadd(processes, {own: now})
        pipeline.zremrangebyscore(processes, "-inf", now - PROCESS_EXPIRES_SECONDS)
        pipeline.zrange(processes, 0, -1)
        pipeline.expire(processes, 60)
        names = sorted(pipeline.execute()[2])
        self.local.processes = max(1, len(names))
        self.rank = names.index(own.encode()) if own.encode() in names else 0
        if self._calls == self._calls_when_away:  # there was no call since Redis went away, so none could notice that it is back
            self._is_back()
        self._renew(clock)
        for function in self.on_tick:
            function()

    def _renew(self, clock: float) -> None:
        long = [(lease, keys) for lease, (keys, since) in list(self._held.items()) if clock - since >= RENEW_SECONDS]
        if not long:
            return
        seconds, micros = store.client().time()
        until = int(seconds) * 1_000_000 + int(micros) + LEASE_SECONDS * 1_000_000
        pipeline = store.client().pipeline(transaction=False)
        for lease, keys in long:
            for key in keys:
                pipeline.zadd(key, {lease: until}, xx=True)
                pipeline.pexpire(key, LEASE_SECONDS * 1000 + 1000)
        pipeline.execute()


limiter = Limiter()
os.register_at_fork(after_in_child=limiter._start)  # threads and connections do not survive a fork
