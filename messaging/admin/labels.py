"""What the nodes and events of a trace are called, and why a breaker is as it is."""

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from messaging.models import SuppressionReason

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
    "moved_to_another_provider": gettext_lazy("Moved to another provider"),
    "rule": gettext_lazy("Decided by a rule"),
}


#: What decided: the beginning of a reason, and its words; what follows the beginning is `name`.
REASON_WORDS = {
    "breaker:": gettext_lazy("the circuit breaker of {name} is open"),
    "cap:": gettext_lazy("{name} takes no more at this moment"),
    "rule:suppressed:": gettext_lazy("the recipient is on the suppression list: {name}"),
    "rule:quiet:": gettext_lazy("quiet hours: {name}"),
    "rule:window:": gettext_lazy("outside its hours: {name}"),
    "rule:frequency:": gettext_lazy("frequency cap: {name}"),
    "rule:duplicate": gettext_lazy("the same text went to this recipient a short while ago"),
    "rule:unchecked": gettext_lazy("duplicates and frequency could not be looked at while Redis was away"),
    "breaker": gettext_lazy("its circuit breaker is open"),
    "unreachable": gettext_lazy("it could not be reached"),
    "expired": gettext_lazy("its time had run out"),
    "template": gettext_lazy("its template could not be filled in"),
}


def event_word(event: dict[str, Any]) -> str:
    """Say what happened. Not all that ends a message, or lets it wait, is a rule."""
    if event["event"] == "rule" and event.get("status") == "pending":
        return _("Put off")
    if event["event"] == "rule" and not event.get("reason", "").startswith(("rule:", "breaker:", "cap:")):
        return _("Ended")
    return str(EVENT_WORDS.get(event["event"], event["event"]))


def event_reason(reason: str) -> str:
    """Say why, or nothing where only the code is known."""
    for beginning, words in REASON_WORDS.items():
        if reason == beginning or (beginning.endswith(":") and reason.startswith(beginning)):
            name = reason.removeprefix(beginning)
            if beginning == "rule:suppressed:" and name in SuppressionReason.values:
                name = str(SuppressionReason(name).label)
            return str(words).format(name=name)
    return ""
