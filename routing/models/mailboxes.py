"""Up to where the mail of a mailbox has been taken in, and which process watches it."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts.roles import Access


class Mailbox(models.Model):
    """The mailbox of an e-mail entrance."""

    tenant_lookup = "entrance__tenant_id"
    access = Access()

    entrance = models.ForeignKey("routing.Entrance", models.CASCADE, related_name="mailboxes", verbose_name=_("entrance"))
    #: Of the server; another one means that the UIDs have a new meaning.
    uid_validity = models.BigIntegerField(null=True, editable=False)
    last_uid = models.BigIntegerField(default=0, editable=False)
    lease_token = models.UUIDField(null=True, editable=False)
    lease_until = models.DateTimeField(null=True, editable=False)
    checked_at = models.DateTimeField(_("last check"), null=True, editable=False)
    error = models.CharField(_("error"), max_length=300, blank=True, editable=False)

    class Meta:
        verbose_name = _("mailbox")
        verbose_name_plural = _("mailboxes")
        constraints = [models.UniqueConstraint(fields=["entrance"], name="mailbox_once")]

    def __str__(self) -> str:
        return str(self.pk)
