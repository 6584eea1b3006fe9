"""What people ask of the configuration: how things stand, what there was, how two versions differ."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import orjson
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from accounts.selectors import Tenant, tenant_slugs
from configcenter import hot
from configcenter.models import MODULES, ConfigItem, ConfigNamespace, ConfigRelease
from configcenter.services import instances, listeners, validation
from configcenter.services.instances import Instance
from configcenter.services.listeners import Listening
from configcenter.services.namespaces import Reader
from posthaste.lib import redis
from posthaste.lib.crypto import LostText
from posthaste.lib.line_differences import Line, diff
from posthaste.lib.problems import Conflict, Invalid, NotFound

__all__ = [
    "MASK",
    "Line",
    "ModuleState",
    "NotCompared",
    "diff",
    "everything",
    "free_items",
    "history",
    "invalid_drafts",
    "is_undecryptable",
    "json_schema",
    "listening",
    "live_instances",
    "module_overview",
    "module_state",
    "must_compare",
    "namespaces",
    "overrides",
    "published_between",
    "reached_items",
    "reached_namespaces",
    "release",
    "reported_instances",
    "shown_text",
    "takes_part",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class ModuleState:
    """The state of a module: what is in force, what is being edited, and who runs what.

    `running` of `expected` instances run what they should: the gray release where it is for them, the released one elsewhere.
    `slowest_ms` is the longest time from publishing to running, None if none was measured. `errors` are reported by instances that
    could not apply it. `release` is None while the defaults are in force.
    """

    handle: "hot.Handle[Any]"
    item: ConfigItem | None
    release: ConfigRelease | None
    gray: ConfigRelease | None
    has_draft: bool
    expected: int
    running: int
    on_gray: int
    slowest_ms: int | None
    errors: dict[str, str]

    @property
    def number(self) -> int:
        return self.release.number if self.release else 0

    @property
    def at(self) -> datetime | None:
        return self.release.at if self.release else None

    @property
    def author(self) -> str:
        return self.release.author if self.release else ""


def live_instances(overrides: Sequence[ConfigItem] = ()) -> list[Instance] | None:
    """Return the processes that are alive, with the versions of these overrides that they run; None if Redis is away."""
    try:
        keys = [instances.key_of(item.data_id, item.override_of_id) for item in overrides if item.override_of_id is not None]
        return instances.with_overrides(instances.live(), keys)
    except redis.Unavailable:
        return None


def reported_instances() -> list[dict[str, Any]]:
    """Return what every process that is alive told, as plain data, with tenants by their short names.

    Raises:
        posthaste.lib.redis.Unavailable: Redis is away.
    """
    found = instances.with_overrides(instances.live())
    ids = {int(key.partition("@")[2]) for each in found for key in (*each.overrides, *each.errors) if "@" in key}
    slugs = tenant_slugs(ids)

    def named(reported: dict[str, Any]) -> dict[str, Any]:
        return {_named(key, slugs): value for key, value in reported.items()}

    return [(reported := asdict(each)) | {name: named(reported[name]) for name in ("overrides", "errors")} for each in found]


def _named(key: str, slugs: Mapping[int, str]) -> str:
    module, at, tenant = key.partition("@")
    return f"{module}@{slugs.get(int(tenant), tenant)}" if at else module


def _items(**where: Any) -> "QuerySet[ConfigItem]":
    rows = ConfigItem.objects.filter(namespace__slug=MODULES, namespace__tenant=None, group=MODULES, **where)
    return rows.select_related("namespace", "current", "gray", "override_of")


def _state(handle: "hot.Handle[Any]", item: ConfigItem | None, live: list[Instance]) -> ModuleState:
    current, gray = (item.current, item.gray) if item else (None, None)
    fits, on_gray, lags = 0, 0, []
    for instance in live:
        version = instance.versions.get(handle.name)
        wanted = current
        if item and gray and takes_part(instance, item, labels=item.gray_labels, percent=item.gray_percent):
            wanted = gray
        if version and (version.number, version.md5) == ((wanted.number, wanted.md5) if wanted else (0, "")):
            fits += 1
            on_gray += wanted is not None and wanted == gray
            if version.lag_ms is not None:
                lags.append(version.lag_ms)
    return ModuleState(
        handle=handle,
        item=item,
        release=current,
        gray=gray,
        has_draft=bool(item and item.draft is not None),
        expected=len(live),
        running=fits,
        on_gray=on_gray,
        slowest_ms=max(lags, default=None),
        errors={instance.id: wrong for instance in live if (wrong := instances.errors_of(instance, handle.name))},
    )


def takes_part(instance: Instance, item: ConfigItem, *, labels: list[str], percent: int) -> bool:
    """Return whether a gray release of an item with this spread is for an instance."""
    who = instances.Identity(instance.host, instance.kind, tuple(instance.labels))
    return who.takes_part(item=instances.key_of(item.data_id, item.override_of_id), labels=labels, percent=percent)


def module_overview(live: list[Instance] | None = None) -> list[ModuleState]:
    """Return the state of each module in display order; pass `live` to spare a read from Redis."""
    found = {item.data_id: item for item in _items(override_of=None)}
    seen = (live_instances() if live is None else live) or []
    return [_state(handle, found.get(handle.name), seen) for handle in hot.modules()]


def module_state(name: str, live: list[Instance] | None = None) -> ModuleState:
    """Return the state of one module.

    Raises:
        NotFound: there is none of that name.
    """
    try:
        handle = hot.module(name)
    except KeyError:
        raise NotFound(_("There is no module {name}.").format(name=name)) from None
    seen = (live_instances() if live is None else live) or []
    return _state(handle, _items(override_of=None, data_id=name).first(), seen)


def overrides(name: str) -> "QuerySet[ConfigItem]":
    """Return the tenants' overrides of a module that are in force or being edited."""
    used = Q(current__isnull=False) | Q(gray__isnull=False) | Q(draft__isnull=False)
    return _items(data_id=name, override_of__isnull=False).filter(used).order_by("override_of__slug")


