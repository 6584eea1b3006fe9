"""Messages, batches, templates, providers and what is remembered about them, in the admin; one subject a module."""

from messaging.admin.batches import BatchAdmin
from messaging.admin.messages import MessageAdmin
from messaging.admin.outbox import outbox
from messaging.admin.providers import ProviderAdmin
from messaging.admin.records import IdempotencyKeyAdmin, ReceiptAdmin
from messaging.admin.suppressions import SuppressionAdmin
from messaging.admin.templates import TemplateAdmin
from messaging.admin.versions import TemplateVersionAdmin
from messaging.admin.webhook_deliveries import WebhookDeliveryAdmin
from messaging.admin.webhooks import WebhookEndpointAdmin

__all__ = [
    "BatchAdmin",
    "IdempotencyKeyAdmin",
    "MessageAdmin",
    "ProviderAdmin",
    "ReceiptAdmin",
    "SuppressionAdmin",
    "TemplateAdmin",
    "TemplateVersionAdmin",
    "WebhookDeliveryAdmin",
    "WebhookEndpointAdmin",
    "outbox",
]
