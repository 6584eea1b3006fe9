"""What Nacos clients do with items: get, publish, remove, list, history. All of it through the services that the console uses."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import models, transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from accounts.services.audit import Actor
from configcenter import hot
from configcenter.models import MODULES, ConfigItem, ConfigNamespace, ConfigRelease, ConfigState, Format, ReleaseAction
from configcenter.nacos import protocol
from configcenter.nacos.clients import Client, addresses_in, label_of
from configcenter.nacos.identity import Who
from configcenter.services import items, releases
from configcenter.services.changes import md5_of
from configcenter.services.namespaces import Place, name, place, writable
from configcenter.services.validation import defaults
from posthaste.lib.crypto import LostText, Undecryptable
from posthaste.lib.problems import Invalid, NotFound

COMMENT = "Nacos client"


@dataclass(frozen=True, slots=True)
class Shown:
    """The text of one item that a client is shown."""

    content: str
    md5: str
    format: str
    at: datetime | None  # None: the defaults of a module
    author: str = ""
    description: str = ""
    pk: int = 0
    is_encrypted: bool = False


def _readable(shown: Shown) -> Shown:
    if isinstance(shown.content, LostText):
        raise Undecryptable
    return shown


@dataclass(frozen=True, slots=True)
class InForce:
    """What is in force of one item (None: nothing), and a gray release with those it is for."""

    shown: Shown | None
    gray: Shown | None = None
    labels: tuple[str, ...] = ()
    percent: int = 0

    def of(self, client: Client, group: str, data_id: str) -> Shown:
        """Return what a client is to have.

        Raises:
            NotFound: nothing is in force for it.
            Undecryptable: it can't be decrypted.
        """
        if self.gray is not None and client.takes_part(item=f"{group}/{data_id}", labels=self.labels, percent=self.percent):
            return _readable(self.gray)
        if self.shown is None:
            raise NotFound(_("config data not exist"))
        return _readable(self.shown)


def default_of(found: Place, group: str, data_id: str) -> str | None:
    """Return a module's defaults as text, where these names are a module's: in force until something is published."""
    if not found.holds_modules or group != MODULES or data_id not in {handle.name for handle in hot.modules()}:
        return None
    return defaults(ConfigItem(namespace=ConfigNamespace(slug=MODULES), group=MODULES, data_id=data_id))


def _rows(found: Place) -> "models.QuerySet[ConfigItem]":
    rows = ConfigItem.objects.filter(Q(namespace__tenant_id=found.tenant_id), namespace__slug=found.slug, override_of=None)
    return rows.select_related("current", "gray")


def _shown(item: ConfigItem, release: ConfigRelease) -> Shown:
    words = release.author, item.description
    return Shown(release.content, release.md5, item.format, release.at, *words, item.pk, is_encrypted=item.is_encrypted)


def in_force(found: Place, group: str, data_id: str) -> InForce:
    """Return the texts that are in force, for all and for some. Gray releases of modules are for the product's own processes."""
    item = _rows(found).filter(group=group, data_id=data_id).first()
    if item is None or item.current is None:
        text = default_of(found, group, data_id)
        current = None if text is None else Shown(text, md5_of(text), Format.JSON, None)
    else:
        current = _shown(item, item.current)
    if item is None or item.gray is None or found.holds_modules:
        return InForce(current)
    return InForce(current, _shown(item, item.gray), tuple(item.gray_labels), item.gray_percent)


def publish(*, who: Who, fields: Mapping[str, str], ip: str, addresses: Sequence[str] = ()) -> None:
    """Publish a text, making the item when it is new. The same text again changes nothing, and is no error.

    `casMd5`, where it is given, must be the fingerprint of what is in force. `addresses` are those of the clients that it
    is for (a beta); empty: all.

    Raises:
        Invalid: a name is none, the namespace does not exist, or the content is not of the item's type.
        Conflict: something else is in force than `casMd5` says, or a gray release is running.
    """
    group, data_id, content = protocol.group(fields), protocol.data_id(fields), protocol.content(fields)
    kind = protocol.FORMATS.get(fields.get("type", "").strip().lower())
    namespace = _writable(who, fields)
    description = fields.get("desc", "").strip() or None
    with transaction.atomic():  # an item that is made for a text that proves wrong is not kept
        # The lock that puts publishes in order, before any other: no publish comes between this check and the write.
        list(ConfigState.objects.select_for_update().filter(pk=ConfigState.ONLY))
        item = _item(who, namespace, group, data_id, kind or Format.TEXT, ip)
        if addresses:
            _publish_beta(item, content, addresses, who.by(ip))
            return
        try:
            releases.publish(item=item, content=content, comment=COMMENT, by=who.by(ip), if_md5=fields.get("casMd5") or None, format=kind)
        except releases.NothingToPublish:
            items.change_item(item=item, format=kind, by=who.by(ip))
        if description is not None:
            items.change_item(item=item, description=description, by=who.by(ip))


