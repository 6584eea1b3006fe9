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

    ACCEPTED = "accepted", _("Accepted")
    REQUEST_REPEATED = "request_repeated", _("The same request came again")
    DUPLICATES_DROPPED = "duplicates_dropped", _("Equal rows of its batch were left out")
    QUEUED = "queued", _("Handed to the broker")
    CLAIMED = "claimed", _("Claimed by a worker")
    RENDERED = "rendered", _("Rendered")
    ACCEPTED_BY_PROVIDER = "accepted_by_provider", _("Accepted by the provider")
    PROVIDER_ERROR = "provider_error", _("Not accepted by the provider")
    RETRY_SCHEDULED = "retry_scheduled", _("Will be retried")
    GIVEN_BACK = "given_back", _("Given back by its worker")
    RECEIPT = "receipt", _("Receipt")
    MOVED_TO_ANOTHER_PROVIDER = "moved_to_another_provider", _("Moved to another provider")
    RULE = "rule", _("Decided by a rule")
    WEBHOOK_OUT = "webhook_out", _("Sent to a webhook endpoint")
    RECOVERED = "recovered", _("Recovered")
    BROUGHT_FORWARD = "brought_forward", _("Brought forward")
    LOOKED_UP = "looked_up", _("Looked up at the provider")
    OPERATOR = "operator", _("Changed by an operator")
    BREAKER = "breaker", _("Circuit breaker")
    ENDED = "ended", _("Ended")

    @classmethod
    def label_of(cls, code: str) -> str:
        """Return the words for an event, or its code where it is not known."""
        return str(cls(code).label) if code in cls else code


class SpanKind(TextChoices):
    """What a message did in a part of its time."""

    SCHEDULED = "scheduled", _("Scheduled")
    WAITING = "waiting", _("Waiting")
    PROCESS = "process", _("Processed")
    SEND = "send", _("Sent to the provider")
    CALLBACK = "callback", _("Waiting for the receipt")
    ENDED = "ended", _("Ended")
