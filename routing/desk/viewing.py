"""Which agents look at a conversation now. Kept in Redis, with an expiry: a desk that is gone is forgotten."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog

from posthaste.lib import redis

log = structlog.get_logger(__name__)
#: A desk says so again well before.
SECONDS = 30


@dataclass(frozen=True, slots=True)
class Viewer:
    """An agent, or an operator who looks on; `id` tells them apart."""

    id: str
    name: str


def _key(conversation_id: UUID) -> str:
    return redis.key("desk-viewing", conversation_id.hex)


def look(viewer: Viewer, conversation_ids: Iterable[UUID], *, at: float) -> None:
    """Note that someone looks at conversations; `at` is in seconds since 1970."""
    try:
        with redis.client().pipeline(transaction=False) as pipeline:
            for pk in conversation_ids:
                pipeline.zadd(_key(pk), {f"{viewer.id}:{viewer.name}": at + SECONDS})
                pipeline.expire(_key(pk), SECONDS * 2)
            pipeline.execute()
    except redis.Unavailable:
        log.warning("viewers not noted")


def look_away(viewer: Viewer, conversation_id: UUID) -> None:
    """Note that someone looks at a conversation no more."""
    try:
        redis.client().zrem(_key(conversation_id), f"{viewer.id}:{viewer.name}")
    except redis.Unavailable:
        log.warning("viewers not noted")


def viewers(conversation_id: UUID, *, at: float) -> list[Viewer]:
    """Return who looks at a conversation; none if Redis is away."""
    try:
        found: Any = redis.client().zrangebyscore(_key(conversation_id), at, "+inf")
    except redis.Unavailable:
        return []
    named = (each.decode().partition(":") for each in found)
    return [Viewer(id=who, name=name) for who, _colon, name in named]
