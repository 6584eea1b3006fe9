"""What concerns recipients: the suppression list, and the pages that an unsubscribe link opens."""

from datetime import timedelta

from django.urls import reverse
from django.utils import timezone

from messaging.models import Suppression
from messaging.suppression import unsubscribe
from messaging.suppression.unsubscribe import Link
from tests.browser.scene import Scene
from tests.builders import make_suppression

#: Pages that say that there is nothing: their status is 404, and they have to look well all the same.
NOT_KNOWN = ("unknown link", "sample link")


def recipient_pages(scene: Scene) -> dict[str, str]:
    """Put recipients on the list, and return the addresses of the pages by name."""
    tenant, letter = scene.tenant, scene.letter
    soon = timezone.now() + timedelta(days=30)
    make_suppression(tenant, "+8613812345601", channel="sms", reason="hard_bounce", created_by="provider", message_id=letter.pk)
    make_suppression(tenant, "bob@example.com", channel="email", category="marketing", reason="unsubscribe", created_by="recipient")
    entry = make_suppression(tenant, "a.rather.long.name.of.somebody@subdomain.example.com", reason="complaint", expires_at=soon)
    links = {who: unsubscribe.token_for(Link(tenant.pk, who, "marketing", letter.pk)) for who in ("ada@example.com", "bob@example.com")}
    return {
        "suppression list": reverse("admin:messaging_suppression_changelist"),
        "nobody on the list": reverse("admin:messaging_suppression_changelist") + "?q=nobody%40example.com",
        "add to the list": reverse("admin:messaging_suppression_add"),
        "entry of the list": reverse("admin:messaging_suppression_change", args=[Suppression.objects.get(pk=entry.pk).pk]),
        "unsubscribe": reverse("unsubscribe", args=[links["ada@example.com"]]),
        "unsubscribed": reverse("unsubscribe", args=[links["bob@example.com"]]),
        "unknown link": reverse("unsubscribe", args=["x"]),
        "sample link": reverse("unsubscribe", args=[unsubscribe.SAMPLE]),
    }
