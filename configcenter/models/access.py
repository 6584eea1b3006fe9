"""Tenants, the people and keys that act for them, and the audit trail."""

from typing import Any

from django.contrib.auth.models import AbstractUser
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from posthaste.lib.ids import new_id


class Tenant(models.Model):
    """Whoever owns messages, templates, providers and keys. Nobody sees another tenant's."""

    name = models.CharField(_("name"), max_length=100)
    slug = models.SlugField(_("short name"), max_length=50, unique=True)
    weight = models.PositiveSmallIntegerField(
        _("weight"),
        default=1,
        validators=[MinValueValidator(1), MaxValueValidator(100)],
        help_text=_("Share of the sending capacity when several tenants wait: a tenant of weight 2 gets twice the turns."),
    )
    is_active = models.BooleanField(_("active"), default=True, help_text=_("Keys of an inactive tenant are refused."))
    is_operator = models.BooleanField(
        _("operates the installation"),
        default=False,
        help_text=_("Keys of this tenant with a configuration scope reach the configuration of the whole installation, not only its own."),
    )
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("tenant")
        verbose_name_plural = _("tenants")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class ConfigRight(models.TextChoices):
    """What a member of staff may do with the installation's configuration, each including what stands above it."""

    NONE = "", _("Nothing")
    VIEW = "view", _("Look")
    EDIT = "edit", _("Edit drafts")
    PUBLISH = "publish", _("Publish, roll back, gray releases")


class User(AbstractUser):
    """A member of staff; what they may do follows from their memberships."""

    config_right = models.CharField(
        _("configuration"),
        max_length=10,
        choices=ConfigRight.choices,
        default=ConfigRight.NONE,
        blank=True,
        help_text=_("What they may do with the configuration of the whole installation. Superusers may everything."),
    )

    roles_by_tenant: dict[int, str]  # read once a request by `configcenter.permissions`

    class Meta(AbstractUser.Meta):
        verbose_name = _("user")  # type: ignore[assignment]  # the stubs' own Meta says str
        verbose_name_plural = _("users")  # type: ignore[assignment]


class Role(models.TextChoices):
    """What a member may do, each including what stands below it."""

    OWNER = "owner", _("Owner: everything, also keys and members")
    OPERATOR = "operator", _("Operator: sends, cancels, replays, providers")
    AUTHOR = "author", _("Author: templates")
    VIEWER = "viewer", _("Viewer: looks")


class Member(models.Model):
    """A user's role in one tenant."""

    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="members", verbose_name=_("tenant"))
    user = models.ForeignKey(User, models.CASCADE, related_name="memberships", verbose_name=_("user"))
    role = models.CharField(_("role"), max_length=10, choices=Role.choices, default=Role.VIEWER)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("member")
        verbose_name_plural = _("members")
        constraints = [models.UniqueConstraint(fields=["tenant", "user"], name="member_once_a_tenant")]

    def __str__(self) -> str:
        return f"{self.user} · {self.tenant} · {self.role}"


class KeyKind(models.TextChoices):
    """Where a key's messages may go."""

    LIVE = "live", _("Live")
    SANDBOX = "sandbox", _("Sandbox: never reaches a real provider")


class ApiKey(models.Model):
    """What a system calls the API with. Only a hash of the secret is kept; it is shown once."""

    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="api_keys", verbose_name=_("tenant"))
    name = models.CharField(_("name"), max_length=100, help_text=_("Which system uses it."))
    prefix = models.CharField(_("prefix"), max_length=8, unique=True, editable=False)
    # The secret has 256 random bits, so a fast hash is enough: there is nothing to guess by dictionary.
    digest = models.BinaryField(max_length=32, editable=False)
    kind = models.CharField(_("kind"), max_length=7, choices=KeyKind.choices, default=KeyKind.LIVE)
    scopes = models.JSONField(_("scopes"), default=list)
    ip_ranges = models.JSONField(_("IP ranges"), default=list, blank=True, help_text=_("CIDR; empty: from anywhere."))
    expires_at = models.DateTimeField(_("expires"), null=True, blank=True)
    revoked_at = models.DateTimeField(_("revoked"), null=True, blank=True, editable=False)
    last_used_at = models.DateTimeField(_("last used"), null=True, blank=True, editable=False)
    created_by = models.ForeignKey(
        User, models.SET_NULL, null=True, blank=True, editable=False, related_name="+", verbose_name=_("created by")
    )
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("API key")
        verbose_name_plural = _("API keys")
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"


