"""That there is something to fetch for an account: noted before the callback is answered, and kept until it is fetched."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from django.db import transaction

from messaging.queueing.publish import BrokerAway, broker_is_up, send_task
from posthaste.lib import redis
from routing.contract import EntranceRow
from routing.models import KfCursor

TASK = "routing.pull"
KICK_MS = 3_000


def want(entrance: EntranceRow, wanted: Sequence[Mapping[str, Any]], now: datetime) -> None:
    """Note for each account that there is something to fetch, in the caller's transaction, and tell a worker after it."""
    for one in wanted:
        open_kfid = str(one["open_kfid"])
        changes: dict[str, Any] = {"wanted_at": now, **({"token": one["token"]} if one.get("token") else {})}
        rows = KfCursor.objects.filter(entrance_id=entrance.id, open_kfid=open_kfid)
        if not rows.update(**changes):
            KfCursor.objects.bulk_create([KfCursor(entrance_id=entrance.id, open_kfid=open_kfid)], ignore_conflicts=True)
            rows.update(**changes)
        transaction.on_commit(partial(kick, entrance.id, open_kfid), robust=True)


def kick(entrance_id: str, open_kfid: str) -> None:
    """Ask a worker to fetch, unless a task for that waits already. Losing the kick does no harm: a job looks for what is wanted."""
    try:
        if redis.client().set(_key(entrance_id, open_kfid), 1, nx=True, px=KICK_MS) and broker_is_up():
            send_task(TASK, str(entrance_id), open_kfid, expires=60.0)
    except (BrokerAway, redis.Unavailable):
        pass


def kick_taken(entrance_id: str, open_kfid: str) -> None:
    """Note that a worker begins: what is wanted from now on needs another kick."""
    try:
        redis.client().delete(_key(entrance_id, open_kfid))
    except redis.Unavailable:
        pass


def _key(entrance_id: str, open_kfid: str) -> str:
    return redis.key("routing", "pull", str(entrance_id), open_kfid)
