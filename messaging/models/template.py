"""Templates and their versions: a draft is edited, a published version never changes."""

from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from accounts.roles import Access, Role
from messaging.channels.channel import channel_choices


class Template(models.Model):
    """A named text for one channel; messages name it and pin its published version."""

    tenant_lookup = "tenant_id"
    access = Access(change=Role.AUTHOR)

    tenant = models.ForeignKey("accounts.Tenant", models.CASCADE, related_name="+", verbose_name=_("tenant"))
    name = models.SlugField(_("name"), max_length=80, help_text=_("The name callers use in `template`."))
    channel = models.CharField(_("channel"), max_length=10, choices=channel_choices)
    description = models.CharField(_("description"), max_length=300, blank=True)
    category = models.CharField(
        _("category"),
        max_length=40,
        blank=True,
        default="",
        validators=[RegexValidator(r"^[a-z0-9_.-]*\Z")],
        help_text=_("Default category for messages that specify none, for delivery rules: marketing, code …"),
    )
    is_archived = models.BooleanField(
        _("archived"), default=False, help_text=_("Not accepted for new messages. Messages in progress are still sent.")
    )
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    updated_at = models.DateTimeField(_("changed"), auto_now=True)

    class Meta:
        verbose_name = _("template")
        verbose_name_plural = _("templates")
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["tenant", "name"], name="template_name_once_a_tenant")]

    def __str__(self) -> str:
        return self.name


class TemplateVersion(models.Model):
    """One wording of a template. `number` counts from 1 within the template."""

    tenant_lookup = "template__tenant_id"
    access = Access(change=Role.AUTHOR)

    class State(models.TextChoices):
        DRAFT = "draft", _("Draft")
        PUBLISHED = "published", _("Published")
        RETIRED = "retired", _("Retired")

    template = models.ForeignKey(Template, models.CASCADE, related_name="versions", verbose_name=_("template"))
    number = models.PositiveIntegerField(_("version"))
    state = models.CharField(_("state"), max_length=10, choices=State.choices, default=State.DRAFT)
    subject = models.CharField(_("subject"), max_length=998, blank=True)
    body = models.TextField(_("text"), blank=True, help_text=_("Liquid, for example: Your code is {{ code }}."))
    html = models.TextField(
        _("HTML"), blank=True, help_text=_("E-mail only. Sanitised. If the text is empty, it is generated from the HTML.")
    )
    variables = models.JSONField(
        _("variables"),
        default=list,
        blank=True,
        help_text=_('A list of {"name", "required", "example"}; a message that lacks a required variable is refused.'),
    )
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    created_by = models.CharField(_("author"), max_length=150, blank=True)
    published_at = models.DateTimeField(_("published"), null=True, blank=True)

    class Meta:
        verbose_name = _("template version")
        verbose_name_plural = _("template versions")
        ordering = ["template", "-number"]
        constraints = [
            models.UniqueConstraint(fields=["template", "number"], name="template_version_number"),
            models.UniqueConstraint(fields=["template"], name="template_one_draft", condition=Q(state="draft")),
            models.UniqueConstraint(fields=["template"], name="template_one_published", condition=Q(state="published")),
        ]

    def __str__(self) -> str:
        return f"{self.template} v{self.number}"
