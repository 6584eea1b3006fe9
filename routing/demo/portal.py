"""The demo's portal: how it looks, and what customers said of conversations that were resolved."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from accounts.selectors import Tenant
from routing.contract import SenderName
from routing.conversations import lines
from routing.customers import identities
from routing.models import Agent, AuthorKind, Conversation, ConversationStatus, Entrance, IdentityKind, Satisfaction, SkillGroup

LOOK = {
    "slug": "lamplight",
    "title": "Lamplight help",
    "title_zh": "灯语客服",
    "greeting": "Hello! Ask us about orders, delivery, returns and repairs.",
    "greeting_zh": "您好！订单、配送、退换货和维修问题都可以问我们。",
    "logo": "L",
    "asks_rating": True,
}

#: The newest first: days ago, who, the language, what they asked and were answered, the group, the score (None: not given), the comment.
RESOLVED: tuple[tuple[int, str, str, str, str, str, int | None, str], ...] = (
    (
        1,
        "Noah Berg",
        "en",
        "Where is my order A-1017?",
        "It left our store today and arrives tomorrow.",
        "orders",
        5,
        "Quick and friendly.",
    ),
    (1, "刘洋", "zh", "发票什么时候可以开？", "已经为您开好，并发送到您的邮箱。", "billing", 4, "很满意，谢谢"),
    (2, "Emma Clark", "en", "The dimmer buzzes at low light.", "That is a fault. A new one is on its way.", "technical", 5, ""),
    (3, "陈静", "zh", "我想修改收货地址。", "地址已经改好了。", "orders", 2, "等了二十分钟才有人回复"),
    (4, "Luca Rossi", "en", "Can I pay by invoice?", "Yes, from the second order on.", "billing", 3, "It took two questions."),
    (6, "Maya Patel", "en", "Do you repair old lamps?", "We do, for all models since 2012.", "technical", None, ""),
)


def load_ratings(*, tenant: Tenant, entrance: Entrance, agents: Sequence[Agent], now: datetime) -> None:
    """Make conversations that were resolved and rated, unless there are ratings already."""
    if Satisfaction.objects.filter(tenant=tenant).exists():
        return
    groups = {group.name: group for group in SkillGroup.objects.filter(tenant=tenant)}
    for number, (days, name, language, question, answer, group, score, comment) in enumerate(reversed(RESOLVED)):
        at, agent = now - timedelta(days=days) + timedelta(minutes=17 * number), agents[number % len(agents)] if agents else None
        sender = SenderName(kind=IdentityKind.PORTAL, value=f"demo-rated-{number}", name=name)
        identity = identities.resolve(sender, tenant_id=tenant.pk, language=language, now=at)
        conversation = Conversation.objects.create(
            tenant=tenant,
            customer=identity.customer,
            identity=identity,
            entrance=entrance,
            language=language,
            group=groups.get(group),
            agent=agent,
            created_at=at,
        )
        lines.append(conversation, author=AuthorKind.CUSTOMER, text=question, now=at)
        lines.append(conversation, author=AuthorKind.AGENT, agent=agent, text=answer, now=at + timedelta(minutes=4))
        resolved_at = at + timedelta(minutes=6)
        Conversation.objects.filter(pk=conversation.pk).update(
            status=ConversationStatus.RESOLVED, resolved_at=resolved_at, assigned_at=at + timedelta(minutes=2)
        )
        Satisfaction.objects.create(
            tenant=tenant,
            conversation=conversation,
            agent=agent,
            group=groups.get(group),
            resolved_at=resolved_at,
            score=score,
            comment=comment,
            asked_at=resolved_at,
            answered_at=resolved_at + timedelta(minutes=3) if score else None,
        )