MAX_DRAFTS = 50  # are checked at once


def invalid_drafts() -> list[tuple[ConfigItem, str]]:
    """Return the modules and overrides whose drafts could not be published as they are, each with what is wrong first."""
    found = []
    for item in _items(draft__isnull=False).order_by("draft_at")[:MAX_DRAFTS]:
        try:
            validation.validate(item, item.draft or "")
        except Invalid as problem:
            errors = problem.errors
            found.append((item, str(errors[0]["message"]) if errors else str(problem.detail)))
    return found


def namespaces(tenant: Tenant | None) -> "QuerySet[ConfigNamespace]":
    """Return the drawers for free-form items of a tenant or of the installation."""
    return ConfigNamespace.objects.filter(tenant=tenant).exclude(tenant=None, slug=MODULES)


def free_items(tenant_id: int | None) -> "QuerySet[ConfigItem]":
    """Return the free-form items of a tenant or of the installation that are in force or being edited."""
    used = Q(current__isnull=False) | Q(gray__isnull=False) | Q(draft__isnull=False)
    whose = Q(namespace__tenant=None) if tenant_id is None else Q(namespace__tenant_id=tenant_id)
    rows = ConfigItem.objects.filter(used, whose).exclude(namespace__slug=MODULES, namespace__tenant=None)
    return rows.select_related("namespace", "current", "gray", "override_of")


def reached_namespaces(who: Reader) -> "QuerySet[ConfigNamespace]":
    """Return the drawers that a caller reaches: its tenant's, and the installation's where that is its business."""
    own = Q(tenant_id=who.tenant_id) if who.tenant_id is not None else Q(pk=None)
    whose = own | Q(tenant=None) if who.reaches_installation else own
    return ConfigNamespace.objects.filter(whose).exclude(tenant=None, slug=MODULES)


def reached_items(who: Reader) -> "QuerySet[ConfigItem]":
    """Return the free-form items that a caller reaches, in force or not."""
    rows = ConfigItem.objects.filter(namespace__in=reached_namespaces(who), override_of=None)
    return rows.select_related("namespace", "current", "gray", "override_of")


