"""What a page is about: a module, a tenant's override of one, or a free-form item. They are edited and published alike."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, wraps
from typing import Any
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext
from pydantic import ValidationError

from accounts.selectors import Tenant, tenant_by_slug
from configcenter import hot, selectors
from configcenter.console import changes
from configcenter.models import MODULES, ConfigItem
from configcenter.services import items, validation


@dataclass(frozen=True)
class Target:
    """One thing that is drafted, published and rolled back."""

    item: ConfigItem
    handle: hot.Handle[Any] | None = None
    tenant: Tenant | None = None

    @property
    def title(self) -> str:
        """What people call it."""
        if self.handle is None:
            return self.item.data_id
        return f"{gettext(self.handle.title)} · {self.tenant}" if self.tenant else gettext(self.handle.title)

    @property
    def purpose(self) -> str:
        """One line below the title."""
        return gettext(self.handle.purpose) if self.handle else self.item.description

    @property
    def only(self) -> frozenset[str] | None:
        """The fields that may be set: all, or those that a tenant may override."""
        return self.handle.per_tenant if self.handle and self.tenant else None

    def url(self, verb: str = "edit", **query: Any) -> str:
        """Return the address of one of its pages."""
        number = query.pop("number", None)
        more = [number] if number is not None else []
        if self.handle is None:
            place = reverse(f"config:item-{verb}", args=[self.item.pk, *more])
        else:
            place = reverse(f"config:module-{verb}", args=[self.handle.name, *more])
            query = ({"tenant": self.tenant.slug} if self.tenant else {}) | query
        return f"{place}?{urlencode(query)}" if query else place

    @property
    def is_undecryptable(self) -> bool:
        return selectors.is_undecryptable(self.item)

    @property
    def can_replay(self) -> bool:
        """Whether its module can tell what a draft would have done; asked here, as a template would call the function."""
        return self.handle is not None and self.handle.what_if is not None

    @cached_property
    def urls(self) -> dict[str, str]:
        """The addresses of all its pages, for templates."""
        verbs = ["edit", "publish", "discard", "gray", "history", "compare", "remove"]
        return {verb: self.url(verb) for verb in verbs + (["listeners"] if self.handle is None else ["tenants", "live", "reach", "replay"])}

    @cached_property
    def effective(self) -> str:
        """The text in force; for a module that was never published its defaults."""
        return items.effective(self.item)

    @cached_property
    def base(self) -> Any:
        """For a module the defaults; for an override what the tenant inherits."""
        assert self.handle
        if self.tenant is None:
            return self.handle.model()
        try:
            return self.handle.model.model_validate(validation.base_of(self.handle, self.item))
        except ValidationError:  # published by another version of the code; the processes keep their old value
            return self.handle.model()

    def changes(self, before: str, after: str) -> list[changes.Change]:
        """Name the fields that differ between two of its texts; none for a free-form item."""
        if self.handle is None:
            return []
        return changes.in_fields(self.handle.model, changes.values_of(before), changes.values_of(after))


def for_target(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Hand a view the target of its address, in place of its name or number."""

    @wraps(view)
    def found(request: HttpRequest, *args: Any, name: str = "", pk: int = 0, **kwargs: Any) -> HttpResponse:
        return view(request, of_module(request, name) if name else of_item(pk), *args, **kwargs)

    return found


def of_module(request: HttpRequest, name: str) -> Target:
    """Return the module of an address, or a tenant's override of it (`?tenant=`)."""
    try:
        handle = hot.module(name)
    except KeyError:
        raise Http404 from None
    find = items.look_at_module_item if request.method in ("GET", "HEAD") else items.module_item
    slug = request.GET.get("tenant", "")
    if not slug:
        return Target(find(name), handle)
    tenant = tenant_by_slug(slug)
    if tenant is None or not handle.per_tenant:
        raise Http404
    return Target(find(name, tenant=tenant), handle, tenant)


def of_item(pk: int) -> Target:
    """Return the free-form item of an address; a module has its own address."""
    item = (
        ConfigItem.objects.select_related("namespace__tenant", "current", "gray")
        .filter(pk=pk)
        .exclude(namespace__slug=MODULES, namespace__tenant=None)
        .first()
    )
    if item is None:
        raise Http404
    return Target(item)
