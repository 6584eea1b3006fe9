"""Notices to the processes that hold sockets: something of a conversation is new.

A notice carries no text: who watches reads from the database what it lacks. So a lost one delays a line until the next look, and loses
nothing. Channels' `group_send` is not used, as it loses messages when a group is large or Redis reconnects.
"""

from functools import partial
from typing import Any
from uuid import UUID

import orjson
import structlog
from django.db import transaction

from posthaste.lib import redis

log = structlog.get_logger(__name__)


def channel() -> str:
    """Return the name of the Redis channel for these notices."""
    return redis.key("conversations")


def changed_after_commit(conversation_id: UUID, identity_id: UUID) -> None:
    """Tell, once the present transaction is committed, that there are lines, marks or another state to read."""
    transaction.on_commit(partial(_publish, {"conversation": conversation_id.hex, "identity": identity_id.hex}), robust=True)


def typing(conversation_id: UUID, identity_id: UUID, *, author: str, name: str = "") -> None:
    """Tell now that one side writes; it is stored nowhere."""
    _publish({"conversation": conversation_id.hex, "identity": identity_id.hex, "typing": author, "name": name})


def _publish(notice: dict[str, Any]) -> None:
    try:
        redis.client().publish(channel(), orjson.dumps(notice))
    except redis.Unavailable:
        log.warning("conversation notice not sent")
