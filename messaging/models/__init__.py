"""Everything that is stored about messages, one subject a module."""

from messaging.models.intake import IdempotencyKey
from messaging.models.message import IN_PROGRESS, TERMINAL, Batch, BatchStatus, Message, Status
from messaging.models.provider import Provider, ReceiptEntry, ReceiptOutcome
from messaging.models.rollup import FlowRollup, QueueRollup
from messaging.models.suppression import Suppression, SuppressionReason
from messaging.models.tally import NO_BATCH, NO_BUCKET, NO_HOUR, Tally, TallyChange
from messaging.models.template import Template, TemplateVersion
from messaging.models.webhook import (
    DeliveryKind,
    DeliveryStatus,
    DisabledCode,
    EndpointState,
    Event,
    EventRecording,
    RecordedEvent,
    WebhookDelivery,
    WebhookEndpoint,
)

__all__ = [
    "IN_PROGRESS",
    "NO_BATCH",
    "NO_BUCKET",
    "NO_HOUR",
    "TERMINAL",
    "Batch",
    "BatchStatus",
    "DeliveryKind",
    "DeliveryStatus",
    "DisabledCode",
    "EndpointState",
    "Event",
    "EventRecording",
    "FlowRollup",
    "IdempotencyKey",
    "Message",
    "Provider",
    "QueueRollup",
    "ReceiptEntry",
    "ReceiptOutcome",
    "RecordedEvent",
    "Status",
    "Suppression",
    "SuppressionReason",
    "Tally",
    "TallyChange",
    "Template",
    "TemplateVersion",
    "WebhookDelivery",
    "WebhookEndpoint",
]
