"""What the nodes and the events of a trace are called."""

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _


class Node(TextChoices):
    """The four parts of a message's way."""

    QUEUE = "queue", _("Queue")
    PROCESS = "process", _("Process")
    SEND = "send", _("Send")
    CALLBACK = "callback", _("Callback")


class EventKind(TextChoices):
    """What may happen on the way."""

    CLAIMED = "claimed", _("Claimed by a worker")
    ACCEPTED_BY_PROVIDER = "accepted_by_provider", _("Accepted by the provider")
    PROVIDER_ERROR = "provider_error", _("Not accepted by the provider")
    RETRY_SCHEDULED = "retry_scheduled", _("Will be retried")
    RECEIPT = "receipt", _("Receipt")
    MOVED_TO_ANOTHER_PROVIDER = "moved_to_another_provider", _("Moved to another provider")
    RULE = "rule", _("Decided by a rule")
    WEBHOOK_OUT = "webhook_out", _("Sent to a webhook endpoint")

    @classmethod
    def label_of(cls, code: str) -> str:
        """Return the words for an event, or its code where it is not known."""
        return str(cls(code).label) if code in cls else code
