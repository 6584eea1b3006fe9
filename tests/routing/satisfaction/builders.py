"""Conversations that were answered and resolved, for tests."""

from typing import Any

from django.utils import timezone

from accounts.models import Tenant, User
from routing.conversations import lines, resolving
from routing.entrances.provision import ensure_reply_provider
from routing.models import Agent, AuthorKind, Conversation, ConversationStatus, Entrance, Satisfaction
from tests.builders import TESTER, untraced
from tests.routing.builders import make_conversation, make_customer, make_identity


def make_answered(entrance: Entrance, **fields: Any) -> Conversation:
    """Make a conversation in which the customer asked and an agent answered."""
    now = timezone.now()
    with untraced() as by:
        ensure_reply_provider(tenant_id=entrance.tenant_id, by=by)
    identity = fields.pop("identity", None) or make_identity(make_customer(entrance.tenant))
    conversation = make_conversation(identity, entrance, status=ConversationStatus.ASSIGNED, **fields)
    lines.append(conversation, author=AuthorKind.CUSTOMER, text="Where is my order?", now=now)
    lines.append(conversation, author=AuthorKind.AGENT, agent=conversation.agent, text="It arrives today.", now=now)
    return conversation


def make_agent(tenant: Tenant, name: str = "Lin") -> Agent:
    """Make an agent."""
    user = User.objects.create_user(f"{name.lower()}-{tenant.slug}")
    return Agent.objects.create(tenant=tenant, user=user, name=name, created_at=timezone.now())


def make_asked_for(entrance: Entrance, **fields: Any) -> Satisfaction:
    """Resolve such a conversation and return the rating that is asked for."""
    conversation = make_answered(entrance, **fields)
    resolving.resolve(conversation=conversation, by=TESTER, now=timezone.now())
    return Satisfaction.objects.get(conversation=conversation)


def make_rating(conversation: Conversation, **fields: Any) -> Satisfaction:
    """Make a rating that was given."""
    now = timezone.now()
    values = {"score": 4, "comment": "A's own", "resolved_at": now, "asked_at": now, "answered_at": now, **fields}
    return Satisfaction.objects.create(tenant_id=conversation.tenant_id, conversation=conversation, **values)
