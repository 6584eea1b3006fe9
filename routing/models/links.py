"""Safe links: signed, with a purpose, an expiry, a number of uses and a log of them."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts.roles import Access, Role
from posthaste.lib.ids import new_id


class LinkPurpose(models.TextChoices):
    """What a link is good for."""

    VISIT = "visit", _("Visit a page")
    SIGN_IN = "sign_in", _("Sign in to the portal")
    SATISFACTION = "satisfaction", _("Rate a conversation")
    ATTACHMENT = "attachment", _("Download an attachment")
    UNSUBSCRIBE = "unsubscribe", _("Unsubscribe")


class SafeLink(models.Model):
    """A link that was given to one customer."""

    tenant_lookup = "tenant_id"
    access = Access(change=Role.OPERATOR)

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    tenant = models.ForeignKey("accounts.Tenant", models.CASCADE, related_name="+", verbose_name=_("tenant"))
    customer = models.ForeignKey(
        "routing.Customer", models.CASCADE, null=True, blank=True, related_name="links", verbose_name=_("customer")
    )
    #: Of the code in the address only this keyed hash is kept.
    digest = models.CharField(max_length=64, unique=True, editable=False)
    purpose = models.CharField(_("purpose"), max_length=12, choices=LinkPurpose.choices)
    target = models.CharField(_("target"), max_length=2048, blank=True)
    data = models.JSONField(_("data"), default=dict, blank=True)
    max_uses = models.PositiveIntegerField(_("uses"), default=0, help_text=_("0: no limit."))
    uses = models.PositiveIntegerField(_("used"), default=0, editable=False)
    expires_at = models.DateTimeField(_("expires"))
    revoked_at = models.DateTimeField(_("revoked"), null=True, blank=True, editable=False)
    created_by = models.CharField(_("by"), max_length=150, blank=True, editable=False)
    created_at = models.DateTimeField(_("created"))

    class Meta:
        verbose_name = _("safe link")
        verbose_name_plural = _("safe links")
        ordering = ["-id"]
        indexes = [models.Index(fields=["tenant", "-id"], name="link_tenant"), models.Index(fields=["expires_at"], name="link_expiry")]

    def __str__(self) -> str:
        return str(self.id)


class LinkClick(models.Model):
    """One request for a link, and what came of it."""

    tenant_lookup = "link__tenant_id"
    access = Access()

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    link = models.ForeignKey(SafeLink, models.CASCADE, related_name="clicks", verbose_name=_("link"))
    method = models.CharField(_("method"), max_length=8)
    outcome = models.CharField(_("outcome"), max_length=12)
    #: The network only: the last part of the address is cut off.
    network = models.CharField(_("network"), max_length=50, blank=True)
    user_agent = models.CharField(_("browser"), max_length=200, blank=True)
    clicked_at = models.DateTimeField(_("clicked"))

    class Meta:
        verbose_name = _("click")
        verbose_name_plural = _("clicks")
        ordering = ["-id"]

    def __str__(self) -> str:
        return str(self.id)
