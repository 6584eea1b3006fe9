"""Assignments in the admin: who had what and why."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.staff.lists import Rows
from accounts.staff.tenant_admin import ReadOnly
from posthaste.ui.templatetags.interface import NOTHING, ago, badge, two_lines
from routing.admin.wording import conversation_link, names_in
from routing.assignment.explain import AS_STORED, why
from routing.models import Assignment, AssignmentCause


@admin.register(Assignment)
class AssignmentAdmin(ReadOnly):
    """Who had which conversation, and why."""

    purpose = gettext_lazy("Who had which conversation, from when until when, and why.")
    empty_text = gettext_lazy("Assignments appear here when a conversation is given to an agent, which needs one who is online.")
    first_step = (gettext_lazy("Agents"), "admin:routing_agent_changelist")
    list_display = ["given", "agent_name", "cause_badge", "reason_shown", "ended", "conversation_id_shown", "tenant"]
    list_display_links = ["given"]
    has_panel = True
    list_filter = ["cause"]
    list_select_related = ["tenant", "agent", "conversation__customer"]
    search_fields = ["agent__name"]
    search_help_text = gettext_lazy("Name of the agent.")
    ordering = ["-id"]
    sortable_by = ()
    fields = (
        "agent_name",
        "conversation_id_shown",
        "cause_badge",
        "reason_shown",
        "release_shown",
        "assigned_by_shown",
        "given",
        "ended",
        "tenant",
    )
    readonly_fields = fields

    def may_take_first_step(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("routing.view_agent"))

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[Rows]:
        return Rows

    def prepare(self, request: HttpRequest, rows: list[Assignment]) -> None:
        """Look up what the reasons on the page call intents, groups and actors."""
        names = names_in(request, rows)
        for row in rows:
            row.names = names[row.tenant_id]  # type: ignore[attr-defined]

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Assignment | None:
        found: Assignment | None = super().get_object(request, object_id, from_field)
        if found is not None:
            self.prepare(request, [found])
        return found

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        span: Assignment = self.own(request, unquote(object_id))
        names = {"heading": span.agent.name, "title": span.agent.name}
        return super().change_view(request, object_id, form_url, {**names, **(extra_context or {})})

    @admin.display(description=gettext_lazy("from"), ordering="id")
    def given(self, row: Assignment) -> SafeString:
        return ago(row.started_at)

    @admin.display(description=gettext_lazy("agent"))
    def agent_name(self, row: Assignment) -> str:
        return row.agent.name

    @admin.display(description=gettext_lazy("cause"))
    def cause_badge(self, row: Assignment) -> SafeString:
        return badge(AssignmentCause(row.cause))

    @admin.display(description=gettext_lazy("why this agent"))
    def reason_shown(self, row: Assignment) -> str:
        return why(row, names=getattr(row, "names", AS_STORED))

    @admin.display(description=gettext_lazy("configuration version"))
    def release_shown(self, row: Assignment) -> str:
        return str(row.config_version or NOTHING)

    @admin.display(description=gettext_lazy("by"))
    def assigned_by_shown(self, row: Assignment) -> str:
        return getattr(row, "names", AS_STORED).actors.get(row.assigned_by, row.assigned_by) or NOTHING

    @admin.display(description=gettext_lazy("until"))
    def ended(self, row: Assignment) -> SafeString | str:
        return two_lines(ago(row.ended_at), row.get_end_cause_display()) if row.ended_at else _("Now")

    @admin.display(description=gettext_lazy("conversation"))
    def conversation_id_shown(self, row: Assignment) -> SafeString:
        return conversation_link(row.conversation)
