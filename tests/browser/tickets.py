"""The desk's pages of tickets, and their types and tags in the admin."""

from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from routing.demo.tickets import load_tickets
from routing.models import Agent, ChecklistItem, Note, Tag, Ticket, TicketType
from tests.browser.scene import Scene
from tests.builders import TESTER


def ticket_pages(scene: Scene) -> dict[str, str]:
    """Make the demo's tickets, and return the addresses of the pages by name."""
    tenant, now = scene.tenant, timezone.now()
    for name in ("Tom", "Mei"):
        Agent.objects.create(tenant=tenant, user=User.objects.create_user(name.lower()), name=name, created_at=now)
    load_tickets(tenant=tenant, by=TESTER, now=now)
    refund, tag = TicketType.objects.get(tenant=tenant, name="refund"), Tag.objects.filter(tenant=tenant).order_by("name")[0]
    repair = Ticket.objects.get(tenant=tenant, subject="Coffee machine does not turn on")
    merged = Ticket.objects.get(tenant=tenant, status="merged")
    # What people wrote is no text of the product: in Chinese, it is not taken for one that was not translated.
    for row in Ticket.objects.filter(tenant=tenant):
        values = {key: "开关失灵" if isinstance(value, str) and " " in value else value for key, value in row.fields.items()}
        Ticket.objects.filter(pk=row.pk).update(subject="台灯开关失灵", description="按下开关没有反应。", fields=values)
    TicketType.objects.filter(tenant=tenant).update(title="台灯维修")
    ChecklistItem.objects.filter(ticket__tenant=tenant).update(text="请客户提供照片")
    Note.objects.filter(tenant=tenant).update(text="@Alex 库存里还有旧的电源板吗？")
    new = reverse("desk-ticket-new")
    return {
        "tickets": f"{reverse('desk-tickets')}?view=all",
        "tickets that none fits": f"{reverse('desk-tickets')}?view=all&q=nothing-like-it",
        "ticket": reverse("desk-ticket", args=[repair.number]),
        "merged ticket": reverse("desk-ticket", args=[merged.number]),
        "kinds of a new ticket": new,
        "new ticket": f"{new}?type=repair&tenant={tenant.slug}",
        "new work order": f"{new}?for={repair.number}&type=warehouse&tenant={tenant.slug}",
        "all tickets": reverse("admin:routing_ticket_changelist"),
        "ticket in the admin": reverse("admin:routing_ticket_change", args=[repair.pk]),
        "ticket types": reverse("admin:routing_tickettype_changelist"),
        "ticket type": reverse("admin:routing_tickettype_change", args=[refund.pk]),
        "new ticket type": reverse("admin:routing_tickettype_add"),
        "tags": reverse("admin:routing_tag_changelist"),
        "tag": reverse("admin:routing_tag_change", args=[tag.pk]),
        "new tag": reverse("admin:routing_tag_add"),
    }
