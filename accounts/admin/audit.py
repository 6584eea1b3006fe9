"""What concerns the whole installation in the admin: the audit trail."""

from typing import Any

from django.contrib import admin
from django.db import models
from django.db.models import Q
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy

from accounts.models import AuditEntry
from accounts.services import audit
from accounts.staff.tenant_admin import ReadOnly
from posthaste.ui.templatetags.interface import ago

RECENT = 2_000  # entries whose actors are offered


class ActorFilter(admin.SimpleListFilter):
    """By who did it: those of the latest entries that the reader may see."""

    title = gettext_lazy("actor")
    parameter_name = "actor"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        latest = model_admin.get_queryset(request).order_by("-id").values_list("actor", flat=True)[:RECENT]
        found = {*latest, request.GET.get("actor", "")} - {""}
        return [(actor, actor) for actor in sorted(found)]

    def queryset(self, request: HttpRequest, queryset: "models.QuerySet[AuditEntry]") -> "models.QuerySet[AuditEntry]":
        return queryset.filter(actor=self.value()) if self.value() else queryset


class SubjectFilter(admin.SimpleListFilter):
    """By the kind of thing that was changed: the first word of an action."""

    title = gettext_lazy("subject")
    parameter_name = "subject"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(subject, subject) for subject in sorted({action.partition(".")[0] for action in audit.known_actions()})]

    def queryset(self, request: HttpRequest, queryset: "models.QuerySet[AuditEntry]") -> "models.QuerySet[AuditEntry]":
        return queryset.filter(action__startswith=f"{self.value()}.") if self.value() else queryset


class ActionFilter(admin.SimpleListFilter):
    """By what was done."""

    title = gettext_lazy("action")
    parameter_name = "action"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        found = {*audit.known_actions(), request.GET.get("action", "")} - {""}
        return [(action, action) for action in sorted(found)]

    def queryset(self, request: HttpRequest, queryset: "models.QuerySet[AuditEntry]") -> "models.QuerySet[AuditEntry]":
        return queryset.filter(action=self.value()) if self.value() else queryset


@admin.register(AuditEntry)
class AuditAdmin(ReadOnly):
    """Who did what; written once."""

    purpose = gettext_lazy("Who did what, to which object, and from where. Entries never change.")
    rows_word = gettext_lazy("audit entries")
    list_display = ["when", "actor", "action_code", "target", "tenant", "ip"]
    list_display_links = ["when"]
    list_filter = [ActorFilter, ActionFilter, SubjectFilter]
    has_panel = True
    list_select_related = ["tenant"]
    search_fields = ["actor"]  # turns the search on; get_search_results does it
    search_help_text = gettext_lazy("Exact actor (user:name or key:prefix), action or target.")
    fields = ["when", "actor", "action_code", "target", "tenant", "ip", "detail"]
    readonly_fields = ["when", "actor", "action_code", "target", "tenant", "ip", "detail"]
    empty_text = gettext_lazy("Changes, revealed secrets and replays are listed here.")

    def get_search_results(self, request: HttpRequest, queryset: "models.QuerySet[AuditEntry]", search_term: str) -> Any:
        term = search_term.strip()
        return (queryset.filter(Q(actor=term) | Q(action=term) | Q(target=term)) if term else queryset), False

    @admin.display(description=gettext_lazy("at"), ordering="-id")
    def when(self, row: AuditEntry) -> SafeString:
        return ago(row.at)

    @admin.display(description=gettext_lazy("action"))
    def action_code(self, row: AuditEntry) -> SafeString:
        return format_html("<code>{}</code>", row.action)
