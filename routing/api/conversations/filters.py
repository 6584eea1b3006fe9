"""Filters of conversations and arrivals; they stay in the address."""

from datetime import datetime
from typing import TypeVar

import django_filters
from django.db.models import Model, QuerySet

from posthaste.lib.dates import within_range
from posthaste.lib.filters import StrictFilterSet
from posthaste.lib.ids import first_id_at
from routing.models import Arrival, ArrivalState, Conversation, ConversationStatus

M = TypeVar("M", bound=Model)


class MadeWithin(StrictFilterSet):
    """A span of time for what has an id that begins with its time: the primary key answers it."""

    created_after = django_filters.IsoDateTimeFilter(
        method="by_created_after", validators=[within_range], help_text="At this time or later."
    )
    created_before = django_filters.IsoDateTimeFilter(method="by_created_before", validators=[within_range], help_text="Before this time.")

    def by_created_after(self, rows: "QuerySet[M]", _name: str, value: datetime) -> "QuerySet[M]":
        return rows.filter(pk__gte=first_id_at(value))

    def by_created_before(self, rows: "QuerySet[M]", _name: str, value: datetime) -> "QuerySet[M]":
        return rows.filter(pk__lt=first_id_at(value))


class ConversationFilter(MadeWithin):
    """`?status=queued&status=assigned&group=billing`."""

    status = django_filters.MultipleChoiceFilter(choices=ConversationStatus.choices, distinct=False)
    agent = django_filters.UUIDFilter(field_name="agent_id")
    group = django_filters.CharFilter(field_name="group__name", help_text="The group's short name.")
    customer = django_filters.UUIDFilter(field_name="customer_id")
    intent = django_filters.CharFilter(help_text="The intent's short name.")
    entrance = django_filters.UUIDFilter(field_name="entrance_id")
    tag = django_filters.CharFilter(field_name="tags__name", help_text="A tag's name.")

    class Meta:
        model = Conversation
        fields: list[str] = []


class ArrivalFilter(MadeWithin):
    """`?state=failed&entrance=…`."""

    state = django_filters.MultipleChoiceFilter(choices=ArrivalState.choices, distinct=False)
    entrance = django_filters.UUIDFilter(field_name="entrance_id")

    class Meta:
        model = Arrival
        fields: list[str] = []
