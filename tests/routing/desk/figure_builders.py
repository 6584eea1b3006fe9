"""What was done at a desk, for tests of its figures."""

from datetime import datetime, timedelta
from typing import Any

from accounts.models import Member, Tenant, User
from accounts.roles import Role
from routing.models import BotTurn, Clock, Conversation, Satisfaction
from tests.routing.assignment.builders import make_waiting


def make_leader(tenant: Tenant, name: str = "lea", role: Role = Role.OPERATOR) -> User:
    """Make a member of staff with a role."""
    user = User.objects.create(username=name, is_staff=True)
    Member.objects.create(tenant=tenant, user=user, role=role)
    return user


def make_answered(
    tenant: Tenant, *, at: datetime, after_seconds: float | None = 60, resolved_after: float | None = None, **fields: Any
) -> Conversation:
    """Make a conversation that began at a moment, was answered after so long, and resolved after so long."""
    times: dict[str, Any] = {"queued_at": None, "unanswered_since": None, "status": "resolved" if resolved_after else "assigned"}
    if after_seconds is not None:
        times["first_response_at"] = at + timedelta(seconds=after_seconds)
    if resolved_after is not None:
        times["resolved_at"] = at + timedelta(seconds=resolved_after)
    return make_waiting(tenant, at=at, **{**times, **fields})


def make_rating(conversation: Conversation, score: int, *, at: datetime) -> Satisfaction:
    """Make a customer's rating."""
    return Satisfaction.objects.create(
        tenant_id=conversation.tenant_id,
        conversation=conversation,
        agent=conversation.agent,
        group=conversation.group,
        resolved_at=at,
        asked_at=at,
        answered_at=at,
        score=score,
    )


def make_clock(conversation: Conversation, *, at: datetime, is_met: bool, **fields: Any) -> Clock:
    """Make a clock that was met, or has run out."""
    ended = {"state": "met", "ended_at": at} if is_met else {"state": "running", "breached_at": at}
    made = {"metric": "first_response", "target_minutes": 15, "started_at": conversation.created_at, **ended, **fields}
    return Clock.objects.create(tenant_id=conversation.tenant_id, conversation=conversation, **made)


def make_turn(conversation: Conversation, *, at: datetime, action: str = "answer") -> BotTurn:
    """Make an answer of the bot."""
    return BotTurn.objects.create(tenant_id=conversation.tenant_id, conversation=conversation, seq=1, action=action, at=at)
