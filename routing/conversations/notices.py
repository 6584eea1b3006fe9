"""Notices to the processes that hold sockets: something of a conversation is new, or agents were told of something.

A notice carries no text: who watches reads from the database what it lacks. So a lost one delays a line until the next look, and loses
nothing. All that a transaction changes is one notice. Channels' `group_send` is not used, as it loses messages when a group is large or
Redis reconnects.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import orjson
import structlog
from django.db import transaction

from posthaste.lib import redis
from routing.models import Conversation

log = structlog.get_logger(__name__)


def channel() -> str:
    """Return the name of the Redis channel for these notices."""
    return redis.key("conversations")


@dataclass(slots=True, eq=False)
class News:
    """What one transaction has changed; called once it is committed."""

    #: Identity and tenant by conversation; neither where it was only moved.
    changed: dict[UUID, tuple[UUID | None, int]] = field(default_factory=dict)
    agents: set[UUID] = field(default_factory=set)

    def __call__(self) -> None:
        """Publish it."""
        listed = [[pk.hex, identity.hex if identity else "", tenant_id] for pk, (identity, tenant_id) in self.changed.items()]
        _publish({"changed": listed, "agents": [each.hex for each in self.agents]})


def changed_after_commit(conversation: Conversation) -> None:
    """Tell, once the present transaction is committed, that there are lines, marks or another state to read."""
    _add(changed={conversation.pk: (conversation.identity_id, conversation.tenant_id)})


def moved_after_commit(conversation_ids: Collection[UUID], *, tenant_id: int = 0) -> None:
    """Tell those who watch an inbox, once the present transaction is committed, that conversations are at another place in it.

    Without a tenant, they look it up.
    """
    _add(changed=dict.fromkeys(conversation_ids, (None, tenant_id)))


def told_after_commit(agent_ids: Collection[UUID]) -> None:
    """Tell, once the present transaction is committed, that agents have something to be told."""
    _add(agents=agent_ids)


def typing(conversation_id: UUID, identity_id: UUID, *, author: str, name: str = "", agent_id: UUID | None = None) -> None:
    """Tell now that one side writes; it is stored nowhere."""
    writer = {"agent": agent_id.hex} if agent_id else {}
    _publish({"conversation": conversation_id.hex, "identity": identity_id.hex, "typing": author, "name": name, **writer})


def viewing(conversation_id: UUID) -> None:
    """Tell now that other agents look at a conversation than before."""
    _publish({"viewing": conversation_id.hex})


def _add(*, changed: dict[UUID, tuple[UUID | None, int]] | None = None, agents: Collection[UUID] = ()) -> None:
    """Add to what is published after the present transaction.

    What a savepoint that is rolled back has added to the news of the transaction around it is told in vain, which does no harm.
    """
    known = next((call for _savepoints, call, _robust in transaction.get_connection().run_on_commit if isinstance(call, News)), None)
    news = known or News()
    for pk, found in (changed or {}).items():
        if found[0] is not None or pk not in news.changed:
            news.changed[pk] = found
    news.agents.update(agents)
    if known is None and (news.changed or news.agents):
        transaction.on_commit(news, robust=True)


def _publish(notice: dict[str, Any]) -> None:
    try:
        redis.client().publish(channel(), orjson.dumps(notice))
    except redis.Unavailable:
        log.warning("conversation notice not sent")
