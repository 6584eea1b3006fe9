"""Customers, the identities under which they write, and what is known about them."""

from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from accounts.roles import Access, Role
from posthaste.lib.ids import new_id


class IdentityKind(models.TextChoices):
    """What an identity is a name of."""

    PHONE = "phone", _("Phone number")
    EMAIL = "email", _("E-mail address")
    WECOM = "wecom", _("WeCom contact")
    EMPLOYEE = "employee", _("WeCom employee")
    PORTAL = "portal", _("Portal visitor")
    OWN = "own", _("Own ID")


class AttributeSource(models.TextChoices):
    """Where the value of an attribute comes from."""

    STAFF = "staff", _("Staff")
    API = "api", _("API")
    PORTAL = "portal", _("Portal")
    WECOM = "wecom", _("WeCom")
    RULE = "rule", _("Rule")


class Customer(models.Model):
    """A person who writes, whichever way they come."""

    tenant_lookup = "tenant_id"
    access = Access(change=Role.OPERATOR)

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    tenant = models.ForeignKey("accounts.Tenant", models.CASCADE, related_name="+", verbose_name=_("tenant"))
    name = models.CharField(_("name"), max_length=200, blank=True)
    language = models.CharField(_("language"), max_length=16, blank=True, help_text=_("Such as en or zh. Empty: as they write."))
    note = models.TextField(_("note"), max_length=4000, blank=True)
    #: The customer that this one was merged into; it keeps its row so that the merge can be undone.
    merged_into = models.ForeignKey(
        "self", models.PROTECT, null=True, blank=True, editable=False, related_name="merged_from", verbose_name=_("merged into")
    )
    erased_at = models.DateTimeField(_("erased"), null=True, blank=True, editable=False)
    created_at = models.DateTimeField(_("created"))
    last_seen_at = models.DateTimeField(pgettext_lazy("person", "last seen"))

    class Meta:
        verbose_name = _("customer")
        verbose_name_plural = _("customers")
        ordering = ["-id"]
        indexes = [models.Index(fields=["tenant", "-id"], name="customer_tenant")]

    def __str__(self) -> str:
        return self.name or str(self.id)


class Identity(models.Model):
    """One way in which a customer is known. A verified one was proved: by a signature, a code, or the provider itself."""

    tenant_lookup = "tenant_id"
    access = Access(change=Role.OPERATOR)

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    tenant = models.ForeignKey("accounts.Tenant", models.CASCADE, related_name="+", db_index=False, verbose_name=_("tenant"))
    customer = models.ForeignKey(Customer, models.CASCADE, related_name="identities", verbose_name=_("customer"))
    kind = models.CharField(_("kind"), max_length=10, choices=IdentityKind.choices)
    #: Normalised: see `routing.customers.identities`.
    value = models.CharField(_("value"), max_length=320)
    name = models.CharField(_("name"), max_length=200, blank=True, help_text=_("As the channel shows it."))
    verified_at = models.DateTimeField(_("verified"), null=True, blank=True)
    created_at = models.DateTimeField(_("created"))
    last_seen_at = models.DateTimeField(pgettext_lazy("person", "last seen"))

    class Meta:
        verbose_name = _("identity")
        verbose_name_plural = _("identities")
        ordering = ["kind", "value"]
        constraints = [models.UniqueConstraint(fields=["tenant", "kind", "value"], name="identity_once_a_tenant")]

    def __str__(self) -> str:
        return str(self.id)


class CustomerAttribute(models.Model):
    """A fact about a customer, such as `level`, `tags` or `vip`, with its source and how long it holds."""

    tenant_lookup = "tenant_id"
    access = Access(change=Role.OPERATOR)

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    tenant = models.ForeignKey("accounts.Tenant", models.CASCADE, related_name="+", db_index=False, verbose_name=_("tenant"))
    customer = models.ForeignKey(Customer, models.CASCADE, related_name="attributes", verbose_name=_("customer"))
    name = models.CharField(_("attribute"), max_length=40)
    value = models.JSONField(_("value"))
    source = models.CharField(_("source"), max_length=8, choices=AttributeSource.choices)
    valid_until = models.DateTimeField(_("valid until"), null=True, blank=True)
    set_by = models.CharField(_("by"), max_length=150, blank=True, editable=False)
    set_at = models.DateTimeField(_("set"))

    class Meta:
        verbose_name = _("customer attribute")
        verbose_name_plural = _("customer attributes")
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["customer", "name", "source"], name="attribute_once_a_source")]
        indexes = [
            models.Index(fields=["tenant", "name"], name="attribute_tenant"),
            # What customers are found by; these two have short values.
            models.Index(
                fields=["tenant", "name", "value", "customer"],
                condition=models.Q(name__in=["level", "vip"]),
                name="attribute_searched",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class CustomerMerge(models.Model):
    """A merge of two customers: done, or suggested. What it moved is kept, so that it can be undone."""

    tenant_lookup = "tenant_id"
    access = Access(change=Role.OPERATOR)

    class State(models.TextChoices):
        """How far it is."""

        SUGGESTED = "suggested", _("Suggested")
        DONE = "done", _("Merged")
        UNDONE = "undone", _("Undone")
        DISMISSED = "dismissed", _("Dismissed")

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    tenant = models.ForeignKey("accounts.Tenant", models.CASCADE, related_name="+", db_index=False, verbose_name=_("tenant"))
    kept = models.ForeignKey(Customer, models.CASCADE, related_name="merges", verbose_name=_("kept"))
    merged = models.ForeignKey(Customer, models.CASCADE, related_name="+", verbose_name=_("merged"))
    state = models.CharField(_("state"), max_length=10, choices=State.choices)
    reason = models.CharField(_("reason"), max_length=200, blank=True)
    #: The ids that were moved, by kind: {"identities": […], "conversations": […], "attributes": […]}.
    moved = models.JSONField(_("moved"), default=dict, editable=False)
    decided_by = models.CharField(_("by"), max_length=150, blank=True, editable=False)
    created_at = models.DateTimeField(_("created"))
    decided_at = models.DateTimeField(_("decided"), null=True, blank=True)

    class Meta:
        verbose_name = _("merge of customers")
        verbose_name_plural = _("merges of customers")
        ordering = ["-id"]
        indexes = [models.Index(fields=["tenant", "state", "-id"], name="merge_tenant")]

    def __str__(self) -> str:
        return str(self.id)
