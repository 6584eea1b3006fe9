"""What concerns the whole installation in the admin: thread pools, and the audit trail."""

from typing import Any

from django.contrib import admin
from django.db import models
from django.db.models import Q
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy

from configcenter.admin_base import ReadOnly, SuperuserOnly
from configcenter.models import AuditEntry, ThreadPoolConfig
from configcenter.templatetags.interface import ago


@admin.register(AuditEntry)
class AuditAdmin(ReadOnly):
    """Who did what; written once."""

    purpose = gettext_lazy("Who did what, to what, from where. Written once, never changed.")
    list_display = ["when", "actor", "action_code", "target", "tenant", "ip"]
    list_display_links = ["when"]
    list_select_related = ["tenant"]
    search_fields = ["actor"]  # turns the search on; get_search_results does it
    search_help_text = gettext_lazy("Actor (user:name or key:prefix), action, or target, exactly.")
    fields = ["when", "actor", "action_code", "target", "tenant", "ip", "detail"]
    readonly_fields = ["when", "actor", "action_code", "target", "tenant", "ip", "detail"]
    empty_text = gettext_lazy("Whatever is changed, revealed or replayed from now on is listed here.")

    def get_search_results(self, request: HttpRequest, queryset: "models.QuerySet[AuditEntry]", search_term: str) -> Any:
        term = search_term.strip()
        return (queryset.filter(Q(actor=term) | Q(action=term) | Q(target=term)) if term else queryset), False

    @admin.display(description=gettext_lazy("at"), ordering="-id")
    def when(self, row: AuditEntry) -> SafeString:
        return ago(row.at)

    @admin.display(description=gettext_lazy("action"))
    def action_code(self, row: AuditEntry) -> SafeString:
        return format_html("<code>{}</code>", row.action)


@admin.register(ThreadPoolConfig)
class ThreadPoolAdmin(SuperuserOnly):
    """Limits of the elastic pools."""

    purpose = gettext_lazy("Limits of the sending threads. Workers follow a change within a second, without a restart.")
    list_display = ["name", "threads", "rule", "queue_capacity", "changed"]
    empty_text = gettext_lazy("Without a row here a pool runs with the defaults: 10 to 100 threads.")
    first_step = (gettext_lazy("Set limits"), "admin:configcenter_threadpoolconfig_add")
    fieldsets = [
        (None, {"fields": ["name", ("min_threads", "max_threads")]}),
        (
            gettext_lazy("How it grows and shrinks"),
            {
                "fields": [
                    ("grow_by", "grow_above_percent"),
                    ("grow_above_drain_seconds", "grow_above_age_seconds"),
                    ("shrink_by", "shrink_below_percent"),
                    "cooldown_seconds",
                ]
            },
        ),
        (gettext_lazy("Queue"), {"fields": ["queue_capacity", "max_backlog"]}),
    ]

    @admin.display(description=gettext_lazy("threads"))
    def threads(self, row: ThreadPoolConfig) -> str:
        return f"{row.min_threads} – {row.max_threads}"

    @admin.display(description=gettext_lazy("rule"))
    def rule(self, row: ThreadPoolConfig) -> str:
        return f"> {row.grow_above_percent} %: +{row.grow_by} · < {row.shrink_below_percent} %: −{row.shrink_by}"

    @admin.display(description=gettext_lazy("changed"), ordering="updated_at")
    def changed(self, row: ThreadPoolConfig) -> SafeString:
        return ago(row.updated_at)
