"""What API keys may be allowed to do with customers and what they write."""

from django.utils.translation import gettext_lazy

from accounts.scopes import declare

CLASSIFY = declare("routing:classify", gettext_lazy("recognize the intent of a text"))
INTENTS_READ = declare("intents:read", gettext_lazy("read intents, utterances and models"))
INTENTS_WRITE = declare("intents:write", gettext_lazy("change intents and utterances, train and activate models"))
CONVERSATIONS_READ = declare("conversations:read", gettext_lazy("read conversations and their attachments"))
CONVERSATIONS_WRITE = declare("conversations:write", gettext_lazy("reply, assign and resolve conversations"))
CUSTOMERS_READ = declare("customers:read", gettext_lazy("read customers and their identities"))
CUSTOMERS_WRITE = declare("customers:write", gettext_lazy("change, merge, export and erase customers"))
AGENTS_READ = declare("agents:read", gettext_lazy("read agents, skill groups and the queue"))
AGENTS_WRITE = declare("agents:write", gettext_lazy("change agents and skill groups, and report presence"))
ENTRANCES_READ = declare("entrances:read", gettext_lazy("read entrances and contact ways"))
ENTRANCES_WRITE = declare("entrances:write", gettext_lazy("create, change and delete entrances and contact ways"))
LINKS_READ = declare("links:read", gettext_lazy("read safe links and their clicks"))
LINKS_WRITE = declare("links:write", gettext_lazy("create and revoke safe links"))
SERVICE_LEVELS_READ = declare("service_levels:read", gettext_lazy("read business calendars and the clocks of service levels"))
SERVICE_LEVELS_WRITE = declare("service_levels:write", gettext_lazy("change business calendars"))
TICKETS_READ = declare("tickets:read", gettext_lazy("read tickets, ticket types and tags"))
TICKETS_WRITE = declare("tickets:write", gettext_lazy("open, change and move tickets, and change ticket types and tags"))
FAQ_READ = declare("faq:read", gettext_lazy("read and search the published FAQ"))
FAQ_WRITE = declare("faq:write", gettext_lazy("read, change and publish entries of the FAQ"))
SATISFACTION_READ = declare("satisfaction:read", gettext_lazy("read ratings of customers"))
