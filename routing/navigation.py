"""The places of the service desk in the navigation."""

from django.utils.translation import gettext_lazy as _

from posthaste.ui import navigation
from posthaste.ui.navigation import Entry, Group, model_list
from routing.desk.leading import may_lead
from routing.desk.ticket_access import may_see

navigation.add(
    Entry(group=Group.DESK, order=30, url="desk-supervisor", icon="eye", label=_("Supervisor"), allowed=may_lead),
    Entry(group=Group.DESK, order=35, url="desk-reports", icon="chart", label=_("Reports"), allowed=may_lead),
)
navigation.add(
    Entry(group=Group.DESK, order=1, url="desk", icon="inbox", label=_("Desk"), allowed="routing.view_conversation", on_phone=True),
)
navigation.add(
    model_list("routing", "customer", group=Group.DESK, order=20, icon="user", label=_("Customers")),
    model_list("routing", "customermerge", group=Group.DESK, order=25, icon="merge", label=_("Merges of customers")),
    model_list("routing", "safelink", group=Group.DESK, order=60, icon="link", label=_("Safe links")),
)
navigation.add(
    model_list("routing", "entrance", group=Group.CONFIGURE, order=40, icon="entrance", label=_("Entrances")),
    model_list("routing", "contactway", group=Group.CONFIGURE, order=41, icon="scan", label=_("Contact ways")),
)
navigation.add(
    model_list("routing", "agent", group=Group.DESK, order=40, icon="agent", label=_("Agents")),
    model_list("routing", "skillgroup", group=Group.CONFIGURE, order=45, icon="members", label=_("Skill groups")),
    model_list("routing", "assignment", group=Group.RECORDS, order=45, icon="assigned", label=_("Assignments")),
)
navigation.add(
    model_list("routing", "intent", group=Group.CONFIGURE, order=30, icon="target", label=_("Intents")),
    model_list("routing", "utterance", group=Group.CONFIGURE, order=31, icon="quote", label=_("Utterances")),
    model_list("routing", "intentmodel", group=Group.CONFIGURE, order=32, icon="model", label=_("Intent models")),
)
navigation.add(model_list("routing", "satisfaction", group=Group.DESK, order=50, icon="star", label=_("Satisfaction")))
navigation.add(
    model_list("routing", "conversation", group=Group.DESK, order=10, icon="chat", label=_("Conversations")),
    model_list("routing", "arrival", group=Group.RECORDS, order=40, icon="import", label=_("Arrivals")),
)
navigation.add(
    model_list("routing", "businesscalendar", group=Group.CONFIGURE, order=46, icon="calendar", label=_("Business calendars")),
    model_list("routing", "clock", group=Group.RECORDS, order=46, icon="clock", label=_("Service level clocks")),
)
navigation.add(
    Entry(group=Group.DESK, order=12, url="desk-tickets", icon="ticket", label=_("Tickets"), allowed=may_see, under="/desk/tickets/"),
    model_list("routing", "tickettype", group=Group.CONFIGURE, order=46, icon="templates", label=_("Ticket types")),
    model_list("routing", "tag", group=Group.CONFIGURE, order=47, icon="tag", label=_("Tags")),
    model_list("routing", "ticket", group=Group.RECORDS, order=46, icon="ticket", label=_("All tickets")),
)
navigation.add(
    model_list("routing", "faqentry", group=Group.CONFIGURE, order=33, icon="unknown", label=_("FAQ")),
    model_list("routing", "botturn", group=Group.RECORDS, order=46, icon="auto", label=_("Turns of the bot")),
)
navigation.add(
    model_list("routing", "quickreply", group=Group.CONFIGURE, order=46, icon="templates", label=_("Quick replies")),
)
