"""Skill groups, the agents in them, and which conversation an agent was given when and why."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from accounts.roles import Access, Role
from posthaste.lib.ids import new_id


class SkillGroup(models.Model):
    """Agents that answer the same kind of conversation; rules name it by its short name."""

    tenant_lookup = "tenant_id"
    access = Access(change=Role.OPERATOR)

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    tenant = models.ForeignKey("accounts.Tenant", models.CASCADE, related_name="+", db_index=False, verbose_name=_("tenant"))
    name = models.SlugField(_("short name"), max_length=80)
    title = models.CharField(_("name"), max_length=100)
    overflow_to = models.ForeignKey(
        "self",
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("overflows to"),
        help_text=_("Takes over what has waited too long. Empty: the fallback group."),
    )
    created_at = models.DateTimeField(_("created"))

    class Meta:
        verbose_name = _("skill group")
        verbose_name_plural = _("skill groups")
        ordering = ["title"]
        constraints = [models.UniqueConstraint(fields=["tenant", "name"], name="skill_group_once_a_tenant")]

    def __str__(self) -> str:
        return self.title


class Presence(models.TextChoices):
    """What an agent does now."""

    ONLINE = "online", _("Online")
    BREAK = "break", _("On a break")
    OFFLINE = "offline", _("Offline")


class Agent(models.Model):
    """A member of staff who answers customers."""

    tenant_lookup = "tenant_id"
    access = Access(change=Role.OPERATOR)

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    tenant = models.ForeignKey("accounts.Tenant", models.CASCADE, related_name="+", db_index=False, verbose_name=_("tenant"))
    user = models.ForeignKey("accounts.User", models.CASCADE, related_name="+", verbose_name=_("user"))
    name = models.CharField(_("name shown to customers"), max_length=100)
    capacity = models.PositiveSmallIntegerField(
        _("capacity"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(100)],
        help_text=_("Concurrent conversations. Empty: as configured."),
    )
    weight = models.PositiveSmallIntegerField(
        _("weight"),
        default=1,
        validators=[MinValueValidator(1), MaxValueValidator(10)],
        help_text=_("Share of the conversations among agents who could take them."),
    )
    languages = models.JSONField(_("languages"), default=list, blank=True, help_text=_("Such as en and zh. Empty: all."))
    is_active = models.BooleanField(_("active"), default=True)

    #: What the agent chose; whether it holds depends on `present_until`: see `routing.assignment.presence`.
    presence = models.CharField(_("presence"), max_length=8, choices=Presence.choices, default=Presence.OFFLINE, editable=False)
    #: When a desk, a phone or the API last showed that the agent is there.
    seen_at = models.DateTimeField(pgettext_lazy("person", "last seen"), null=True, editable=False)
    #: Until when that counts; a phone's sign counts for longer than a desk's.
    present_until = models.DateTimeField(null=True, editable=False)
    break_until = models.DateTimeField(_("break until"), null=True, editable=False)
    #: Conversations held, changed only together with a conversation's agent.
    load = models.PositiveSmallIntegerField(_("load"), default=0, editable=False)
    last_assigned_at = models.DateTimeField(_("last assigned"), null=True, editable=False)
    #: When a conversation last ended.
    freed_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(_("created"))

    class Meta:
        verbose_name = _("agent")
        verbose_name_plural = _("agents")
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["tenant", "user"], name="agent_once_a_tenant")]

    def __str__(self) -> str:
        return self.name


class AgentSkill(models.Model):
    """How good an agent is at what a group answers."""

    tenant_lookup = "agent__tenant_id"
    access = Access(change=Role.OPERATOR)

    agent = models.ForeignKey(Agent, models.CASCADE, related_name="skills", verbose_name=_("agent"))
    group = models.ForeignKey(SkillGroup, models.CASCADE, related_name="skills", verbose_name=_("skill group"))
    level = models.PositiveSmallIntegerField(
        _("level"), default=3, validators=[MinValueValidator(1), MaxValueValidator(5)], help_text=_("1 (learning) to 5 (expert).")
    )

    class Meta:
        verbose_name = _("skill")
        verbose_name_plural = _("skills")
        constraints = [models.UniqueConstraint(fields=["agent", "group"], name="skill_once_an_agent")]

    def __str__(self) -> str:
        return f"{self.agent_id} {self.group_id}"


class AssignmentCause(models.TextChoices):
    """What made an agent get, or lose, a conversation."""

    RULE = "rule", _("Automatic")
    CLAIM = "claim", _("Claimed")
    TRANSFER = "transfer", _("Transferred")
    RESPONSE = "response", _("First responder")
    SILENCE = "silence", _("The agent was silent")
    OFFLINE = "offline", _("The agent went offline")
    RESOLVED = "resolved", pgettext_lazy("conversation", "Resolved")


class Assignment(models.Model):
    """A span in which one agent held one conversation, and why it was this agent."""

    tenant_lookup = "tenant_id"
    access = Access()

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    tenant = models.ForeignKey("accounts.Tenant", models.CASCADE, related_name="+", verbose_name=_("tenant"))
    conversation = models.ForeignKey("routing.Conversation", models.CASCADE, related_name="assignments", verbose_name=_("conversation"))
    agent = models.ForeignKey(Agent, models.CASCADE, related_name="assignments", db_index=False, verbose_name=_("agent"))
    cause = models.CharField(_("cause"), max_length=10, choices=AssignmentCause.choices)
    #: Which rule, group, strategy and figures decided, in words that `routing.assignment.explain` reads.
    reason = models.JSONField(_("reason"), default=dict, editable=False)
    config_version = models.PositiveIntegerField(_("configuration version"), null=True, editable=False)
    assigned_by = models.CharField(_("by"), max_length=150, blank=True, editable=False)
    started_at = models.DateTimeField(_("from"))
    ended_at = models.DateTimeField(_("until"), null=True, blank=True)
    end_cause = models.CharField(_("ended by"), max_length=10, choices=AssignmentCause.choices, blank=True)

    class Meta:
        verbose_name = _("assignment")
        verbose_name_plural = _("assignments")
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["conversation"], condition=models.Q(ended_at=None), name="assignment_one_at_a_time")]
        indexes = [models.Index(fields=["agent", "-started_at"], name="assignment_agent")]

    def __str__(self) -> str:
        return str(self.id)
