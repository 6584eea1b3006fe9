"""API keys in the admin: issued, shown once, revoked."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db import models
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_POST

from accounts.actions import Action
from accounts.labels import KeyState
from accounts.models import ApiKey, KeyKind, Tenant
from accounts.roles import Role
from accounts.scopes import SCOPES, SUGGESTED
from accounts.services import api_keys
from accounts.services.audit import Actor
from accounts.staff.tenant_admin import ReadOnly, own_rows, own_tenants, signed_in
from posthaste.lib.dates import within_range
from posthaste.lib.problems import Invalid
from posthaste.ui.confirmation import confirm
from posthaste.ui.templatetags.interface import ago, badge


class KeyForm(forms.Form):
    """What is asked when a key is issued."""

    tenant = forms.ModelChoiceField(Tenant.objects.none(), label=gettext_lazy("tenant"), empty_label=None)
    name = forms.CharField(label=gettext_lazy("name"), max_length=100, help_text=gettext_lazy("The system that uses the key."))
    kind = forms.ChoiceField(label=gettext_lazy("kind"), choices=KeyKind.choices, widget=forms.RadioSelect, initial=KeyKind.SANDBOX)
    scopes = forms.MultipleChoiceField(
        label=gettext_lazy("scopes"),
        widget=forms.CheckboxSelectMultiple,
        initial=lambda: list(SUGGESTED),
        choices=lambda: [(scope, f"{scope} – {text}") for scope, text in SCOPES.items()],
    )
    ip_ranges = forms.CharField(
        label=gettext_lazy("IP ranges"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=gettext_lazy("One per line, for example 203.0.113.0/24. Empty: any address."),
    )
    expires_at = forms.DateTimeField(
        label=gettext_lazy("expires"),
        required=False,
        validators=[within_range],
        help_text=gettext_lazy("In UTC. Empty: never."),
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )


class KeyStateFilter(admin.SimpleListFilter):
    """By whether a key still works."""

    title = gettext_lazy("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return KeyState.choices

    def queryset(self, request: HttpRequest, queryset: "models.QuerySet[ApiKey]") -> "models.QuerySet[ApiKey]":
        now = timezone.now()
        match self.value():
            case "active":
                return queryset.filter(Q(expires_at=None) | Q(expires_at__gt=now), revoked_at=None)
            case "expired":
                return queryset.filter(expires_at__lte=now, revoked_at=None)
            case "revoked":
                return queryset.exclude(revoked_at=None)
        return queryset


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnly):
    """Keys: issued, looked at, revoked; never edited, and shown once."""

    audit_actions = (Action.KEY_ISSUE, Action.KEY_REVOKE)
    purpose = gettext_lazy("Systems call the API with these keys. Only a hash is stored. A key is shown once, when you issue it.")
    list_display = ["name", "state", "prefix_shown", "kind_badge", "scope_list", "tenant", "last_used", "expires"]
    list_filter = ["kind", KeyStateFilter]
    list_select_related = ["tenant", "created_by"]
    search_fields = ["name", "prefix"]
    search_help_text = gettext_lazy("Name or prefix.")
    actions = ["revoke"]
    empty_text = gettext_lazy("No system can call the API yet.")
    first_step = (gettext_lazy("Issue a key"), "admin:accounts_apikey_add")
    change_form_template = "admin/accounts/apikey/detail.html"
    readonly_fields = [
        "name",
        "tenant",
        "prefix_shown",
        "state",
        "kind_badge",
        "scope_list",
        "ranges",
        "last_used",
        "expires",
        "created_by",
        "created",
    ]
    fields = [*readonly_fields]

    def audit_targets(self, obj: ApiKey) -> list[str]:
        return [obj.prefix]

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._allowed(request, "add", None)

    def get_urls(self) -> Any:
        own = [path("<path:object_id>/revoke/", self.admin_site.admin_view(require_POST(self.revoke_one)), name=self.url_name("revoke"))]
        return own + super().get_urls()

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = KeyForm(request.POST or None)
        tenants = Tenant.objects.filter(pk__in=own_tenants(request, at_least=Role.OWNER), is_active=True)
        form.fields["tenant"].queryset = tenants  # type: ignore[attr-defined]
        if request.method == "POST" and form.is_valid():
            values = form.cleaned_data
            try:
                key, clear = api_keys.issue_api_key(
                    tenant=values["tenant"],
                    name=values["name"],
                    scopes=values["scopes"],
                    kind=values["kind"],
                    ip_ranges=values["ip_ranges"].split(),
                    expires_at=values["expires_at"],
                    created_by=signed_in(request),
                    by=Actor.of_request(request),
                )
            except Invalid as problem:
                for error in problem.errors:
                    form.add_error(error["field"] if error["field"] in form.fields else None, str(error["message"]))
            else:
                response = self.page(request, "issued", key, title=_("The new key"), clear=clear)
                response["Cache-Control"] = "no-store"
                return response
        return self.page(request, "issue", title=_("Issue an API key"), form=form, status=422 if form.errors else 200)

    def revoke_one(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Revoke the key whose page it was asked on."""
        key = self.own(request, unquote(object_id), change=True)
        api_keys.revoke_api_key(key=key, now=timezone.now(), by=Actor.of_request(request))
        self.message_user(request, _("{name} is revoked. It stops working within two seconds.").format(name=key.name))
        return self.back(request, key)

    @admin.action(description=gettext_lazy("Revoke"), permissions=["operate"])
    def revoke(self, request: HttpRequest, queryset: "models.QuerySet[ApiKey]") -> HttpResponse | None:
        rows = own_rows(request, queryset, at_least=Role.OWNER).filter(revoked_at=None)
        keys = list(rows)

        def perform() -> None:
            for key in keys:
                api_keys.revoke_api_key(key=key, now=timezone.now(), by=Actor.of_request(request))
            self.message_user(request, ngettext("{n} key revoked.", "{n} keys revoked.", len(keys)).format(n=len(keys)))

        return confirm(
            self,
            request,
            queryset,
            action="revoke",
            question=_("Revoke these keys?"),
            button=_("Revoke"),
            ids=[key.pk for key in keys],
            consequence=_("Calls with these keys are refused within two seconds. You can't undo this."),
            left_out=queryset.count() - len(keys),
            perform=perform,
        )

    @admin.display(description=gettext_lazy("prefix"), ordering="prefix")
    def prefix_shown(self, row: ApiKey) -> SafeString:
        return format_html("<code>{}…</code>", row.prefix)

    @admin.display(description=gettext_lazy("state"))
    def state(self, row: ApiKey) -> SafeString:
        if row.revoked_at:
            return badge(KeyState.REVOKED)
        return badge(KeyState.EXPIRED if row.expires_at and row.expires_at <= timezone.now() else KeyState.ACTIVE)

    @admin.display(description=gettext_lazy("kind"), ordering="kind")
    def kind_badge(self, row: ApiKey) -> SafeString:
        return badge(KeyKind(row.kind))

    @admin.display(description=gettext_lazy("scopes"))
    def scope_list(self, row: ApiKey) -> str:
        return _("all") if set(row.scopes) >= set(SCOPES) else ", ".join(row.scopes)

    @admin.display(description=gettext_lazy("IP ranges"))
    def ranges(self, row: ApiKey) -> str:
        return ", ".join(row.ip_ranges) or _("any address")

    @admin.display(description=gettext_lazy("last used"), ordering="last_used_at")
    def last_used(self, row: ApiKey) -> SafeString | str:
        return ago(row.last_used_at) if row.last_used_at else _("never")

    @admin.display(description=gettext_lazy("expires"), ordering="expires_at")
    def expires(self, row: ApiKey) -> SafeString | str:
        return ago(row.expires_at) if row.expires_at else _("never")

    @admin.display(description=gettext_lazy("created"), ordering="created_at")
    def created(self, row: ApiKey) -> SafeString:
        return ago(row.created_at)
