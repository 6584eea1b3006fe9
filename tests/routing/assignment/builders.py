"""Groups, agents and what waits for them, for tests."""

import itertools
from datetime import datetime, timedelta
from typing import Any

from accounts.models import Member, Tenant, User
from accounts.roles import Role
from routing.models import Agent, AgentSkill, Conversation, ConversationStatus, Customer, Presence, SkillGroup
from tests.routing.builders import make_conversation, make_customer, make_entrance, make_identity

_numbers = itertools.count(1)


def make_group(tenant: Tenant, name: str = "general", *, at: datetime, **fields: Any) -> SkillGroup:
    """Make a skill group."""
    return SkillGroup.objects.create(tenant=tenant, name=name, created_at=at, **{"title": name.title(), **fields})


def make_agent(tenant: Tenant, *groups: SkillGroup, at: datetime, level: int = 3, **fields: Any) -> Agent:
    """Make an agent of some groups, online for the next hour unless told otherwise."""
    number = next(_numbers)
    user = User.objects.create(username=f"agent-{number}", is_staff=True)
    Member.objects.create(tenant=tenant, user=user, role=Role.OPERATOR)
    made = {"name": f"Agent {number}", "presence": Presence.ONLINE, "present_until": at + timedelta(hours=1), "created_at": at, **fields}
    agent = Agent.objects.create(tenant=tenant, user=user, **made)
    AgentSkill.objects.bulk_create([AgentSkill(agent=agent, group=group, level=level) for group in groups])
    return agent


def make_waiting(
    tenant: Tenant, group: SkillGroup | None = None, *, at: datetime, customer: Customer | None = None, **fields: Any
) -> Conversation:
    """Make a conversation that waits for an agent."""
    identity = make_identity(customer or make_customer(tenant))
    waiting = {"status": ConversationStatus.QUEUED, "queued_at": at, "group_since": at, "unanswered_since": at, "created_at": at}
    return make_conversation(identity, fields.pop("entrance", None) or make_entrance(tenant), group=group, **{**waiting, **fields})
