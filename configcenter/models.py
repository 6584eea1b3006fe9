"""Hot configuration as rows: what is being edited, what was released, and which of it is in force.

A typed module (`configcenter.hot`) and a free-form item of another system are the same thing here: a text under namespace,
group and data id. Modules are in the installation's namespace MODULES, in the group MODULES, as canonical JSON; an override of a
tenant's is another row of the same name with that tenant.
"""

from typing import Any

from django.core.validators import MaxValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from posthaste.lib.crypto import SealableTextField

MODULES = "posthaste"  # namespace and group of the typed modules
PUBLIC = "public"  # the namespace that everybody has; a Nacos client calls it ""
INSTALLATION = "installation."  # begins the names by which a tenant's callers reach the installation's namespaces


class Format(models.TextChoices):
    """How the text of an item is written; it is checked for that before it is published."""

    TEXT = "text", _("Text")
    JSON = "json", _("JSON")
    YAML = "yaml", _("YAML")
    PROPERTIES = "properties", _("Properties")
    XML = "xml", _("XML")
    TOML = "toml", _("TOML")


class ReleaseAction(models.TextChoices):
    """How a release came about."""

    PUBLISH = "publish", _("Published")
    ROLLBACK = "rollback", _("Rolled back")
    GRAY = "gray", _("Gray release")
    PROMOTE = "promote", _("Promoted from a gray release")
    ABANDON = "abandon", _("Gray release abandoned")
    IMPORT = "import", _("Imported")
    REMOVE = "remove", _("Removed")


class ConfigNamespace(models.Model):
    """A drawer of items. Without a tenant it is the installation's own."""

    tenant_lookup = "tenant_id"

    tenant = models.ForeignKey("accounts.Tenant", models.CASCADE, null=True, blank=True, related_name="+", verbose_name=_("tenant"))
    slug = models.CharField(_("id"), max_length=128)
    name = models.CharField(_("name"), max_length=128, blank=True)
    description = models.CharField(_("description"), max_length=256, blank=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("namespace")
        verbose_name_plural = _("namespaces")
        ordering = ["slug"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "slug"], name="namespace_once_a_tenant"),
            models.UniqueConstraint(fields=["slug"], condition=Q(tenant=None), name="namespace_once"),
        ]

    def __str__(self) -> str:
        return self.name or self.slug


class ConfigItem(models.Model):
    """One text under namespace, group and data id: its draft, and what is in force."""

    tenant_lookup = "namespace__tenant_id"  # also of an override: it is in the installation's namespace, and operators edit it

    namespace = models.ForeignKey(ConfigNamespace, models.PROTECT, related_name="items", verbose_name=_("namespace"))
    group = models.CharField(_("group"), max_length=128)
    data_id = models.CharField(_("data id"), max_length=256)
    # Only for modules: whose override it is.
    override_of = models.ForeignKey(
        "accounts.Tenant", models.CASCADE, null=True, blank=True, related_name="+", verbose_name=_("override of tenant")
    )
    format = models.CharField(_("format"), max_length=10, choices=Format.choices, default=Format.TEXT)
    description = models.CharField(_("description"), max_length=500, blank=True)

    #: Its texts are stored encrypted and shown masked. Never taken back, so that nothing of it is ever stored in the clear.
    is_encrypted = models.BooleanField(_("encrypted"), default=False)

    # null: nothing is being edited
    draft = SealableTextField(_("draft"), sealed_by="is_encrypted", null=True, blank=True)
    #: Rises with every change of the draft: an editor names the one they began from, and the second of two gets a conflict.
    draft_version = models.PositiveIntegerField(default=0, editable=False)
    draft_by = models.CharField(_("draft by"), max_length=150, blank=True)
    draft_at = models.DateTimeField(_("draft changed"), null=True, blank=True)

    # null: never published, or removed
    current = models.ForeignKey(
        "configcenter.ConfigRelease", models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("in force")
    )
    # A gray release that some instances run instead: those with one of the labels, and a percentage of the others.
    gray = models.ForeignKey(
        "configcenter.ConfigRelease", models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("gray release")
    )
    gray_labels = models.JSONField(
        _("labels"), default=list, blank=True, help_text=_("name=value. Instances with any of these labels take part.")
    )
    gray_percent = models.PositiveSmallIntegerField(_("per cent"), default=0, validators=[MaxValueValidator(100)])
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("configuration item")
        verbose_name_plural = _("configuration items")
        ordering = ["namespace", "group", "data_id"]
        constraints = [
            models.UniqueConstraint(fields=["namespace", "group", "data_id", "override_of"], name="item_once_a_tenant"),
            models.UniqueConstraint(fields=["namespace", "group", "data_id"], condition=Q(override_of=None), name="item_once"),
        ]

    def __str__(self) -> str:
        return f"{self.group}/{self.data_id}"


class ConfigRelease(models.Model):
    """What was published, once; never changed. Kept at least thirty days, and as long as it is in force."""

    tenant_lookup = "item__namespace__tenant_id"

    item = models.ForeignKey(ConfigItem, models.CASCADE, related_name="releases", verbose_name=_("item"))
    number = models.PositiveIntegerField(_("version"))
    #: The revision of the whole configuration that it made; rises in the order of commits.
    revision = models.BigIntegerField(db_index=True, editable=False)
    action = models.CharField(_("action"), max_length=10, choices=ReleaseAction.choices)
    content = SealableTextField(_("content"), sealed_by="is_encrypted", blank=True)
    md5 = models.CharField("md5", max_length=32)
    comment = models.CharField(_("comment"), max_length=500, blank=True)
    author = models.CharField(_("author"), max_length=150)
    based_on = models.ForeignKey("self", models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("based on"))
    at = models.DateTimeField(_("at"))

    class Meta:
        verbose_name = _("release")
        verbose_name_plural = _("releases")
        ordering = ["-number"]
        constraints = [models.UniqueConstraint(fields=["item", "number"], name="release_number_once_an_item")]

    def __str__(self) -> str:
        return f"{self.item} v{self.number}"

    @property
    def is_encrypted(self) -> bool:
        """Whether its text is stored encrypted and shown masked."""
        return self.item.is_encrypted


class ConfigState(models.Model):
    """One row: the revision of the whole configuration, written by every publish in its transaction.

    The lock on this row puts publishes in order, so that a reader that has seen a revision has seen all before it.
    """

    tenant_lookup = None

    ONLY = 1

    revision = models.BigIntegerField(default=0)

    class Meta:
        verbose_name = _("state of the configuration")
        verbose_name_plural = _("state of the configuration")

    def __str__(self) -> str:
        return str(self.revision)

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.pk = self.ONLY
        super().save(*args, **kwargs)
