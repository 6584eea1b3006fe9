"""What the sandbox "sent": the latest 1,000 of each tenant, in Redis, for people to look at."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import orjson
import structlog
from django.utils import timezone

from messaging.channels.base import SendRequest
from posthaste.lib import redis

log = structlog.get_logger(__name__)
KEEP = 1_000
EXPIRES_SECONDS = 7 * 86_400


def key(tenant_id: int) -> str:
    """Return the name of a tenant's list."""
    return redis.key("outbox", tenant_id)


def write(requests: Sequence[SendRequest]) -> None:
    """Keep what the sandbox took, in one round trip; without Redis it is not kept, and nothing fails."""
    by_tenant: dict[int, list[bytes]] = defaultdict(list)
    at = timezone.now().isoformat()
    for request in requests:
        entry = {
            "at": at,
            "id": str(request.id),
            "channel": request.channel,
            "recipient": request.recipient,
            "subject": request.subject,
            "body": request.body[:2_000],
            "html": bool(request.html),
            "attempt": request.attempt,
            "reference": request.reference,
        }
        by_tenant[request.tenant_id].append(orjson.dumps(entry))
    try:
        pipeline = redis.client().pipeline(transaction=False)
        for tenant_id, entries in by_tenant.items():
            pipeline.lpush(key(tenant_id), *entries)
            pipeline.ltrim(key(tenant_id), 0, KEEP - 1)
            pipeline.expire(key(tenant_id), EXPIRES_SECONDS)
        pipeline.execute()
    except redis.Unavailable as error:
        log.warning("outbox not kept", error=str(error)[:200])


def read(*, tenant_id: int, limit: int = 100, offset: int = 0) -> list[dict[str, Any]]:
    """Return a tenant's outbox, newest first.

    Raises:
        posthaste.lib.redis.Unavailable: Redis is away.
    """
    return [orjson.loads(entry) for entry in redis.client().lrange(key(tenant_id), offset, offset + limit - 1)]
