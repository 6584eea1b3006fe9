"""Take the configuration of a tenant out of force before the tenant is deleted."""

from django.db.models import Q

from accounts.selectors import Tenant
from accounts.services.tenants import before_deletion
from configcenter.models import ConfigItem
from configcenter.services.changes import next_revision


@before_deletion
def remove_configuration(tenant: Tenant) -> None:
    """Delete the overrides and items of a tenant, as one revision, so that every process drops them as at a publish."""
    next_revision()
    items = ConfigItem.objects.filter(Q(override_of=tenant) | Q(namespace__tenant=tenant))
    items.update(current=None, gray=None)  # a release in force is protected from deletion
    items.delete()
