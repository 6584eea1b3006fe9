"""Agents at their desks, for tests."""

from datetime import datetime
from typing import Any
from uuid import uuid4

import orjson
from django.test import Client
from django.utils import timezone

from accounts.models import Member, Tenant, User
from accounts.roles import Role
from routing.conversations import lines
from routing.entrances.provision import ensure_reply_provider
from routing.models import Agent, AuthorKind, Conversation, ConversationStatus, SkillGroup
from tests.builders import TESTER
from tests.routing.assignment.builders import make_agent, make_waiting


class Desk:
    """A browser in which a member of staff has the desk open."""

    def __init__(self, user: User, agent: Agent | None = None) -> None:
        self.user, self.agent = user, agent
        self.client = Client()
        self.client.force_login(user)

    def get(self, path: str, **query: Any) -> Any:
        return self.client.get(f"/desk/data/{path}", query)

    def read(self, path: str, **query: Any) -> Any:
        """Return what an address answers, which must be well."""
        answer = self.get(path, **query)
        assert answer.status_code == 200, answer.content
        return orjson.loads(answer.content)

    def post(self, path: str, **body: Any) -> Any:
        return self.client.post(f"/desk/data/{path}", orjson.dumps(body), content_type="application/json")

    def do(self, conversation: Conversation, action: str, **body: Any) -> Any:
        """Return what an action answers, which must be done."""
        answer = self.post(f"c/{conversation.pk}/{action}/", **body)
        assert answer.status_code == 200, answer.content
        return orjson.loads(answer.content)

    def refused(self, conversation: Conversation, action: str, **body: Any) -> Any:
        """Return the problem with which an action is refused."""
        answer = self.post(f"c/{conversation.pk}/{action}/", **body)
        assert answer.status_code >= 400, answer.content
        return orjson.loads(answer.content)


def make_desk(tenant: Tenant, *groups: SkillGroup, role: Role = Role.VIEWER, **fields: Any) -> Desk:
    """Make an agent who sees their groups only, at the desk."""
    agent = make_agent(tenant, *groups, at=timezone.now(), **fields)
    Member.objects.filter(tenant=tenant, user_id=agent.user_id).update(role=role)
    return Desk(agent.user, agent)


def make_staff(tenant: Tenant, role: Role) -> User:
    """Make a member of staff who is no agent."""
    user = User.objects.create(username=f"staff-{uuid4().hex[:8]}", is_staff=True)
    Member.objects.create(tenant=tenant, user=user, role=role)
    return user


def ask(tenant: Tenant, group: SkillGroup | None = None, *, text: str = "Where is my order?", **fields: Any) -> Conversation:
    """Make a conversation in which a customer waits for an answer."""
    ensure_reply_provider(tenant_id=tenant.pk, by=TESTER)
    at: datetime = timezone.now()
    conversation = make_waiting(tenant, group, at=at, **fields)
    lines.append(conversation, author=AuthorKind.CUSTOMER, text=text, now=at)
    return conversation


def hold(conversation: Conversation, agent: Agent | None) -> Conversation:
    """Let an agent have a conversation."""
    Conversation.objects.filter(pk=conversation.pk).update(status=ConversationStatus.ASSIGNED, agent=agent, assigned_at=timezone.now())
    conversation.refresh_from_db()
    return conversation
