"""What came of the questions: counted in the process, added to everybody's once a second by the limiter's keeper."""

import time
from collections import Counter
from typing import Any

from posthaste.lib import redis
from posthaste.lib.flow.limiter import limiter

KEEP_SECONDS = 7200
REFUSED = "refused:"  # before the name of a rule
LET_IN_TO = "let_in_to:"  # before the name of a resource


class ProcessTotals:
    """Since the process began."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin anew, as a process that has just started."""
        self.let_in = 0
        self.messages = 0
        self.waited = 0
        self.refused: Counter[str] = Counter()  # by rule
        self.let_in_to: Counter[str] = Counter()  # by resource, as the next
        self.messages_to: Counter[str] = Counter()
        self._published: Counter[str] = Counter()

    def count(self, resource: str, cost: int) -> None:
        """Count a request that was let in."""
        self.let_in += 1
        self.messages += cost
        self.let_in_to[resource] += 1
        self.messages_to[resource] += cost

    def _now(self) -> "Counter[str]":
        found = Counter({"let_in": self.let_in, "messages": self.messages, "waited": self.waited})
        found.update({f"{REFUSED}{rule}": number for rule, number in self.refused.items()})
        found.update({f"{LET_IN_TO}{resource}": number for resource, number in self.let_in_to.items()})
        return found

    def publish(self) -> None:
        """Add what is new to the counts of this minute.

        Raises:
            posthaste.lib.redis.Unavailable: Redis is away; the next call adds it.
        """
        now = self._now()
        fresh = now - self._published
        if not fresh:
            return
        name = redis.key("flow", "totals", int(time.time() // 60))
        pipeline = redis.client().pipeline(transaction=False)
        for field, number in fresh.items():
            pipeline.hincrby(name, field, number)
            pipeline.hincrby(redis.key("flow", "so-far"), field, number)
        pipeline.expire(name, KEEP_SECONDS)
        pipeline.execute()
        self._published = now


process_totals = ProcessTotals()


def _publish() -> None:
    process_totals.publish()


limiter.on_tick.append(_publish)


def so_far() -> dict[str, float]:
    """Return what all processes counted since Redis began to keep it, as `ProcessTotals` names it.

    Raises:
        posthaste.lib.redis.Unavailable: Redis is away.
    """
    found: Any = redis.client().hgetall(redis.key("flow", "so-far"))
    return {name.decode(): float(number) for name, number in found.items()}


def recent(*, minutes: int = 5) -> dict[str, Any]:
    """Return what all processes counted in the last minutes: let_in, messages, waited, refused (by rule), let_in_to (by resource).

    It also says whether this process limits alone because Redis is away.

    Raises:
        posthaste.lib.redis.Unavailable: Redis is away.
    """
    minute = int(time.time() // 60)
    pipeline = redis.client().pipeline(transaction=False)
    for back in range(minutes):
        pipeline.hgetall(redis.key("flow", "totals", minute - back))
    total: Counter[str] = Counter()
    for found in pipeline.execute():
        total.update({name.decode(): int(number) for name, number in found.items()})
    refused = {name.removeprefix(REFUSED): number for name, number in total.items() if name.startswith(REFUSED)}
    return {
        "minutes": minutes,
        "let_in": total["let_in"],
        "messages": total["messages"],
        "waited": total["waited"],
        "let_in_to": {name.removeprefix(LET_IN_TO): number for name, number in total.items() if name.startswith(LET_IN_TO)},
        "refused": dict(sorted(refused.items(), key=lambda pair: -pair[1])),
        "is_local": limiter.is_local,
        "processes": limiter.local.processes,
    }
