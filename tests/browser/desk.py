"""The service desk: conversations with their lines, and what came in."""

from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from routing.conversations import lines, replies
from routing.conversations.replies import Author
from routing.models import Agent, ArrivalState, Assignment, AssignmentCause, AuthorKind, ConversationStatus, IdentityKind, SkillGroup
from tests.browser.scene import Scene
from tests.builders import TESTER
from tests.routing.builders import make_conversation, make_customer, make_entrance, make_identity
from tests.routing.conversations.builders import make_arrival, make_asked, make_attachment


def desk_pages(scene: Scene) -> dict[str, str]:
    """Make conversations and arrivals, and return the addresses of the pages by name."""
    tenant, now = scene.tenant, timezone.now()
    entrance = make_entrance(tenant, name="www.example.com")
    group = SkillGroup.objects.create(tenant=tenant, name="orders", title="Orders", created_at=now)
    agent = Agent.objects.create(tenant=tenant, user=User.objects.create_user("lin"), name="Lin Yue", created_at=now)
    ada = make_identity(make_customer(tenant, name="Ada Lovelace"), IdentityKind.EMAIL, value="ada@example.com")
    held = make_conversation(
        ada,
        entrance,
        status=ConversationStatus.ASSIGNED,
        intent="order_status",
        confidence=0.93,
        language="en",
        group=group,
        agent=agent,
        assigned_at=now,
    )
    lines.append(held, author=AuthorKind.CUSTOMER, text="Where is my order?\nIt should have come on Monday.", now=now)
    make_attachment(held, name="invoice.pdf", size=81_920)
    replies.reply(conversation=held, author=Author(agent=agent), text="您好，今天送达。It arrives today.", by=TESTER, now=now)
    assigned = {
        "cause": AssignmentCause.RULE,
        "config_version": 3,
        "reason": {"basis": "intent", "intent": "order_status", "group": "orders"},
    }
    span = Assignment.objects.create(tenant=tenant, conversation=held, agent=agent, started_at=now, **assigned)
    make_asked(
        tenant, "我的发票在哪里？", status=ConversationStatus.QUEUED, queued_at=now, intent="invoice", confidence=0.71, language="zh"
    )
    failed = make_arrival(
        entrance, state=ArrivalState.FAILED, attempts=3, error="ValueError: no such thread", sender="email:ada@example.com"
    )
    make_arrival(entrance, state=ArrivalState.DONE, attempts=1, finished_at=now)
    return {
        "desk": reverse("desk") + f"?view=all&tenant={tenant.pk}",
        "desk with a conversation": reverse("desk-conversation", args=[held.pk]),
        "conversations": reverse("admin:routing_conversation_changelist"),
        "conversation": reverse("admin:routing_conversation_change", args=[held.pk]),
        "agents": reverse("admin:routing_agent_changelist"),
        "agent": reverse("admin:routing_agent_change", args=[agent.pk]),
        "new agent": reverse("admin:routing_agent_add"),
        "new skill group": reverse("admin:routing_skillgroup_add"),
        "deleting a skill group": reverse("admin:routing_skillgroup_delete", args=[group.pk]),
        "replay of assignment": reverse("config:module-replay", args=["assignment"]) + f"?run=1&hours=1&tenant={tenant.slug}",
        "skill groups": reverse("admin:routing_skillgroup_changelist"),
        "skill group": reverse("admin:routing_skillgroup_change", args=[group.pk]),
        "list of assignments": reverse("admin:routing_assignment_changelist"),
        "span of an assignment": reverse("admin:routing_assignment_change", args=[span.pk]),
        "arrivals": reverse("admin:routing_arrival_changelist"),
        "failed arrival": reverse("admin:routing_arrival_change", args=[failed.pk]),
    }
