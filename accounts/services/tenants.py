"""Tenants: made, changed, and deleted with all they have."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from django.db import models, transaction
from django.db.models import ProtectedError
from django.utils.translation import gettext as _

from accounts.actions import Action
from accounts.models import Tenant
from accounts.services import access_notices, audit
from accounts.services.audit import Actor
from posthaste.lib.problems import Conflict

COUNT_UP_TO = 10_000

#: What apps above do first, in the same transaction, when a tenant is deleted; see `before_deletion`.
_preparations: list[Callable[[Tenant], None]] = []


class TenantInUse(Conflict):
    """The tenant has messages or batches, which must be kept. Deactivate it instead; its keys are then refused."""

    code = "tenant_in_use"


def before_deletion(prepare: Callable[[Tenant], None]) -> Callable[[Tenant], None]:
    """Register what an app does before one of its tenants is deleted, inside the same transaction. Usable as a decorator."""
    _preparations.append(prepare)
    return prepare


@transaction.atomic
def create_tenant(*, tenant: Tenant, by: Actor) -> Tenant:
    """Check and store a new tenant.

    Raises:
        django.core.exceptions.ValidationError: a field is wrong, or the short name is taken.
    """
    tenant.full_clean()
    tenant.save()
    audit.record(by=by, action=Action.TENANT_CREATE, target=tenant.slug, tenant_id=tenant.pk, detail={"name": tenant.name})
    return tenant


@transaction.atomic
def change_tenant(*, tenant: Tenant, fields: Iterable[str], by: Actor) -> Tenant:
    """Store a changed tenant; `fields` are the names of those that changed."""
    tenant.save()
    audit.record(by=by, action=Action.TENANT_CHANGE, target=tenant.slug, tenant_id=tenant.pk, detail={"fields": sorted(fields)})
    access_notices.notify_after_commit()
    return tenant


def delete_tenant(*, tenant: Tenant, by: Actor) -> None:
    """Delete a tenant that has sent nothing, with its keys, templates, providers, overrides and items.

    All processes are notified as of a publish, and continue with the installation's values.

    Raises:
        TenantInUse: it has what is never deleted with it.
    """
    with transaction.atomic():
        _must_be_unused(tenant)
        for prepare in _preparations:
            prepare(tenant)
        audit.record(by=by, action=Action.TENANT_DELETE, target=tenant.slug, detail={"name": tenant.name})
        try:
            tenant.delete()
        except ProtectedError:
            raise TenantInUse(_in_use(tenant)) from None
        access_notices.notify_after_commit()


def why_it_stays(*, tenant: Tenant) -> str:
    """Say why a tenant can't be deleted, or nothing where it can."""
    try:
        _must_be_unused(tenant)
    except TenantInUse as problem:
        return str(problem.detail)
    return ""


def belongings(*, tenant: Tenant) -> list[tuple[str, int]]:
    """Return what would be deleted with a tenant: (what such rows are called, how many there are, or COUNT_UP_TO)."""
    found = []
    for relation, rows in _relations(tenant):
        if relation.on_delete is models.CASCADE and (number := rows.order_by()[:COUNT_UP_TO].count()):
            found.append((str(relation.related_model._meta.verbose_name_plural), number))
    return found


def _relations(tenant: Tenant) -> "Iterator[tuple[models.ManyToOneRel, models.QuerySet[Any]]]":
    for relation in Tenant._meta.get_fields(include_hidden=True):
        if isinstance(relation, models.ManyToOneRel):
            yield relation, relation.related_model._default_manager.filter(**{relation.field.name: tenant})


def _must_be_unused(tenant: Tenant) -> None:
    """Asked before, as deleting would read all rows that stand in its way: millions of messages, perhaps."""
    for relation, rows in _relations(tenant):
        if relation.on_delete is models.PROTECT and rows.exists():
            raise TenantInUse(_in_use(tenant))


def _in_use(tenant: Tenant) -> str:
    return _("The tenant {slug} has messages or batches, which must be kept. Deactivate it instead.").format(slug=tenant.slug)
