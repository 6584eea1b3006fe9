"""Which traces have ended, told to the exporter through a Redis stream, in the pipelines that write the traces.

Only where an OTLP receiver is configured. The stream has a bound: while the receiver is away, the oldest make room for new ones, and are
counted (`tracing.services.losses`). If Redis loses the stream, those traces are not exported; nothing else depends on it.
"""

import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

from posthaste import env
from posthaste.lib import redis
from tracing.services import losses

MAX_ENTRIES = 20_000  # of a flush each, so at most a hundred messages each
END, RECEIPT = b"e", b"r"
ID_BYTES = 16
# KEYS[1] stream, KEYS[2] losses, ARGV[1] entries at most, ARGV[2] Unix time, ARGV[3] bytes of an id, ARGV[4…] field, value, … of the entry;
# returns nothing. What it removes was not exported, or the exporter would have removed it.
NOTE = """
local over, lost = redis.call('XLEN', KEYS[1]) - tonumber(ARGV[1]) + 1, 0
if over > 0 then
  for _, entry in ipairs(redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', over)) do
    for place = 2, #entry[2], 2 do lost = lost + math.floor(#entry[2][place] / tonumber(ARGV[3])) end
    redis.call('XDEL', KEYS[1], entry[1])
  end
  redis.call('HINCRBY', KEYS[2], 'traces', string.format('%d', lost))
  redis.call('HSET', KEYS[2], 'traces:at', ARGV[2])
end
redis.call('XADD', KEYS[1], '*', unpack(ARGV, 4))
"""
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
    fields = [part for kind, ids in ended.items() if ids for part in (kind, b"".join(ids))]
    if fields:
        pipeline.eval(NOTE, 2, stream_key(), losses.key(), MAX_ENTRIES, int(time.time()), ID_BYTES, *fields)


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
    return [UUID(bytes=joined[start : start + ID_BYTES]) for start in range(0, len(joined) - ID_BYTES + 1, ID_BYTES)]


def position() -> str:
    """Return the position up to which the exporter has read; empty: nothing yet.

    Raises:
        posthaste.lib.redis.Unavailable: Redis is away.
    """
    stored: Any = redis.client().get(position_key())
    return stored.decode() if stored else ""


def move_past(positions: Sequence[str], *, refused: int = 0) -> None:
    """Note that everything up to the last of the positions is exported, or that the receiver refused so many traces, and remove it.

    Raises:
        posthaste.lib.redis.Unavailable: Redis is away.
    """
    pipeline = redis.client().pipeline(transaction=True)
    pipeline.set(position_key(), positions[-1])
    pipeline.xdel(stream_key(), *positions)
    losses.note(pipeline, losses.TRACES, refused)
    pipeline.execute()


def waiting_seconds() -> float:
    """Return for how long the oldest trace that is not exported yet has waited; 0 if there is none.

    Raises:
        posthaste.lib.redis.Unavailable: Redis is away.
    """
    answer: Any = redis.client().xrange(stream_key(), count=1)
    if not answer:
        return 0.0
    noted_ms = int(answer[0][0].decode().partition("-")[0])
    return max(0.0, time.time() - noted_ms / 1000)
