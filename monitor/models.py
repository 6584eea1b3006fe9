"""What is remembered of alarms: each passage from the first sign to the end, its notices, and silences."""

from typing import Any

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from monitor.alarms.rules import ReceiverKind, Severity
from monitor.alarms.states import AlarmState, NoticeKind, Phase
from posthaste.lib.ids import new_id


class Alarm(models.Model):
    """One passage of an alarm; see `monitor.alarms.states.Episode`, whose fields it keeps."""

    tenant_lookup = None

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    rule = models.CharField(_("alarm"), max_length=40)
    series = models.CharField(_("series"), max_length=200, blank=True)
    metric = models.CharField(_("metric"), max_length=60)
    group = models.CharField(_("group"), max_length=40)
    severity = models.CharField(_("severity"), max_length=10, choices=Severity.choices)
    phase = models.CharField(max_length=10, choices=Phase.choices)
    state = models.CharField(_("state"), max_length=12, choices=AlarmState.choices)
    since = models.DateTimeField(_("since"))
    started_at = models.DateTimeField(_("began"))
    value = models.FloatField(_("value"), null=True)
    met_since = models.DateTimeField(null=True)
    clear_since = models.DateTimeField(null=True)
    missing_since = models.DateTimeField(null=True)
    fired_at = models.DateTimeField(_("raised"), null=True)
    resolved_at = models.DateTimeField(_("resolved"), null=True)
    acknowledged_at = models.DateTimeField(_("acknowledged"), null=True)
    acknowledged_by = models.CharField(_("acknowledged by"), max_length=150, blank=True)
    is_silenced = models.BooleanField(_("silenced"), default=False)
    inhibited_by = models.CharField(_("inhibited by"), max_length=40, blank=True)
    comebacks = models.PositiveSmallIntegerField(default=0)
    #: The condition of the rule when it was raised, in words that need no translation: > 100 for 60 s.
    condition = models.CharField(_("condition"), max_length=100, blank=True)
    #: Nothing remains to be told of it.
    is_settled = models.BooleanField(default=False)
    #: Counted up by each change: a writer that saw an older one was overtaken.
    version = models.PositiveIntegerField(default=0)

    class Meta:
        verbose_name = _("alarm")
        verbose_name_plural = _("alarms")
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["is_settled"], name="alarm_unsettled", condition=Q(is_settled=False)),
            models.Index(fields=["resolved_at"], name="alarm_resolved"),
        ]
        constraints = [models.UniqueConstraint(fields=["rule", "series"], condition=~Q(phase=Phase.RESOLVED), name="alarm_open_once")]

    def __str__(self) -> str:
        return f"{self.rule} {self.series}".strip()


class NoticeState(models.TextChoices):
    """What became of a notice."""

    WAITING = "waiting", _("Handed to the platform")
    DIRECT = "direct", _("Being sent directly")
    SENT = "sent", _("Sent")
    FAILED = "failed", _("Failed")


class NoticeWay(models.TextChoices):
    """How a notice went."""

    PLATFORM = "platform", _("Through the platform")
    STRAIGHT = "straight", _("Directly")


class AlarmNotice(models.Model):
    """One notice to one receiver, about the alarms of a group, a maintenance window, or nothing but a test."""

    tenant_lookup = None

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    receiver = models.CharField(_("receiver"), max_length=40)
    kind = models.CharField(_("kind"), max_length=20, choices=ReceiverKind.choices)
    #: Masked: an address may hold a token.
    recipient = models.CharField(_("address"), max_length=200)
    group = models.CharField(_("group"), max_length=40, blank=True)
    severity = models.CharField(_("severity"), max_length=10, choices=Severity.choices)
    subject = models.CharField(_("subject"), max_length=200)
    body = models.TextField(_("text"))
    data: "models.JSONField[Any, Any]" = models.JSONField(default=dict)
    state = models.CharField(_("state"), max_length=10, choices=NoticeState.choices)
    way = models.CharField(_("way"), max_length=10, choices=NoticeWay.choices)
    #: Its message, whose trace tells how it was delivered.
    message_id = models.UUIDField(_("message"), null=True)
    created_at = models.DateTimeField(_("created"))
    sent_at = models.DateTimeField(_("sent"), null=True)
    #: While it is open: when to look at it again. An evaluator that sends it holds it until then.
    next_at = models.DateTimeField(null=True)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    error = models.CharField(_("error"), max_length=500, blank=True)
    #: Of what has no lines: `window:…:announced:operators`. Sent once.
    key = models.CharField(max_length=150, null=True, unique=True)

    class Meta:
        verbose_name = _("notice")
        verbose_name_plural = _("notices")
        ordering = ["-id"]
        indexes = [models.Index(fields=["next_at"], name="notice_open", condition=Q(next_at__isnull=False))]

    def __str__(self) -> str:
        return self.subject


class AlarmLine(models.Model):
    """What a receiver was told of an alarm: each line once, however many evaluators there are."""

    tenant_lookup = None

    alarm = models.ForeignKey(Alarm, models.CASCADE, related_name="lines", db_index=False, verbose_name=_("alarm"))
    notice = models.ForeignKey(AlarmNotice, models.CASCADE, related_name="lines", verbose_name=_("notice"))
    receiver = models.CharField(_("receiver"), max_length=40)
    kind = models.CharField(_("kind"), max_length=10, choices=NoticeKind.choices)
    number = models.PositiveIntegerField(default=0)

    class Meta:
        verbose_name = _("line of a notice")
        verbose_name_plural = _("lines of notices")
        constraints = [models.UniqueConstraint(fields=["alarm", "receiver", "kind", "number"], name="alarm_line_once")]

    def __str__(self) -> str:
        return f"{self.alarm_id} {self.receiver} {self.kind} {self.number}"


class Silence(models.Model):
    """A time in which some alarms, or all, are not told; as a maintenance window it is announced, and its end is told."""

    tenant_lookup = None

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    rules: "models.JSONField[Any, Any]" = models.JSONField(_("alarms"), default=list)  # names; empty: all
    series = models.CharField(_("series"), max_length=200, blank=True)  # empty: all
    starts_at = models.DateTimeField(_("starts"))
    ends_at = models.DateTimeField(_("ends"))
    comment = models.CharField(_("comment"), max_length=500, blank=True)
    is_maintenance = models.BooleanField(_("maintenance window"), default=False)
    announce_minutes = models.PositiveIntegerField(_("announced before"), default=0)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    created_by = models.CharField(_("created by"), max_length=150)
    #: When it was ended before its time.
    ended_at = models.DateTimeField(_("ended"), null=True)
    ended_by = models.CharField(_("ended by"), max_length=150, blank=True)
    #: All that is to be told of it was told.
    is_settled = models.BooleanField(default=False)

    class Meta:
        verbose_name = _("silence")
        verbose_name_plural = _("silences")
        ordering = ["-starts_at"]
        indexes = [models.Index(fields=["is_settled"], name="silence_unsettled", condition=Q(is_settled=False))]

    def __str__(self) -> str:
        return f"{', '.join(self.rules) or '*'} {self.starts_at:%Y-%m-%d %H:%M}"


class EvaluatorLease(models.Model):
    """Which process evaluates while Redis, which keeps the lease otherwise, is away. There is one row."""

    tenant_lookup = None
    ONLY = 1

    holder = models.CharField(max_length=100)
    until = models.DateTimeField()

    def __str__(self) -> str:
        return self.holder
