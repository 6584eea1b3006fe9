"""What a page of the configuration needs beyond the frame of every staff page: the rights to the configuration."""

from collections.abc import Callable, Iterable
from functools import partial, wraps
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from accounts.roles import Role
from accounts.selectors import tenant_by_slug
from accounts.services import rights
from accounts.staff import actors
from accounts.staff.tenant_admin import own_tenants, signed_in
from configcenter.models import ConfigItem, ConfigRelease
from posthaste.ui import pages
from posthaste.ui.pages import READING, Allowed, View

#: Guards a view of the configuration; see `posthaste.ui.pages.staff_page`.
staff_page = partial(pages.staff_page, refusal=rights.REFUSAL)


def owns_override(request: HttpRequest) -> bool:
    """Return whether the address is about a tenant's own values of a module, and the reader is an owner of that tenant.

    Owners may do there what the keys that they issue may do over the API: edit, publish, roll back.
    """
    match, slug = request.resolver_match, request.GET.get("tenant", "")
    if match is None or "name" not in match.kwargs or not slug or not admin.site.has_permission(request):
        return False
    tenant = tenant_by_slug(slug)
    return tenant is not None and tenant.pk in own_tenants(request, at_least=Role.OWNER)


def target_page(*, allowed: Allowed, to_change: Allowed | None = None, methods: tuple[str, ...] = READING) -> Callable[[View], View]:
    """Guard a view as `staff_page` does, but open it to owners where it is about their tenant's own values."""

    def guard(view: View) -> View:
        guarded = staff_page(allowed=allowed, to_change=to_change, methods=methods)(view)
        for_owners = staff_page(allowed=lambda _user: True, methods=methods)(view)

        @wraps(view)
        def chosen(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            return (for_owners if owns_override(request) else guarded)(request, *args, **kwargs)

        return chosen

    return guard


def names_in(found: Iterable[ConfigItem | ConfigRelease | None]) -> dict[str, str]:
    """Return the names of those who published releases, or what is in force of items, and of those who wrote their drafts; see `who`."""
    said: set[str] = set()
    for each in found:
        if isinstance(each, ConfigItem):
            releases, draft_by = (each.current, each.gray), each.draft_by
            said |= {release.author for release in releases if release is not None} | {draft_by}
        elif each is not None:
            said.add(each.author)
    return actors.names_of(said - {""}, tenant_ids=None)


def page(request: HttpRequest, template: str, *, status: int = 200, **context: Any) -> TemplateResponse:
    """Return a page in the frame of the admin, with what the reader may do."""
    user, is_owner = signed_in(request), owns_override(request)
    may_edit = is_owner or rights.may_edit(user)
    may = {
        "may_edit": may_edit,
        "readonly": not may_edit,
        "may_publish": is_owner or rights.may_publish(user),
        "sees_installation": rights.may_view(user),
    }
    return pages.page(request, f"config/{template}.html", status=status, **{"names": {}, **may, **context})
