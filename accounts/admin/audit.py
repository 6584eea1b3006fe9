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
from accounts.staff.tenant_admin import ReadOnly
from posthaste.ui.templatetags.interface import ago


@admin.register(AuditEntry)
class AuditAdmin(ReadOnly):
    """Who did what; written once."""

    purpose = gettext_lazy("Who did what, to which object, and from where. Entries never change.")
    rows_word = gettext_lazy("audit entries")
    list_display = ["when", "actor", "action_code", "target", "tenant", "ip"]
    list_display_links = ["when"]
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
