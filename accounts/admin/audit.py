"""What concerns the whole installation in the admin: the audit trail."""

from typing import Any

from django.contrib import admin
from django.db import models
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import AuditEntry
from accounts.roles import Role
from accounts.services import audit
from accounts.services.audit import ActorKind
from accounts.staff import actors
from accounts.staff.lists import Rows, as_uuid
from accounts.staff.tenant_admin import ReadOnly, own_tenants
from posthaste.ui.templatetags.interface import NOTHING, ago, facts, moment, short_id, two_lines

RECENT = 2_000  # entries whose actors are offered


class ActorFilter(admin.SimpleListFilter):
    """By who did it: those of the latest entries that the reader may see."""

    title = gettext_lazy("actor")
    parameter_name = "actor"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        latest = model_admin.get_queryset(request).order_by("-id").values_list("actor", flat=True)[:RECENT]
        found = {*latest, request.GET.get("actor", "")} - {""}
        names = actors.names_of(found, tenant_ids=own_tenants(request, at_least=Role.OWNER))
        return sorted(((actor, actors.in_words(actor, names)) for actor in found), key=lambda pair: pair[1].casefold())

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


def name_of_target(row: AuditEntry) -> str:
    """Return the name that an entry noted of its target, where people would not know the target by its number."""
    name = row.detail.get("name") if row.target.isdecimal() or as_uuid(row.target) else None
    return name if isinstance(name, str) else ""


#: What the page of an entry shows, in this order.
SHOWN = ("at_exactly", "actor_name", "actor", "action_code", "target", "tenant_name", "address", "details")


@admin.register(AuditEntry)
class AuditAdmin(ReadOnly):
    """Who did what; written once."""

    purpose = gettext_lazy("Who did what, to which object, and from where. Entries never change.")
    rows_word = gettext_lazy("audit entries")
    list_display = ["when", "actor_name", "action_code", "target_shown", "tenant_name", "address"]
    list_display_links = ["when"]
    exported = ("at", "actor", "action", "target", "tenant", "ip", "detail")
    list_filter = [ActorFilter, ActionFilter, SubjectFilter]
    has_panel = True
    list_select_related = ["tenant"]
    search_fields = ["actor"]  # turns the search on; get_search_results does it
    search_help_text = gettext_lazy("Exact actor (user:name or key:prefix), action or target.")
    fields = [*SHOWN]
    readonly_fields = [*SHOWN]
    empty_text = gettext_lazy("Changes, revealed secrets and replays are listed here.")

    def get_search_results(self, request: HttpRequest, queryset: "models.QuerySet[AuditEntry]", search_term: str) -> Any:
        term = search_term.strip()
        return (queryset.filter(Q(actor=term) | Q(action=term) | Q(target=term)) if term else queryset), False

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> HttpResponse:
        row = kwargs.get("obj")
        about = (name_of_target(row) or row.target) if row is not None else ""
        heading = f"{row.action} · {about}" if row is not None and about else getattr(row, "action", "")
        return super().render_change_form(request, {"heading": heading, **context}, *args, **kwargs)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[Rows]:
        return Rows

    def prepare(self, request: HttpRequest, rows: list[AuditEntry]) -> None:
        """Look up the names of the actors of a page."""
        names = actors.names_of((row.actor for row in rows), tenant_ids=own_tenants(request, at_least=Role.OWNER))
        for row in rows:
            row.actor_shown = actors.shown(row.actor, names)  # type: ignore[attr-defined]

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> AuditEntry | None:
        row: AuditEntry | None = super().get_object(request, object_id, from_field)
        if row is not None:
            self.prepare(request, [row])
        return row

    def get_list_display(self, request: HttpRequest) -> Any:
        columns = super().get_list_display(request)
        several = len(own_tenants(request)) > 1 or getattr(request.user, "is_superuser", False)
        return columns if several else [name for name in columns if name != "tenant_name"]

    @admin.display(description=gettext_lazy("at"), ordering="-id")
    def when(self, row: AuditEntry) -> SafeString:
        return ago(row.at)

    @admin.display(description=gettext_lazy("at"))
    def at_exactly(self, row: AuditEntry) -> SafeString:
        return moment(row.at)

    @admin.display(description=gettext_lazy("who"))
    def actor_name(self, row: AuditEntry) -> SafeString:
        return row.actor_shown  # type: ignore[attr-defined,no-any-return]

    @admin.display(description=gettext_lazy("target"))
    def target_shown(self, row: AuditEntry) -> SafeString | str:
        identifier, name = as_uuid(row.target), name_of_target(row)
        shown = format_html('<code title="{}">{}</code>', row.target, short_id(identifier)) if identifier else row.target
        return two_lines(name, shown) if name else shown or NOTHING

    @admin.display(description=gettext_lazy("tenant"))
    def tenant_name(self, row: AuditEntry) -> str:
        return str(row.tenant) if row.tenant else _("The installation")

    @admin.display(description=gettext_lazy("from where"))
    def address(self, row: AuditEntry) -> str:
        is_inside = row.actor.partition(":")[0] in (ActorKind.SYSTEM, ActorKind.COMMAND)
        return row.ip or (_("inside the platform") if is_inside else _("not noted"))

    @admin.display(description=gettext_lazy("detail"))
    def details(self, row: AuditEntry) -> SafeString | str:
        return facts(row.detail) if row.detail else _("Nothing more was noted.")

    @admin.display(description=gettext_lazy("action"))
    def action_code(self, row: AuditEntry) -> SafeString:
        return format_html("<code>{}</code>", row.action)
