"""What API keys may be allowed to do with messages, templates and the suppression list."""

from django.utils.translation import gettext_lazy

from accounts.scopes import declare

SEND = declare("messages:send", gettext_lazy("submit messages and batches"), suggested=True)
READ = declare("messages:read", gettext_lazy("read messages, batches and traces"), suggested=True)
MANAGE = declare("messages:manage", gettext_lazy("cancel, retry, pause and resume"))
TEMPLATES_READ = declare("templates:read", gettext_lazy("read and preview templates"))
TEMPLATES_WRITE = declare("templates:write", gettext_lazy("edit and publish templates"))
SUPPRESSIONS_READ = declare("suppressions:read", gettext_lazy("read the suppression list"))
SUPPRESSIONS_WRITE = declare("suppressions:write", gettext_lazy("add to and remove from the suppression list"))
STATISTICS = declare("statistics:read", gettext_lazy("read statistics"))
WEBHOOKS_READ = declare("webhooks:read", gettext_lazy("read webhook endpoints and what was sent to them"))
WEBHOOKS_MANAGE = declare("webhooks:manage", gettext_lazy("create, change, test and delete webhook endpoints, and replay deliveries"))
EVENTS_READ = declare("events:read", gettext_lazy("read the stream of events"))
