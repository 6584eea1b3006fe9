"""What the nodes and events of a trace are called."""

from django.utils.translation import gettext_lazy

NODE_WORDS = {
    "queue": gettext_lazy("Queue"),
    "process": gettext_lazy("Process"),
    "send": gettext_lazy("Send"),
    "callback": gettext_lazy("Callback"),
}
EVENT_WORDS = {
    "claimed": gettext_lazy("Taken by a worker"),
    "accepted_by_provider": gettext_lazy("Taken by the provider"),
    "provider_error": gettext_lazy("Not taken by the provider"),
    "retry_scheduled": gettext_lazy("Will be tried again"),
    "receipt": gettext_lazy("Receipt"),
    "rule": gettext_lazy("Decided by a rule"),
}