class AuditEntry(models.Model):
    """Who did what, to what, from where. Written once, never changed."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    at = models.DateTimeField(_("at"), auto_now_add=True)
    tenant = models.ForeignKey(Tenant, models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("tenant"))
    actor = models.CharField(_("actor"), max_length=150, help_text=_("user:name or key:prefix"))
    action = models.CharField(_("action"), max_length=60)
    target = models.CharField(_("target"), max_length=200, blank=True)
    detail = models.JSONField(_("detail"), default=dict, blank=True)
    ip = models.GenericIPAddressField(_("address"), null=True, blank=True)

    class Meta:
        verbose_name = _("audit entry")
        verbose_name_plural = _("audit trail")
        ordering = ["-id"]
        indexes = [models.Index(fields=["tenant", "-id"], name="audit_tenant")]

    def __str__(self) -> str:
        return f"{self.actor} {self.action} {self.target}"


class ThreadPoolConfig(models.Model):
    """Limits of an elastic thread pool; each worker process has one of its own and reads them several times a second."""

    name = models.CharField(_("pool"), max_length=40, unique=True, help_text=_("Name of the queue the pool works on."))
    min_threads = models.PositiveSmallIntegerField(
        _("fewest threads"),
        default=10,
        validators=[MinValueValidator(1), MaxValueValidator(1000)],
        help_text=_("Of each worker process: two processes have twice as many."),
    )
    max_threads = models.PositiveSmallIntegerField(
        _("most threads"),
        default=100,
        validators=[MinValueValidator(1), MaxValueValidator(1000)],
        help_text=_("Of each worker process. Caps of the providers may keep it below."),
    )
    grow_by = models.PositiveSmallIntegerField(_("grow by"), default=10, validators=[MinValueValidator(1)])
    shrink_by = models.PositiveSmallIntegerField(_("shrink by"), default=5, validators=[MinValueValidator(1)])
    grow_above_percent = models.PositiveSmallIntegerField(_("grow above (%)"), default=80, validators=[MaxValueValidator(100)])
    shrink_below_percent = models.PositiveSmallIntegerField(_("shrink below (%)"), default=20, validators=[MaxValueValidator(100)])
    grow_above_drain_seconds = models.FloatField(
        _("grow above time to drain (s)"),
        default=10.0,
        validators=[MinValueValidator(0), MaxValueValidator(86_400)],
        help_text=_("Also grow when sending all that waits would take longer than this at the present rate. 0: not looked at."),
    )
    grow_above_age_seconds = models.FloatField(
        _("grow above age (s)"),
        default=10.0,
        validators=[MinValueValidator(0), MaxValueValidator(86_400)],
        help_text=_("Also grow when the oldest waiting message has been due for longer than this. 0: not looked at."),
    )
    cooldown_seconds = models.FloatField(_("cool-down (s)"), default=2.0, validators=[MinValueValidator(0.1)])
    queue_capacity = models.PositiveIntegerField(
        _("queue capacity"),
        default=10_000,
        validators=[MinValueValidator(100)],
        help_text=_("Most messages that stand in the broker at once; the rest wait in the database. Usage is measured against it."),
    )
    max_backlog = models.PositiveIntegerField(
        _("largest backlog"),
        default=2_000_000,
        validators=[MinValueValidator(1_000)],
        help_text=_("When more messages than this are due and waiting, new ones below priority 9 are answered with 429."),
    )
    updated_at = models.DateTimeField(_("changed"), auto_now=True)

    class Meta:
        db_table = "thread_pool_configs"
        verbose_name = _("thread pool")
        verbose_name_plural = _("thread pools")
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(condition=models.Q(min_threads__lte=models.F("max_threads")), name="pool_min_not_above_max"),
            models.CheckConstraint(
                condition=models.Q(shrink_below_percent__lt=models.F("grow_above_percent")), name="pool_shrinks_below_where_it_grows"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        from django.core.exceptions import ValidationError

        errors: dict[str, Any] = {}
        if (self.min_threads or 0) > (self.max_threads or 0):
            errors["min_threads"] = _("Must not be above the most threads.")
        if (self.shrink_below_percent or 0) >= (self.grow_above_percent or 0):
            errors["shrink_below_percent"] = _("Must be below the growing mark.")
        if errors:
            raise ValidationError(errors)
