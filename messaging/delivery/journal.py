"""What a worker was doing when it died: a small write-ahead journal a claim, in Redis.

Before each call to a provider without idempotency keys, the worker notes which messages it is about to
hand over, together with the results of the call before: one round trip a call. Recovery of the claim can then tell
three kinds apart: results that had not been written yet (they are written now), messages whose call had begun (`unknown`),
and messages that had not been touched (sent again without risk).

Recovery seals the journal first: a worker that had only been paused finds that it can no longer write, and leaves alone
what other workers own by then.

The journal is evidence only while Redis kept it: it carries the server's run id, and where that has changed, or the
journal is missing, every message of the claim counts as begun.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

import orjson
import structlog

from messaging.storage.store import Outcome
from posthaste.lib import redis

log = structlog.get_logger(__name__)
KEEP_SECONDS = 86_400
RUN_ID_SECONDS = 2  # a claim begun so soon after a restart of Redis is in doubt as a whole if its worker dies


@lru_cache(maxsize=2)
def _run_id_in(_span: int) -> str:
    return str(redis.client().info("server")["run_id"])


def _run_id() -> str:
    """Return the Redis server's run id, at most a few seconds old.

    A stale one is safe: a journal then merely looks less trustworthy than it is.
    """
    return _run_id_in(int(time.monotonic() / RUN_ID_SECONDS))


def _key(claim_id: UUID) -> str:
    return redis.key("j", claim_id.hex)


# KEYS[1] the journal, KEYS[2] where it is kept once sealed, ARGV[1] seconds to keep the seal; returns the entries written so
# far. From now on RPUSHX fails, and a second recovery, after the first one died half-way, finds the same entries.
SEAL = """
if redis.call('TYPE', KEYS[1]).ok == 'list' then
  redis.call('RENAME', KEYS[1], KEYS[2])
end
redis.call('SET', KEYS[1], 'sealed', 'EX', ARGV[1])
return redis.call('LRANGE', KEYS[2], 0, -1)
"""


class ClaimLost(Exception):
    """The messages of this claim were taken for lost and belong to others now."""


class Journal:
    """The journal of one claim, as its worker writes it."""

    def __init__(self, claim_id: UUID) -> None:
        self._key = _key(claim_id)
        self.broken = False
        try:
            pipeline = redis.client().pipeline(transaction=False)
            pipeline.rpush(self._key, orjson.dumps({"run": _run_id()}))
            pipeline.expire(self._key, KEEP_SECONDS)
            pipeline.execute()
        except redis.Unavailable:
            self.broken = True

    def begin(self, ids: Sequence[UUID], results: Sequence[Outcome]) -> None:
        """Note that the messages are about to be handed over, and results not noted before.

        Raises:
            ClaimLost: the claim has been recovered; the messages must not be handed over.
        """
        if self.broken:
            return
        entry = orjson.dumps({"begun": ids, "results": results})  # UUIDs, times and dataclasses are orjson's own
        try:
            # Only onto a journal that is still there: after a flush of Redis a new list would hold but half the truth.
            self.broken = not redis.call("RPUSHX", self._key, entry)
        except redis.WrongType as error:
            if "WRONGTYPE" in str(error):
                raise ClaimLost from None
            self.broken = True
        except redis.Unavailable:
            # From here on the journal would lie; the worker writes every result at once instead.
            self.broken = True

    def close(self, pipeline: Any) -> None:
        """Remove the journal within a pipeline of the caller's: all results are in the database."""
        pipeline.delete(self._key)


@dataclass(slots=True)
class Evidence:
    """What a journal tells about a claim."""

    trustworthy: bool = False
    begun: set[UUID] = field(default_factory=set)
    results: dict[UUID, Outcome] = field(default_factory=dict)


def _outcome(stored: dict[str, Any]) -> Outcome:
    for name in ("due_at", "sent_at", "finished_at"):
        stored[name] = datetime.fromisoformat(stored[name]) if stored[name] else None
    stored["id"] = UUID(stored["id"])
    stored["provider_id"] = UUID(stored["provider_id"]) if stored["provider_id"] else None
    return Outcome(**stored)


def read(claim_id: UUID) -> Evidence:
    """Seal the journal of a worker that seems dead and return what it tells.

    Raises:
        posthaste.lib.redis.Unavailable: Redis is away; ask again later.
    """
    stored = redis.client().eval(SEAL, 2, _key(claim_id), f"{_key(claim_id)}:sealed", KEEP_SECONDS)
    run_id = redis.client().info("server")["run_id"]
    evidence = Evidence()
    try:
        entries = [orjson.loads(entry) for entry in stored]
        evidence.trustworthy = bool(entries) and entries[0].get("run") == run_id
        for entry in entries[1:]:
            evidence.begun.update(UUID(i) for i in entry["begun"])
            evidence.results.update((o.id, o) for o in map(_outcome, entry["results"]))
    except (ValueError, TypeError, KeyError, AttributeError):
        # Not what a worker writes: what was read counts, and all else is in doubt.
        log.exception("a journal can't be read", claim=str(claim_id))
        evidence.trustworthy = False
    return evidence


def forget(claim_id: UUID) -> None:
    """Remove a journal that has been acted on."""
    redis.client().delete(_key(claim_id))
