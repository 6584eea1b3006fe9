"""Providers in the admin: configuration without its secrets, a test message, the receipt address."""

from collections import Counter
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from accounts.services.audit import Actor
from accounts.staff.lists import Rows
from accounts.staff.tenant_admin import TenantAdmin, own_tenants
from messaging import statistics
from messaging.actions import Action
from messaging.admin.provider_forms import ProviderForm, TestForm
from messaging.channels import registry
from messaging.labels import ProviderState
from messaging.models import Message, Provider
from messaging.providers import breaker_states, breakers, editing
from messaging.providers.breaker_labels import holders, reason_text
from posthaste import env
from posthaste.lib import redis
from posthaste.lib.breaker import Phase
from posthaste.lib.crypto import is_lost
from posthaste.lib.ids import first_id_at
from posthaste.lib.problems import Invalid, TooMany
from posthaste.ui.pages import problem_text
from posthaste.ui.templatetags.interface import NOTHING, ago, badge, facts, percent, thousands

RECENT = timedelta(minutes=10)


class ProviderStateFilter(admin.SimpleListFilter):
    """By whether a provider takes messages."""

    title = gettext_lazy("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("enabled", gettext_lazy("Enabled")), ("stand_in", gettext_lazy("Stand-in")), ("disabled", gettext_lazy("Disabled"))]

    def queryset(self, request: HttpRequest, queryset: "QuerySet[Provider]") -> "QuerySet[Provider]":
        match self.value():
            case "enabled":
                return queryset.filter(is_enabled=True, is_stand_in=False)
            case "stand_in":
                return queryset.filter(is_enabled=True, is_stand_in=True)
            case "disabled":
                return queryset.filter(is_enabled=False)
        return queryset


@admin.register(Provider)
class ProviderAdmin(TenantAdmin):
    """Who carries a channel's messages."""

    purpose = gettext_lazy(
        "Providers send the messages of each channel. Several providers share the traffic by weight. When one fails, the next takes over."
    )
    empty_text = gettext_lazy("A channel can't send without a provider. Start with one where you have an account.")
    first_step = (gettext_lazy("Add a provider"), "admin:messaging_provider_add")
    form = ProviderForm
    audit_actions = tuple(action for action in Action if action.startswith(("provider.", "breaker.")))
    saves_by_service = True
    change_form_template = "admin/messaging/provider/form.html"
    list_display = ["name", "state", "channel", "adapter", "weight", "cap", "breaker", "recent", "recent_success", "tenant", "changed"]
    figure_columns = ("weight", "cap", "recent", "recent_success")
    list_filter = [ProviderStateFilter, "channel"]
    list_select_related = ["tenant"]
    search_fields = ["name"]
    ordering = ["channel", "name"]
    fieldsets = [
        (None, {"fields": ["tenant", "name", ("channel", "kind")]}),
        (gettext_lazy("Connection"), {"fields": ["configuration"]}),
        (gettext_lazy("Share of the traffic"), {"fields": ["weight", ("max_per_second", "max_at_once"), "is_enabled", "is_stand_in"]}),
    ]

    class Media:
        js = ["js/provider.js"]

    def audit_targets(self, obj: Provider) -> list[str]:
        return [str(obj.pk), breakers.of_provider(obj.pk)]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[Rows]:
        return Rows

    def get_queryset(self, request: HttpRequest) -> "QuerySet[Provider]":
        rows = super().get_queryset(request)
        # Nothing is decrypted for a list.
        listing = request.resolver_match is not None and request.resolver_match.url_name == self.url_name("changelist")
        return rows.defer("config", "receipt_secret") if listing else rows

    def prepare(self, request: HttpRequest, rows: list[Provider]) -> None:
        """Count what each provider on the page carried in the last ten minutes, in one query."""
        recent = Message.objects.filter(
            pk__gte=first_id_at(timezone.now() - RECENT), tenant_id__in={row.tenant_id for row in rows}, provider__isnull=False
        )
        counts: dict[UUID, Counter[str]] = {row.pk: Counter() for row in rows}
        for provider_id, status, number in recent.order_by().values_list("provider_id", "status").annotate(n=Count("pk")):
            if provider_id in counts:
                counts[provider_id][status] += number
        for row in rows:
            row.recent_counts = counts[row.pk]  # type: ignore[attr-defined]
        states = {shown["provider_id"]: shown["state"] for shown in self._breakers(rows)}
        for row in rows:
            row.breaker_state = states.get(row.pk)  # type: ignore[attr-defined]

    @staticmethod
    def _breakers(rows: list[Provider]) -> list[dict[str, Any]]:
        """Return the breaker states of the providers, or an empty list while Redis is away."""
        try:
            return breaker_states.of_providers(rows)
        except redis.Unavailable:
            return []

    def get_urls(self) -> Any:
        view = self.admin_site.admin_view
        own = [
            path("<uuid:pk>/test/", view(self.test), name=self.url_name("test")),
            path("<uuid:pk>/secret/", view(require_POST(self.secret)), name=self.url_name("secret")),
            path("<uuid:pk>/breaker/", view(require_POST(self.force_breaker)), name=self.url_name("breaker")),
            path("<uuid:pk>/new-secret/", view(require_POST(self.new_secret)), name=self.url_name("new_secret")),
        ]
        return own + super().get_urls()

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        # `configuration` exists on the form only; because a fieldset names it, Django would look for it in the model.
        kwargs["fields"] = [name for name in ProviderForm.Meta.fields if not (obj and name == "tenant")]
        return super().get_form(request, obj, change=change, **kwargs)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fields = [*super().get_readonly_fields(request, obj)]
        return fields if self.has_change_permission(request, obj) or obj is None else [*fields, "configuration_shown"]

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None or self.has_change_permission(request, obj):
            return self.fieldsets
        return [
            (
                None,
                {
                    "fields": [
                        "tenant",
                        "name",
                        ("channel", "kind"),
                        "configuration_shown",
                        "weight",
                        "max_per_second",
                        "max_at_once",
                        "is_enabled",
                        "is_stand_in",
                    ]
                },
            )
        ]

    def save_model(self, request: HttpRequest, obj: Provider, form: Any, change: bool) -> None:
        by = Actor.of_request(request)
        if change:
            editing.change_provider(provider=obj, config=form.checked, fields=form.changed_data, by=by)
        else:
            editing.create_provider(provider=obj, config=form.checked, by=by)

    def render_change_form(
        self, request: HttpRequest, context: Any, add: bool = False, change: bool = False, form_url: str = "", obj: Any = None
    ) -> HttpResponse:
        breaker = next(iter(self._breakers([obj])), None) if obj else None
        if breaker:
            breaker["text"] = reason_text(breaker, holders([breaker], tenant_ids=own_tenants(request)))
        context.update(receipt_url=self.receipt_url(obj) if obj else "", purpose=self.purpose, breaker=breaker)
        return super().render_change_form(request, context, add=add, change=change, form_url=form_url, obj=obj)

    @staticmethod
    def receipt_url(provider: Provider) -> str:
        """Return the address a provider reports to."""
        return f"{env.load().public_url.rstrip('/')}/api/receipts/{provider.pk}/"

    # --- columns ---------------------------------------------------------------------------------------------

    @admin.display(description=gettext_lazy("configuration"))
    def configuration_shown(self, row: Provider) -> SafeString | str:
        if is_lost(row, "config"):
            return _("The configuration can't be decrypted. Write it anew, or disable or delete this provider.")
        return facts(registry.redact_config(row.kind, row.config))

    @admin.display(description=gettext_lazy("state"))
    def state(self, row: Provider) -> SafeString:
        return badge(ProviderState.DISABLED if not row.is_enabled else ProviderState.STAND_IN if row.is_stand_in else ProviderState.ENABLED)

    @admin.display(description=gettext_lazy("kind"), ordering="kind")
    def adapter(self, row: Provider) -> str:
        known = registry.ADAPTERS.get(row.kind)
        return str(known.title) if known else row.kind

    @admin.display(description=gettext_lazy("maximum per second"))
    def cap(self, row: Provider) -> str:
        return _("none") if row.max_per_second is None else thousands(row.max_per_second)

    @admin.display(description=gettext_lazy("breaker"))
    def breaker(self, row: Provider) -> SafeString | str:
        state = row.breaker_state  # type: ignore[attr-defined]
        return badge(Phase(state)) if state else NOTHING

    @admin.display(description=gettext_lazy("last 10 min"))
    def recent(self, row: Provider) -> str:
        return thousands(row.recent_counts.total())  # type: ignore[attr-defined]

    @admin.display(description=gettext_lazy("success"))
    def recent_success(self, row: Provider) -> str:
        rate = statistics.success_rate(row.recent_counts)  # type: ignore[attr-defined]
        return NOTHING if rate is None else percent(rate)

    @admin.display(description=gettext_lazy("changed"), ordering="updated_at")
    def changed(self, row: Provider) -> SafeString:
        return ago(row.updated_at)

    # --- breaker, test, secret ----------------------------------------------------------------------------------------

    def force_breaker(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Hold a provider's breaker open or closed, or let it go."""
        provider = self.own(request, str(pk), change=True)
        to = request.POST.get("to", "")
        if to in ("open", "closed", "automatic"):
            name = breakers.of_provider(provider.pk)
            try:
                breakers.force(name=name, to=to, by=Actor.of_request(request))
            except redis.Unavailable:
                self.message_user(request, _("Redis is unavailable, so nothing was changed. Try again."), messages.ERROR)
            else:
                self.message_user(request, _("All workers apply this within half a second."), messages.SUCCESS)
        return self.back(request, provider)

    def test(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Send one message through a provider now, and show what it answered."""
        provider = self.own(request, str(pk), change=True)
        form = TestForm(request.POST or None)
        result = None
        if request.method == "POST" and form.is_valid():
            recipient = form.cleaned_data["recipient"]
            try:
                result = editing.send_test(
                    provider=provider, recipient=recipient, text=form.cleaned_data["text"], by=Actor.of_request(request)
                )
            except TooMany as problem:
                form.add_error(None, problem_text(problem))
            except Invalid as problem:
                for entry in problem.errors:
                    own = entry["field"] if entry["field"] in form.fields else None
                    form.add_error(own, entry["message"] if own else f"{entry['field']}: {entry['message']}")
        return self.page(request, "test", provider, title=_("Send a test message"), form=form, result=result, purpose="")

    def secret(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Show the secret that receipts are signed with, once, and write down who looked."""
        provider = self.own(request, str(pk), change=True)
        editing.reveal_receipt_secret(provider=provider, by=Actor.of_request(request))
        return self._secret_page(request, provider, is_new=False)

    def new_secret(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Replace the secret; the old one stops working at once."""
        provider = self.own(request, str(pk), change=True)
        editing.renew_receipt_secret(provider=provider, by=Actor.of_request(request))
        self.message_user(request, _("The old secret no longer works."), messages.WARNING)
        return self._secret_page(request, provider, is_new=True)

    def _secret_page(self, request: HttpRequest, provider: Provider, *, is_new: bool) -> HttpResponse:
        response = self.page(
            request,
            "secret",
            provider,
            title=_("Receipt secret"),
            secret=provider.receipt_secret,
            is_new=is_new,
            receipt_url=self.receipt_url(provider),
            purpose="",
        )
        response["Cache-Control"] = "no-store"
        return response
