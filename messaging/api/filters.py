"""Filters of the lists; they stay in the address."""

from datetime import datetime
from typing import TypeVar

import django_filters
from django.db.models import Model, QuerySet

from messaging import selectors
from messaging.channels.recipients import list_key, written_forms
from messaging.channels.registry import CHANNEL_CHOICES
from messaging.models import (
    Batch,
    BatchStatus,
    DeliveryKind,
    DeliveryStatus,
    Message,
    Provider,
    Status,
    Suppression,
    SuppressionReason,
    Template,
    WebhookDelivery,
    WebhookEndpoint,
)
from posthaste.lib.dates import within_range
from posthaste.lib.filters import IntegerFilter, StrictFilterSet, TruthFilter
from posthaste.lib.ids import first_id_at

M = TypeVar("M", bound=Model)
RECIPIENT_HELP = "The whole recipient. A phone number may lack its +, which has to be written %2B in an address."


class AcceptedWithin(StrictFilterSet):
    """A span of time for what has an id that begins with its time: the primary key answers it."""

    created_after = django_filters.IsoDateTimeFilter(
        method="by_created_after", validators=[within_range], help_text="At this time or later."
    )
    created_before = django_filters.IsoDateTimeFilter(method="by_created_before", validators=[within_range], help_text="Before this time.")

    def by_created_after(self, rows: "QuerySet[M]", _name: str, value: datetime) -> "QuerySet[M]":
        return rows.filter(pk__gte=first_id_at(value))

    def by_created_before(self, rows: "QuerySet[M]", _name: str, value: datetime) -> "QuerySet[M]":
        return rows.filter(pk__lt=first_id_at(value))


class MessageFilter(AcceptedWithin):
    """`?status=failed&status=unknown&channel=sms&created_after=…`."""

    # No DISTINCT: a row has one state, and sorting all that were found for it would cost seconds.
    status = django_filters.MultipleChoiceFilter(choices=Status.choices, distinct=False, method="by_status")
    id = django_filters.UUIDFilter(field_name="pk", help_text="One message by its id.")
    trace_id = django_filters.UUIDFilter(field_name="pk", help_text="One message by its W3C trace-id: the id as 32 hex digits.")
    channel = django_filters.ChoiceFilter(choices=CHANNEL_CHOICES)
    batch = django_filters.UUIDFilter(field_name="batch_id")
    template = django_filters.CharFilter(field_name="template_version__template__name")
    provider = django_filters.UUIDFilter(field_name="provider_id")
    recipient = django_filters.CharFilter(method="by_recipient", help_text=RECIPIENT_HELP)
    reference = django_filters.CharFilter()
    priority = IntegerFilter()
    is_sandbox = TruthFilter()
    error_code = django_filters.CharFilter()
    category = django_filters.CharFilter()

    class Meta:
        model = Message
        fields: list[str] = []

    def by_status(self, rows: "QuerySet[Message]", _name: str, value: list[str]) -> "QuerySet[Message]":
        return rows.filter(selectors.in_states(value)) if value else rows

    def by_recipient(self, rows: "QuerySet[Message]", _name: str, value: str) -> "QuerySet[Message]":
        return rows.filter(recipient__in=written_forms(value))


class BatchFilter(AcceptedWithin):
    """`?status=running&name=…&created_after=…`."""

    status = django_filters.MultipleChoiceFilter(choices=BatchStatus.choices, distinct=False)
    channel = django_filters.ChoiceFilter(choices=CHANNEL_CHOICES)
    name = django_filters.CharFilter(lookup_expr="icontains")

    class Meta:
        model = Batch
        fields: list[str] = []


class TemplateFilter(StrictFilterSet):
    """`?channel=email&is_archived=false`."""

    channel = django_filters.ChoiceFilter(choices=CHANNEL_CHOICES)
    is_archived = TruthFilter()

    class Meta:
        model = Template
        fields: list[str] = []


class ProviderFilter(StrictFilterSet):
    """`?channel=sms&is_enabled=true`."""

    channel = django_filters.ChoiceFilter(choices=CHANNEL_CHOICES)
    kind = django_filters.CharFilter()
    is_enabled = TruthFilter()

    class Meta:
        model = Provider
        fields: list[str] = []


class SuppressionFilter(StrictFilterSet):
    """`?recipient=ada@example.com&reason=unsubscribe`."""

    recipient = django_filters.CharFilter(method="by_recipient", help_text=RECIPIENT_HELP)
    channel = django_filters.ChoiceFilter(choices=CHANNEL_CHOICES)
    category = django_filters.CharFilter()
    reason = django_filters.ChoiceFilter(choices=SuppressionReason.choices)

    class Meta:
        model = Suppression
        fields: list[str] = []

    def by_recipient(self, rows: "QuerySet[Suppression]", _name: str, value: str) -> "QuerySet[Suppression]":
        return rows.filter(recipient__in={list_key(form) for form in written_forms(value)})


class WebhookFilter(StrictFilterSet):
    """`?is_enabled=true`."""

    is_enabled = TruthFilter()

    class Meta:
        model = WebhookEndpoint
        fields: list[str] = []


class DeliveryFilter(StrictFilterSet):
    """`?status=failed&status=given_up&kind=events`."""

    status = django_filters.MultipleChoiceFilter(choices=DeliveryStatus.choices, distinct=False)
    kind = django_filters.ChoiceFilter(choices=DeliveryKind.choices)

    class Meta:
        model = WebhookDelivery
        fields: list[str] = []
