"""Webhook endpoints and their deliveries, and the addresses of their pages."""

from django.urls import reverse
from django.utils import timezone

from messaging.models import DeliveryStatus, DisabledCode
from tests.browser.scene import Scene
from tests.builders import make_delivery, make_endpoint


def webhook_pages(scene: Scene) -> dict[str, str]:
    """Make endpoints in each state with deliveries, and return the addresses of their pages by name."""
    endpoint = make_endpoint(scene.tenant, name="Shop", event_types=["message.*"])
    gone = make_endpoint(scene.tenant, name="Old shop", is_enabled=False, disabled_code=DisabledCode.GONE, disabled_at=timezone.now())
    delivery = make_delivery(endpoint)
    failed = make_delivery(endpoint, status=DeliveryStatus.FAILED, http_status=503)
    return {
        "endpoint": reverse("admin:messaging_webhookendpoint_change", args=[endpoint.pk]),
        "disabled endpoint": reverse("admin:messaging_webhookendpoint_change", args=[gone.pk]),
        "new endpoint": reverse("admin:messaging_webhookendpoint_add"),
        "delete endpoint": reverse("admin:messaging_webhookendpoint_delete", args=[gone.pk]),
        "delivery": reverse("admin:messaging_webhookdelivery_change", args=[delivery.pk]),
        "failed delivery": reverse("admin:messaging_webhookdelivery_change", args=[failed.pk]),
        "messaging_webhookendpoint": reverse("admin:messaging_webhookendpoint_changelist"),
        "messaging_webhookdelivery": reverse("admin:messaging_webhookdelivery_changelist"),
    }
