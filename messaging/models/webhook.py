"""Webhooks: who is called back about a tenant's messages, the events that they are told, and the log of the calls."""

from typing import Any

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.roles import Access, Role
from messaging.models.provider import new_receipt_secret
from posthaste.lib.crypto import EncryptedJSONField
from posthaste.lib.ids import new_id

MAX_EVENTS = 1_000  # in one request


def all_event_types() -> list[str]:
    """Return what an endpoint receives unless told otherwise."""
    return ["*"]


class EndpointState(models.TextChoices):
    """What an endpoint is doing."""

    ENABLED = "enabled", _("Enabled")
    FAILING = "failing", _("Failing")
    DISABLED = "disabled", _("Disabled")


class DisabledCode(models.TextChoices):
    """Why an endpoint is disabled. A label may name figures, which are kept beside the code."""

    MANUAL = "manual", _("A person or an API key disabled it.")
    GONE = "gone", _("The receiver answered 410 Gone.")
    FAILING = "failing", _("It failed for {hours} hours without a break. The last error: {error}.")


class WebhookEndpoint(models.Model):
    """A URL of a tenant that events are sent to, one request at a time, in the order of their positions."""

    tenant_lookup = "tenant_id"
    access = Access(change=Role.OPERATOR)

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    tenant = models.ForeignKey("accounts.Tenant", models.CASCADE, related_name="+", verbose_name=_("tenant"))
    name = models.CharField(_("name"), max_length=100)
    url = models.CharField(_("URL"), max_length=2048)
    event_types = models.JSONField(
        _("events"), default=all_event_types, help_text=_("Names, such as message.failed, or beginnings, such as message.*; * means all.")
    )
    channels = models.JSONField(
        _("channels"), default=list, blank=True, help_text=_("Only events of these channels. Empty: events of all channels and of none.")
    )
    secret = EncryptedJSONField(_("secret"), default=new_receipt_secret, editable=False)
    previous_secret = EncryptedJSONField(_("previous secret"), default=str, editable=False)
    previous_secret_until = models.DateTimeField(_("previous secret valid until"), null=True, editable=False)
    max_events = models.PositiveSmallIntegerField(
        _("events per request"), default=100, validators=[MinValueValidator(1), MaxValueValidator(MAX_EVENTS)]
    )
    includes_sandbox = models.BooleanField(
        _("include sandbox events"), default=False, help_text=_("Also events of messages that were accepted with a sandbox key.")
    )
    is_enabled = models.BooleanField(_("enabled"), default=True)
    disabled_at = models.DateTimeField(_("disabled at"), null=True, editable=False)
    disabled_code = models.CharField(_("why it is disabled"), max_length=10, choices=DisabledCode.choices, blank=True, editable=False)
    #: What the label of the code names: `hours` and `error` for failing.
    disabled_figures = models.JSONField(default=dict, editable=False)

    #: Position of the last event that was delivered, given up, or is not for this endpoint.
    cursor = models.BigIntegerField(default=0, editable=False)
    next_attempt_at = models.DateTimeField(_("next attempt"), default=timezone.now, editable=False)
    failing_since = models.DateTimeField(_("failing since"), null=True, editable=False)
    #: Failures since the last success, of any request: what the back-off grows with.
    failures = models.PositiveIntegerField(_("failures in a row"), default=0, editable=False)

    # The request that is being tried: it keeps its webhook-id and its events until it is delivered or given up.
    inflight_id = models.CharField(max_length=40, blank=True, editable=False)
    inflight_until = models.BigIntegerField(null=True, editable=False)
    inflight_since = models.DateTimeField(null=True, editable=False)
    #: Of its events, as `webhooks.positions` writes them.
    inflight_positions = models.TextField(blank=True, editable=False)
    #: Of a receiver that found a request too large: how many bytes the next ones may have, and until when.
    max_body_bytes = models.PositiveIntegerField(null=True, editable=False)
    max_body_until = models.DateTimeField(null=True, editable=False)
    attempts = models.PositiveIntegerField(_("attempts"), default=0, editable=False)
    #: When the last attempt of any request began.
    attempted_at = models.DateTimeField(null=True, editable=False)
    #: A call was begun, and its result is not written yet: if its process dies, the outcome is unknown.
    is_calling = models.BooleanField(default=False, editable=False)

    # A sender's hold on the row: a result is written only while it is held.
    lease_token = models.UUIDField(null=True, editable=False)
    lease_until = models.DateTimeField(null=True, editable=False)

    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    updated_at = models.DateTimeField(_("changed"), auto_now=True)

    class Meta:
        verbose_name = _("webhook endpoint")
        verbose_name_plural = _("webhook endpoints")
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["tenant", "name"], name="webhook_name_once_a_tenant")]

    def __str__(self) -> str:
        return self.name

    @property
    def state(self) -> EndpointState:
        """What people are shown of it first."""
        if not self.is_enabled:
            return EndpointState.DISABLED
        return EndpointState.FAILING if self.failing_since else EndpointState.ENABLED

    @property
    def is_disabled_automatically(self) -> bool:
        """Return whether the sender disabled it."""
        return not self.is_enabled and self.disabled_code not in ("", DisabledCode.MANUAL)

    @property
    def disabled_detail(self) -> str:
        """Why it is disabled, in the reader's language; empty while it is enabled."""
        if self.is_enabled or self.disabled_code not in DisabledCode.values:
            return ""
        figures = {"hours": "?", "error": "?", **self.disabled_figures}
        return str(DisabledCode(self.disabled_code).label).format(**figures)


