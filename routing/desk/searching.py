"""Search in conversations: names of customers, subjects, texts, and exactly an identity or the number of a ticket."""

from datetime import datetime, timedelta
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet

from posthaste.lib.ids import first_id_at
from routing.customers import names
from routing.models import Conversation, Customer, Identity, Line, Ticket

#: Subjects and texts of conversations that are over are searched this far back.
SEARCHED = timedelta(days=90)
MAX_DIGITS = 9


def among_open(text: str, tenant_id: int) -> Q:
    """Return the condition for conversations in which a text is found; asked of each, so only for a few thousand."""
    found = Q(customer__in=_customers(text, tenant_id)) | Q(customer__in=_identified(text, tenant_id)) | Q(subject__icontains=text)
    found |= Q(Exists(Line.objects.filter(conversation=OuterRef("pk"), text__icontains=text)))
    return found | Q(pk__in=_tickets(text, tenant_id).values("conversation"))


def among_all(text: str, tenant_id: int, *, now: datetime) -> Q:
    """Return the condition for conversations in which a text is found, each way by its own index."""
    own: QuerySet[Conversation] = Conversation.objects.filter(tenant_id=tenant_id).order_by()
    since = first_id_at(now - SEARCHED)
    ways: list[Any] = [
        own.filter(customer__in=_customers(text, tenant_id)).values("pk"),
        own.filter(customer__in=_identified(text, tenant_id)).values("pk"),
        own.filter(pk__gte=since, subject__icontains=text).values("pk"),
        Line.objects.filter(tenant_id=tenant_id, pk__gte=since, text__icontains=text).order_by().values("conversation"),
        _tickets(text, tenant_id).values("conversation"),
    ]
    return Q(pk__in=ways[0].union(*ways[1:], all=True))


def _customers(text: str, tenant_id: int) -> "QuerySet[Customer]":
    return Customer.objects.filter(names.has_part(text), tenant_id=tenant_id).order_by()


def _identified(text: str, tenant_id: int) -> Any:
    return Identity.objects.filter(value__in={text, text.lower()}, tenant_id=tenant_id).order_by().values("customer")


def _tickets(text: str, tenant_id: int) -> "QuerySet[Ticket]":
    number = text.removeprefix("#")
    if not number.isdecimal() or len(number) > MAX_DIGITS:
        return Ticket.objects.order_by().none()
    return Ticket.objects.filter(tenant_id=tenant_id, number=int(number), conversation__isnull=False).order_by()
