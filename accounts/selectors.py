"""What other apps read of tenants, users and keys. They import no model of this app: a field names one as "accounts.Tenant".

The models' names are here for annotations only.
"""

from collections.abc import Iterable
from typing import Any

from django.db.models import Q, QuerySet

from accounts.models import ApiKey, AuditEntry, Member, Tenant, User

__all__ = [
    "TENANT_TABLE",
    "AuditEntry",
    "Tenant",
    "User",
    "active_tenants",
    "api_keys",
    "as_staff",
    "get_staff",
    "get_tenant",
    "key_prefixes",
    "members_of",
    "no_tenants",
    "staff_of",
    "tenant_by_id",
    "tenant_by_slug",
    "tenant_slugs",
    "tenants",
]

#: The table of tenants, for SQL that is written by hand.
TENANT_TABLE: str = Tenant._meta.db_table


def tenants() -> "QuerySet[Tenant]":
    """Return all tenants, by name."""
    return Tenant.objects.order_by("name")


def active_tenants(ids: Iterable[int]) -> "QuerySet[Tenant]":
    """Return those of the tenants that are active."""
    return Tenant.objects.filter(pk__in=ids, is_active=True)


def no_tenants() -> "QuerySet[Tenant]":
    """Return an empty queryset: what a form or a view begins with."""
    return Tenant.objects.none()


def get_tenant(pk: int) -> Tenant:
    """Return a tenant that must be there.

    Raises:
        django.core.exceptions.ObjectDoesNotExist: it was deleted.
    """
    return Tenant.objects.get(pk=pk)


def tenant_by_id(pk: int) -> Tenant | None:
    """Return a tenant, or None if there is none of this id."""
    return Tenant.objects.filter(pk=pk).first()


def tenant_by_slug(slug: str) -> Tenant | None:
    """Return a tenant by its short name, or None if there is none."""
    return Tenant.objects.filter(slug=slug).first()


def tenant_slugs(ids: Iterable[int] | None = None) -> dict[int, str]:
    """Return the short names of the tenants with these ids, or of all, by id."""
    found = Tenant.objects.all() if ids is None else Tenant.objects.filter(pk__in=ids)
    return dict(found.values_list("pk", "slug"))


def key_prefixes() -> dict[int, str]:
    """Return the prefixes of all API keys, by id."""
    return dict(ApiKey.objects.values_list("pk", "prefix"))


def api_keys() -> "QuerySet[ApiKey]":
    """Return all API keys."""
    return ApiKey.objects.all()


def as_staff(user: Any) -> User | None:
    """Return a signed-in user who is a member of staff; None for anybody else, such as an anonymous user."""
    return user if isinstance(user, User) and user.is_staff else None


def get_staff(pk: int) -> User | None:
    """Return an active member of staff, or None."""
    return User.objects.filter(pk=pk, is_active=True, is_staff=True).first()


def members_of(tenant_ids: Iterable[int]) -> "QuerySet[User]":
    """Return the active users who are members of any of the tenants, by name."""
    own = Member.objects.filter(tenant_id__in=tenant_ids).values("user")
    return User.objects.filter(pk__in=own, is_active=True).order_by("username")


def staff_of(tenant_ids: Iterable[int]) -> "QuerySet[User]":
    """Return the active users who act for any of the tenants, by name: their members, and superusers."""
    own = Q(pk__in=Member.objects.filter(tenant_id__in=tenant_ids).values("user"))
    return User.objects.filter(own | Q(is_superuser=True), is_active=True).order_by("username")
