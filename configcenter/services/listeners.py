"""Which Nacos clients listen to an item, and which text they have: asked of all ws processes at once, through Redis.

Nothing is kept for it: a question is published, each ws process leaves its answer in a list, and the number of those that the question
reached says how many answers there are to wait for.
"""

import time
from dataclasses import asdict, dataclass
from typing import Literal
from uuid import uuid4

import orjson

from posthaste.lib import redis

#: Rows that one process tells; how many there are in all is told too.
MAX_ROWS = 1000
KEPT_SECONDS = 10
WAIT_SECONDS = 1.5


@dataclass(frozen=True, slots=True)
class Listener:
    """One client that listens to an item. `is_current` says that it has the text that is in force for it; `since` is a Unix time."""

    address: str
    caller: str
    agent: str
    transport: Literal["http", "grpc"]
    md5: str
    is_current: bool
    since: float


@dataclass(frozen=True, slots=True)
class Listening:
    """Who listens: at most `MAX_ROWS` of each process, and how many there are. Some did not answer unless `is_complete`."""

    total: int
    rows: list[Listener]
    is_complete: bool


def channel() -> str:
    """Return the name of the Redis channel for questions."""
    return redis.key("config-listeners")


def read_question(question: bytes) -> tuple[str, tuple[int | None, str, str, str]]:
    """Return where an answer belongs, and what was asked: tenant, namespace, group and data id."""
    asked = orjson.loads(question)
    return asked["reply"], tuple(asked["key"])


def written(*, total: int, rows: list[Listener]) -> bytes:
    """Write an answer."""
    return orjson.dumps({"total": total, "rows": [asdict(row) for row in rows]})


def listening(*, tenant_id: int | None, slug: str, group: str, data_id: str) -> Listening:
    """Return the clients that listen to an item, those with an old text first.

    Raises:
        posthaste.lib.redis.Unavailable: Redis is away.
    """
    reply = redis.key("config-listeners", uuid4().hex)
    question = orjson.dumps({"reply": reply, "key": (tenant_id, slug, group, data_id)})
    client = redis.client()
    reached, total, rows = int(client.publish(channel(), question)), 0, []
    until = time.monotonic() + WAIT_SECONDS
    answers = 0
    while answers < reached and (left := until - time.monotonic()) > 0:
        found = client.blpop([reply], timeout=max(left, 0.01))
        if found is None:
            break
        answer = orjson.loads(found[1])
        answers, total = answers + 1, total + answer["total"]
        rows += [Listener(**row) for row in answer["rows"]]
    rows.sort(key=lambda row: (row.is_current, row.address, row.caller))
    return Listening(total, rows, answers == reached)