def everything(tenant_id: int | None = None) -> "QuerySet[ConfigItem]":
    """Return all items in force, modules and free-form ones: of everybody, or what is a tenant's own."""
    rows = ConfigItem.objects.filter(current__isnull=False)
    rows = rows.select_related("namespace__tenant", "current", "gray", "override_of")
    return rows if tenant_id is None else rows.filter(Q(override_of_id=tenant_id) | Q(namespace__tenant_id=tenant_id))


def _releases(item: ConfigItem) -> "QuerySet[ConfigRelease]":
    return ConfigRelease.objects.filter(item_id=item.pk)  # none of a module that is not stored yet


def history(item: ConfigItem) -> "QuerySet[ConfigRelease]":
    """Return the releases of an item, the newest first."""
    return _releases(item).select_related("based_on").order_by("-number")


#: What is shown in place of a text of an encrypted item.
MASK = "••••••"


def shown_text(item: ConfigItem, text: str) -> str:
    """Return a text of an item as people, lists and history show it: masked where the item is encrypted."""
    if isinstance(text, LostText):
        return _("(can't be decrypted)")
    return MASK if item.is_encrypted and text else text


def is_undecryptable(item: ConfigItem) -> bool:
    """Return whether a text of an item, in force or being edited, was encrypted with a key that is not there."""
    texts = item.draft, item.current and item.current.content, item.gray and item.gray.content
    return any(isinstance(text, LostText) for text in texts)


class NotCompared(Conflict):
    """The texts of an encrypted item are shown nowhere, so they can't be compared either."""

    code = "encrypted"


def must_compare(item: ConfigItem) -> None:
    """Let those pass who want to compare texts of an item that is not encrypted.

    Raises:
        NotCompared: it is encrypted.
    """
    if item.is_encrypted:
        raise NotCompared(_("The texts of an encrypted item can't be compared."))


def release(item: ConfigItem, number: int) -> ConfigRelease:
    """Return one release.

    Raises:
        NotFound: there is none, or it was forgotten.
    """
    found = _releases(item).filter(number=number).first()
    if found is None:
        raise NotFound(_("This item has no version {number}. Old versions are removed after a month.").format(number=number))
    return found


def listening(item: ConfigItem) -> Listening:
    """Return the Nacos clients that listen to an item.

    Raises:
        posthaste.lib.redis.Unavailable: Redis is away.
    """
    place = item.namespace
    return listeners.listening(tenant_id=place.tenant_id, slug=place.slug, group=item.group, data_id=item.data_id)


def json_schema(handle: "hot.Handle[Any]") -> dict[str, Any]:
    """Describe a module as JSON Schema, with its words in the reader's language."""

    def translated(value: Any) -> Any:
        if isinstance(value, list):
            return [translated(entry) for entry in value]
        if not isinstance(value, dict):
            return value
        found = {name: translated(inner) for name, inner in value.items()}
        for name in ("title", "description", "unit"):
            if isinstance(found.get(name), str) and found[name]:
                found[name] = _(" ".join(found[name].split()) if name == "description" else found[name])
        return found

    schema: dict[str, Any] = translated(orjson.loads(orjson.dumps(handle.model.model_json_schema())))
    return schema | {"title": _(handle.title), "description": _(handle.purpose)}


def published_between(since: datetime, until: datetime, *, limit: int) -> list[dict[str, Any]]:
    """Return the releases of the installation's modules in a span of time, the newest first."""
    modules = {"item__namespace__tenant": None, "item__namespace__slug": MODULES, "item__group": MODULES, "item__override_of": None}
    rows = ConfigRelease.objects.filter(at__gt=since, at__lte=until, **modules).select_related("item")
    return [
        {"module": row.item.data_id, "number": row.number, "action": row.action, "author": row.author, "comment": row.comment, "at": row.at}
        for row in rows.order_by("-at")[:limit]
    ]
