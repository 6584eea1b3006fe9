"""What WeCom needs kept: cursors, contact ways, and who follows which customer."""

from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from accounts.roles import Access, Role
from posthaste.lib.crypto import EncryptedJSONField
from posthaste.lib.ids import new_id


class KfCursor(models.Model):
    """Up to where the messages of one customer service account have been taken in."""

    tenant_lookup = "entrance__tenant_id"
    access = Access()

    entrance = models.ForeignKey("routing.Entrance", models.CASCADE, related_name="kf_cursors", verbose_name=_("entrance"))
    open_kfid = models.CharField(_("account"), max_length=64)
    cursor = models.CharField(max_length=128, blank=True)
    #: A callback asks for a pull; the pull that answers it clears it only if none came since.
    wanted_at = models.DateTimeField(null=True)
    #: The token of the newest callback: pulls with one are not limited as strictly.
    token = EncryptedJSONField(default=str, editable=False)
    lease_token = models.UUIDField(null=True, editable=False)
    lease_until = models.DateTimeField(null=True, editable=False)
    pulled_at = models.DateTimeField(_("last pull"), null=True)

    class Meta:
        verbose_name = _("WeCom cursor")
        verbose_name_plural = _("WeCom cursors")
        constraints = [models.UniqueConstraint(fields=["entrance", "open_kfid"], name="kf_cursor_once")]

    def __str__(self) -> str:
        return self.open_kfid


class ContactWay(models.Model):
    """A QR code or link by which customers add an employee; its state routes them."""

    tenant_lookup = "tenant_id"
    access = Access(change=Role.OPERATOR)

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    tenant = models.ForeignKey("accounts.Tenant", models.CASCADE, related_name="+", verbose_name=_("tenant"))
    entrance = models.ForeignKey("routing.Entrance", models.CASCADE, related_name="contact_ways", verbose_name=_("entrance"))
    name = models.CharField(_("name"), max_length=100)
    state = models.CharField(_("state"), max_length=30, help_text=_("Comes back with each customer who uses it."))
    config_id = models.CharField(max_length=64, blank=True, editable=False)
    qr_code = models.CharField(_("QR code"), max_length=500, blank=True, editable=False)
    users = models.JSONField(_("employees"), default=list)
    group = models.ForeignKey("routing.SkillGroup", models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("skill group"))
    tags = models.JSONField(_("tags"), default=list, blank=True)
    welcome = models.CharField(_("welcome message"), max_length=4000, blank=True)
    created_at = models.DateTimeField(_("created"))

    class Meta:
        verbose_name = _("contact way")
        verbose_name_plural = _("contact ways")
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["entrance", "state"], name="contact_way_state_once")]

    def __str__(self) -> str:
        return self.name


class Follow(models.Model):
    """An employee who has a customer among their WeCom contacts."""

    tenant_lookup = "tenant_id"
    access = Access()

    tenant = models.ForeignKey("accounts.Tenant", models.CASCADE, related_name="+", verbose_name=_("tenant"))
    identity = models.ForeignKey("routing.Identity", models.CASCADE, related_name="follows", verbose_name=_("identity"))
    user_id = models.CharField(_("employee"), max_length=64)
    remark = models.CharField(_("remark"), max_length=200, blank=True)
    state = models.CharField(_("state"), max_length=30, blank=True)
    tags = models.JSONField(_("tags"), default=list, blank=True)
    since = models.DateTimeField(_("since"))
    ended_at = models.DateTimeField(pgettext_lazy("clock", "ended"), null=True, blank=True)
    end_reason = models.CharField(_("ended by"), max_length=30, blank=True)

    class Meta:
        verbose_name = _("follow-up by an employee")
        verbose_name_plural = _("follow-ups by employees")
        constraints = [models.UniqueConstraint(fields=["identity", "user_id"], name="follow_once")]

    def __str__(self) -> str:
        return self.user_id


class Welcome(models.Model):
    """A welcome message to a customer who was added: sent once at most, and only within its 20 seconds."""

    tenant_lookup = "entrance__tenant_id"
    access = Access()

    class State(models.TextChoices):
        """What became of it."""

        SENDING = "sending", _("Being sent")
        SENT = "sent", _("Sent")
        LATE = "late", _("Too late, not sent")
        FAILED = "failed", _("Failed")

    entrance = models.ForeignKey("routing.Entrance", models.CASCADE, related_name="welcomes", verbose_name=_("entrance"))
    contact_way = models.ForeignKey(ContactWay, models.CASCADE, related_name="welcomes", verbose_name=_("contact way"))
    #: Hash of the welcome code: the worker that writes the row sends the message.
    code_digest = models.CharField(max_length=64, editable=False)
    external_user_id = models.CharField(_("customer"), max_length=64)
    state = models.CharField(_("state"), max_length=8, choices=State.choices, default=State.SENDING)
    detail = models.CharField(_("detail"), max_length=300, blank=True)
    created_at = models.DateTimeField(_("created"))

    class Meta:
        verbose_name = _("welcome message")
        verbose_name_plural = _("welcome messages")
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["entrance", "code_digest"], name="welcome_once")]

    def __str__(self) -> str:
        return str(self.pk)
