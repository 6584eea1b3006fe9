"""Resolve the namespace names that API callers and Nacos clients use.

A caller reaches its own tenant's namespaces, and the installation's if it operates the installation.

An API key's "" (or "public") is its tenant's own PUBLIC, any other name its tenant's namespace of that name. Keys of a tenant
that operates the installation reach the installation's namespaces as `installation.NAME`, and the typed modules, for reading, as
`posthaste`.
For a member of staff all names are the installation's.
"""

from dataclasses import dataclass
from typing import Protocol

from django.db.models import Count, Q
from django.utils.translation import gettext as _

from accounts.selectors import get_tenant
from configcenter.models import INSTALLATION, MODULES, PUBLIC, ConfigNamespace
from configcenter.services.items import default_namespace
from posthaste.lib.problems import Forbidden, NotFound


class Reader(Protocol):
    """A caller: its tenant (None: staff, for the installation), and whether it reaches the installation's namespaces."""

    @property
    def tenant_id(self) -> int | None: ...

    @property
    def reaches_installation(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Place:
    """A namespace, whether it exists or not: whose (None: the installation's), and its name."""

    tenant_id: int | None
    slug: str

    @property
    def holds_modules(self) -> bool:
        """Whether the typed modules lie there."""
        return self.tenant_id is None and self.slug == MODULES


def place(who: Reader, name: str) -> Place:
    """Return the place that a caller calls so; never another tenant's."""
    name = name.strip()
    if who.reaches_installation:
        if name == MODULES:
            return Place(None, MODULES)
        if who.tenant_id is None or name.startswith(INSTALLATION):
            return Place(None, name.removeprefix(INSTALLATION) or PUBLIC)
    return Place(who.tenant_id, name or PUBLIC)


def name(who: Reader, found: Place) -> str:
    """Return the name under which a caller reaches a place."""
    if found.tenant_id is None and who.tenant_id is not None and not found.holds_modules:
        return f"{INSTALLATION}{found.slug}"
    return "" if found.slug == PUBLIC else found.slug


def writable(who: Reader, written: str) -> ConfigNamespace:
    """Return the namespace in which a caller publishes.

    Raises:
        Forbidden: the typed modules lie there.
        NotFound: there is none of that name.
    """
    wanted = place(who, written)
    if wanted.holds_modules:
        raise Forbidden(
            _("Publish modules in the console, through /api/config/ or with manage.py config. Nacos clients can only read them.")
        )
    if wanted.slug == PUBLIC:
        return default_namespace(get_tenant(wanted.tenant_id) if wanted.tenant_id is not None else None)
    found = ConfigNamespace.objects.filter(Q(tenant_id=wanted.tenant_id), slug=wanted.slug).first()
    if found is None:
        raise NotFound(_("There is no namespace {name}. Create it first.").format(name=written))
    return found


def namespaces(who: Reader) -> list[ConfigNamespace]:
    """List the namespaces that a caller reaches and that exist, each with the number of its items `in_force`."""
    own = Q(tenant_id=who.tenant_id) if who.tenant_id is not None else Q(pk=None)
    reached = own | Q(tenant=None) if who.reaches_installation else own
    counted = Count("items", filter=Q(items__current__isnull=False, items__override_of=None))
    return list(ConfigNamespace.objects.filter(reached).annotate(in_force=counted).order_by("tenant", "slug"))
