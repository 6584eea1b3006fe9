"""Export configuration to a file and import it into another installation."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import orjson
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.selectors import Tenant, tenant_by_slug
from accounts.services.audit import Actor
from configcenter.models import MODULES, PUBLIC, ConfigItem, ConfigNamespace, Format
from configcenter.services import items as config_items
from configcenter.services import releases
from configcenter.services.changes import md5_of
from configcenter.services.items import checked_format
from configcenter.services.validation import canonical, handle_of, validate
from posthaste.lib.json_syntax import why_malformed
from posthaste.lib.problems import Conflict, Invalid, NotFound, Problem, bounded

KIND, VERSION = "posthaste-configuration", 1
MAX_ITEMS = 10_000
MAX_ITEM_ERRORS = 10  # that are told of one item
Policy = Literal["skip", "overwrite", "abort"]
POLICIES: tuple[Policy, ...] = ("skip", "overwrite", "abort")


class ImportConflict(Conflict):
    """Items in the file differ from the versions in force. `items` lists them. Nothing was imported."""

    code = "import_conflict"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became, or would become, of one item of a file."""

    item: str
    outcome: Literal["created", "updated", "unchanged", "skipped", "invalid", "conflict"]
    version: int | None = None
    errors: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import did, or would do."""

    is_dry_run: bool
    items: list[Outcome]

    def count(self, outcome: str) -> int:
        """Count the items of one outcome."""
        return sum(entry.outcome == outcome for entry in self.items)


def export(*, items: Iterable[ConfigItem]) -> bytes:
    """Write what is in force of the items as one JSON document; drafts, history and the texts of encrypted items stay here."""
    written = []
    for item in items:
        if item.current is None:
            continue
        tenant = item.override_of or item.namespace.tenant
        written.append(
            {
                "namespace": item.namespace.slug,
                "tenant": tenant.slug if tenant else None,
                "group": item.group,
                "data_id": item.data_id,
                "format": item.format,
                "description": item.description,
                "version": item.current.number,
                "is_encrypted": item.is_encrypted,
                # The file is in the clear: it has no texts of encrypted items.
                "md5": None if item.is_encrypted else item.current.md5,
                "content": None if item.is_encrypted else item.current.content,
            }
        )
    document = {"kind": KIND, "version": VERSION, "exported_at": timezone.now(), "items": written}
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def import_(
    *,
    data: bytes,
    policy: str,
    dry_run: bool,
    by: Actor,
    now: datetime | None = None,
    only_tenant: Tenant | None = None,
    comment: str = "",
) -> ImportReport:
    """Publish the items of a file, all or none: if one is invalid, nothing is imported.

    `policy` decides what happens to an item that differs from what is in force: skip it, overwrite it, or abort the import.
    `only_tenant` limits the import to one tenant's own items. `dry_run` reports what would happen and changes nothing.

    Raises:
        Invalid: it is no such file, or items of it are not valid.
        ImportConflict: by the policy `abort`.
    """
    if policy not in POLICIES:
        raise Invalid.field("policy", _("Must be one of {expected}.").format(expected=", ".join(POLICIES)))
    entries = _read(data)
    outcomes: list[Outcome] = []
    with transaction.atomic():
        for index, entry in enumerate(entries):
            try:
                # A savepoint each: what an invalid item made is taken back, and the others are looked at all the same.
                with transaction.atomic():
                    outcomes.append(_import_one(entry, policy, by, now, only_tenant, comment))
            except Problem as error:
                if not isinstance(error, Invalid | NotFound | Conflict):
                    raise
                outcomes.append(Outcome(_name(entry), "invalid", errors=_errors(index, error)))
        if dry_run:
            transaction.set_rollback(True)
        else:
            _all_or_nothing(outcomes)
    return ImportReport(dry_run, outcomes)


def _all_or_nothing(outcomes: list[Outcome]) -> None:
    wrong = [error for outcome in outcomes for error in outcome.errors]
    if wrong:
        raise Invalid(_("Nothing was imported."), errors=wrong)
    conflicts = [outcome.item for outcome in outcomes if outcome.outcome == "conflict"]
    if conflicts:
        raise ImportConflict(
            _("{count} items differ from the versions in force. Nothing was imported. Choose to skip or overwrite them.").format(
                count=len(conflicts)
            ),
            items=conflicts[:100],
        )


def _read(data: bytes) -> list[dict[str, Any]]:
    try:
        document = orjson.loads(data)
    except orjson.JSONDecodeError:
        raise Invalid.field("", why_malformed(data), "malformed") from None
    if not isinstance(document, dict) or document.get("kind") != KIND or not isinstance(document.get("items"), list):
        raise Invalid.field("", _("This is not a configuration exported by Posthaste."), "malformed")
    if document.get("version") != VERSION:
        raise Invalid.field("version", _("This file version is not supported. Export it again."))
    entries: list[dict[str, Any]] = document["items"]
    if len(entries) > MAX_ITEMS:
        raise Invalid.field("items", _("At most {n} items.").format(n=MAX_ITEMS), "too_long")
    for index, entry in enumerate(entries):
        if not isinstance(entry, dict):
            raise Invalid.field(f"items[{index}]", _("Must be an object."))
        if not isinstance(entry.get("is_encrypted", False), bool):
            raise Invalid.field(f"items[{index}].is_encrypted", _("Must be true or false."))
        for name in ("namespace", "group", "data_id", *(() if _is_masked(entry) else ("content",))):
            if not isinstance(entry.get(name), str):
                raise Invalid.field(f"items[{index}].{name}", _("Must be a text."))
        for name in ("format", "description", "tenant", "md5"):
            if not isinstance(entry.get(name), str | None):
                raise Invalid.field(f"items[{index}].{name}", _("Must be a text."))
        if entry.get("md5") and not _is_masked(entry) and md5_of(entry["content"]) != entry["md5"]:
            raise Invalid.field(
                f"items[{index}].md5", _("Does not match the content. The file was damaged or edited; omit this field to import it anyway.")
            )
    return entries


def _is_masked(entry: dict[str, Any]) -> bool:
    """Return whether an entry is of an encrypted item and was exported without its text."""
    return bool(entry.get("is_encrypted")) and entry.get("content") is None


def _is_module(entry: dict[str, Any]) -> bool:
    return bool(entry["namespace"] == entry["group"] == MODULES)


def _name(entry: dict[str, Any]) -> str:
    tenant = f"@{entry['tenant']}" if entry.get("tenant") else ""
    if _is_module(entry):
        return f"{entry['data_id']}{tenant}"
    return f"{entry['namespace']}/{entry['group']}/{entry['data_id']}{tenant}"


def _errors(index: int, error: Problem) -> list[dict[str, Any]]:
    if not error.errors:
        return [{"field": f"items[{index}]", "code": error.code, "message": str(error.detail or error.title)}]
    told = bounded(error.errors, max_errors=MAX_ITEM_ERRORS)
    return [{**entry, "field": f"items[{index}].{entry['field']}".rstrip(".")} for entry in told]


def _find(entry: dict[str, Any], only_tenant: Tenant | None, by: Actor) -> ConfigItem:
    """Return the item of an entry, creating it if there is none."""
    tenant = None
    if slug := entry.get("tenant"):
        tenant = tenant_by_slug(slug)
        if tenant is None:
            raise NotFound(_("There is no tenant {slug} here.").format(slug=slug))
    if only_tenant is not None:
        if tenant is not None and tenant.pk != only_tenant.pk:
            raise NotFound(_("There is no tenant {slug} here.").format(slug=tenant.slug))
        if tenant is None:
            raise NotFound(_("This belongs to the installation, not to a tenant."))
    if _is_module(entry):
        return config_items.module_item(entry["data_id"], tenant=tenant)
    namespace = ConfigNamespace.objects.filter(tenant=tenant, slug=entry["namespace"]).first()
    if namespace is None and entry["namespace"] == PUBLIC:
        namespace = config_items.default_namespace(tenant)
    if namespace is None:
        try:
            namespace = config_items.create_namespace(tenant=tenant, slug=entry["namespace"], name="", by=by)
        except Invalid as error:
            raise error.renamed({"slug": "namespace"}) from None
    try:
        return config_items.get_item(namespace=namespace, group=entry["group"], data_id=entry["data_id"])
    except NotFound:
        return config_items.create_item(
            namespace=namespace,
            group=entry["group"],
            data_id=entry["data_id"],
            format=entry.get("format") or Format.TEXT,
            description=entry.get("description") or "",
            is_encrypted=bool(entry.get("is_encrypted")),
            by=by,
        )


def _import_one(entry: dict[str, Any], policy: str, by: Actor, now: datetime | None, only_tenant: Tenant | None, comment: str) -> Outcome:
    if _is_masked(entry) and not _is_module(entry):
        return Outcome(_name(entry), "skipped")
    item = _find(entry, only_tenant, by)
    if entry.get("is_encrypted") and not item.is_encrypted:  # refused for a module
        item = config_items.change_item(item=item, is_encrypted=True, by=by)
    kind = None  # of a free-form item, where the file tells one: its text is written in it
    if handle_of(item) is None and entry.get("format"):
        kind = checked_format(entry["format"])
    has_other_format, item.format = kind is not None and kind != item.format, kind or item.format
    content = canonical(item, entry["content"])
    validate(item, content)
    name = config_items.name_of(item)
    if item.current is not None:
        has_same_text = item.current.content == content
        if has_same_text and not has_other_format:
            return Outcome(name, "unchanged", item.current.number)
        if policy != "overwrite":
            return Outcome(name, "skipped" if policy == "skip" else "conflict", item.current.number)
        if has_same_text:
            config_items.change_item(item=item, format=kind, by=by)
            return Outcome(name, "updated", item.current.number)
    made = releases.publish(
        item=item,
        content=content,
        comment=comment or _("Imported"),
        by=by,
        format=kind,
        now=now,
        is_import=True,
    )
    return Outcome(name, "created" if made.based_on is None else "updated", made.number)
