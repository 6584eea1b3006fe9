"""Namespaces and items: created on first use, or explicitly. Their contents are in `drafts` and `releases`."""

import re

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from accounts.selectors import Tenant
from accounts.services import audit
from accounts.services.audit import Actor
from configcenter import hot
from configcenter.actions import Action
from configcenter.models import INSTALLATION, MODULES, PUBLIC, ConfigItem, ConfigNamespace, Format
from configcenter.services.erasing import erase_traces, overwrite_deleted
from configcenter.services.validation import canonical, defaults, validate
from posthaste.lib.problems import Conflict, Invalid, NotFound

__all__ = [
    "canonical", "change_item", "checked_format", "create_item", "create_namespace", "default_namespace", "defaults",
    "delete_namespace", "effective", "find_namespace", "get_item", "look_at_module_item", "module_item", "modules_namespace", "name_of",
    "name_rule", "validate",
]  # fmt: skip

#: As Nacos has it: these characters in namespaces, groups and data ids.
NAME = re.compile(r"[a-zA-Z0-9_.:\-]+")
_WITH = ("namespace", "current", "gray", "override_of")


class Exists(Conflict):
    """An object with this name already exists."""

    code = "already_exists"


class NotEmpty(Conflict):
    """A namespace that has items can't be deleted. Remove them first."""

    code = "not_empty"


def modules_namespace() -> ConfigNamespace:
    """Return the installation's namespace of modules, made when it is first asked for."""
    return ConfigNamespace.objects.get_or_create(tenant=None, slug=MODULES, defaults={"name": "Posthaste"})[0]


def default_namespace(tenant: Tenant | None) -> ConfigNamespace:
    """Return the namespace `public` of a tenant or of the installation, made when it is first asked for."""
    return ConfigNamespace.objects.get_or_create(tenant=tenant, slug=PUBLIC, defaults={"name": PUBLIC})[0]


def find_namespace(*, tenant: Tenant | None, slug: str) -> ConfigNamespace:
    """Return a namespace by its id; "" is the one that everybody has.

    Raises:
        NotFound: there is none of that id.
    """
    if slug in ("", PUBLIC):
        return default_namespace(tenant)
    namespace = ConfigNamespace.objects.filter(tenant=tenant, slug=slug).first()
    if namespace is None:
        raise NotFound(_("There is no namespace {slug}.").format(slug=slug))
    return namespace


def module_item(name: str, *, tenant: Tenant | None = None) -> ConfigItem:
    """Return the row of a module, or of a tenant's override of it, made when it is first asked for: by what writes to it.

    Raises:
        NotFound: there is no such module, or it allows no overrides.
    """
    item = look_at_module_item(name, tenant=tenant)
    if item.pk is None:
        rows = ConfigItem.objects.select_related(*_WITH)
        own = {"group": MODULES, "data_id": name, "override_of": tenant}
        item, _made = rows.get_or_create(namespace=modules_namespace(), **own, defaults={"format": Format.JSON})
    return item


def look_at_module_item(name: str, *, tenant: Tenant | None = None) -> ConfigItem:
    """Return the row of a module, or of a tenant's override of it, for reading: one that is not stored where nothing was ever written.

    Raises:
        NotFound: there is no such module, or it allows no overrides.
    """
    try:
        handle = hot.module(name)
    except KeyError:
        known = ", ".join(known.name for known in hot.modules())
        raise NotFound(_("There is no module {name}. Available: {known}.").format(name=name, known=known)) from None
    if tenant is not None and not handle.per_tenant:
        raise NotFound(_("The module {name} is the same for all tenants.").format(name=name))
    own = {"group": MODULES, "data_id": name, "override_of": tenant}
    stored = ConfigItem.objects.select_related(*_WITH).filter(namespace__slug=MODULES, namespace__tenant=None, **own).first()
    if stored is not None:
        return stored
    namespace = ConfigNamespace.objects.filter(tenant=None, slug=MODULES).first() or ConfigNamespace(slug=MODULES)
    return ConfigItem(namespace=namespace, **own, format=Format.JSON)


