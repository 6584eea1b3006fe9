"""Writing traces: compact lines appended to one Redis string a message, in pipelines that are sent anyway.

A line is one letter, the milliseconds since the message's id was made, and what else there is to say:

    C<ms> <attempt>                  claimed by a worker
    S<ms> <duration ms> <provider>   taken by the provider
    E<ms> <duration ms> <provider> <code>   the provider did not take it
    R<ms> <delay ms>                 will be tried again
    K<ms> <status>                   receipt
    X<ms> <status> <reason>          ended, or was put off, by a rule

Where Redis is away nothing is written and nobody waits: the message row tells the main times by itself.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from posthaste import env
from posthaste.lib import ids, redis

COUNTER_SECONDS = 180


def trace_key(message_id: UUID) -> bytes:
    """This function will give the Redis key of a message's trace (21 bytes with the default prefix)."""
    return f"{env.load().redis_prefix}:t:".encode() + message_id.bytes


def line(code: str, message_id: UUID, at: datetime, *words: object) -> str:
    """This function will make one event of a trace."""
    since = max(0, int(at.timestamp() * 1000) - ids.unix_ms(message_id))
    return " ".join((f"{code}{since}", *map(str, words))) + "\n"


def append(pipeline: Any, message_id: UUID, lines: Iterable[str]) -> None:
    """This function will add events to a message's trace within a pipeline of the caller's."""
    name = trace_key(message_id)
    pipeline.append(name, "".join(lines))
    pipeline.expire(name, env.load().trace_retention_days * 86_400)


def count(pipeline: Any, now: datetime, tenant_id: int, event: str, by: int = 1) -> None:
    """This function will count what happened in this second, for the live figures, within a pipeline of the caller's."""
    name = redis.key("n", int(now.timestamp()))
    pipeline.hincrby(name, f"{tenant_id}:{event}", by)
    pipeline.expire(name, COUNTER_SECONDS)
