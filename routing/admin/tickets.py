"""Tickets in the admin: all of them, with their history; what is done with one goes by the desk's page."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.staff.lists import as_uuid
from accounts.staff.tenant_admin import OwnedFilter, ReadOnly, own_tenants
from posthaste.ui.templatetags.interface import NOTHING, ago, badge, two_lines
from routing.actions import Action
from routing.desk import ticket_view
from routing.models import Ticket, TicketPriority, TicketStatus
from routing.tickets import finding
from routing.tickets.types import title_of


@admin.register(Ticket)
class TicketAdmin(ReadOnly):
    """Every ticket of the reader's tenants."""

    purpose = gettext_lazy("Matters that are followed up until they are resolved, with everything that happened to each.")
    empty_text = gettext_lazy("Tickets are opened at the desk, in a conversation, in the portal, and over the API.")
    first_step = (gettext_lazy("Ticket types"), "admin:routing_tickettype_changelist")
    rows_word = gettext_lazy("tickets")
    audit_actions = tuple(action for action in Action if action.startswith("ticket."))
    list_display = ["ticket", "status_badge", "priority_badge", "customer_shown", "handled_by", "due_on", "tenant", "opened"]
    list_display_links = ["ticket"]
    list_filter = ["status", "priority", ("type", OwnedFilter), ("group", OwnedFilter), ("agent", OwnedFilter)]
    list_select_related = ["tenant", "type", "customer", "group", "agent"]
    search_fields = ["subject"]  # turns the search on; get_search_results does it
    search_help_text = gettext_lazy("Number, ID, or a part of the subject, the customer's name or a field.")
    ordering = ["-id"]
    sortable_by = ["opened"]

    def may_take_first_step(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("routing.view_tickettype"))

    def get_search_results(self, request: HttpRequest, queryset: "QuerySet[Ticket]", search_term: str) -> Any:
        if identifier := as_uuid(search_term.strip()):
            return queryset.filter(pk=identifier), False
        return finding.searched(queryset, search_term, tenant_ids=own_tenants(request)), False

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        ticket: Ticket = self.own(request, unquote(object_id))
        heading = ticket_view.heading(ticket)
        return self.page(request, "detail", ticket, title=heading, heading=heading, **ticket_view.context(request, ticket))

    # --- columns ---------------------------------------------------------------------------------------------

    @admin.display(description=gettext_lazy("ticket"))
    def ticket(self, row: Ticket) -> SafeString:
        return two_lines(f"#{row.number} {row.subject}", title_of(row.type))

    @admin.display(description=gettext_lazy("status"), ordering="status")
    def status_badge(self, row: Ticket) -> SafeString:
        return badge(TicketStatus(row.status))

    @admin.display(description=gettext_lazy("priority"), ordering="priority")
    def priority_badge(self, row: Ticket) -> SafeString:
        return badge(TicketPriority(row.priority))

    @admin.display(description=gettext_lazy("customer"))
    def customer_shown(self, row: Ticket) -> str:
        return (row.customer.name or _("Without a name")) if row.customer else NOTHING

    @admin.display(description=gettext_lazy("agent"))
    def handled_by(self, row: Ticket) -> SafeString | str:
        if row.agent is None and row.group is None:
            return NOTHING
        return two_lines(str(row.agent) if row.agent else NOTHING, str(row.group) if row.group else "")

    @admin.display(description=gettext_lazy("opened"), ordering="id")
    def opened(self, row: Ticket) -> SafeString:
        return ago(row.created_at)
