"""Ticket types and tags in the admin."""

from typing import Any

from django.contrib import admin
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy

from accounts.labels import Activity
from accounts.services.audit import Actor
from accounts.staff.tenant_admin import OwnedFilter
from posthaste.ui.templatetags.interface import NOTHING, badge, two_lines
from routing.actions import Action
from routing.admin.outcomes import DeletedByService
from routing.admin.short_names import PrepopulatesNames
from routing.admin.ticket_type_forms import TagForm, TicketTypeForm
from routing.models import OPEN_TICKETS, Tag, TicketType
from routing.tickets import types


@admin.register(TicketType)
class TicketTypeAdmin(PrepopulatesNames, DeletedByService):
    """The kinds of tickets, each with a form of its own."""

    purpose = gettext_lazy("Which kinds of tickets there are, what each one asks for, and which group gets it.")
    empty_text = gettext_lazy("Tickets are opened by type. Begin with the matter that comes most often, such as a refund.")
    first_step = (gettext_lazy("Add a ticket type"), "admin:routing_tickettype_add")
    rows_word = gettext_lazy("types")
    form = TicketTypeForm
    change_form_template = "admin/routing/tickettype/form.html"
    audit_actions = (Action.TICKET_TYPE_CREATE, Action.TICKET_TYPE_CHANGE, Action.TICKET_TYPE_DELETE)
    list_display = ["type_shown", "state", "kind", "group", "fields_shown", "open_tickets", "tenant"]
    list_display_links = ["type_shown"]
    figure_columns = ("open_tickets",)
    list_filter = ["kind", "is_active", ("group", OwnedFilter)]
    list_select_related = ["tenant", "group"]
    search_fields = ["title", "title_zh", "name"]
    search_help_text = gettext_lazy("Name or short name.")
    ordering = ["title"]
    sortable_by = ["type_shown"]

    def audit_targets(self, obj: TicketType) -> list[str]:
        return [obj.name]

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ["tenant", "title", "title_zh", "name", "kind", "group", "priority", "is_public", "is_active", "items"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        found = [*super().get_readonly_fields(request, obj)]
        if obj is not None and not self.has_change_permission(request, obj):
            return [*found, "items"]
        return found if obj is None else [*found, "name", "kind"]

    @admin.display(description=gettext_lazy("checklist"))
    def items(self, row: TicketType) -> str:
        return "\n".join(row.checklist) or NOTHING

    def get_queryset(self, request: HttpRequest) -> "QuerySet[TicketType]":
        rows: QuerySet[TicketType] = super().get_queryset(request)
        return rows.annotate(still_open=Count("tickets", filter=Q(tickets__status__in=OPEN_TICKETS)))

    def save_model(self, request: HttpRequest, obj: TicketType, form: Any, change: bool) -> None:
        by = Actor.of_request(request)
        if not change:
            types.create_type(kind=obj, by=by, now=timezone.now())
        elif form.changed_data:
            types.change_type(kind=obj, fields=form.changed_data, by=by)

    def delete_model(self, request: HttpRequest, obj: TicketType) -> None:
        types.delete_type(kind=obj, by=Actor.of_request(request))

    def render_change_form(
        self, request: HttpRequest, context: Any, add: bool = False, change: bool = False, form_url: str = "", obj: Any = None
    ) -> HttpResponse:
        context["field_rows"] = getattr(context["adminform"].form, "rows", None)
        return super().render_change_form(request, context, add=add, change=change, form_url=form_url, obj=obj)

    @admin.display(description=gettext_lazy("type"), ordering="title")
    def type_shown(self, row: TicketType) -> SafeString:
        return two_lines(types.title_of(row), row.name)

    @admin.display(description=gettext_lazy("state"))
    def state(self, row: TicketType) -> SafeString:
        return badge(Activity.of(row.is_active))

    @admin.display(description=gettext_lazy("fields"))
    def fields_shown(self, row: TicketType) -> str:
        names = [str(one.get("label", "")) for one in row.fields]
        return ", ".join(names[:4]) + (f" +{len(names) - 4}" if len(names) > 4 else "") or NOTHING

    @admin.display(description=gettext_lazy("open"))
    def open_tickets(self, row: TicketType) -> int:
        return int(getattr(row, "still_open", 0))


@admin.register(Tag)
class TagAdmin(DeletedByService):
    """Words that tickets and conversations are marked with."""

    purpose = gettext_lazy("Words that tickets and conversations are marked with, to find and to count them.")
    empty_text = gettext_lazy("Tags are made as they are used, or here.")
    first_step = (gettext_lazy("Add a tag"), "admin:routing_tag_add")
    rows_word = gettext_lazy("tags")
    form = TagForm
    fields = ["tenant", "name"]
    audit_actions = (Action.TAG_CREATE, Action.TAG_CHANGE, Action.TAG_DELETE)
    list_display = ["name", "on_tickets", "on_conversations", "tenant"]
    figure_columns = ("on_tickets", "on_conversations")
    list_select_related = ["tenant"]
    search_fields = ["name"]
    search_help_text = gettext_lazy("A part of the name.")
    ordering = ["name"]
    sortable_by = ["name"]

    def audit_targets(self, obj: Tag) -> list[str]:
        return [obj.name]

    def get_queryset(self, request: HttpRequest) -> "QuerySet[Tag]":
        rows: QuerySet[Tag] = super().get_queryset(request)
        return rows.annotate(tickets_marked=Count("tickets", distinct=True), talks_marked=Count("conversations", distinct=True))

    def save_model(self, request: HttpRequest, obj: Tag, form: Any, change: bool) -> None:
        by = Actor.of_request(request)
        if not change:
            types.create_tag(tag=obj, by=by, now=timezone.now())
        elif form.changed_data:
            types.change_tag(tag=obj, by=by)

    def delete_model(self, request: HttpRequest, obj: Tag) -> None:
        types.delete_tag(tag=obj, by=Actor.of_request(request))

    @admin.display(description=gettext_lazy("tickets"))
    def on_tickets(self, row: Tag) -> int:
        return int(getattr(row, "tickets_marked", 0))

    @admin.display(description=gettext_lazy("conversations"))
    def on_conversations(self, row: Tag) -> int:
        return int(getattr(row, "talks_marked", 0))
