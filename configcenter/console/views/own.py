"""The console of an owner: the values that their tenants have of their own."""

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from accounts.roles import Role
from accounts.selectors import active_tenants
from accounts.staff.tenant_admin import own_tenants
from configcenter import hot
from configcenter.console.access import names_in, page
from configcenter.console.targets import Target
from configcenter.models import MODULES, ConfigItem


def own_overview(request: HttpRequest) -> HttpResponse:
    """List the modules of which a tenant may have values of its own, for each tenant that the reader owns."""
    tenants = list(active_tenants(own_tenants(request, at_least=Role.OWNER)).order_by("name"))
    rows = ConfigItem.objects.select_related("current", "gray").filter(
        group=MODULES, namespace__slug=MODULES, namespace__tenant=None, override_of__in=tenants
    )
    kept = {(row.override_of_id, row.data_id): row for row in rows}
    parts = []
    for tenant in tenants:
        cards = []
        for handle in hot.modules():
            if handle.per_tenant:
                item = kept.get((tenant.pk, handle.name)) or ConfigItem(group=MODULES, data_id=handle.name, override_of=tenant)
                cards.append({"title": _(handle.title), "purpose": _(handle.purpose), "item": item, "target": Target(item, handle, tenant)})
        parts.append({"tenant": tenant, "cards": cards})
    return page(
        request,
        "own",
        title=_("Configuration"),
        purpose=_("The values that your tenant has of its own. Everything else follows the installation."),
        tab="modules",
        parts=parts,
        names=names_in(kept.values()),
    )
