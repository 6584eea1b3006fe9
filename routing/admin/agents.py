"""Skill groups and agents in the admin: what each agent does and holds now."""

from typing import Any

from django.contrib import admin
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.labels import Activity
from accounts.selectors import members_of
from accounts.services.audit import Actor
from accounts.staff.tenant_admin import form_rows, form_tenants, of_tenant
from posthaste.ui.templatetags.interface import NOTHING, ago, badge, language_name, two_lines
from routing.actions import Action
from routing.admin.agent_forms import AgentForm, GroupForm, SkillFormSet
from routing.admin.outcomes import DeletedByService
from routing.admin.parts import PartInline
from routing.admin.short_names import PrepopulatesNames
from routing.assignment import presence, staff
from routing.assignment.candidates import capacity_of
from routing.configuration import assignment
from routing.models import Agent, AgentSkill, ConversationStatus, SkillGroup


@admin.register(SkillGroup)
class SkillGroupAdmin(PrepopulatesNames, DeletedByService):
    """Which agents answer the same kind of conversation."""

    purpose = gettext_lazy("Agents that answer the same kind of conversation. The rules of the module Assignment lead to them.")
    empty_text = gettext_lazy("Without groups, any agent may take any conversation.")
    first_step = (gettext_lazy("Add a group"), "admin:routing_skillgroup_add")
    rows_word = gettext_lazy("groups")
    form = GroupForm
    fields = ["tenant", "title", "name", "overflow_to"]
    audit_actions = (Action.GROUP_CREATE, Action.GROUP_CHANGE, Action.GROUP_DELETE)
    list_display = ["group", "agents", "waiting", "overflow", "tenant"]
    list_display_links = ["group"]
    figure_columns = ("agents", "waiting")
    list_select_related = ["tenant", "overflow_to"]
    search_fields = ["title", "name"]
    search_help_text = gettext_lazy("Name or short name.")
    ordering = ["title"]
    sortable_by = ["group"]

    def audit_targets(self, obj: SkillGroup) -> list[str]:
        return [obj.name]

    def get_queryset(self, request: HttpRequest) -> "QuerySet[SkillGroup]":
        queued = Count("conversations", filter=Q(conversations__status=ConversationStatus.QUEUED), distinct=True)
        rows: QuerySet[SkillGroup] = super().get_queryset(request)
        return rows.annotate(members=Count("skills", filter=Q(skills__agent__is_active=True), distinct=True), queued=queued)

    def save_model(self, request: HttpRequest, obj: SkillGroup, form: Any, change: bool) -> None:
        by, now = Actor.of_request(request), timezone.now()
        if change:
            staff.change_group(group=obj, fields=form.changed_data, by=by, now=now)
        else:
            staff.create_group(group=obj, by=by, now=now)

    def delete_model(self, request: HttpRequest, obj: SkillGroup) -> None:
        staff.delete_group(group=obj, by=Actor.of_request(request))

    @admin.display(description=gettext_lazy("group"), ordering="title")
    def group(self, row: SkillGroup) -> SafeString:
        return two_lines(row.title, row.name)

    @admin.display(description=gettext_lazy("agents"))
    def agents(self, row: SkillGroup) -> int:
        return int(getattr(row, "members", 0))

    @admin.display(description=gettext_lazy("waiting"))
    def waiting(self, row: SkillGroup) -> int:
        return int(getattr(row, "queued", 0))

    @admin.display(description=gettext_lazy("overflows to"))
    def overflow(self, row: SkillGroup) -> str:
        return str(row.overflow_to) if row.overflow_to else _("Fallback group")


class SkillInline(PartInline):
    """The skills on the page of an agent."""

    model = AgentSkill
    whole = "agent"
    formset = SkillFormSet
    fields = ["group", "level"]

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        kwargs["queryset"] = form_rows(request, db_field.related_model._default_manager.select_related("tenant"))
        field = super().formfield_for_foreignkey(db_field, request, **{"empty_label": _("Choose one"), **kwargs})
        of_tenant(field)
        return field


