"""Links and clicks of a tenant, read."""

from django.db.models import QuerySet

from accounts.tenancy import owned_by
from routing.models import LinkClick, SafeLink


def links(tenant_id: int) -> "QuerySet[SafeLink]":
    """Return the tenant's links, newest first."""
    return owned_by(SafeLink.objects.all(), tenant_id)


def clicks(link: SafeLink) -> "QuerySet[LinkClick]":
    """Return the requests for a link, newest first."""
    return LinkClick.objects.filter(link=link)
