"""The fingerprints (md5) of what is in force, as the database has them. Called in threads."""

from collections.abc import Iterable
from typing import NamedTuple

from django.db.models import Q

from configcenter.models import ConfigItem, ConfigRelease, ConfigState
from configcenter.nacos.clients import Client
from configcenter.nacos.items import default_of
from configcenter.services.changes import md5_of
from configcenter.services.namespaces import Place

KEYS_A_QUERY = 500


class Key(NamedTuple):
    """What is listened to, whether it exists or not."""

    tenant_id: int | None
    slug: str
    group: str
    data_id: str

    @property
    def item(self) -> str:
        """Its name where instances are drawn for a gray release."""
        return f"{self.group}/{self.data_id}"


class Fingerprint(NamedTuple):
    """The md5 of the text in force ("": none is), and of a gray release with those it is for."""

    md5: str = ""
    gray: str | None = None
    labels: tuple[str, ...] = ()
    percent: int = 0

    def of(self, key: Key, client: Client) -> str:
        """Return the md5 of what a client is to have."""
        if self.gray is not None and client.takes_part(item=key.item, labels=self.labels, percent=self.percent):
            return self.gray
        return self.md5


def present_revision() -> int:
    """Return the revision of the whole configuration."""
    return ConfigState.objects.filter(pk=ConfigState.ONLY).values_list("revision", flat=True).first() or 0


COLUMNS = ("namespace__tenant_id", "namespace__slug", "group", "data_id")
VALUES = ("current__md5", "gray__md5", "gray_labels", "gray_percent")


def _fingerprint(key: Key, row: tuple[str | None, str | None, list[str], int] | None) -> Fingerprint:
    place = Place(key.tenant_id, key.slug)
    md5, gray, labels, percent = row or (None, None, [], 0)
    if place.holds_modules:  # their gray releases are for the product's own processes
        gray = None
    if not md5:
        text = default_of(place, key.group, key.data_id)
        md5 = "" if text is None else md5_of(text)
    return Fingerprint(md5) if gray is None else Fingerprint(md5, gray, tuple(labels), percent)


def fingerprints(keys: Iterable[Key]) -> dict[Key, Fingerprint]:
    """Look up the fingerprints of what is in force, some hundred in a query."""
    by_namespace: dict[tuple[int | None, str], set[Key]] = {}
    for key in keys:
        by_namespace.setdefault((key.tenant_id, key.slug), set()).add(key)
    found: dict[Key, Fingerprint] = {}
    for (tenant_id, slug), wanted in by_namespace.items():
        own = ConfigItem.objects.filter(Q(namespace__tenant_id=tenant_id), namespace__slug=slug, override_of=None)
        names = sorted({key.data_id for key in wanted})
        rows: dict[Key, tuple[str | None, str | None, list[str], int]] = {}
        for start in range(0, len(names), KEYS_A_QUERY):
            chunk = own.filter(data_id__in=names[start : start + KEYS_A_QUERY])
            rows |= {Key(*row[:4]): row[4:] for row in chunk.values_list(*COLUMNS, *VALUES)}
        found |= {key: _fingerprint(key, rows.get(key)) for key in wanted}
    return found


def released_since(revision: int) -> dict[Key, Fingerprint]:
    """Return the fingerprints of all items of which something was released after a revision, and of all with a gray release.

    Who a gray release is for changes without a release; there are few at a time.
    """
    released = ConfigRelease.objects.filter(revision__gt=revision, item__override_of=None).values("item_id")
    rows = ConfigItem.objects.filter(Q(pk__in=released) | Q(gray__isnull=False), override_of=None)
    return {(key := Key(*row[:4])): _fingerprint(key, row[4:]) for row in rows.values_list(*COLUMNS, *VALUES)}
