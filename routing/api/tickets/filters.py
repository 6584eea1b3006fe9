"""Filters of the list of tickets; they stay in the address."""

from datetime import date
from uuid import UUID

import django_filters
from django.db.models import QuerySet

from posthaste.lib.filters import IntegerFilter, TruthFilter
from routing.api.conversations.filters import MadeWithin
from routing.models import OPEN_TICKETS, Tag, Ticket, TicketKind, TicketPriority, TicketStatus
from routing.tickets import finding


class TicketFilter(MadeWithin):
    """`?status=queued&group=billing&priority=urgent`."""

    number = IntegerFilter(min_value=1, max_value=finding.MAX_NUMBER)
    status = django_filters.MultipleChoiceFilter(choices=TicketStatus.choices, distinct=False)
    open = TruthFilter(method="by_open", help_text="Whether there is still something to do.")
    type = django_filters.CharFilter(field_name="type__name", help_text="The type's short name.")
    kind = django_filters.ChoiceFilter(field_name="type__kind", choices=TicketKind.choices)
    priority = django_filters.MultipleChoiceFilter(choices=TicketPriority.choices, distinct=False)
    group = django_filters.CharFilter(field_name="group__name", help_text="The group's short name.")
    agent = django_filters.UUIDFilter(field_name="agent_id")
    assigned = TruthFilter(method="by_assigned", help_text="Whether an agent has it.")
    customer = django_filters.UUIDFilter(field_name="customer_id")
    conversation = django_filters.UUIDFilter(field_name="conversation_id")
    watcher = django_filters.UUIDFilter(method="by_watcher", help_text="Tickets that this agent watches.")
    tag = django_filters.CharFilter(method="by_tag", help_text="A tag's name.")
    due_before = django_filters.DateFilter(method="by_due", help_text="Open and due by this day.")
    q = django_filters.CharFilter(
        method="by_text", help_text="A number such as #1042, or a part of the subject, the customer's name or a field."
    )

    class Meta:
        model = Ticket
        fields: list[str] = []

    def by_open(self, rows: "QuerySet[Ticket]", _name: str, value: bool) -> "QuerySet[Ticket]":
        return rows.filter(status__in=OPEN_TICKETS) if value else rows.exclude(status__in=OPEN_TICKETS)

    def by_assigned(self, rows: "QuerySet[Ticket]", _name: str, value: bool) -> "QuerySet[Ticket]":
        return rows.filter(agent__isnull=not value)

    def by_watcher(self, rows: "QuerySet[Ticket]", _name: str, value: UUID) -> "QuerySet[Ticket]":
        return rows.filter(watchers__agent=value)

    def by_tag(self, rows: "QuerySet[Ticket]", _name: str, value: str) -> "QuerySet[Ticket]":
        return rows.filter(tags__in=Tag.objects.filter(tenant_id=self.request.user.tenant_id, name=value))

    def by_due(self, rows: "QuerySet[Ticket]", _name: str, value: date) -> "QuerySet[Ticket]":
        return finding.due_before(rows, value)

    def by_text(self, rows: "QuerySet[Ticket]", _name: str, value: str) -> "QuerySet[Ticket]":
        return finding.searched(rows, value, tenant_ids=[self.request.user.tenant_id])
