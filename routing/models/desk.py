"""What agents keep at the desk: notes, drafts, quick replies, saved filters; what customers said of it; reports that are sent."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from accounts.roles import Access, Role
from posthaste.lib.ids import new_id


class Note(models.Model):
    """What agents write about a conversation or a ticket among themselves. Customers never see it."""

    tenant_lookup = "tenant_id"
    access = Access()

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    tenant = models.ForeignKey("accounts.Tenant", models.CASCADE, related_name="+", db_index=False, verbose_name=_("tenant"))
    conversation = models.ForeignKey(
        "routing.Conversation", models.CASCADE, null=True, blank=True, related_name="notes", verbose_name=_("conversation")
    )
    ticket = models.ForeignKey("routing.Ticket", models.CASCADE, null=True, blank=True, related_name="notes", verbose_name=_("ticket"))
    agent = models.ForeignKey("routing.Agent", models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("agent"))
    written_by = models.CharField(_("by"), max_length=150, blank=True)
    text = models.TextField(_("text"), max_length=20_000)
    #: In a conversation it stands behind the line with this number.
    after_seq = models.PositiveIntegerField(default=0, editable=False)
    client_id = models.CharField(max_length=64, blank=True, editable=False)
    created_at = models.DateTimeField(_("created"))

    class Meta:
        verbose_name = _("note")
        verbose_name_plural = _("notes")
        ordering = ["id"]
        constraints = [
            models.CheckConstraint(condition=Q(conversation__isnull=False) | Q(ticket__isnull=False), name="note_of_something"),
            models.UniqueConstraint(fields=["tenant", "client_id"], condition=~Q(client_id=""), name="note_client_id"),
        ]

    def __str__(self) -> str:
        return str(self.id)


class NoticeKind(models.TextChoices):
    """Why an agent is told of something."""

    MENTION = "mention", _("Mention")
    ASSIGNED = "assigned", _("Assigned to you")
    REPLY = "reply", _("New message from a customer")
    WATCHED = "watched", _("Change to a ticket you watch")
    WARNING = "warning", _("Service level warning")
    BREACH = "breach", _("Service level breach")
    WOKEN = "woken", _("Snoozed until now")


class Notice(models.Model):
    """Something that one agent is told at the desk, until they have read it."""

    tenant_lookup = "agent__tenant_id"
    access = Access()

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    agent = models.ForeignKey("routing.Agent", models.CASCADE, related_name="notices", db_index=False, verbose_name=_("agent"))
    kind = models.CharField(_("kind"), max_length=8, choices=NoticeKind.choices)
    conversation = models.ForeignKey("routing.Conversation", models.CASCADE, null=True, related_name="+", verbose_name=_("conversation"))
    ticket = models.ForeignKey("routing.Ticket", models.CASCADE, null=True, related_name="+", verbose_name=_("ticket"))
    #: What it is about, so that it is told once: a note's, a clock's or an assignment's id.
    about = models.CharField(max_length=64, editable=False)
    data = models.JSONField(default=dict, editable=False)
    at = models.DateTimeField(_("time"))
    read_at = models.DateTimeField(_("read"), null=True, blank=True)

    class Meta:
        verbose_name = _("notice")
        verbose_name_plural = _("notices")
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["agent", "kind", "about"], name="notice_once")]
        indexes = [models.Index(fields=["agent", "-id"], name="notice_agent")]

    def __str__(self) -> str:
        return self.kind


class Draft(models.Model):
    """What an agent has begun to write and not sent."""

    tenant_lookup = "agent__tenant_id"
    access = Access()

    agent = models.ForeignKey("routing.Agent", models.CASCADE, related_name="drafts", db_index=False, verbose_name=_("agent"))
    conversation = models.ForeignKey("routing.Conversation", models.CASCADE, related_name="drafts", verbose_name=_("conversation"))
    is_note = models.BooleanField(_("note"), default=False)
    text = models.TextField(_("text"), max_length=20_000)
    changed_at = models.DateTimeField(_("changed"))

    class Meta:
        verbose_name = _("draft")
        verbose_name_plural = _("drafts")
        constraints = [models.UniqueConstraint(fields=["agent", "conversation", "is_note"], name="draft_once")]

    def __str__(self) -> str:
        return str(self.conversation_id)


class QuickReply(models.Model):
    """A text that agents send often, with variables of the conversation, under a shortcut."""

    tenant_lookup = "tenant_id"
    access = Access(change=Role.AUTHOR)

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    tenant = models.ForeignKey("accounts.Tenant", models.CASCADE, related_name="+", db_index=False, verbose_name=_("tenant"))
    shortcut = models.SlugField(_("shortcut"), max_length=40, help_text=_("Agents type it after a slash."))
    title = models.CharField(_("name"), max_length=100)
    #: A Liquid template: see `routing.desk.quick_replies`.
    text = models.TextField(_("text"), max_length=4_000)
    language = models.CharField(_("language"), max_length=16, blank=True, help_text=_("Such as en or zh. Empty: all."))
    group = models.ForeignKey(
        "routing.SkillGroup",
        models.CASCADE,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("skill group"),
        help_text=_("Empty: all agents."),
    )
    uses = models.PositiveIntegerField(pgettext_lazy("quick reply", "used"), default=0, editable=False)
    created_at = models.DateTimeField(_("created"))
    changed_at = models.DateTimeField(_("changed"))

    class Meta:
        verbose_name = _("quick reply")
        verbose_name_plural = _("quick replies")
        ordering = ["shortcut"]
        constraints = [
            models.UniqueConstraint(fields=["group", "shortcut", "language"], condition=Q(group__isnull=False), name="quick_reply_group"),
            models.UniqueConstraint(fields=["tenant", "shortcut", "language"], condition=Q(group=None), name="quick_reply_all"),
        ]

    def __str__(self) -> str:
        return self.shortcut


class SavedFilter(models.Model):
    """A view of the inbox under a name: of one agent, or of all."""

    tenant_lookup = "tenant_id"
    access = Access(change=Role.OPERATOR)

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    tenant = models.ForeignKey("accounts.Tenant", models.CASCADE, related_name="+", db_index=False, verbose_name=_("tenant"))
    agent = models.ForeignKey(
        "routing.Agent", models.CASCADE, null=True, blank=True, related_name="filters", verbose_name=_("agent"), help_text=_("Empty: all.")
    )
    name = models.CharField(_("name"), max_length=60)
    #: Parameters of the inbox: see `routing.desk.inbox`.
    query = models.JSONField(_("filter"), default=dict)
    place = models.PositiveSmallIntegerField(_("place"), default=0)
    created_at = models.DateTimeField(_("created"))

    class Meta:
        verbose_name = _("saved filter")
        verbose_name_plural = _("saved filters")
        ordering = ["place", "name"]
        indexes = [models.Index(fields=["tenant", "agent"], name="saved_filter_tenant")]

    def __str__(self) -> str:
        return self.name


class Satisfaction(models.Model):
    """What a customer said of how a conversation was handled, once each time it is resolved."""

    tenant_lookup = "tenant_id"
    access = Access()

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    tenant = models.ForeignKey("accounts.Tenant", models.CASCADE, related_name="+", db_index=False, verbose_name=_("tenant"))
    conversation = models.ForeignKey(
        "routing.Conversation", models.CASCADE, related_name="ratings", db_index=False, verbose_name=_("conversation")
    )
    #: Who answered when it was resolved.
    agent = models.ForeignKey("routing.Agent", models.SET_NULL, null=True, related_name="ratings", verbose_name=_("agent"))
    group = models.ForeignKey("routing.SkillGroup", models.SET_NULL, null=True, related_name="+", verbose_name=_("skill group"))
    resolved_at = models.DateTimeField(_("resolved"))
    #: 1 to 5; None: asked, not answered.
    score = models.PositiveSmallIntegerField(_("score"), null=True, blank=True, validators=[MinValueValidator(1), MaxValueValidator(5)])
    comment = models.TextField(_("comment"), max_length=2_000, blank=True)
    asked_at = models.DateTimeField(_("asked"))
    answered_at = models.DateTimeField(_("answered"), null=True, blank=True)

    class Meta:
        verbose_name = _("rating")
        verbose_name_plural = _("satisfaction")
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["conversation", "resolved_at"], name="rating_once")]
        indexes = [models.Index(fields=["tenant", "-answered_at"], name="rating_tenant")]

    def __str__(self) -> str:
        return str(self.score or "")


class ReportSchedule(models.Model):
    """A report of the desk that is sent by e-mail every day or week."""

    tenant_lookup = "tenant_id"
    access = Access(change=Role.OPERATOR)

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    tenant = models.ForeignKey("accounts.Tenant", models.CASCADE, related_name="+", verbose_name=_("tenant"))
    report = models.CharField(_("report"), max_length=20)
    recipients = models.JSONField(_("recipients"), default=list)
    #: 1 (Monday) to 7; None: every day.
    weekday = models.PositiveSmallIntegerField(_("day of the week"), null=True, blank=True)
    hour = models.PositiveSmallIntegerField(_("hour"), default=8, validators=[MaxValueValidator(23)])
    time_zone = models.CharField(_("time zone"), max_length=64, default="UTC")
    language = models.CharField(_("language"), max_length=16, default="en")
    is_active = models.BooleanField(_("active"), default=True)
    next_at = models.DateTimeField(_("next"), null=True, blank=True)
    last_at = models.DateTimeField(_("last sent"), null=True, blank=True)
    #: Failures in a row, the reason of the last one, and since when: it is tried again later each time, and switched off after some.
    failures = models.PositiveSmallIntegerField(_("failures"), default=0, editable=False)
    last_error = models.CharField(_("last error"), max_length=300, blank=True, editable=False)
    failing_since = models.DateTimeField(_("failing since"), null=True, editable=False)
    created_at = models.DateTimeField(_("created"))

    class Meta:
        verbose_name = _("scheduled report")
        verbose_name_plural = _("scheduled reports")
        ordering = ["report"]
        indexes = [models.Index(fields=["next_at"], condition=Q(is_active=True), name="report_next")]

    def __str__(self) -> str:
        return self.report
