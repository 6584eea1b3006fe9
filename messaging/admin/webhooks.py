"""Webhook endpoints in the admin: where events are sent, whether they arrive, and what to do when they do not."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from accounts.services.audit import Actor
from accounts.staff.lists import Rows
from accounts.staff.tenant_admin import TenantAdmin
from messaging import selectors
from messaging.actions import Action
from messaging.admin.webhook_forms import SAMPLE, RotateForm, WebhookForm, event_choices
from messaging.channels.registry import CHANNEL_CHOICES
from messaging.models import DeliveryStatus, EndpointState, WebhookDelivery, WebhookEndpoint
from messaging.webhooks import endpoints, figures
from posthaste.lib.problems import Conflict, TooMany
from posthaste.ui.pages import problem_text
from posthaste.ui.templatetags.interface import NOTHING, ago, badge, thousands, two_lines

READ_ONLY = ["events_listed", "channels_listed", "sandbox_shown", "events_at_once"]  # for those who may not change an endpoint
LATEST = 8  # deliveries on the page of an endpoint


class WebhookStateFilter(admin.SimpleListFilter):
    """By whether events reach an endpoint."""

    title = gettext_lazy("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return EndpointState.choices

    def queryset(self, request: HttpRequest, queryset: "QuerySet[WebhookEndpoint]") -> "QuerySet[WebhookEndpoint]":
        match self.value():
            case EndpointState.ENABLED:
                return queryset.filter(is_enabled=True, failing_since=None)
            case EndpointState.FAILING:
                return queryset.filter(is_enabled=True).exclude(failing_since=None)
            case EndpointState.DISABLED:
                return queryset.filter(is_enabled=False)
        return queryset


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(TenantAdmin):
    """Where the events of a tenant's messages and batches are sent."""

    purpose = gettext_lazy("Posthaste calls these addresses when the state of a message or a batch changes.")
    empty_text = gettext_lazy("No system is called back yet. Add the address of one that wants to know what became of its messages.")
    first_step = (gettext_lazy("Add an endpoint"), "admin:messaging_webhookendpoint_add")
    rows_word = gettext_lazy("endpoints")
    form = WebhookForm
    audit_actions = tuple(action for action in Action if action.startswith("webhook."))
    saves_by_service = True
    change_form_template = "admin/messaging/webhookendpoint/form.html"
    list_display = ["endpoint", "state", "waiting", "last_delivery", "failing", "events_shown", "tenant", "changed"]
    list_display_links = ["endpoint"]
    figure_columns = ("waiting",)
    list_filter = [WebhookStateFilter]
    list_select_related = ["tenant"]
    search_fields = ["name", "url"]
    search_help_text = gettext_lazy("Name or URL.")
    ordering = ["name"]
    sortable_by = ["endpoint", "changed"]
    actions = None
    fieldsets = [
        (None, {"fields": ["tenant", "name", "url", "is_enabled"]}),
        (gettext_lazy("What is sent"), {"fields": ["event_types", "channels", "includes_sandbox", "max_events"]}),
    ]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[Rows]:
        return Rows

    def get_queryset(self, request: HttpRequest) -> "QuerySet[WebhookEndpoint]":
        rows = super().get_queryset(request)
        # Nothing is decrypted for a list.
        listing = request.resolver_match is not None and request.resolver_match.url_name == self.url_name("changelist")
        return rows.defer("secret", "previous_secret") if listing else rows

    def prepare(self, request: HttpRequest, rows: list[WebhookEndpoint]) -> None:
        """Look up the last delivery of each endpoint and how many events wait for it."""
        latest, waiting = selectors.latest_deliveries(rows), figures.waiting_by_endpoint(rows)
        for row in rows:
            row.latest, row.waiting_events = latest.get(row.pk), waiting[row.pk]  # type: ignore[attr-defined]

    def get_urls(self) -> Any:
        view = self.admin_site.admin_view
        own = [
            path(f"<uuid:pk>/{verb}/", view(require_POST(page)), name=self.url_name(verb))
            for verb, page in (("test", self.test), ("rotate", self.rotate), ("enable", self.enable), ("disable", self.disable))
        ]
        return own + super().get_urls()

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Leave out the check box of an endpoint that exists: its page has buttons, which say why it is disabled."""
        if obj is None:
            return self.fieldsets
        if not self.has_change_permission(request, obj):
            return [(None, {"fields": ["tenant", "name", "url"]}), (self.fieldsets[1][0], {"fields": READ_ONLY})]
        return [(None, {"fields": ["tenant", "name", "url"]}), *self.fieldsets[1:]]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return [*super().get_readonly_fields(request, obj), *READ_ONLY]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._allowed(request, "delete", obj)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Name the endpoints alone: their delivery log may have hundreds of thousands of rows."""
        number = WebhookDelivery.objects.filter(endpoint__in=[obj.pk for obj in objs]).count()
        counts = {self.opts.verbose_name_plural: len(objs), WebhookDelivery._meta.verbose_name_plural: number}
        return [str(obj) for obj in objs], counts, set(), []

    def delete_model(self, request: HttpRequest, obj: WebhookEndpoint) -> None:
        endpoints.delete(endpoint=obj, by=Actor.of_request(request))

    def save_model(self, request: HttpRequest, obj: WebhookEndpoint, form: Any, change: bool) -> None:
        by, now = Actor.of_request(request), timezone.now()
        if change:
            endpoints.update(endpoint=obj, fields=form.changed_data, by=by, now=now)
        else:
            endpoints.create(endpoint=obj, by=by, now=now)

    def response_add(self, request: HttpRequest, obj: WebhookEndpoint, post_url_continue: Any = None) -> HttpResponse:
        return self._secret_page(request, obj)

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        try:
            return super().add_view(request, form_url, extra_context)
        except Conflict as problem:  # as many as the tenant may have
            self.message_user(request, problem_text(problem), messages.ERROR)
            return HttpResponseRedirect(reverse(f"admin:{self.url_name('changelist')}"))

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """Check and save without the transaction that Django puts around both.

        The check looks up the host, which may take seconds. The service checks first and has a transaction of its own.
        """
        answer: HttpResponse = self._changeform_view(request, object_id, form_url, extra_context)  # type: ignore[attr-defined]
        return answer

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        endpoint: WebhookEndpoint = self.own(request, unquote(object_id))
        self.prepare(request, [endpoint])
        rows = selectors.webhook_deliveries(endpoint)
        context = {
            "deliveries": list(rows.order_by("-pk")[:LATEST]),
            "latest": endpoint.latest,  # type: ignore[attr-defined]
            "waiting": self.waiting(endpoint),
            "state": endpoint.state,
            "rotate_form": RotateForm(),
            "has_two_secrets": endpoint.previous_secret_until is not None and endpoint.previous_secret_until > timezone.now(),
        }
        return super().change_view(request, object_id, form_url, {**context, **(extra_context or {})})

    def render_change_form(
        self, request: HttpRequest, context: Any, add: bool = False, change: bool = False, form_url: str = "", obj: Any = None
    ) -> HttpResponse:
        context["sample"] = SAMPLE
        return super().render_change_form(request, context, add=add, change=change, form_url=form_url, obj=obj)

    # --- columns ---------------------------------------------------------------------------------------------

    @admin.display(description=gettext_lazy("endpoint"), ordering="name")
    def endpoint(self, row: WebhookEndpoint) -> SafeString:
        return two_lines(row.name, row.url)

    @admin.display(description=gettext_lazy("state"))
    def state(self, row: WebhookEndpoint) -> SafeString:
        return two_lines(badge(row.state), row.disabled_detail) if row.is_disabled_automatically else badge(row.state)

    @admin.display(description=gettext_lazy("events waiting"))
    def waiting(self, row: WebhookEndpoint) -> str:
        found: figures.Waiting = row.waiting_events  # type: ignore[attr-defined]
        return f"{thousands(found.number)}+" if found.is_more else thousands(found.number)

    @admin.display(description=gettext_lazy("last delivery"))
    def last_delivery(self, row: WebhookEndpoint) -> SafeString | str:
        latest: WebhookDelivery | None = row.latest  # type: ignore[attr-defined]
        return two_lines(badge(DeliveryStatus(latest.status)), ago(latest.at)) if latest else NOTHING

    @admin.display(description=gettext_lazy("failing since"))
    def failing(self, row: WebhookEndpoint) -> SafeString:
        return ago(row.failing_since)

    @admin.display(description=gettext_lazy("events"))
    def events_shown(self, row: WebhookEndpoint) -> str:
        return _("All") if "*" in row.event_types else ", ".join(row.event_types)

    @admin.display(description=gettext_lazy("events"))
    def events_listed(self, row: WebhookEndpoint) -> SafeString:
        known = dict(event_choices())
        return format_html_join("", "<div>{}</div>", ((known.get(name, name),) for name in row.event_types))

    @admin.display(description=gettext_lazy("channels"))
    def channels_listed(self, row: WebhookEndpoint) -> str:
        known = dict(CHANNEL_CHOICES)
        return ", ".join(str(known.get(name, name)) for name in row.channels) or _("All")

    @admin.display(description=gettext_lazy("events of sandbox messages"))
    def sandbox_shown(self, row: WebhookEndpoint) -> str:
        return _("Sent too") if row.includes_sandbox else _("Not sent")

    @admin.display(description=gettext_lazy("events per request, at most"))
    def events_at_once(self, row: WebhookEndpoint) -> str:
        return thousands(row.max_events)

    @admin.display(description=gettext_lazy("changed"), ordering="updated_at")
    def changed(self, row: WebhookEndpoint) -> SafeString:
        return ago(row.updated_at)

    # --- buttons ---------------------------------------------------------------------------------------------

    def test(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Send a test event now, and say what the receiver answered."""
        endpoint = self.own(request, str(pk), change=True)
        try:
            result = endpoints.send_test(endpoint=endpoint, by=Actor.of_request(request), now=timezone.now())
        except TooMany as problem:
            self.message_user(request, problem_text(problem), messages.WARNING)
            return self.back(request, endpoint)
        if result.http_status is None:
            self.message_user(
                request, _("The test event got no answer: {reason}").format(reason=result.detail or result.error), messages.ERROR
            )
        else:
            text = _("The test event was answered with {status} in {n} ms.").format(status=result.http_status, n=result.duration_ms)
            self.message_user(request, text, messages.SUCCESS if result.ok else messages.ERROR)
        return self.back(request, endpoint)

    def rotate(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Make a new secret and show it, once."""
        endpoint = self.own(request, str(pk), change=True)
        form = RotateForm(request.POST)
        if not form.is_valid():
            self.message_user(request, _("Choose how long to keep the old secret."), messages.ERROR)
            return self.back(request, endpoint)
        keep_for = timedelta(seconds=form.cleaned_data["keep_for"])
        try:
            endpoints.rotate_secret(endpoint=endpoint, keep_old_for=keep_for, by=Actor.of_request(request), now=timezone.now())
        except Conflict as problem:  # the secret before is still valid
            self.message_user(request, problem_text(problem), messages.ERROR)
            return self.back(request, endpoint)
        return self._secret_page(request, endpoint)

    def enable(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Go on with an endpoint that was disabled."""
        endpoint = self.own(request, str(pk), change=True)
        endpoints.enable(endpoint=endpoint, by=Actor.of_request(request), now=timezone.now())
        self.message_user(request, _("Enabled. Events that it missed are sent first."))
        return self.back(request, endpoint)

    def disable(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Stop sending to an endpoint; its events wait."""
        endpoint = self.own(request, str(pk), change=True)
        endpoints.disable(endpoint=endpoint, by=Actor.of_request(request), now=timezone.now())
        self.message_user(request, _("Disabled. Events wait for it as long as they are kept."))
        return self.back(request, endpoint)

    def _secret_page(self, request: HttpRequest, endpoint: WebhookEndpoint) -> HttpResponse:
        response = self.page(request, "secret", endpoint, title=_("Signing secret"), secret=endpoint.secret, purpose="")
        response["Cache-Control"] = "no-store"
        return response