def get_item(*, namespace: ConfigNamespace, group: str, data_id: str) -> ConfigItem:
    """Return an item.

    Raises:
        NotFound: there is none.
    """
    rows = ConfigItem.objects.select_related(*_WITH)
    item = rows.filter(namespace=namespace, group=group, data_id=data_id, override_of=None).first()
    if item is None:
        raise NotFound(_("There is no item {item}.").format(item=f"{namespace.slug}/{group}/{data_id}"))
    return item


def name_rule(longest: int) -> str:
    """Return what a name may be."""
    return _("1 to {most} letters, digits and any of _ . : -").format(most=longest)


def _check_name(field: str, value: str, max_length: int) -> None:
    # "." and ".." are names that no address can end with.
    if not NAME.fullmatch(value) or len(value) > max_length or value in (".", ".."):
        raise Invalid.field(field, name_rule(max_length))


def checked_format(format: str) -> str:
    """Return the name of a format again.

    Raises:
        Invalid: there is none of that name.
    """
    if format not in Format.values:
        raise Invalid.field("format", _("Must be one of {expected}.").format(expected=", ".join(Format.values)))
    return format


def create_item(
    *,
    namespace: ConfigNamespace,
    group: str,
    data_id: str,
    format: str,
    description: str = "",
    is_encrypted: bool = False,
    by: Actor,
) -> ConfigItem:
    """Make a free-form item without a text. The texts of an encrypted one are stored encrypted and shown masked.

    Raises:
        Invalid: a name or the format is none.
        Exists: there is already one under these names.
    """
    _check_name("group", group, 128)
    _check_name("data_id", data_id, 256)
    checked_format(format)
    if namespace.tenant_id is None and namespace.slug == MODULES:
        raise Invalid.field("namespace", _("This namespace holds only modules. Choose another one."))
    with transaction.atomic():
        try:
            with transaction.atomic():
                item = ConfigItem.objects.create(
                    namespace=namespace,
                    group=group,
                    data_id=data_id,
                    format=format,
                    description=description[:500],
                    is_encrypted=is_encrypted,
                )
        except IntegrityError:
            raise Exists(_("The item {group}/{data_id} already exists.").format(group=group, data_id=data_id)) from None
        detail = {"is_encrypted": True} if is_encrypted else None
        audit.record(by=by, action=Action.ITEM_CREATE, target=name_of(item), tenant_id=namespace.tenant_id, detail=detail)
    return item


def change_item(
    *, item: ConfigItem, format: str | None = None, description: str | None = None, is_encrypted: bool | None = None, by: Actor
) -> ConfigItem:
    """Change the format or the description of a free-form item (None: as it is), or encrypt it, and return the item as it is now.

    Encrypting also encrypts the texts of its history and its draft, and takes what tells of them out of the audit trail. It can't be taken
    back.

    What is in force, for all or for some, must be valid in the new format. A draft need not be: its errors are shown.

    Raises:
        Invalid: there is no such format, what is in force is not written in it, the item is encrypted and was to be so no longer, or it is
            a module, which is always JSON in the clear.
    """
    if _is_module(item):
        _check_module(format=format, is_encrypted=bool(is_encrypted))
    if format is not None:
        checked_format(format)
    with transaction.atomic():
        # Locked first and read then: a publish that this waited for is seen with its release.
        list(ConfigItem.objects.select_for_update().filter(pk=item.pk))
        fresh = ConfigItem.objects.select_related("namespace", "current", "gray", "override_of").filter(pk=item.pk).first()
        if fresh is None:
            raise NotFound(_("This item was deleted in the meantime."))
        if fresh.is_encrypted and is_encrypted is False:
            raise Invalid.field("is_encrypted", _("An encrypted item stays encrypted. Make another item instead."))
        wanted = {"format": format, "description": None if description is None else description[:500], "is_encrypted": is_encrypted}
        changed = [name for name, value in wanted.items() if value is not None and value != getattr(fresh, name)]
        for name in changed:
            setattr(fresh, name, wanted[name])
        if "format" in changed:
            _must_fit(fresh)
        if changed:
            if "is_encrypted" in changed:
                overwrite_deleted()
            fresh.save(update_fields=[*changed, "draft"])
            if "is_encrypted" in changed:
                _encrypt_history(fresh)
                erase_traces(target=name_of(fresh), tenant_id=fresh.namespace.tenant_id)
            detail = {"changed": changed, **({"format": fresh.format} if "format" in changed else {})}
            audit.record(by=by, action=Action.ITEM_CHANGE, target=name_of(fresh), tenant_id=fresh.namespace.tenant_id, detail=detail)
    return fresh


