"""Which traces have ended, told to the exporter through a Redis stream, in the pipelines that write the traces.

Only where an OTLP receiver is configured. If Redis loses the stream, or it grows past its bound because the receiver is away, those traces
are not exported; nothing else depends on it.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

from posthaste import env
from posthaste.lib import redis

MAX_ENTRIES = 20_000  # of a flush each, so at most a hundred messages each
END, RECEIPT = b"e", b"r"
_ENDING_VERBS = ("cancel", "sent", "failed")


def stream_key() -> str:
    """Return the key of the stream."""
    return redis.key("otlp")


def position_key() -> str:
    """Return the key that says how far the exporter has read."""
    return redis.key("otlp", "read")


def is_exported() -> bool:
    """Return whether traces are exported."""
    return bool(env.load().otlp_endpoint)


def note(pipeline: Any, lines: Mapping[UUID, Collection[str]]) -> None:
    """Note which of the traces end with these lines, in the caller's pipeline."""
    ended: dict[bytes, list[bytes]] = {END: [], RECEIPT: []}
    for message_id, added in lines.items():
        if (kind := _ending("".join(added))) is not None:
            ended[kind].append(message_id.bytes)
    fields = {kind: b"".join(ids) for kind, ids in ended.items() if ids}
    if fields:
        pipeline.xadd(stream_key(), fields, maxlen=MAX_ENTRIES, approximate=True)


def _ending(added: str) -> bytes | None:
    """Return how a trace ends with these lines; None: it does not."""
    found = None
    for line in added.splitlines():
        words = line.split(" ")
        if _is_end(line[:1], words[1] if len(words) > 1 else ""):
            found = END
        elif line[:1] == "K" and len(words) == 2:
            found = found or RECEIPT
    return found


def _is_end(letter: str, word: str) -> bool:
    match letter:
        case "S":
            return True
        case "X" | "V":
            return word != "pending"
        case "O":
            return word in _ENDING_VERBS
        case "L":
            return word == "accepted"
    return False


def read(after: str, *, limit: int) -> list[tuple[str, dict[bytes, list[UUID]]]]:
    """Return the entries of the stream after a position, oldest first: of each its position and the messages by kind.

    Raises:
        posthaste.lib.redis.Unavailable: Redis is away.
    """
    answer: Any = redis.client().xread({stream_key(): after or "0-0"}, count=limit)
    found = answer[0][1] if answer else []
    return [(position.decode(), {kind: _ids(value) for kind, value in fields.items()}) for position, fields in found]


def _ids(joined: bytes) -> list[UUID]:
    return [UUID(bytes=joined[start : start + 16]) for start in range(0, len(joined) - 15, 16)]


def position() -> str:
    """Return the position up to which the exporter has read; empty: nothing yet.

    Raises:
        posthaste.lib.redis.Unavailable: Redis is away.
    """
    stored: Any = redis.client().get(position_key())
    return stored.decode() if stored else ""


def move_past(positions: Sequence[str]) -> None:
    """Note that everything up to the last of the positions is exported, and remove them.

    Raises:
        posthaste.lib.redis.Unavailable: Redis is away.
    """
    pipeline = redis.client().pipeline(transaction=True)
    pipeline.set(position_key(), positions[-1])
    pipeline.xdel(stream_key(), *positions)
    pipeline.execute()
