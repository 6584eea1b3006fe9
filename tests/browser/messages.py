"""Messages, batches, templates and providers in every state, and the addresses of their pages."""

from datetime import timedelta
from typing import Any

from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEntry, Tenant
from messaging.channels import registry
from messaging.models import Batch, IdempotencyKey, Message, Provider, ReceiptEntry, Status, Template, TemplateVersion
from messaging.providers import breakers
from posthaste.lib.ids import new_id
from tests.browser.scene import Scene
from tests.builders import make_provider

#: A channel and a configuration of each kind.
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "email": ("email", {"host": "smtp.example.com", "username": "shop", "password": "example", "from_email": "shop@example.com"}),
    "http": ("sms", {"url": "https://gateway.example.com/send", "headers": {"X-Account": "shop"}, "message_id_path": "id"}),
    "apprise": ("chat", {"url": "discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js"}),
    "sandbox": ("push", {"latency_ms": 30}),
    "entrance": ("desk", {}),
}


def make_traffic(tenant: Tenant) -> Message:
    """Make a batch with messages in every state, and a letter with a receipt; return the letter."""
    version = TemplateVersion.objects.get(template__name="login-code")
    mail = TemplateVersion.objects.get(template__name="order-shipped")
    provider, now = Provider.objects.get(tenant=tenant, channel="sms"), timezone.now()
    batch = Batch.objects.create(
        tenant=tenant, name="Promotion November", channel="sms", accepted=20, template_version=version, created_at=now
    )
    for index in range(20):
        Message.objects.create(
            id=new_id(),
            tenant=tenant,
            batch=batch,
            channel="sms",
            recipient=f"+86138123456{index:02}",
            status=Status.values[index % len(Status.values)],
            template_version=version,
            variables={"code": "493817"},
            created_at=now,
            due_at=now,
            claimed_at=now,
            sent_at=now + timedelta(milliseconds=300),
            provider=provider,
            attempts=1,
            error_code="timeout" if index % 10 in (5, 6) else "",
            error_detail="The gateway did not answer." * 3,
        )
    letter = Message.objects.create(
        id=new_id(),
        tenant=tenant,
        channel="email",
        recipient="ada@example.com",
        status=Status.SENT,
        template_version=mail,
        variables={"name": "Ada", "order": "A-1042"},
        created_at=now,
        due_at=now,
    )
    ReceiptEntry.objects.create(provider=provider, message=letter, reported="delivered", outcome="applied")
    IdempotencyKey.objects.create(tenant=tenant, key="order-77", digest=b"1" * 32, target=letter.pk, created_at=now)
    AuditEntry.objects.create(tenant=tenant, actor="user:admin", action="message.retry", target=str(letter.pk))
    return letter


def message_pages(scene: Scene) -> dict[str, str]:
    """Return the addresses of the pages of messages and of what they are made with, and make a provider of each kind."""
    provider = Provider.objects.get(tenant=scene.tenant, channel="sms")
    mail = TemplateVersion.objects.get(template__name="order-shipped")
    batch, letter = Batch.objects.get(name="Promotion November"), scene.letter
    failed = Message.objects.filter(status=Status.FAILED).first()
    unknown = Message.objects.filter(status=Status.UNKNOWN).first()
    assert failed
    assert unknown
    found = {
        "dead letters": reverse("admin:messaging_message_changelist") + "?state=dead",
        "nothing found": reverse("admin:messaging_message_changelist") + "?q=nobody",
        "failed message": reverse("admin:messaging_message_change", args=[failed.pk]),
        "unknown message": reverse("admin:messaging_message_change", args=[unknown.pk]),
        "letter": reverse("admin:messaging_message_change", args=[letter.pk]),
        "batch": reverse("admin:messaging_batch_change", args=[batch.pk]),
        "provider": reverse("admin:messaging_provider_change", args=[provider.pk]),
        "new provider": reverse("admin:messaging_provider_add"),
        "test send": reverse("admin:messaging_provider_test", args=[provider.pk]),
        "template": reverse("admin:messaging_template_change", args=[Template.objects.get(name="order-shipped").pk]),
        "new template": reverse("admin:messaging_template_add"),
        "version": reverse("admin:messaging_templateversion_change", args=[mail.pk]),
        "outbox": reverse("admin:outbox"),
        "history of provider": reverse("admin:messaging_provider_history", args=[provider.pk]),
        "breaker": reverse("config-breaker", args=[breakers.of_provider(provider.pk)]),
        "dead letters by reason": reverse("dead-letters"),
        "replay of dead letters": reverse("dead-letters-replay") + f"?code={failed.error_code}&status=failed",
    }
    assert set(KINDS) == set(registry.ADAPTERS)
    for kind, (channel, config) in KINDS.items():
        made = make_provider(scene.tenant, name=f"Provider of kind {kind}", kind=kind, channel=channel, config=config, is_enabled=False)
        found[f"provider of kind {kind}"] = reverse("admin:messaging_provider_change", args=[made.pk])
    lists = ("message", "batch", "template", "templateversion", "provider", "receiptentry", "idempotencykey")
    return found | {f"messaging_{name}": reverse(f"admin:messaging_{name}_changelist") for name in lists}
