"""Which tenants have values of their own in a module."""

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext as _

from accounts import selectors as accounts
from accounts.services import rights
from configcenter import selectors
from configcenter.console import live
from configcenter.console.access import names_in, page, staff_page
from configcenter.console.changes import values_of
from configcenter.console.targets import Target, for_target


@staff_page(allowed=rights.may_view)
@for_target
def tenants(request: HttpRequest, target: Target) -> HttpResponse:
    """List the overrides of a module and lead to any tenant's."""
    handle = target.handle
    if handle is None or not handle.per_tenant:
        raise Http404
    if wanted := request.GET.get("choose", ""):
        tenant = accounts.tenant_by_slug(wanted)
        if tenant is not None:
            return HttpResponseRedirect(Target(target.item, handle, tenant).url())
    fields = {name: _(info.title) for name, info in handle.model.model_fields.items() if name in handle.per_tenant and info.title}
    found = []
    rows = list(selectors.overrides(handle.name))
    running = selectors.live_instances(rows)
    for item in rows:
        own = values_of(item.current.content if item.current else "")
        of_tenant = Target(item, handle, item.override_of)
        own_words = [fields[name] for name in fields if name in own]
        found.append({"target": of_tenant, "item": item, "fields": own_words, "instances": live.of_item(item, running)})
    return page(
        request,
        "tenants",
        title=target.title,
        purpose=_("Tenants with their own values. They inherit everything else from the installation."),
        tab="modules",
        page="tenants",
        target=target,
        item=target.item,
        rows=found,
        names=names_in(rows),
        fields=list(fields.values()),
        tenants=accounts.tenants(),
    )
