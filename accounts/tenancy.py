"""The one place where rows are separated by tenant.

Every model says whose its rows are: `tenant_lookup` is the lookup from a row to its tenant's id, such as `"tenant_id"` or
`"template__tenant_id"`, and None where the rows belong to the installation. `accounts.checks` refuses a model that says nothing.
Rows that belong to no tenant are shown to superusers only.
"""

from typing import Any, TypeVar

from django.db import models

from accounts.models import Member, Tenant, User
from accounts.roles import Role, access_of, roles_from

M = TypeVar("M", bound=models.Model)


def tenant_path(model: type[models.Model]) -> str | None:
    """Return the lookup from a model to its tenant's id, or None if its rows belong to no tenant."""
    lookup: str | None = getattr(model, "tenant_lookup", None)
    return lookup


def owned_by(queryset: "models.QuerySet[M]", *tenant_ids: int) -> "models.QuerySet[M]":
    """Keep the rows of the given tenants; no tenant, no rows.

    Raises:
        TypeError: rows of this model belong to no tenant.
    """
    path = tenant_path(queryset.model)
    if path is None:
        raise TypeError(f"{queryset.model.__name__} has no tenant")
    return queryset.filter(**{f"{path}__in": tenant_ids})


def tenant_of(row: models.Model) -> Any:
    """Return the tenant id of a row, or None."""
    path = tenant_path(type(row))
    value: Any = row
    for part in path.split("__") if path else ():
        value = getattr(value, part, None)
    return value if path else None


def tenants_of(user: User, *, at_least: Role = Role.VIEWER) -> list[int]:
    """Return the ids of the tenants in which the user has at least this role."""
    if user.is_superuser:
        return list(Tenant.objects.values_list("pk", flat=True))
    found = Member.objects.filter(user=user, role__in=roles_from(at_least), tenant__is_active=True)
    return list(found.values_list("tenant_id", flat=True))


def least_to_see(model: type[models.Model]) -> Role | None:
    """Return the least role that sees rows of a model; None: superusers only."""
    return access_of(model).view if tenant_path(model) else None
