"""Clocks of service levels in the admin: what is due when, and what was missed."""

from typing import Any

from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, pgettext_lazy

from accounts.staff.tenant_admin import ReadOnly
from posthaste.ui.templatetags.interface import NOTHING, ago, badge
from routing.admin.wording import conversation_link
from routing.models import Clock, ClockMetric, ClockState, TicketPriority


@admin.register(Clock)
class ClockAdmin(ReadOnly):
    """The times that conversations and tickets have."""

    purpose = gettext_lazy("By when conversations and tickets must be answered and resolved, in business hours, and what was late.")
    empty_text = gettext_lazy(
        "Clocks appear here when a customer writes or a ticket is opened. The module Service levels has their targets."
    )
    list_display = ["measures", "state_badge", "due", "breached", "of", "for_what", "started", "tenant"]
    list_display_links = ["measures"]
    has_panel = True
    list_filter = ["state", "metric"]
    list_select_related = ["tenant", "ticket", "conversation__customer"]
    ordering = ["-id"]
    sortable_by = ()
    fields = (
        "measures",
        "state_badge",
        "of",
        "for_what",
        "target",
        "calendar_shown",
        "started",
        "warns",
        "due",
        "breached",
        "ended",
        "tenant",
    )
    readonly_fields = fields

    @admin.display(description=gettext_lazy("measures"))
    def measures(self, row: Clock) -> str:
        return str(ClockMetric(row.metric).label)

    @admin.display(description=gettext_lazy("state"))
    def state_badge(self, row: Clock) -> SafeString:
        return badge(ClockState(row.state))

    @admin.display(description=gettext_lazy("due"))
    def due(self, row: Clock) -> SafeString | str:
        return ago(row.due_at) if row.due_at else NOTHING

    @admin.display(description=gettext_lazy("warns"))
    def warns(self, row: Clock) -> SafeString | str:
        return ago(row.warn_at) if row.warn_at else NOTHING

    @admin.display(description=gettext_lazy("breached"))
    def breached(self, row: Clock) -> SafeString | str:
        return format_html('<span class="tone-text tone-failed">{}</span>', ago(row.breached_at)) if row.breached_at else NOTHING

    @admin.display(description=pgettext_lazy("clock", "ended"))
    def ended(self, row: Clock) -> SafeString | str:
        return ago(row.ended_at) if row.ended_at else NOTHING

    @admin.display(description=gettext_lazy("started"))
    def started(self, row: Clock) -> SafeString:
        return ago(row.started_at)

    @admin.display(description=gettext_lazy("conversation or ticket"))
    def of(self, row: Clock) -> SafeString | str:
        if row.conversation is not None:
            return conversation_link(row.conversation)
        if row.ticket is None:
            return NOTHING
        return format_html(
            '<a href="{}">{} {}</a>', reverse("admin:routing_ticket_change", args=[row.ticket.pk]), row.ticket, row.ticket.subject
        )

    @admin.display(description=gettext_lazy("priority, level, type"))
    def for_what(self, row: Clock) -> str:
        facts: dict[str, Any] = row.facts
        priority = dict(TicketPriority.choices).get(facts.get("priority", ""), "")
        return " · ".join(filter(None, (str(priority), facts.get("level"), facts.get("type"), facts.get("due_on"))))

    @admin.display(description=gettext_lazy("target"))
    def target(self, row: Clock) -> str:
        return ngettext("{n} minute", "{n} minutes", row.target_minutes).format(n=row.target_minutes) if row.target_minutes else NOTHING

    @admin.display(description=gettext_lazy("calendar"))
    def calendar_shown(self, row: Clock) -> str:
        return row.calendar or _("Default")
