"""Recipients that nothing (or nothing of one kind) is sent to."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts.roles import Access, Role
from messaging.channels.channel import channel_choices
from posthaste.lib.ids import new_id


class SuppressionReason(models.TextChoices):
    """Why a recipient is on the list."""

    MANUAL = "manual", _("Manual")
    API = "api", _("API")
    HARD_BOUNCE = "hard_bounce", _("Hard bounce")
    UNSUBSCRIBE = "unsubscribe", _("Unsubscribed")
    COMPLAINT = "complaint", _("Complaint")


class Suppression(models.Model):
    """One entry of a tenant's suppression list. Looked up by the whole recipient, shown masked."""

    tenant_lookup = "tenant_id"
    access = Access(change=Role.OPERATOR)

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    tenant = models.ForeignKey("accounts.Tenant", models.CASCADE, related_name="+", db_index=False, verbose_name=_("tenant"))
    # In the form of `messaging.channels.recipients.list_key`, so that capitals of an e-mail address make no difference.
    recipient = models.CharField(_("recipient"), max_length=2048)
    channel = models.CharField(_("channel"), max_length=10, choices=channel_choices, blank=True, help_text=_("Empty: all channels."))
    category = models.CharField(_("category"), max_length=40, blank=True, help_text=_("Only messages of this category. Empty: all."))
    reason = models.CharField(_("reason"), max_length=12, choices=SuppressionReason.choices, default=SuppressionReason.MANUAL)
    message_id = models.UUIDField(_("message"), null=True, blank=True, editable=False, help_text=_("The message that caused the entry."))
    created_by = models.CharField(_("by"), max_length=150, blank=True, editable=False)
    created_at = models.DateTimeField(_("created"))
    expires_at = models.DateTimeField(_("expires"), null=True, blank=True, help_text=_("In UTC. Empty: never."))

    class Meta:
        verbose_name = _("suppressed recipient")
        verbose_name_plural = _("suppressed recipients")
        ordering = ["-id"]
        constraints = [
            # Also the index that deliveries ask: tenant and recipient first.
            models.UniqueConstraint(fields=["tenant", "recipient", "channel", "category"], name="suppression_once")
        ]
        indexes = [models.Index(fields=["tenant", "-id"], name="suppression_tenant")]

    def __str__(self) -> str:
        return str(self.id)
