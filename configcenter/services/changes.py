"""One change of what is in force: a transaction under the lock of the `ConfigState` row, an audit entry, a notice after the commit.

The lock puts changes in one order: a process that has read a revision has read all earlier ones. If the notice is lost, processes find the
revision when they poll.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog
from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.services import audit
from accounts.services.audit import Actor
from configcenter.actions import Action
from configcenter.models import ConfigItem, ConfigRelease, ConfigState
from configcenter.services.differences import summary
from configcenter.services.items import effective, name_of
from posthaste.lib import redis
from posthaste.lib.crypto import LostText
from posthaste.lib.problems import NotFound

log = structlog.get_logger(__name__)


def channel() -> str:
    """Return the name of the Redis channel for notices. A notice carries the revision as text."""
    return redis.key("config")


def notify(revision: int) -> None:
    """Notify all processes of a new revision. A lost notice does no harm: they poll every few seconds."""
    try:
        redis.client().publish(channel(), str(revision))
    except redis.Unavailable:
        log.warning("configuration notice not sent", revision=revision)


def md5_of(content: str) -> str:
    """Return the md5 of a text, the fingerprint that Nacos uses."""
    return hashlib.md5(content.encode(), usedforsecurity=False).hexdigest()


def _clock() -> datetime:
    """Return the database's time. The age of a release is measured with it, because the clocks of machines may differ."""
    if connection.vendor != "postgresql":
        return timezone.now()
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        now: datetime = cursor.fetchone()[0]
        return now


@dataclass(slots=True)
class Change:
    """One change under the lock: the current item, and who changes it."""

    item: ConfigItem
    revision: int
    by: Actor
    at: datetime
    detail: dict[str, Any] = field(default_factory=dict)

    def release(self, action: str, content: str, comment: str, based_on: ConfigRelease | None = None) -> ConfigRelease:
        newest = self.item.releases.order_by("-number").values_list("number", flat=True).first() or 0
        made = ConfigRelease.objects.create(
            item=self.item,
            number=newest + 1,
            revision=self.revision,
            action=action,
            content=content,
            md5=self._md5_of(content),
            comment=comment[:500],
            author=str(self.by)[:150],
            based_on=based_on,
            at=self.at,
        )
        # The md5 of a short secret is as good as the secret.
        self.detail |= {"version": made.number, **({} if self.item.is_encrypted else {"md5": made.md5}), "comment": made.comment}
        return made

    def _md5_of(self, content: str) -> str:
        # A text that can't be decrypted stays in force under its own fingerprint when a gray release beside it ends.
        if isinstance(content, LostText) and self.item.current is not None:
            return self.item.current.md5
        return md5_of(content)

    def drop_draft(self) -> None:
        """Discard the draft. Its version rises, so an editor who still has it open gets a conflict."""
        if self.item.draft is not None:
            self.item.draft, self.item.draft_by, self.item.draft_at = None, "", None
            self.item.draft_version += 1

    def end_gray(self) -> None:
        self.item.gray, self.item.gray_labels, self.item.gray_percent = None, [], 0


@contextmanager
def changing(item: ConfigItem, action: Action, by: Actor, now: datetime | None) -> Iterator[Change]:
    """One transaction: the next revision, the item locked, what was changed written, audit, and the notice after the commit."""
    with transaction.atomic():
        revision = next_revision()
        rows = ConfigItem.objects.select_for_update(of=("self",)).select_related("namespace", "current", "gray", "override_of")
        fresh = rows.filter(pk=item.pk).first()
        if fresh is None:
            raise NotFound(_("This item was deleted in the meantime."))
        change = Change(fresh, revision, by, now or _clock())
        before = effective(fresh)
        yield change
        fresh.save()
        after = change.detail.pop("after", None)
        audit.record(
            by=by,
            action=action,
            target=name_of(fresh),
            tenant_id=fresh.override_of_id or fresh.namespace.tenant_id,
            detail=change.detail | ({} if after is None or fresh.is_encrypted else summary(before, after)),
        )
    for name in ("draft", "draft_version", "draft_by", "draft_at", "current", "gray", "gray_labels", "gray_percent"):
        setattr(item, name, getattr(fresh, name))


def next_revision() -> int:
    """Take the lock that puts publishes in order and return the revision of this one; only within a transaction.

    The notice goes out when the transaction has been committed.
    """
    if not ConfigState.objects.filter(pk=ConfigState.ONLY).update(revision=F("revision") + 1):
        ConfigState.objects.get_or_create(pk=ConfigState.ONLY)
        ConfigState.objects.filter(pk=ConfigState.ONLY).update(revision=F("revision") + 1)
    revision = ConfigState.objects.values_list("revision", flat=True).get(pk=ConfigState.ONLY)
    transaction.on_commit(lambda: notify(revision), robust=True)
    return revision