class EventContent(models.Model):
    """What is told of one change. `data` of a message's event holds what may change later; the rest is read from its row."""

    tenant_lookup = "tenant_id"
    access = Access()

    tenant = models.ForeignKey(
        "accounts.Tenant", models.CASCADE, related_name="+", db_index=False, db_constraint=False, verbose_name=_("tenant")
    )
    type = models.CharField(_("event"), max_length=60)
    subject_id = models.UUIDField(_("about"), null=True)
    channel = models.CharField(_("channel"), max_length=10, blank=True)
    is_sandbox = models.BooleanField(_("sandbox"), default=False)
    occurred_at = models.DateTimeField(_("happened at"))
    data = models.JSONField(_("data"), default=dict)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.type} {self.subject_id}"


class Event(EventContent):
    """An event with its position: positions become visible in their order, so a reader that remembers the last one misses nothing.

    Rows are never changed. They are deleted after `webhooks.keep_days`.
    """

    position = models.BigAutoField(primary_key=True)

    class Meta:
        verbose_name = _("event")
        verbose_name_plural = _("events")
        ordering = ["position"]
        indexes = [models.Index(fields=["tenant", "position"], name="event_tenant")]


class RecordedEvent(EventContent):
    """PostgreSQL only: an event that waits for its position, which it gets after its transaction is committed.

    For one message, a later change has a larger id, because the row of the message was locked before. SQLite has one writer at a
    time, so there events get their position at once.
    """

    id = models.BigAutoField(primary_key=True)


class EventRecording(models.Model):
    """A tenant whose changes are recorded: it has an endpoint, or has read the stream of events within `webhooks.keep_days`."""

    tenant_lookup = "tenant_id"

    tenant = models.OneToOneField("accounts.Tenant", models.CASCADE, primary_key=True, related_name="+", verbose_name=_("tenant"))
    read_at = models.DateTimeField(null=True)
    #: Events up to this position were deleted, or were not recorded at all.
    missing_until = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return str(self.tenant_id)


class DeliveryKind(models.TextChoices):
    """Why an endpoint was called."""

    EVENTS = "events", _("Events")
    REPLAY = "replay", _("Replay")
    TEST = "test", _("Test")


class DeliveryStatus(models.TextChoices):
    """What came of one call of an endpoint."""

    DELIVERED = "delivered", _("Delivered")
    FAILED = "failed", _("Failed")
    UNKNOWN = "unknown", _("Unknown")
    GIVEN_UP = "given_up", _("Given up")


class WebhookDelivery(models.Model):
    """One call of an endpoint, and what came of it."""

    tenant_lookup = "tenant_id"
    access = Access(change=Role.OPERATOR)  # to send one again

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    endpoint = models.ForeignKey(WebhookEndpoint, models.CASCADE, related_name="deliveries", db_index=False, verbose_name=_("endpoint"))
    tenant = models.ForeignKey("accounts.Tenant", models.CASCADE, related_name="+", verbose_name=_("tenant"))
    kind = models.CharField(_("kind"), max_length=10, choices=DeliveryKind.choices, default=DeliveryKind.EVENTS)
    webhook_id = models.CharField(_("webhook-id"), max_length=40)
    #: Positions of the first and the last event; 0 in a test.
    from_position = models.BigIntegerField(_("from position"), default=0)
    until_position = models.BigIntegerField(_("until position"), default=0)
    events = models.PositiveSmallIntegerField(_("events"), default=0)
    #: Of its events, as `webhooks.positions` writes them.
    positions = models.TextField(blank=True, editable=False)
    attempt = models.PositiveIntegerField(_("attempt"), default=1)
    status = models.CharField(_("status"), max_length=10, choices=DeliveryStatus.choices)
    http_status = models.PositiveSmallIntegerField(_("HTTP status"), null=True)
    duration_ms = models.PositiveIntegerField(_("duration (ms)"), null=True)
    error = models.CharField(_("error"), max_length=60, blank=True)
    detail = models.CharField(_("what happened"), max_length=500, blank=True)
    replayed_from: "models.ForeignKey[Any, Any]" = models.ForeignKey(
        "self", models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("replay of")
    )
    at = models.DateTimeField(_("called at"))

    class Meta:
        verbose_name = _("webhook delivery")
        verbose_name_plural = _("webhook deliveries")
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["endpoint", "-id"], name="delivery_endpoint"),
            models.Index(fields=["at"], name="delivery_age"),
        ]

    def __str__(self) -> str:
        return f"{self.webhook_id} · {self.get_status_display()}"
