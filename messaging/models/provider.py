"""Providers: who carries a channel's messages; and the log of what they reported back."""

import secrets

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts.roles import Access, Role
from messaging.channels.channel import channel_choices
from messaging.models.message import Message
from posthaste.lib.crypto import EncryptedJSONField
from posthaste.lib.ids import new_id


def new_receipt_secret() -> str:
    """Make a Standard Webhooks secret (`whsec_` and 32 random bytes in base64)."""
    import base64

    return f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"


class Provider(models.Model):
    """One account with a service that delivers messages of a channel."""

    tenant_lookup = "tenant_id"
    access = Access(change=Role.OPERATOR)

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    tenant = models.ForeignKey("accounts.Tenant", models.CASCADE, related_name="+", verbose_name=_("tenant"))
    name = models.CharField(_("name"), max_length=100)
    channel = models.CharField(_("channel"), max_length=10, choices=channel_choices)
    kind = models.CharField(_("kind"), max_length=20, help_text=_("The adapter that connects to it."))
    config = EncryptedJSONField(_("configuration"), default=dict)
    receipt_secret = EncryptedJSONField(_("receipt secret"), default=new_receipt_secret, editable=False)
    weight = models.PositiveSmallIntegerField(
        _("weight"),
        default=100,
        validators=[MaxValueValidator(1000)],
        help_text=_("Share of the channel's traffic. 0: used only when the others fail."),
    )
    max_per_second = models.PositiveIntegerField(
        _("maximum per second"), null=True, blank=True, help_text=_("Messages above it wait; they do not fail. Empty: no cap.")
    )
    max_at_once = models.PositiveIntegerField(
        _("maximum concurrent calls"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(10_000)],
        help_text=_("Concurrent calls, across all workers. Messages above it wait; they do not fail. Empty: no cap."),
    )
    is_enabled = models.BooleanField(_("enabled"), default=True)
    is_stand_in = models.BooleanField(_("stand-in"), default=False, help_text=_("Used only if the channel has no other enabled provider."))
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    updated_at = models.DateTimeField(_("changed"), auto_now=True)

    class Meta:
        verbose_name = _("provider")
        verbose_name_plural = _("providers")
        ordering = ["channel", "name"]
        constraints = [models.UniqueConstraint(fields=["tenant", "name"], name="provider_name_once_a_tenant")]

    def __str__(self) -> str:
        return self.name


class ReceiptOutcome(models.TextChoices):
    """What became of a receipt."""

    APPLIED = "applied", _("Applied")
    DUPLICATE = "duplicate", _("Duplicate: nothing changed")
    LATE = "late", _("Late: the message already had another outcome")
    UNMATCHED = "unmatched", _("Unmatched: no such message")


class ReceiptEntry(models.Model):
    """One receipt as it came, and what became of it."""

    tenant_lookup = "provider__tenant_id"
    access = Access()

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    provider = models.ForeignKey(Provider, models.PROTECT, related_name="+", verbose_name=_("provider"))
    message = models.ForeignKey(
        Message, models.SET_NULL, null=True, blank=True, related_name="+", db_constraint=False, verbose_name=_("message")
    )
    provider_message_id = models.CharField(_("provider's id"), max_length=200, blank=True)
    reported = models.CharField(_("reported"), max_length=10)
    outcome = models.CharField(_("outcome"), max_length=10, choices=ReceiptOutcome.choices)
    code = models.CharField(_("code"), max_length=60, blank=True)
    detail = models.CharField(_("detail"), max_length=500, blank=True)
    received_at = models.DateTimeField(_("received"), auto_now_add=True)

    class Meta:
        verbose_name = _("receipt")
        verbose_name_plural = _("receipts")
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.reported} · {self.outcome}"
