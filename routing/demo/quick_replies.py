"""Quick replies, tags and a filter of the demo's desk, in English and Chinese."""

from datetime import datetime

from accounts.selectors import Tenant
from accounts.services.audit import Actor
from posthaste.lib.ids import new_id
from routing.desk import quick_replies
from routing.models import QuickReply, SavedFilter, SkillGroup, Tag

#: Shortcut, language, group, name, text.
TEXTS: tuple[tuple[str, str, str, str, str], ...] = (
    ("hello", "en", "", "Greeting", 'Hello {{ customer.name | default: "there" }}, this is {{ agent.name }}. I am looking into it.'),
    ("hello", "zh", "", "问候", "{{ customer.name | default: '您好' }}，我是 {{ agent.name }}，正在为您查询。"),
    ("bye", "en", "", "Goodbye", "Is there anything else I can do for you? Have a nice day!"),
    ("bye", "zh", "", "结束语", "请问还有什么可以帮您？祝您生活愉快！"),
    ("number", "en", "orders", "Ask for the order number", "Could you send me your order number? It is in the confirmation e-mail."),
    ("number", "zh", "orders", "询问订单号", "请提供一下您的订单号，可以在确认邮件中找到。"),
    ("refund", "en", "billing", "Refund is on its way", "I have started the refund. It is in your account within 3 to 5 working days."),
    ("refund", "zh", "billing", "退款处理中", "已为您发起退款，款项将在 3 到 5 个工作日内到账。"),
    ("photo", "en", "technical", "Ask for a photo", "Could you send a photo of the device and of its label?"),
)
TAGS = ("urgent", "complaint", "repair", "refund")
FILTER, QUERY = "Refunds, due first", {"view": "all", "tag": "refund", "sort": "due"}


def load_quick_replies(*, tenant: Tenant, by: Actor, now: datetime) -> None:
    """Make the quick replies, unless the tenant has some."""
    if QuickReply.objects.filter(tenant=tenant).exists():
        return
    groups = {group.name: group for group in SkillGroup.objects.filter(tenant=tenant)}
    for shortcut, language, group, title, text in TEXTS:
        row = QuickReply(tenant=tenant, shortcut=shortcut, language=language, group=groups.get(group), title=title, text=text)
        quick_replies.create_quick_reply(row=row, by=by, now=now)
    Tag.objects.bulk_create([Tag(id=new_id(), tenant=tenant, name=name, created_at=now) for name in TAGS], ignore_conflicts=True)
    SavedFilter.objects.get_or_create(tenant=tenant, agent=None, name=FILTER, defaults={"query": QUERY, "created_at": now})
