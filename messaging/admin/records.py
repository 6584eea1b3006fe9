"""Receipts and idempotency keys in the admin: what came in, and what was made of it."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy

from accounts.staff.lists import as_uuid
from accounts.staff.tenant_admin import OwnedFilter, ReadOnly, own_rows
from messaging.models import IdempotencyKey, Message, Provider, ReceiptEntry, ReceiptOutcome
from posthaste.ui import badges
from posthaste.ui.templatetags.interface import NOTHING, ago, badge, short_id


@admin.register(ReceiptEntry)
class ReceiptAdmin(ReadOnly):
    """What providers reported."""

    purpose = gettext_lazy("What providers later reported about messages, and how each report was handled.")
    empty_text = gettext_lazy("Receipts appear here when a provider calls the receipt address on its page.")
    tenant_column = ""
    list_display = ["outcome_badge", "reported_badge", "message_link", "provider", "provider_message_id", "code", "received"]
    list_display_links = ["outcome_badge"]
    has_panel = True
    list_filter = ["outcome", ("provider", OwnedFilter)]
    list_select_related = ["provider"]
    search_fields = ["id"]  # turns the search on; get_search_results does it
    search_help_text = gettext_lazy("Exact message ID or provider's ID.")
    ordering = ["-id"]
    sortable_by = ["received"]
    fields = ["outcome_badge", "reported_badge", "message_link", "provider", "provider_message_id", "code", "detail", "received"]
    readonly_fields = ["outcome_badge", "reported_badge", "message_link", "provider", "provider_message_id", "code", "detail", "received"]

    def get_queryset(self, request: HttpRequest) -> "QuerySet[ReceiptEntry]":
        return super().get_queryset(request).defer("provider__config", "provider__receipt_secret")

    def get_search_results(self, request: HttpRequest, queryset: "QuerySet[ReceiptEntry]", search_term: str) -> Any:
        term = search_term.strip()
        if not term:
            return queryset, False
        if identifier := as_uuid(term):
            return queryset.filter(Q(message_id=identifier) | Q(pk=identifier)), False
        # The index on messages begins with the provider.
        providers = own_rows(request, Provider.objects.all()).values_list("pk", flat=True)
        carried = Message.objects.filter(provider_id__in=list(providers), provider_message_id=term).values_list("pk", flat=True)[:50]
        return queryset.filter(message_id__in=list(carried)), False

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        receipt: ReceiptEntry = self.own(request, unquote(object_id))
        named = {"heading": f"{badges.shown(receipt.reported, 'message').label} · {receipt.get_outcome_display()}"}
        return super().change_view(request, object_id, form_url, {**named, **(extra_context or {})})

    @admin.display(description=gettext_lazy("outcome"), ordering="outcome")
    def outcome_badge(self, row: ReceiptEntry) -> SafeString:
        return badge(ReceiptOutcome(row.outcome))

    @admin.display(description=gettext_lazy("reported"))
    def reported_badge(self, row: ReceiptEntry) -> SafeString:
        return badge(row.reported, "message")

    @admin.display(description=gettext_lazy("message"))
    def message_link(self, row: ReceiptEntry) -> SafeString | str:
        if row.message_id is None:
            return NOTHING
        return format_html(
            '<a href="{}"><code>{}</code></a>', reverse("admin:messaging_message_change", args=[row.message_id]), short_id(row.message_id)
        )

    @admin.display(description=gettext_lazy("received"), ordering="id")
    def received(self, row: ReceiptEntry) -> SafeString:
        return ago(row.received_at)


@admin.register(IdempotencyKey)
class IdempotencyKeyAdmin(ReadOnly):
    """Which request a repeated call was answered from."""

    purpose = gettext_lazy("Requests with an Idempotency-Key. A repeated request gets the first response.")
    empty_text = gettext_lazy("Requests with the header Idempotency-Key are kept here for a day.")
    list_display = ["key_shown", "made", "tenant", "created"]
    has_panel = True
    list_select_related = ["tenant"]
    search_fields = ["key"]  # turns the search on; get_search_results does it
    search_help_text = gettext_lazy("Exact key, or the ID of the object it created.")
    ordering = ["-id"]
    sortable_by = ()
    fields = ["key_shown", "made", "tenant_shown", "created"]
    readonly_fields = ["key_shown", "made", "tenant_shown", "created"]

    def get_search_results(self, request: HttpRequest, queryset: "QuerySet[IdempotencyKey]", search_term: str) -> Any:
        term = search_term.strip()
        if not term:
            return queryset, False
        identifier = as_uuid(term)
        return queryset.filter(Q(key=term) | Q(target=identifier) if identifier else Q(key=term)), False

    @admin.display(description=gettext_lazy("key"))
    def key_shown(self, row: IdempotencyKey) -> SafeString:
        return format_html("<code>{}</code>", row.key)

    @admin.display(description=gettext_lazy("created object"))
    def made(self, row: IdempotencyKey) -> SafeString:
        # A message or a batch: the search of messages knows both.
        return format_html(
            '<a href="{}?q={}"><code>{}</code></a>', reverse("admin:messaging_message_changelist"), row.target.hex, short_id(row.target)
        )

    @admin.display(description=gettext_lazy("tenant"))
    def tenant_shown(self, row: IdempotencyKey) -> str:
        return str(row.tenant)

    @admin.display(description=gettext_lazy("created"))
    def created(self, row: IdempotencyKey) -> SafeString:
        return ago(row.created_at)