@admin.register(Agent)
class AgentAdmin(DeletedByService):
    """Who answers customers, what they do now, and how much they hold."""

    purpose = gettext_lazy("Members who answer customers, with what they do and hold now.")
    empty_text = gettext_lazy("Conversations wait until there is an agent. Add a member of the tenant.")
    first_step = (gettext_lazy("Add an agent"), "admin:routing_agent_add")
    rows_word = gettext_lazy("agents")
    form = AgentForm
    inlines = [SkillInline]
    fields = ["tenant", "user", "name", "capacity", "weight", "languages", "is_active"]
    audit_actions = (Action.AGENT_CREATE, Action.AGENT_CHANGE, Action.AGENT_DELETE, Action.AGENT_PRESENCE)
    list_display = ["agent", "now", "held", "skills_shown", "languages_shown", "seen", "tenant"]
    list_display_links = ["agent"]
    figure_columns = ("held",)
    list_filter = ["is_active"]
    list_select_related = ["tenant", "user"]
    search_fields = ["name", "user__username"]
    search_help_text = gettext_lazy("Name or user name.")
    ordering = ["name"]
    sortable_by = ["agent", "seen"]

    def audit_targets(self, obj: Agent) -> list[str]:
        return [obj.name]

    def get_queryset(self, request: HttpRequest) -> "QuerySet[Agent]":
        rows: QuerySet[Agent] = super().get_queryset(request)
        return rows.prefetch_related("skills__group")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        found = [*super().get_readonly_fields(request, obj)]
        return found if obj is None else [*found, "user"]

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name != "user":
            return super().formfield_for_foreignkey(db_field, request, **kwargs)
        field = db_field.formfield(queryset=members_of(form_tenants(request, at_least=self.least)), empty_label=_("Choose one"))
        of_tenant(field)
        return field

    def save_model(self, request: HttpRequest, obj: Agent, form: Any, change: bool) -> None:
        by, now = Actor.of_request(request), timezone.now()
        if not change:
            staff.create_agent(agent=obj, by=by, now=now)
        elif form.changed_data:
            staff.change_agent(agent=obj, fields=form.changed_data, by=by, now=now)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Store the skills through the service, all at once."""
        for formset in formsets:
            formset.new_objects, formset.changed_objects, formset.deleted_objects = [], [], []  # what Django's log looks at
            if formset.has_changed():
                skills = {row["group"].pk: row["level"] for row in formset.kept()}
                staff.change_agent(agent=form.instance, fields=(), skills=skills, by=Actor.of_request(request), now=timezone.now())

    def delete_model(self, request: HttpRequest, obj: Agent) -> None:
        staff.delete_agent(agent=obj, by=Actor.of_request(request))

    @admin.display(description=gettext_lazy("agent"), ordering="name")
    def agent(self, row: Agent) -> SafeString:
        return two_lines(row.name, row.user.get_username())

    @admin.display(description=gettext_lazy("now"))
    def now(self, row: Agent) -> SafeString:
        return badge(presence.state(row, now=timezone.now())) if row.is_active else badge(Activity.of(False))

    @admin.display(description=gettext_lazy("holds"))
    def held(self, row: Agent) -> str:
        return f"{row.load} / {capacity_of(row, assignment.of(row.tenant_id))}"

    @admin.display(description=gettext_lazy("skills"))
    def skills_shown(self, row: Agent) -> str:
        skills = sorted(row.skills.all(), key=lambda skill: (-skill.level, skill.group.title))
        return ", ".join(f"{skill.group.title} {skill.level}" for skill in skills) or NOTHING

    @admin.display(description=gettext_lazy("languages"))
    def languages_shown(self, row: Agent) -> str:
        return ", ".join(map(language_name, row.languages)) or _("All")

    @admin.display(description=gettext_lazy("Last seen"), ordering="seen_at")
    def seen(self, row: Agent) -> SafeString | str:
        return ago(row.seen_at) if row.seen_at else NOTHING
