"""The one place where rows are separated by tenant."""

from typing import Any, TypeVar

from django.db import models

from accounts.models import Member, Role, Tenant, User

M = TypeVar("M", bound=models.Model)

#: Each role includes those before it.
RANKS = (Role.VIEWER, Role.AUTHOR, Role.OPERATOR, Role.OWNER)


def tenant_path(model: type[models.Model]) -> str | None:
    """Return the lookup from a model to its tenant, or None if its rows belong to nobody."""
    if model is Tenant:
        return "pk"
    names = {field.name for field in model._meta.get_fields()}
    for name in ("tenant", "template", "provider"):
        if name in names:
            return {"tenant": "tenant_id", "template": "template__tenant_id", "provider": "provider__tenant_id"}[name]
    return None


def owned_by(queryset: "models.QuerySet[M]", *tenant_ids: int) -> "models.QuerySet[M]":
    """Keep the rows of the given tenants; no tenant, no rows."""
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
    ranks = RANKS[RANKS.index(at_least) :]
    return list(Member.objects.filter(user=user, role__in=ranks, tenant__is_active=True).values_list("tenant_id", flat=True))