def _is_module(item: ConfigItem) -> bool:
    return item.group == MODULES and item.namespace.slug == MODULES and item.namespace.tenant_id is None


def _check_module(*, format: str | None, is_encrypted: bool) -> None:
    if format not in (None, Format.JSON):
        raise Invalid.field("format", _("A module is always written as JSON."))
    if is_encrypted:
        raise Invalid.field("is_encrypted", _("A module can't be encrypted. Keep secrets in an item of your own."))


def _encrypt_history(item: ConfigItem) -> None:
    for release in item.releases.iterator(chunk_size=50):
        release.item = item
        release.save(update_fields=["content"])


def _must_fit(item: ConfigItem) -> None:
    """Check that the texts in force are valid in the item's format, as readers rely on it."""
    for release in (item.current, item.gray):
        if release is None:
            continue
        try:
            validate(item, release.content, is_secret=True)
        except Invalid as error:
            said = _("Version {number} is in force: {error}").format(number=release.number, error=error.errors[0]["message"])
            raise Invalid.field("format", said) from None


def create_namespace(*, tenant: Tenant | None, slug: str, name: str, description: str = "", by: Actor) -> ConfigNamespace:
    """Make a namespace.

    Raises:
        Invalid: the id is none, or it begins as the names of the installation's namespaces do.
        Exists: there is already one of that id.
    """
    _check_name("slug", slug, 128)
    if slug == MODULES:  # also of a tenant's own: in a file its items could not be told from overrides
        raise Exists(_("The namespace {slug} already exists.").format(slug=slug))
    if slug.startswith(INSTALLATION):  # for a tenant that operates the installation, the name means another namespace
        raise Invalid.field("slug", _("A name can't begin with {prefix}").format(prefix=INSTALLATION))
    with transaction.atomic():
        try:
            with transaction.atomic():
                namespace = ConfigNamespace.objects.create(tenant=tenant, slug=slug, name=name[:128] or slug, description=description[:256])
        except IntegrityError:
            raise Exists(_("The namespace {slug} already exists.").format(slug=slug)) from None
        audit.record(by=by, action=Action.NAMESPACE_CREATE, target=slug, tenant_id=namespace.tenant_id)
    return namespace


def delete_namespace(*, namespace: ConfigNamespace, by: Actor) -> None:
    """Delete a namespace in which nothing is in force or being edited.

    Raises:
        NotEmpty: it has items, or is one that is always there.
    """
    if namespace.slug == PUBLIC or (namespace.tenant_id is None and namespace.slug == MODULES):
        raise NotEmpty(_("This namespace can't be deleted."))
    with transaction.atomic():
        # Locked, so that no publish puts a text back while the items are looked at.
        items = list(ConfigItem.objects.select_for_update().filter(namespace=namespace))
        if any(item.current_id or item.gray_id or item.draft is not None for item in items):
            raise NotEmpty(_("This namespace still has items. Remove them first."))
        ConfigItem.objects.filter(namespace=namespace).delete()
        namespace.delete()
        audit.record(by=by, action=Action.NAMESPACE_DELETE, target=namespace.slug, tenant_id=namespace.tenant_id)


def name_of(item: ConfigItem) -> str:
    """Name an item as audit and messages do: `retry_policy`, `retry_policy@shop`, `public/GROUP/app.yaml`."""
    if item.override_of is not None:
        return f"{item.data_id}@{item.override_of.slug}"
    if _is_module(item):
        return item.data_id
    return f"{item.namespace.slug}/{item.group}/{item.data_id}"


def effective(item: ConfigItem) -> str:
    """Return the text in force for all, not looking at a gray release: the defaults where none was published."""
    return item.current.content if item.current else defaults(item)