def _writable(who: Who, fields: Mapping[str, str]) -> ConfigNamespace:
    """Return the namespace of a write. Clients take 404 for success, so a missing one is a wrong field."""
    try:
        return writable(who, protocol.tenant(fields))
    except NotFound as error:
        raise Invalid.field("tenant", str(error.detail), "not_found") from None


# --- beta, which is a gray release by address ------------------------------------------------------------------------


def _is_beta(item: ConfigItem) -> bool:
    """Return whether the running gray release is only for addresses, as a Nacos client begins one."""
    return item.gray is not None and not item.gray_percent and len(addresses_in(item.gray_labels)) == len(item.gray_labels)


def _publish_beta(item: ConfigItem, content: str, addresses: Sequence[str], by: Actor) -> None:
    """Begin a gray release for addresses. One that is for addresses already is replaced, as in Nacos.

    Raises:
        GrayRunning: one with other labels or a percentage is running, which was not begun by a Nacos client.
    """
    labels = sorted({label_of(address) for address in addresses})
    if _is_beta(item):
        assert item.gray is not None
        if item.gray.content == content:
            if item.gray_labels != labels:
                releases.widen_gray(item=item, labels=labels, percent=0, by=by)
            return
        releases.abandon_gray(item=item, comment=COMMENT, by=by)
    try:
        releases.start_gray(item=item, content=content, labels=labels, percent=0, comment=COMMENT, by=by)
    except releases.NothingToPublish:
        pass  # the same is in force for all


def beta(*, who: Who, fields: Mapping[str, str]) -> dict[str, Any]:
    """Return the running beta of an item: its text, and the addresses it is for.

    Raises:
        NotFound: none is running.
    """
    found = place(who, protocol.tenant(fields))
    group, data_id = protocol.group(fields), protocol.data_id(fields)
    item = None if found.holds_modules else _rows(found).filter(group=group, data_id=data_id).first()
    if item is None or item.gray is None:
        raise NotFound(_("No gray release of this item is running."))
    text = None if item.is_encrypted else item.gray.content
    own = {"id": str(item.pk), "appName": "", "content": text, "md5": item.gray.md5, "type": item.format}
    return {**_names(who, found, item), **own, "betaIps": ",".join(addresses_in(item.gray_labels))}


def stop_beta(*, who: Who, fields: Mapping[str, str], ip: str) -> None:
    """End the beta of an item: what is in force for all stays as it is. That none is running is no error.

    Raises:
        GrayRunning: one with other labels or a percentage is running.
    """
    group, data_id = protocol.group(fields), protocol.data_id(fields)
    namespace = _writable(who, fields)
    with transaction.atomic():
        list(ConfigState.objects.select_for_update().filter(pk=ConfigState.ONLY))
        try:
            item = items.get_item(namespace=namespace, group=group, data_id=data_id)
            if item.gray is not None and not _is_beta(item):
                raise releases.GrayRunning(_("This gray release was not begun by a Nacos client. Promote or abandon it in the console."))
            releases.abandon_gray(item=item, comment=COMMENT, by=who.by(ip))
        except (NotFound, releases.NoGray):
            pass


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
    namespace = _writable(who, fields)
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
    found = place(who, protocol.tenant(fields))
    rows = _rows(found).exclude(current=None).order_by("group", "data_id")
    for field, written in (("data_id", fields.get("dataId", "").strip()), ("group", fields.get("group", "").strip())):
        if written:
            rows = rows.filter(_like(field, written) if fields.get("search") == "blur" else Q(**{field: written}))
    start = (number - 1) * size
    shown = [
        {
            **_names(who, found, item),
            "id": str(item.pk),
            "content": None if item.is_encrypted else item.current.content,
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
    found = place(who, protocol.tenant(fields))
    rows = ConfigRelease.objects.filter(
        item__in=_rows(found).filter(group=protocol.group(fields), data_id=protocol.data_id(fields)).values("pk")
    ).select_related("item")
    if fields.get("nid"):
        release = rows.filter(pk=protocol.whole(fields, "nid", 1, 10**9)).first()
        if release is None:
            raise NotFound(_("There is no such release."))
        return protocol.json(
            _entry(who, found, release)
            | {"content": None if release.is_encrypted or isinstance(release.content, LostText) else release.content}
        )
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
