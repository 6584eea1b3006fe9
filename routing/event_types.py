"""The types of events that the service desk tells to webhooks and streams: see `routing.events`."""

from django.utils.translation import gettext_lazy

from messaging.webhooks.event_types import declare

CONVERSATION_OPENED = declare("conversation.opened", gettext_lazy("a customer began a conversation"))
CONVERSATION_QUEUED = declare("conversation.queued", gettext_lazy("a conversation waits for an agent, or for another group"))
CONVERSATION_ASSIGNED = declare("conversation.assigned", gettext_lazy("an agent has the conversation from now on"))
CONVERSATION_RESOLVED = declare("conversation.resolved", gettext_lazy("a conversation was resolved"))
CONVERSATION_REOPENED = declare("conversation.reopened", gettext_lazy("a resolved conversation goes on"))
CONVERSATION_CLOSED = declare("conversation.closed", gettext_lazy("a conversation was closed, or marked as spam"))
CONVERSATION_INTENT_CORRECTED = declare("conversation.intent_corrected", gettext_lazy("an agent corrected what a conversation is about"))
LINE_RECEIVED = declare("line.received", gettext_lazy("a customer wrote"))
LINE_SENT = declare("line.sent", gettext_lazy("an agent or a bot replied"))
TICKET_OPENED = declare("ticket.opened", gettext_lazy("a ticket was opened"))
TICKET_CHANGED = declare("ticket.changed", gettext_lazy("fields of a ticket were changed, such as its agent"))
TICKET_MOVED = declare("ticket.moved", gettext_lazy("a ticket has another status"))
TICKET_RESOLVED = declare("ticket.resolved", gettext_lazy("a ticket was resolved"))
TICKET_CLOSED = declare("ticket.closed", gettext_lazy("a ticket was closed"))
TICKET_MERGED = declare("ticket.merged", gettext_lazy("a ticket was merged into another"))
CLOCK_WARNING = declare("clock.warning", gettext_lazy("a service level will be missed soon"))
CLOCK_BREACHED = declare("clock.breached", gettext_lazy("a service level was missed"))
SATISFACTION_RATED = declare("satisfaction.rated", gettext_lazy("a customer rated how a conversation was handled"))
CUSTOMER_MERGED = declare("customer.merged", gettext_lazy("a customer was merged into another"))
CUSTOMER_UNMERGED = declare("customer.unmerged", gettext_lazy("a merge of customers was undone"))
CUSTOMER_ERASED = declare("customer.erased", gettext_lazy("a customer was erased"))
