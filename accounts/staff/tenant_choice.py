"""Which of several tenants a page is about."""

from django.http import HttpRequest

from accounts.models import Tenant
from accounts.staff.tenant_admin import own_tenants, signed_in


def chosen_tenant(request: HttpRequest) -> tuple[int | None, list[Tenant]]:
    """Return the id of the tenant that the address asks for (`?tenant=`), and all tenants that the reader may choose from.

    Without a choice it is the first one; None, all together, for a superuser; 0 for a reader who has none.
    """
    tenants = list(Tenant.objects.filter(pk__in=own_tenants(request)))
    wanted = request.GET.get("tenant", "")
    if wanted in {str(tenant.pk) for tenant in tenants}:
        return int(wanted), tenants
    if signed_in(request).is_superuser:
        return None, tenants
    return (tenants[0].pk if tenants else 0), tenants
