"""Messages and the batches they may come in."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from accounts.roles import Access, Role
from messaging.channels.channel import channel_choices
from posthaste.lib.ids import new_id


class Status(models.TextChoices):
    """States of a message; see the diagram in docs/architecture.md."""

    PENDING = "pending", _("Pending")
    QUEUED = "queued", _("Queued")
    SENDING = "sending", _("Sending")
    SENT = "sent", _("Sent")
    DELIVERED = "delivered", _("Delivered")
    UNKNOWN = "unknown", _("Unknown")
    FAILED = "failed", _("Failed")
    SUPPRESSED = "suppressed", _("Suppressed")
    CANCELLED = "cancelled", _("Cancelled")
    EXPIRED = "expired", _("Expired")


IN_PROGRESS = (Status.PENDING, Status.QUEUED, Status.SENDING)
#: Ends without a send, mostly rare: a list of them must not walk through everything that was sent.
STOPPED = (Status.SUPPRESSED, Status.CANCELLED, Status.EXPIRED)
TERMINAL = (Status.SENT, Status.DELIVERED, Status.UNKNOWN, Status.FAILED, Status.SUPPRESSED, Status.CANCELLED, Status.EXPIRED)


class BatchStatus(models.TextChoices):
    """States of a batch; `finished` means that no message of it is in progress any more."""

    RUNNING = "running", _("Running")
    PAUSED = "paused", _("Paused")
    CANCELLED = "cancelled", _("Cancelled")
    FINISHED = "finished", _("Finished")


class Batch(models.Model):
    """Messages handed over in one call."""

    tenant_lookup = "tenant_id"
    access = Access(change=Role.OPERATOR)

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    tenant = models.ForeignKey("accounts.Tenant", models.PROTECT, related_name="+", verbose_name=_("tenant"))
    api_key = models.ForeignKey("accounts.ApiKey", models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("API key"))
    name = models.CharField(_("name"), max_length=200, blank=True)
    channel = models.CharField(_("channel"), max_length=10, choices=channel_choices)
    template_version = models.ForeignKey(
        "messaging.TemplateVersion", models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("template version")
    )
    priority = models.PositiveSmallIntegerField(_("priority"), default=5)
    status = models.CharField(_("status"), max_length=10, choices=BatchStatus.choices, default=BatchStatus.RUNNING)
    accepted = models.PositiveIntegerField(_("accepted"), default=0)
    rejected = models.PositiveIntegerField(_("rejected"), default=0)
    dropped = models.PositiveIntegerField(_("duplicates dropped"), default=0)
    send_at = models.DateTimeField(_("send at"), null=True, blank=True)
    created_at = models.DateTimeField(_("created"))
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)

    class Meta:
        verbose_name = _("batch")
        verbose_name_plural = _("batches")
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["tenant", "-id"], name="batch_tenant"),
            # What the feeder takes in turns and settles; small however many batches there were.
            models.Index(fields=["tenant"], name="batch_open", condition=~Q(status=BatchStatus.FINISHED)),
        ]

    def __str__(self) -> str:
        return self.name or str(self.id)


class Message(models.Model):
    """One text to one recipient. Its id is made by us, sorts by age and is its trace-id."""

    tenant_lookup = "tenant_id"
    access = Access(change=Role.OPERATOR)

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    # The references are kept by the application (PROTECT and SET_NULL below), not checked by the database: it would look up
    # three rows for each message at the commit (10,000 rows written and committed: 510 ms with these checks, 170 ms without).
    tenant = models.ForeignKey(
        "accounts.Tenant", models.PROTECT, related_name="+", db_index=False, db_constraint=False, verbose_name=_("tenant")
    )
    api_key = models.ForeignKey(
        "accounts.ApiKey",
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
        db_constraint=False,
        verbose_name=_("API key"),
    )
    batch = models.ForeignKey(
        Batch, models.PROTECT, null=True, blank=True, related_name="messages", db_index=False, db_constraint=False, verbose_name=_("batch")
    )
    channel = models.CharField(_("channel"), max_length=10, choices=channel_choices)
    # 2,048 bytes is what an index of PostgreSQL can hold with room to spare
    recipient = models.CharField(_("recipient"), max_length=2048)
    priority = models.PositiveSmallIntegerField(_("priority"), default=5, validators=[MinValueValidator(0), MaxValueValidator(10)])
    status = models.CharField(_("status"), max_length=10, choices=Status.choices, default=Status.PENDING)
    is_sandbox = models.BooleanField(
        _("sandbox"), default=False, help_text=_("Accepted with a sandbox key: never sent to a real provider.")
    )

    # The database's defaults serve processes of the release before, which know nothing of these two.
    category = models.CharField(
        _("category"),
        max_length=40,
        default="",
        db_default="",
        blank=True,
        help_text=_("The kind of message, for delivery rules: marketing, code …"),
    )
    time_zone = models.CharField(
        _("time zone"),
        max_length=64,
        default="",
        db_default="",
        blank=True,
        help_text=_("The recipient's time zone. Empty: derived from the phone number."),
    )

    template_version = models.ForeignKey(
        "messaging.TemplateVersion",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
        db_constraint=False,
        verbose_name=_("template version"),
    )
    variables = models.JSONField(_("variables"), default=dict, blank=True)
    subject = models.CharField(_("subject"), max_length=998, blank=True)  # RFC 5322 line length
    body = models.TextField(_("body"), blank=True)
    segments = models.PositiveSmallIntegerField(_("SMS segments"), null=True, blank=True)
    reference = models.CharField(_("reference"), max_length=128, blank=True, help_text=_("The caller's own reference."))
    metadata = models.JSONField(_("metadata"), default=dict, blank=True)

    created_at = models.DateTimeField(_("accepted at"))
    due_at = models.DateTimeField(_("due at"), help_text=_("Not sent before this time: scheduled or waiting for a retry."))
    expires_at = models.DateTimeField(_("expires at"), null=True, blank=True)
    queued_at = models.DateTimeField(_("queued at"), null=True, blank=True)
    claimed_at = models.DateTimeField(_("claimed at"), null=True, blank=True)
    sent_at = models.DateTimeField(_("sent at"), null=True, blank=True)
    finished_at = models.DateTimeField(_("finished at"), null=True, blank=True)
    latency_ms = models.PositiveIntegerField(_("latency (ms)"), null=True, blank=True, help_text=_("From due to accepted by the provider."))

    # A worker's hold on the row: a result is written only while it is held.
    claim = models.UUIDField(null=True, blank=True, editable=False)
    lease_until = models.DateTimeField(null=True, blank=True, editable=False)

    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    provider = models.ForeignKey(
        "messaging.Provider",
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
        db_constraint=False,
        verbose_name=_("provider"),
    )
    provider_message_id = models.CharField(_("provider's id"), max_length=200, blank=True)
    error_code = models.CharField(_("error"), max_length=60, blank=True)
    error_detail = models.CharField(_("what happened"), max_length=500, blank=True)

    class Meta:
        verbose_name = _("message")
        verbose_name_plural = _("messages")
        ordering = ["-id"]
        # Chosen by what they cost (`python -m benchmarks.update_cost`; CPU of PostgreSQL a thousand messages from accepted to sent,
        # 95 ms in all, 30 with the primary key alone): message_recipient 36, tenant 13, batch 11, receipt 5, sending 5, the
        # rest within the noise. No update is heap-only whatever the fill factor, as each changes a column of some index.
        indexes = [
            models.Index(fields=["tenant", "-id"], name="message_tenant"),
            models.Index(fields=["batch", "status"], name="message_batch", condition=Q(batch__isnull=False)),
            # These two say `IS NOT NULL` of what never is null in such rows, so that they serve only who asks by that column. `id = ANY (…)
            # AND status = 'queued'` would otherwise be planned on them, as they look empty to the planner, and every claim would
            # read all that is queued: 142 ms a thousand messages instead of 95 with 10,000 queued, more with more.
            models.Index(
                fields=["tenant", "batch", "-priority", "due_at"],
                name="message_pending",
                condition=Q(status=Status.PENDING, due_at__isnull=False),
            ),
            models.Index(fields=["queued_at"], name="message_queued", condition=Q(status=Status.QUEUED, queued_at__isnull=False)),
            models.Index(fields=["lease_until"], name="message_sending", condition=Q(status=Status.SENDING)),
            models.Index(fields=["tenant", "-id"], name="message_dead", condition=Q(status__in=[Status.FAILED, Status.UNKNOWN])),
            models.Index(fields=["tenant", "-id"], name="message_stopped", condition=Q(status__in=STOPPED)),
            models.Index(fields=["provider", "provider_message_id"], name="message_receipt", condition=~Q(provider_message_id="")),
            models.Index(fields=["tenant", "reference"], name="message_reference", condition=~Q(reference="")),
            models.Index(fields=["tenant", "recipient"], name="message_recipient"),
        ]
        constraints = [models.CheckConstraint(condition=Q(priority__gte=0, priority__lte=10), name="message_priority_0_to_10")]

    def __str__(self) -> str:
        return str(self.id)

    @property
    def trace_id(self) -> str:
        """The message id as a W3C trace-id."""
        return self.id.hex
