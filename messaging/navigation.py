"""The places of messages, and of all that sends them, in the navigation."""

from django.utils.translation import gettext_lazy as _

from posthaste.ui import navigation
from posthaste.ui.navigation import Entry, Group, model_list

navigation.add(
    model_list("messaging", "message", group=Group.OPERATE, order=20, icon="messages", label=_("Messages"), on_phone=True),
    model_list("messaging", "batch", group=Group.OPERATE, order=40, icon="batches", label=_("Batches")),
    model_list("messaging", "provider", group=Group.OPERATE, order=50, icon="providers", label=_("Providers")),
    model_list("messaging", "template", group=Group.CONFIGURE, order=10, icon="templates", label=_("Templates")),
    model_list("messaging", "webhookendpoint", group=Group.CONFIGURE, order=15, icon="webhook", label=_("Webhook endpoints")),
    model_list("messaging", "receiptentry", group=Group.RECORDS, order=10, icon="delivered", label=_("Receipts")),
    model_list("messaging", "webhookdelivery", group=Group.RECORDS, order=15, icon="webhook", label=_("Webhook deliveries")),
    model_list("messaging", "suppression", group=Group.RECORDS, order=20, icon="suppressed", label=_("Suppressed recipients")),
    Entry(
        group=Group.RECORDS,
        order=30,
        url="admin:outbox",
        icon="outbox",
        label=_("Sandbox outbox"),
        allowed="messaging.view_message",
    ),
)
