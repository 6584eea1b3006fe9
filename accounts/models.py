"""Tenants, the people and keys that act for them, and the audit trail."""

from django.contrib.auth.models import AbstractUser
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts.roles import Access, Role
from posthaste.lib.ids import new_id


class Tenant(models.Model):
    """The owner of messages, templates, providers and keys; invisible to other tenants."""

    tenant_lookup = "pk"
    access = Access()

    name = models.CharField(_("name"), max_length=100)
    slug = models.SlugField(_("short name"), max_length=50, unique=True)
    weight = models.PositiveSmallIntegerField(
        _("weight"),
        default=1,
        validators=[MinValueValidator(1), MaxValueValidator(100)],
        help_text=_(
            "Share of the sending capacity while several tenants wait. A tenant with weight 2 gets twice as much as one with weight 1."
        ),
    )
    is_active = models.BooleanField(_("active"), default=True, help_text=_("Keys of an inactive tenant are refused."))
    is_operator = models.BooleanField(
        _("operates the installation"),
        default=False,
        help_text=_(
            "Keys of this tenant reach the whole installation, as far as their scopes allow: its configuration, limits, locks, "
            "breakers of webhook hosts, and GET /metrics."
        ),
    )
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("tenant")
        verbose_name_plural = _("tenants")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class ConfigRight(models.TextChoices):
    """What a member of staff may do with the installation's configuration, each including those above it."""

    NONE = "", _("No access")
    VIEW = "view", _("View")
    EDIT = "edit", _("Edit drafts")
    PUBLISH = "publish", _("Publish, roll back, gray releases")


class User(AbstractUser):
    """A member of staff; what they may do follows from their memberships."""

    tenant_lookup = None

    config_right = models.CharField(
        _("configuration"),
        max_length=10,
        choices=ConfigRight.choices,
        default=ConfigRight.NONE,
        blank=True,
        help_text=_("What this user can do with the configuration of the whole installation. Superusers can do everything."),
    )

    roles_by_tenant: dict[int, str]  # read once a request by `accounts.permissions`

    class Meta(AbstractUser.Meta):
        verbose_name = _("user")  # type: ignore[assignment]  # the stubs' own Meta says str
        verbose_name_plural = _("users")  # type: ignore[assignment]


class Member(models.Model):
    """A user's role in one tenant."""

    tenant_lookup = "tenant_id"
    access = Access(view=Role.OWNER, change=Role.OWNER)

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

    tenant_lookup = "tenant_id"
    access = Access(view=Role.OWNER, change=Role.OWNER)

    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="api_keys", verbose_name=_("tenant"))
    name = models.CharField(_("name"), max_length=100, help_text=_("The system that uses the key."))
    prefix = models.CharField(_("prefix"), max_length=8, unique=True, editable=False)
    # The secret has 256 random bits, so a fast hash is enough: there is nothing to guess by dictionary.
    digest = models.BinaryField(max_length=32, editable=False)
    kind = models.CharField(_("kind"), max_length=7, choices=KeyKind.choices, default=KeyKind.LIVE)
    scopes = models.JSONField(_("scopes"), default=list)
    ip_ranges = models.JSONField(_("IP ranges"), default=list, blank=True, help_text=_("CIDR. Empty: any address."))
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
    """Who did what, to which object, and from where.

    Entries never change, but for details that have become secret: see `audit.redact`.
    """

    tenant_lookup = "tenant_id"
    access = Access(view=Role.OWNER)

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
        indexes = [
            models.Index(fields=["tenant", "-id"], name="audit_tenant"),
            # A row's history is what was written about it.
            models.Index(fields=["target", "-id"], name="audit_target", condition=~models.Q(target="")),
        ]

    def __str__(self) -> str:
        return f"{self.actor} {self.action} {self.target}"
