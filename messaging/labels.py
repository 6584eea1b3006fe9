"""How the states of messages, batches, templates, providers and breakers look, and the words for what decided about a message."""

import re
from datetime import datetime
from typing import Any

from django.db.models import TextChoices
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from messaging.models import (
    Batch,
    BatchStatus,
    DeliveryKind,
    DeliveryStatus,
    EndpointState,
    ReceiptOutcome,
    Status,
    SuppressionReason,
    TemplateVersion,
)
from messaging.storage import unreadable
from posthaste.lib.breaker import Phase
from posthaste.ui import badges
from posthaste.ui.badges import Look
from posthaste.ui.templatetags.interface import badge, moment
from tracing.labels import EventKind


class MessageMark(TextChoices):
    """What else is said of a message beside its state."""

    SANDBOX = "sandbox", gettext_lazy("Sandbox")


class BatchMark(TextChoices):
    """What people read instead of a batch's state."""

    SCHEDULED = "scheduled", gettext_lazy("Scheduled")


class TemplateState(TextChoices):
    """Whether messages can be sent with a template."""

    PUBLISHED = "published", gettext_lazy("Published")
    UNPUBLISHED = "unpublished", gettext_lazy("Not published")
    ARCHIVED = "archived", gettext_lazy("Archived")


class ProviderState(TextChoices):
    """Whether a provider carries messages."""

    ENABLED = "enabled", gettext_lazy("Enabled")
    STAND_IN = "stand_in", gettext_lazy("Stand-in")
    DISABLED = "disabled", gettext_lazy("Disabled")


badges.register("message", Status, {status: Look(status.value, status.value) for status in Status})
badges.register("message_mark", MessageMark, {MessageMark.SANDBOX: Look("suppressed", "outbox")})
badges.register(
    "batch",
    BatchStatus,
    {
        BatchStatus.RUNNING: Look("sending", "play"),
        BatchStatus.PAUSED: Look("unknown", "pause"),
        BatchStatus.FINISHED: Look("delivered", "delivered"),
        BatchStatus.CANCELLED: Look("cancelled", "cancelled"),
    },
)
badges.register("batch_mark", BatchMark, {BatchMark.SCHEDULED: Look("pending", "pending")})
badges.register(
    "template",
    TemplateState,
    {
        TemplateState.PUBLISHED: Look("delivered", "sent"),
        TemplateState.UNPUBLISHED: Look("unknown", "edit"),
        TemplateState.ARCHIVED: Look("cancelled", "cancelled"),
    },
)
badges.register(
    "template_version",
    TemplateVersion.State,
    {
        TemplateVersion.State.DRAFT: Look("pending", "edit"),
        TemplateVersion.State.PUBLISHED: Look("delivered", "sent"),
        TemplateVersion.State.RETIRED: Look("cancelled", "cancelled"),
    },
)
badges.register(
    "provider",
    ProviderState,
    {
        ProviderState.ENABLED: Look("cancelled", "sent"),
        ProviderState.STAND_IN: Look("suppressed", "layers"),
        ProviderState.DISABLED: Look("cancelled", "cancelled"),
    },
)
badges.register(
    "receipt",
    ReceiptOutcome,
    {
        ReceiptOutcome.APPLIED: Look("delivered", "sent"),
        ReceiptOutcome.DUPLICATE: Look("cancelled", "layers", gettext_lazy("Duplicate")),
        ReceiptOutcome.LATE: Look("unknown", "expired", gettext_lazy("Late")),
        ReceiptOutcome.UNMATCHED: Look("failed", "unknown", gettext_lazy("Unmatched")),
    },
)
badges.register(
    "webhook_endpoint",
    EndpointState,
    {
        EndpointState.ENABLED: Look("delivered", "sent"),
        EndpointState.FAILING: Look("unknown", "retry"),
        EndpointState.DISABLED: Look("cancelled", "cancelled"),
    },
)
badges.register(
    "webhook_delivery",
    DeliveryStatus,
    {
        DeliveryStatus.DELIVERED: Look("delivered", "sent"),
        DeliveryStatus.FAILED: Look("failed", "failed"),
        DeliveryStatus.UNKNOWN: Look("unknown", "unknown"),
        DeliveryStatus.GIVEN_UP: Look("failed", "cancelled"),
    },
)
badges.register(
    "webhook_delivery_kind",
    DeliveryKind,
    {
        DeliveryKind.EVENTS: Look("queued", "messages"),
        DeliveryKind.REPLAY: Look("sending", "retry"),
        DeliveryKind.TEST: Look("suppressed", "outbox"),
    },
)
badges.register("suppression", SuppressionReason, dict.fromkeys(SuppressionReason, Look("suppressed", "suppressed")))
badges.register(
    "breaker",
    Phase,
    {Phase.OPEN: Look("failed", "failed"), Phase.HALF_OPEN: Look("unknown", "retry"), Phase.CLOSED: Look("cancelled", "sent")},
)


