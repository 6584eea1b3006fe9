"""Deleting a tenant: every process drops what it had of its own."""

from django.db import models, transaction
from django.db.models import ProtectedError, Q
from django.utils.translation import gettext as _

from configcenter.models import ConfigItem, Tenant
from configcenter.services import audit
from configcenter.services.changes import next_revision
from posthaste.lib.problems import Conflict


class TenantInUse(Conflict):
    """The tenant has messages or batches, which are kept. Make it inactive instead: its keys are refused then."""

    code = "tenant_in_use"


def delete_tenant(*, tenant: Tenant, actor: str, ip: str | None = None) -> None:
    """This function will delete a tenant that has sent nothing, with its keys, templates, providers, overrides and items. All processes
    hear of it as of a publish, and go on with the installation's values.

    Raises:
        TenantInUse: it has what is never deleted with it.
    """
    with transaction.atomic():
        next_revision()  # the lock first, as every publish takes it
        _must_be_unused(tenant)
        items = ConfigItem.objects.filter(Q(override_of=tenant) | Q(namespace__tenant=tenant))
        items.update(current=None, gray=None)  # what is in force protects its release
        items.delete()
        audit.record(actor=actor, action="tenant.delete", target=tenant.slug, detail={"name": tenant.name}, ip=ip)
        try:
            tenant.delete()
        except ProtectedError:
            raise TenantInUse(_in_use(tenant)) from None


def _must_be_unused(tenant: Tenant) -> None:
    """Asked before, as deleting would read all rows that stand in its way: millions of messages, perhaps."""
    relations = [found for found in Tenant._meta.get_fields(include_hidden=True) if isinstance(found, models.ManyToOneRel)]
    for relation in relations:
        rows = relation.related_model._default_manager.filter(**{relation.field.name: tenant})
        if relation.on_delete is models.PROTECT and rows.exists():
            raise TenantInUse(_in_use(tenant))


def _in_use(tenant: Tenant) -> str:
    return _("The tenant {slug} has messages or batches, which are kept. Make it inactive instead.").format(slug=tenant.slug)
