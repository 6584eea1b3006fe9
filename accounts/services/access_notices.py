"""Notices to all processes that rights may have changed: a key was revoked, a user signed out or lost a role.

A notice says only that something changed; `open_connections` finds out what. A lost notice does no harm, as open connections are also
checked every second.
"""

import structlog
from django.db import transaction

from posthaste.lib import redis

log = structlog.get_logger(__name__)


def channel() -> str:
    """Return the name of the Redis channel for these notices."""
    return redis.key("access")


def notify_after_commit() -> None:
    """Send a notice when the present transaction is committed; at once if there is none."""
    transaction.on_commit(notify)


def notify() -> None:
    """Send a notice now."""
    try:
        redis.client().publish(channel(), "changed")
    except redis.Unavailable:
        log.warning("access notice not sent")
