"""What Nacos clients do with items: get, publish, remove, list, history. All of it through the services that the console uses."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import models, transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from configcenter import hot
from configcenter.models import MODULES, ConfigItem, ConfigNamespace, ConfigRelease, ConfigState, Format, ReleaseAction
from configcenter.nacos import protocol
from configcenter.nacos.identity import Who
from configcenter.services import items, releases
from configcenter.services.changes import md5_of
from configcenter.services.namespaces import Place, name, place, writable
from configcenter.services.validation import defaults
from posthaste.lib.problems import NotFound

COMMENT = "Nacos client"


@dataclass(frozen=True, slots=True)
class Shown:
    """The text in force of one item."""

    content: str
    md5: str
    format: str
    at: datetime | None  # None: the defaults of a module
    author: str = ""
    description: str = ""
    pk: int = 0


def default_of(found: Place, group: str, data_id: str) -> str | None:
    """Return a module's defaults as text, where these names are a module's: in force until something is published."""
    if not found.holds_modules or group != MODULES or data_id not in {handle.name for handle in hot.modules()}:
        return None
    return defaults(ConfigItem(namespace=ConfigNamespace(slug=MODULES), group=MODULES, data_id=data_id))


def _rows(found: Place) -> "models.QuerySet[ConfigItem]":
    rows = ConfigItem.objects.filter(Q(namespace__tenant_id=found.tenant_id), namespace__slug=found.slug, override_of=None)
    return rows.select_related("current")


def in_force(found: Place, group: str, data_id: str) -> Shown:
    """Return the text that is in force.

    Raises:
        NotFound: nothing of that name is in force there.
    """
    item = _rows(found).filter(group=group, data_id=data_id).first()
    if item is not None and item.current is not None:
        release = item.current
        return Shown(release.content, release.md5, item.format, release.at, release.author, item.description, item.pk)
    text = default_of(found, group, data_id)
    if text is None:
        raise NotFound(_("config data not exist"))
    return Shown(text, md5_of(text), Format.JSON, None)


def publish(*, who: Who, fields: Mapping[str, str], ip: str) -> None:
    """Publish a text, making the item when it is new. The same text again changes nothing, and is no error.

    `casMd5`, where it is given, must be the fingerprint of what is in force.

    Raises:
        Invalid: a name is none, or the content is not of the item's type.
        Conflict: something else is in force than `casMd5` says, or a gray release is running.
    """
    group, data_id, content = protocol.group(fields), protocol.data_id(fields), protocol.content(fields)
    kind = protocol.FORMATS.get(fields.get("type", "").strip().lower())
    namespace = writable(who, fields.get("tenant", ""))
    with transaction.atomic():  # an item that is made for a text that proves wrong is not kept
        # The lock that puts publishes in order, before any other: no publish comes between this check and the write.
        list(ConfigState.objects.select_for_update().filter(pk=ConfigState.ONLY))
        item = _item(who, namespace, group, data_id, kind or Format.TEXT, ip)
        try:
            releases.publish(item=item, content=content, comment=COMMENT, by=who.by(ip), if_md5=fields.get("casMd5") or None, format=kind)
        except releases.NothingToPublish:
            items.change_item(item=item, format=kind, by=who.by(ip))


def _item(who: Who, namespace: ConfigNamespace, group: str, data_id: str, kind: Format, ip: str) -> ConfigItem:
    own: dict[str, Any] = {"namespace": namespace, "group": group, "data_id": data_id}
    try:
        return items.get_item(**own)
    except NotFound:
        pass
    try:
        return items.create_item(**own, format=kind, by=who.by(ip))
    except items.Exists:  # another request was quicker
        return items.get_item(**own)


def remove(*, who: Who, fields: Mapping[str, str], ip: str) -> None:
    """Take an item out of force. That there is none is no error."""
    group, data_id = protocol.group(fields), protocol.data_id(fields)
    namespace = writable(who, fields.get("tenant", ""))
    try:
        item = items.get_item(namespace=namespace, group=group, data_id=data_id)
        releases.remove(item=item, comment=COMMENT, by=who.by(ip))
    except (NotFound, releases.NothingToPublish):
        pass


# --- lists ---------------------------------------------------------------------------------------------------------


def _like(field: str, pattern: str) -> Q:
    """Nacos' `*x*`: anything may stand where the asterisk is, at the beginning, the end or both."""
    bare = pattern.strip("*")
    if not bare:
        return Q()
    how = {(True, True): "contains", (True, False): "endswith", (False, True): "startswith", (False, False): "exact"}
    return Q(**{f"{field}__{how[pattern.startswith('*'), pattern.endswith('*')]}": bare})


def listing(*, who: Who, fields: Mapping[str, str]) -> protocol.Answer:
    """List items of a namespace, page by page: `search=accurate` by whole names, `search=blur` by parts of them."""
    number, size = protocol.whole(fields, "pageNo", 1, 1_000_000), protocol.whole(fields, "pageSize", 100, 500)
    found = place(who, fields.get("tenant", ""))
    rows = _rows(found).exclude(current=None).order_by("group", "data_id")
    for field, written in (("data_id", fields.get("dataId", "").strip()), ("group", fields.get("group", "").strip())):
        if written:
            rows = rows.filter(_like(field, written) if fields.get("search") == "blur" else Q(**{field: written}))
    start = (number - 1) * size
    shown = [
        {
            **_names(who, found, item),
            "id": str(item.pk),
            "content": item.current.content,
            "md5": item.current.md5,
            "encryptedDataKey": None,
            "appName": "",
            "type": item.format,
        }
        for item in rows[start : start + size]
        if item.current is not None
    ]
    return protocol.page(shown, total=rows.count(), number=number, size=size)


def _names(who: Who, found: Place, item: ConfigItem) -> dict[str, str]:
    return {"dataId": item.data_id, "group": item.group, "tenant": name(who, found)}


def history(*, who: Who, fields: Mapping[str, str]) -> protocol.Answer:
    """List the releases of an item, newest first, or show one (`nid`).

    Raises:
        NotFound: there is no such release where the caller looks.
    """
    found = place(who, fields.get("tenant", ""))
    rows = ConfigRelease.objects.filter(
        item__in=_rows(found).filter(group=protocol.group(fields), data_id=protocol.data_id(fields)).values("pk")
    ).select_related("item")
    if fields.get("nid"):
        release = rows.filter(pk=protocol.whole(fields, "nid", 1, 10**9)).first()
        if release is None:
            raise NotFound(_("There is no such release."))
        return protocol.json(_entry(who, found, release) | {"content": release.content})
    number, size = protocol.whole(fields, "pageNo", 1, 1_000_000), protocol.whole(fields, "pageSize", 100, 500)
    start = (number - 1) * size
    shown = [_entry(who, found, release) for release in rows.order_by("-number")[start : start + size]]
    return protocol.page(shown, total=rows.count(), number=number, size=size)


def _entry(who: Who, found: Place, release: ConfigRelease) -> dict[str, Any]:
    kind = "D" if release.action == ReleaseAction.REMOVE else "I" if release.number == 1 else "U"
    at = release.at.isoformat(timespec="milliseconds")
    own = {
        "id": str(release.pk),
        "lastId": -1,
        "appName": "",
        "md5": release.md5,
        "content": None,
        "srcIp": None,
        "srcUser": release.author,
    }
    return {**_names(who, found, release.item), **own, "opType": kind, "createdTime": at, "lastModifiedTime": at}
