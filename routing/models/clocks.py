"""Service levels: business calendars, and the clocks that run on them."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from accounts.roles import Access, Role
from posthaste.lib.ids import new_id


class BusinessCalendar(models.Model):
    """The opening times of a group or a place, named by service levels. The default one stands in for the hours of the module."""

    tenant_lookup = "tenant_id"
    access = Access(change=Role.OPERATOR)

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    tenant = models.ForeignKey("accounts.Tenant", models.CASCADE, related_name="+", db_index=False, verbose_name=_("tenant"))
    name = models.SlugField(_("short name"), max_length=40, help_text=_("Used by service levels, such as warehouse."))
    title = models.CharField(_("name"), max_length=100)
    time_zone = models.CharField(_("time zone"), max_length=64, default="UTC")
    #: [{"day": 1, "start": "09:00", "end": "18:00"}, …] as `routing.configuration.hours.OpenHours`.
    hours = models.JSONField(_("opening hours"), default=list)
    is_default = models.BooleanField(_("default"), default=False, help_text=_("Used where no calendar is named."))
    #: Country, and subdivision, that holidays were imported from: they are imported again each year.
    country = models.CharField(_("holidays of"), max_length=10, blank=True)
    #: Counts changes: clocks that ran on an older one are calculated again.
    version = models.PositiveIntegerField(default=0, editable=False)
    created_at = models.DateTimeField(_("created"))

    class Meta:
        verbose_name = _("business calendar")
        verbose_name_plural = _("business calendars")
        ordering = ["title"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "name"], name="calendar_once_a_tenant"),
            models.UniqueConstraint(fields=["tenant"], condition=Q(is_default=True), name="calendar_one_default"),
        ]

    def __str__(self) -> str:
        return self.title


class DayKind(models.TextChoices):
    """How a day differs from others of its weekday."""

    HOLIDAY = "holiday", _("Holiday")
    WORKING = "working", _("Make-up working day")


class CalendarDay(models.Model):
    """A day that is closed, or one that is worked in exchange for another."""

    tenant_lookup = "calendar__tenant_id"
    access = Access(change=Role.OPERATOR)

    calendar = models.ForeignKey(BusinessCalendar, models.CASCADE, related_name="days", db_index=False, verbose_name=_("calendar"))
    day = models.DateField(_("day"))
    kind = models.CharField(_("kind"), max_length=8, choices=DayKind.choices, default=DayKind.HOLIDAY)
    name = models.CharField(_("name"), max_length=100, blank=True)
    #: Hours of a make-up day: [["09:00", "18:00"], …]; empty: those of the first weekday that has hours.
    hours = models.JSONField(_("opening hours"), default=list, blank=True)
    #: Whether it was imported: a later import replaces it, and leaves what staff wrote.
    is_imported = models.BooleanField(_("imported"), default=False, editable=False)

    class Meta:
        verbose_name = _("day of a calendar")
        verbose_name_plural = _("days of calendars")
        ordering = ["day"]
        constraints = [models.UniqueConstraint(fields=["calendar", "day"], name="calendar_day_once")]

    def __str__(self) -> str:
        return f"{self.day:%Y-%m-%d}"


class ClockMetric(models.TextChoices):
    """What a clock measures."""

    FIRST_RESPONSE = "first_response", _("First response")
    NEXT_RESPONSE = "next_response", _("Next response")
    RESOLUTION = "resolution", _("Resolution")
    DUE_DAY = "due_day", _("Due day")


class ClockState(models.TextChoices):
    """Whether a clock runs."""

    RUNNING = "running", _("Running")
    PAUSED = "paused", _("Paused")
    MET = "met", pgettext_lazy("clock", "Met")
    MISSED = "missed", pgettext_lazy("clock", "Missed")
    CANCELLED = "cancelled", _("Cancelled")


class Clock(models.Model):
    """The time that a conversation or a ticket has until it is answered or resolved."""

    tenant_lookup = "tenant_id"
    access = Access()

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    tenant = models.ForeignKey("accounts.Tenant", models.CASCADE, related_name="+", db_index=False, verbose_name=_("tenant"))
    conversation = models.ForeignKey(
        "routing.Conversation", models.CASCADE, null=True, blank=True, related_name="clocks", db_index=False, verbose_name=_("conversation")
    )
    ticket = models.ForeignKey(
        "routing.Ticket", models.CASCADE, null=True, blank=True, related_name="clocks", db_index=False, verbose_name=_("ticket")
    )
    metric = models.CharField(_("measures"), max_length=14, choices=ClockMetric.choices)
    state = models.CharField(_("state"), max_length=9, choices=ClockState.choices, default=ClockState.RUNNING)
    #: What it was started for: priority, customer level, type; a changed policy is looked up with it.
    facts = models.JSONField(default=dict, editable=False)
    #: Short name of its calendar, empty: the default one; and what it was calculated from.
    calendar = models.CharField(_("calendar"), max_length=40, blank=True)
    #: The release of the targets: of the tenant's override where there is one.
    config_version = models.PositiveIntegerField(_("configuration version"), null=True, editable=False)
    #: Up to which publish the process knew all that calculated it.
    config_revision = models.PositiveBigIntegerField(null=True, editable=False)
    #: The same for clocks that were calculated from the same targets and calendars: others are calculated again.
    basis = models.CharField(max_length=16, blank=True, editable=False)
    target_minutes = models.PositiveIntegerField(_("target"))
    started_at = models.DateTimeField(_("started"))
    #: Spans in which it stood still: [[from, until or null], …], ISO 8601.
    pauses = models.JSONField(default=list, editable=False)
    warn_at = models.DateTimeField(_("warns"), null=True, blank=True)
    due_at = models.DateTimeField(_("due"), null=True, blank=True)
    warned_at = models.DateTimeField(_("warned"), null=True, blank=True)
    breached_at = models.DateTimeField(_("breached"), null=True, blank=True)
    ended_at = models.DateTimeField(pgettext_lazy("clock", "ended"), null=True, blank=True)

    class Meta:
        verbose_name = _("clock")
        verbose_name_plural = _("clocks")
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(conversation=None, ticket__isnull=False) | Q(conversation__isnull=False, ticket=None), name="clock_of_one"
            ),
            models.UniqueConstraint(
                fields=["conversation", "metric"], condition=Q(state__in=["running", "paused"]), name="clock_conversation_one_open"
            ),
            models.UniqueConstraint(
                fields=["ticket", "metric"], condition=Q(state__in=["running", "paused"]), name="clock_ticket_one_open"
            ),
        ]
        indexes = [
            models.Index(fields=["conversation"], name="clock_conversation"),
            models.Index(fields=["ticket"], name="clock_ticket"),
            models.Index(fields=["warn_at"], condition=Q(state="running", warned_at=None), name="clock_to_warn"),
            models.Index(fields=["due_at"], condition=Q(state="running", breached_at=None), name="clock_to_breach"),
            models.Index(fields=["tenant", "ended_at"], condition=Q(ended_at__isnull=False), name="clock_ended"),
            models.Index(fields=["tenant", "due_at"], condition=Q(state__in=["running", "paused"]), name="clock_tenant"),
        ]

    def __str__(self) -> str:
        return self.metric


class SignalKind(models.TextChoices):
    """What a clock tells."""

    WARNING = "warning", _("Warning")
    BREACH = "breach", _("Breach")


class ClockSignal(models.Model):
    """A warning or a breach of a clock: each at most once, however many processes look."""

    tenant_lookup = "clock__tenant_id"
    access = Access()

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    clock = models.ForeignKey(Clock, models.CASCADE, related_name="signals", db_index=False, verbose_name=_("clock"))
    kind = models.CharField(_("kind"), max_length=7, choices=SignalKind.choices)
    due_at = models.DateTimeField(_("due"))
    at = models.DateTimeField(_("time"))

    class Meta:
        verbose_name = _("warning or breach")
        verbose_name_plural = _("warnings and breaches")
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["clock", "kind"], name="signal_once")]

    def __str__(self) -> str:
        return self.kind
