"""The delivery log of webhooks in the admin: each call of an endpoint, what came of it, and sending it again."""

from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import path, reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_POST

from accounts.services.audit import Actor
from accounts.staff.lists import as_uuid
from accounts.staff.tenant_admin import OwnedFilter, ReadOnly, own_rows
from messaging.models import DeliveryKind, DeliveryStatus, WebhookDelivery
from messaging.webhooks import deliveries
from posthaste.lib.problems import Problem
from posthaste.ui.confirmation import MAX_AT_ONCE, confirm
from posthaste.ui.pages import problem_text
from posthaste.ui.templatetags.interface import NOTHING, ago, badge, icon, milliseconds, thousands

SHOWN_EVENTS = 50
MAX_REPLAYS = 20  # of one bulk action: each is a call that may take as long as an endpoint may
LEVELS = {
    DeliveryStatus.DELIVERED: messages.SUCCESS,
    DeliveryStatus.FAILED: messages.ERROR,
    DeliveryStatus.UNKNOWN: messages.WARNING,
    DeliveryStatus.GIVEN_UP: messages.ERROR,
}


def _in_words(row: WebhookDelivery) -> str:
    """Name a delivery by what a person knows of it: where to, how much, what came of it, when."""
    events = ngettext("{n} event", "{n} events", row.events).format(n=thousands(row.events))
    at = timezone.localtime(row.at)
    return " · ".join([row.endpoint.name, events, str(row.get_status_display()), f"{date_format(at, 'SHORT_DATE_FORMAT')} {at:%H:%M}"])


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(ReadOnly):
    """Calls of endpoints."""

    purpose = gettext_lazy("Each request to a webhook endpoint, and how it was answered.")
    empty_text = gettext_lazy("Requests appear here when events are sent to an endpoint, or when you test one.")
    rows_word = gettext_lazy("deliveries")
    list_display = ["status_badge", "endpoint", "kind_badge", "events_shown", "attempt", "answer", "took", "tenant", "called"]
    list_display_links = ["status_badge", "called"]
    figure_columns = ("attempt", "took")
    has_panel = True
    list_filter = ["status", "kind", ("endpoint", OwnedFilter)]
    list_select_related = ["endpoint", "tenant"]
    search_fields = ["id"]  # turns the search on; get_search_results does it
    search_help_text = gettext_lazy("Exact webhook-id or delivery ID.")
    ordering = ["-id"]
    sortable_by = ["called"]
    actions = ["replay"]

    def get_queryset(self, request: HttpRequest) -> "QuerySet[WebhookDelivery]":
        return super().get_queryset(request).defer("endpoint__secret", "endpoint__previous_secret")

    def get_search_results(self, request: HttpRequest, queryset: "QuerySet[WebhookDelivery]", search_term: str) -> Any:
        term = search_term.strip()
        if not term:
            return queryset, False
        identifier = as_uuid(term)
        return (queryset.filter(pk=identifier) if identifier else queryset.filter(webhook_id=term)), False

    def get_urls(self) -> Any:
        own = [path("<uuid:pk>/replay/", self.admin_site.admin_view(require_POST(self.replay_one)), name=self.url_name("replay"))]
        return own + super().get_urls()

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        delivery: WebhookDelivery = self.own(request, unquote(object_id))
        shown = deliveries.events_of(delivery=delivery, limit=SHOWN_EVENTS)
        return self.page(
            request,
            "detail",
            delivery,
            title=f"{delivery.endpoint} · {delivery.get_status_display()}",
            may_replay=delivery.kind != DeliveryKind.TEST and self.has_operate_permission(request, delivery),
            events=[{**event, "subject": event["type"].partition(".")[0]} for event in shown],
            others=max(0, delivery.events - SHOWN_EVENTS) if shown else 0,
            is_gone=delivery.kind != DeliveryKind.TEST and not shown,
        )

    # --- columns ---------------------------------------------------------------------------------------------

    @admin.display(description=gettext_lazy("outcome"), ordering="status")
    def status_badge(self, row: WebhookDelivery) -> SafeString:
        if row.status == DeliveryStatus.DELIVERED:  # what is normal is quiet
            return format_html("{} {}", icon("sent"), row.get_status_display())
        return badge(DeliveryStatus(row.status))

    @admin.display(description=gettext_lazy("kind"))
    def kind_badge(self, row: WebhookDelivery) -> SafeString | str:
        return str(row.get_kind_display()) if row.kind == DeliveryKind.EVENTS else badge(DeliveryKind(row.kind))

    @admin.display(description=gettext_lazy("events"))
    def events_shown(self, row: WebhookDelivery) -> str:
        return thousands(row.events)

    @admin.display(description=gettext_lazy("response"))
    def answer(self, row: WebhookDelivery) -> SafeString | str:
        if row.http_status is not None:
            return f"HTTP {row.http_status}"
        return format_html("<code>{}</code>", row.error) if row.error else NOTHING

    @admin.display(description=gettext_lazy("duration"))
    def took(self, row: WebhookDelivery) -> str:
        return milliseconds(row.duration_ms)

    @admin.display(description=gettext_lazy("sent at"), ordering="id")
    def called(self, row: WebhookDelivery) -> SafeString:
        return ago(row.at)

    def address_of(self, pk: UUID) -> str:
        """Return the address of a delivery's page."""
        return reverse(f"admin:{self.url_name('change')}", args=[pk])

    # --- replay ----------------------------------------------------------------------------------------------

    def replay_one(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Send the events of one delivery again, and show the new one."""
        delivery: WebhookDelivery = self.own(request, str(pk), change=True)
        try:
            made = deliveries.replay(endpoint=delivery.endpoint, delivery=delivery, by=Actor.of_request(request), now=timezone.now())
        except Problem as problem:
            self.message_user(request, problem_text(problem), messages.WARNING)
            return self.back(request, delivery)
        self.message_user(
            request, _("Sent again: {outcome}.").format(outcome=made.get_status_display()), LEVELS[DeliveryStatus(made.status)]
        )
        return HttpResponseRedirect(self.address_of(made.pk))

    @admin.action(description=gettext_lazy("Send again"), permissions=["operate"])
    def replay(self, request: HttpRequest, queryset: "QuerySet[WebhookDelivery]") -> HttpResponse | None:
        rows = own_rows(request, queryset, at_least=self.least).exclude(kind=DeliveryKind.TEST).select_related("endpoint")
        # Attempts of one request have the same events.
        chosen = list({(row.endpoint_id, row.webhook_id): row for row in rows.order_by("id")[:MAX_AT_ONCE]}.values())[:MAX_REPLAYS]

        def perform() -> None:
            delivered, failing = 0, set()
            for delivery in chosen:
                if delivery.endpoint_id in failing:
                    continue  # an endpoint that does not answer is not waited for twice
                if self._outcome(request, delivery) == DeliveryStatus.DELIVERED:
                    delivered += 1
                else:
                    failing.add(delivery.endpoint_id)
            text = ngettext("Sent {n} delivery again.", "Sent {n} deliveries again.", delivered).format(n=delivered)
            if others := len(chosen) - delivered:
                text += " " + ngettext("{n} did not arrive or was not tried.", "{n} did not arrive or were not tried.", others).format(
                    n=others
                )
            self.message_user(request, text, messages.WARNING if others else messages.SUCCESS)

        return confirm(
            self,
            request,
            queryset,
            action="replay",
            question=_("Send the events of these deliveries again?"),
            button=_("Send again"),
            ids=[row.pk for row in chosen],
            left_out=max(0, queryset.count() - len(chosen)),
            consequence=_("Receivers get these events a second time, with a new webhook-id. Waiting events are not delayed."),
            perform=perform,
            is_harmless=True,
            in_words=_in_words,
        )

    @staticmethod
    def _outcome(request: HttpRequest, delivery: WebhookDelivery) -> str:
        try:
            made = deliveries.replay(endpoint=delivery.endpoint, delivery=delivery, by=Actor.of_request(request), now=timezone.now())
        except Problem:
            return DeliveryStatus.FAILED
        return str(made.status)
