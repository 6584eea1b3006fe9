"""Groups, agents and conversations for the walks over all addresses."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.utils import timezone

from accounts.models import Member, Tenant, User
from routing.models import Agent, Assignment, Conversation, QuickReply, ReportSchedule, SkillGroup
from tests.routing.assignment.builders import make_agent, make_group, make_waiting
from tests.routing.builders import make_conversation, make_customer, make_identity

#: The conversation that another one of its customer is merged into, in place of any that was made before: it is named in a body.
INTO = "0192f0c1-a2b3-7c4d-8e9f-0011223344aa"


@dataclass(frozen=True, slots=True)
class OwnedDesk:
    """Two groups, an agent with a conversation and one without, conversations in each state, and why one is held."""

    group: SkillGroup
    empty_group: SkillGroup
    agent: Agent
    new_agent: Agent
    waiting: Conversation
    held: Conversation
    second: Conversation
    merged: Conversation
    closed: Conversation
    span: Assignment
    quick_reply: QuickReply
    schedule: ReportSchedule

    def rows(self) -> list[Any]:
        """List them all."""
        groups_and_agents = [self.group, self.empty_group, self.agent, self.new_agent]
        return [
            *groups_and_agents,
            self.waiting,
            self.held,
            self.second,
            self.merged,
            self.closed,
            self.span,
            self.quick_reply,
            self.schedule,
        ]


def make_desk(tenant: Tenant) -> OwnedDesk:
    """Make one of everything about assignment."""
    now = timezone.now()
    group, empty = (make_group(tenant, f"a-own-{name}", at=now, title=f"A's own {name}") for name in ("group", "empty"))
    agent = make_agent(tenant, group, at=now, name="A's own agent", load=1)
    user, _made = User.objects.get_or_create(username="a-new-agent", is_staff=True)
    Member.objects.create(tenant=tenant, user=user, role="viewer")
    new = Agent.objects.create(tenant=tenant, user=user, name="A's own new agent", presence="offline", created_at=now)
    held = make_waiting(tenant, group, at=now, status="assigned", agent=agent, assigned_at=now)
    customer = make_customer(tenant)
    Conversation.objects.filter(pk=INTO).delete()
    first = make_conversation(make_identity(customer), id=UUID(INTO))
    return OwnedDesk(
        group=group,
        empty_group=empty,
        agent=agent,
        new_agent=new,
        waiting=make_waiting(tenant, group, at=now),
        held=held,
        second=make_conversation(make_identity(customer)),
        merged=make_conversation(make_identity(customer), status="closed", merged_into=first),
        closed=make_conversation(make_identity(customer), status="closed"),
        span=Assignment.objects.create(tenant=tenant, conversation=held, agent=agent, cause="rule", started_at=now),
        quick_reply=QuickReply.objects.create(
            tenant=tenant, shortcut="a-own-hello", title="A's own hello", text="Hello", created_at=now, changed_at=now
        ),
        schedule=ReportSchedule.objects.create(
            tenant=tenant, report="day", recipients=["a-own@example.com"], is_active=False, created_at=now
        ),
    )


#: As `SAMPLES` of test_tenants.
ASSIGNMENT: dict[str, tuple[str, dict[str, Any]]] = {
    "api/skill-groups/<uuid:id>/": ("desk.empty_group.pk", {"PATCH": {"title": "mine now"}}),
    "api/agents/<uuid:id>/": ("desk.new_agent.pk", {"PATCH": {"name": "mine now"}}),
    "api/agents/<uuid:id>/presence/": ("desk.agent.pk", {"PUT": {"presence": "offline"}}),
    "api/conversations/<uuid:id>/claim/": ("desk.waiting.pk", {"POST": {"agent": "a-new-agent"}}),
    "api/conversations/<uuid:id>/transfer/": ("desk.held.pk", {"POST": {"group": "a-own-empty"}}),
    "api/conversations/<uuid:id>/release/": ("desk.held.pk", {}),
    "api/conversations/<uuid:id>/assignments/": ("desk.held.pk", {}),
    "api/desk/report-schedules/<uuid:id>/": ("desk.schedule.pk", {"PATCH": {"hour": 9}}),
    "api/quick-replies/<uuid:id>/": ("desk.quick_reply.pk", {"PATCH": {"title": "mine now"}}),
}
