"""Reading traces and the live counters."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from posthaste.lib import ids, redis
from tracing.services.record import BLANK, BREAKER_CLOSED, RULES_CHANGED, Counted, trace_key
from tracing.services.tally import tally

FOLDED = re.compile(r"\*(\d{1,9})\+(\d{1,15})")
FORWARD = re.compile(r"\^(\d{1,15})")
CLOCKS_DIFFER_MS = 5_000  # of a worker and the database, at most: both tell when a message was claimed


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a trace; `at_ms` counts from the moment the message's id was made.

    `times` says how often it happened one after the other, `last_ms` when the last time was.
    """

    code: str
    at_ms: int
    words: tuple[str, ...]
    times: int = 1
    last_ms: int = -1

    @property
    def until_ms(self) -> int:
        """When it happened last."""
        return max(self.at_ms, self.last_ms)


def events(message_id: UUID) -> list[Event]:
    """Return the recorded events of a message in order, or none if they have expired.

    Raises:
        posthaste.lib.redis.Unavailable: Redis is away.
    """
    return parse(redis.client().get(trace_key(message_id)) or b"")  # type: ignore[arg-type]  # the client is not asynchronous


def events_of(message_ids: Sequence[UUID]) -> list[list[Event]]:
    """Return the recorded events of several messages, in one round trip.

    Raises:
        posthaste.lib.redis.Unavailable: Redis is away.
    """
    stored: Any = redis.client().mget(list(map(trace_key, message_ids))) if message_ids else []
    return [parse(value or b"") for value in stored]


def parse(stored: bytes) -> list[Event]:
    """Return the events of a trace as it is stored; lines that can't be read are left out."""
    found = []
    for entry in stored.decode("utf-8", "replace").split("\n"):
        head, *words = entry.split(" ")
        if not (head and head[1:].isascii() and head[1:].isdigit()):
            continue
        times, last_ms = 1, -1
        if words and (forward := FORWARD.fullmatch(words[-1])):
            words.pop()
            found.append(Event("F", int(forward[1]), (forwarded_by(words),)))
        if words and (folded := FOLDED.fullmatch(words[-1])):
            times, last_ms = int(folded[1]), int(folded[2])
            words.pop()
        found.append(Event(head[0], int(head[1:]), tuple(word.replace(BLANK, " ") for word in words), times, last_ms))
    found += [claim for event in found if (claim := _claim_recovered(event)) is not None and not _is_told(claim, found, event)]
    # Several processes write, each when it gets to it: what happened first is not always written first.
    return sorted(found, key=lambda event: event.at_ms)


def forwarded_by(words: Sequence[str]) -> str:
    """Return what brought a message forward that was put off for the reason in these words of its line."""
    return BREAKER_CLOSED if len(words) > 1 and words[1].startswith("breaker:") else RULES_CHANGED


def _claim_recovered(event: Event) -> Event | None:
    """Return the claim of a dead worker, which the line of its recovery tells."""
    told = event.words[2:5]
    if event.code != "V" or len(told) < 2 or not all(word.isascii() and word.isdecimal() for word in told):
        return None
    return Event("C", int(told[1]), (told[0], *told[2:]))


def _is_told(claim: Event, events: Iterable[Event], recovery: Event) -> bool:
    """Return whether the worker told of its claim before it died."""
    claims = [event for event in events if event.code == "C" and event.words[:1] == claim.words[:1] and event.at_ms <= recovery.at_ms]
    return any(abs(event.at_ms - claim.at_ms) <= CLOCKS_DIFFER_MS for event in claims)


def at(message_id: UUID, at_ms: int) -> datetime:
    """Return the time that lies so many milliseconds after the making of a message's id."""
    return ids.made_at(message_id) + timedelta(milliseconds=at_ms)


def counted(seconds: Iterable[int]) -> dict[int, Counter[Counted]]:
    """Return what was counted in each of the given Unix seconds, by tenant, channel and event.

    A message that was sent is counted as `sent/BUCKET`, with the bucket of its latency where that is known (`latency.middle_of`).

    Raises:
        posthaste.lib.redis.Unavailable: Redis is away.
    """
    asked = list(seconds)
    pipeline = redis.client().pipeline(transaction=False)
    for second in asked:
        pipeline.hgetall(redis.key("n", second))
    return {second: _read(fields) for second, fields in zip(asked, pipeline.execute(), strict=True)}


def _read(fields: Mapping[bytes, bytes]) -> Counter[Counted]:
    counts: Counter[Counted] = Counter()
    for field, value in fields.items():
        tenant, channel, event = field.decode().split(":")
        counts[int(tenant), channel, event] = int(value)
    return counts


def event_and_bucket(event: str) -> tuple[str, int | None]:
    """Split an event as it was counted into its name and the bucket of the latency, or None."""
    name, _, bucket = event.partition("/")
    return name, int(bucket) if bucket else None


def per_second(*, tenant_id: int | None, now: datetime, seconds: int) -> list[tuple[int, Counter[str]]]:
    """Return (Unix second, counts by event) for the last whole `seconds`, oldest first.

    `tenant_id` None adds all tenants together.
    """
    tally.flush()  # include what this process has counted but not published
    last = int(now.timestamp())
    result = []
    for second, found in counted(range(last - seconds, last)).items():
        counts: Counter[str] = Counter()
        for (tenant, _channel, event), number in found.items():
            if tenant_id is None or tenant == tenant_id:
                counts[event_and_bucket(event)[0]] += number
        result.append((second, counts))
    return result
