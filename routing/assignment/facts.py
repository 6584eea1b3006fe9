"""What the rules look at, read for many conversations in a few queries."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from routing.assignment.business_hours import open_at
from routing.assignment.rules import Facts
from routing.customers import attributes


class Conversing(Protocol):
    """The columns of a conversation that the rules look at."""

    @property
    def tenant_id(self) -> int: ...

    @property
    def customer_id(self) -> UUID: ...

    @property
    def intent(self) -> str: ...

    @property
    def confidence(self) -> float | None: ...

    @property
    def language(self) -> str: ...

    @property
    def details(self) -> Any: ...


def facts_of(
    conversation: Conversing, *, entrance: str, about: dict[str, Any], language: str = "", at: datetime, is_open: bool | None = None
) -> Facts:
    """Return the facts of one conversation; `about` are its customer's attributes, `language` is the customer's own."""
    wanted = conversation.details.get("group", "") if isinstance(conversation.details, dict) else ""
    return Facts(
        intent=conversation.intent,
        confidence=conversation.confidence,
        language=conversation.language or language,
        level=str(about.get("level") or ""),
        is_vip=bool(about.get("vip")),
        entrance=entrance,
        is_open=open_at(conversation.tenant_id, at) if is_open is None else is_open,
        wanted_group=wanted if isinstance(wanted, str) else "",
    )


def attributes_of(conversations: Sequence[Conversing], *, now: datetime) -> dict[UUID, dict[str, Any]]:
    """Return the attributes in force of all their customers; one query."""
    return attributes.current({each.customer_id for each in conversations}, now=now)