def batch_state(batch: Batch, *, now: datetime) -> BatchStatus | BatchMark:
    """Return what people read as a batch's state: one that runs is scheduled until its messages are due."""
    status = BatchStatus(batch.status)
    return BatchMark.SCHEDULED if status == BatchStatus.RUNNING and batch.send_at is not None and batch.send_at > now else status


def batch_badge(batch: Batch, *, now: datetime) -> SafeString:
    """Return the badge of a batch's state; of one that is scheduled, it says until when."""
    state = batch_state(batch, now=now)
    if state != BatchMark.SCHEDULED:
        return badge(state)
    return badge(state, label=format_html(_("Scheduled for {time}"), time=moment(batch.send_at)))


#: What decided: the beginning of a reason, and its words; what follows the beginning is `name`.
REASONS = {
    "breaker:": gettext_lazy("the circuit breaker of {name} is open"),
    "cap:": gettext_lazy("{name} is at its limit"),
    "rule:suppressed:": gettext_lazy("the recipient is on the suppression list: {name}"),
    "rule:quiet:": gettext_lazy("quiet hours: {name}"),
    "rule:window:": gettext_lazy("outside the send window: {name}"),
    "rule:frequency:": gettext_lazy("frequency cap: {name}"),
    "rule:duplicate": gettext_lazy("the same text was sent to this recipient recently"),
    "rule:unchecked": gettext_lazy("duplicates and frequency caps were not checked because Redis was unavailable"),
    "breaker": gettext_lazy("its circuit breaker is open"),
    "breaker_closed": gettext_lazy("its circuit breaker lets messages through"),
    "rules_changed": gettext_lazy("the rules have changed"),
    "unreachable": gettext_lazy("it could not be reached"),
    "expired": gettext_lazy("it had expired"),
    "unreadable:": gettext_lazy("its stored row could not be read: {name}"),
    "template": gettext_lazy("its template could not be rendered"),
}
DECISIONS = ("rule:", "breaker:", "cap:")


def event_label(event: dict[str, Any]) -> str:
    """Say what happened. Not all that ends a message, or lets it wait, is a rule."""
    if event["event"] == EventKind.RULE and event.get("status") == Status.PENDING:
        return _("Deferred")
    if event["event"] == EventKind.RULE and not event.get("reason", "").startswith(DECISIONS):
        return _("Ended")
    return EventKind.label_of(event["event"])


#: How a text about an unreadable row begins; the names of its columns follow.
_UNREADABLE = re.compile(r"This can't be read: ([\w, ]+)\.")
_UNRESOLVED = re.compile(r"The host name (\S+) does not resolve\.")


def detail_text(code: str, detail: str) -> str:
    """Return `error_detail` in the reader's language: texts of our own are stored in English, a provider's are shown as they came."""
    if not detail:
        return ""
    if code == unreadable.CODE and (found := _UNREADABLE.match(detail)):
        return _("This can't be read: {columns}.").format(columns=found[1]) + detail[found.end() :]
    if found := _UNRESOLVED.fullmatch(detail):
        return _("The host name {name} does not resolve.").format(name=found[1])
    return _(detail)


def event_reason(reason: str) -> str:
    """Say why, or nothing where only the code is known."""
    for beginning, words in REASONS.items():
        if reason == beginning or (beginning.endswith(":") and reason.startswith(beginning)):
            name = reason.removeprefix(beginning)
            if beginning == "rule:suppressed:" and name in SuppressionReason.values:
                name = str(SuppressionReason(name).label)
            return str(words).format(name=name)
    return ""
