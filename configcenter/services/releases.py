"""Publish, roll back and remove configuration, for all instances or for some."""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, Subquery
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from pydantic import Field

from accounts.services.audit import Actor
from configcenter.actions import Action
from configcenter.models import ConfigItem, ConfigRelease, ConfigState, ReleaseAction
from configcenter.services import formats
from configcenter.services.changes import Change, changing
from configcenter.services.differences import summary
from configcenter.services.drafts import draft_conflict
from configcenter.services.items import checked_format, effective
from configcenter.services.validation import canonical, check_text, handle_of, validate
from jobs.registry import Blocking, job
from posthaste.lib import queues
from posthaste.lib.problems import Conflict, Invalid

KEPT_OF_EACH = 20
LABEL = re.compile(r"[A-Za-z0-9_.\-]{1,60}=[A-Za-z0-9_.:/\-]{1,100}")


class NothingToPublish(Conflict):
    """There is no draft, or its content is already in force."""

    code = "nothing_to_publish"


class GrayRunning(Conflict):
    """A gray release is running: promote or abandon it first."""

    code = "gray_running"


class NoGray(Conflict):
    """No gray release is running."""

    code = "no_gray"


class ReleaseConflict(Conflict):
    """The version in force is not the one the caller saw. `version`, `md5` (not of encrypted items), `author` and `at` describe it."""

    code = "release_conflict"


def _must_be_in_force(item: ConfigItem, md5: str | None, version: int | None) -> None:
    """Check, under the publish lock, that the caller's release is still in force."""
    now = item.current
    is_another = version is not None and version != (now.number if now else 0)
    if is_another or (md5 is not None and md5.lower() != (now.md5 if now else "")):
        # The md5 of a short secret is as good as the secret.
        fingerprint: dict[str, Any] = {} if item.is_encrypted else {"md5": now.md5 if now else ""}
        raise ReleaseConflict(
            _("Version {number} by {who} is now in force instead of the one you saw. Review it, then decide again.").format(
                number=now.number, who=now.author
            )
            if now
            else _("No version of this item is in force any more. Review it, then decide again."),
            version=now.number if now else 0,
            **fingerprint,
            author=now.author if now else "",
            at=now.at if now else None,
        )


def _what_to_publish(change: Change, content: str | None, based_on: int | None = None) -> str:
    """Return the text to publish, checked and in canonical form."""
    item = change.item
    if based_on is not None and based_on != item.draft_version:
        raise draft_conflict(item)
    if item.gray is not None:
        raise GrayRunning(_("A gray release is running: promote or abandon it first."))
    is_draft = content is None
    if content is None:
        if item.draft is None:
            raise NothingToPublish(_("There is no draft to publish. Save one first."))
        content = item.draft
    validate(item, content, is_secret=is_draft)
    content = canonical(item, content)
    if item.current is not None and item.current.content == content:
        raise NothingToPublish(_("The draft equals version {number}, which is already in force.").format(number=item.current.number))
    return content


def _prepare(item: ConfigItem, content: str | None, format: str | None = None, *, is_stored: bool = True) -> None:
    """Do what takes long before the lock is taken, which holds up all writers: under it, the results are remembered.

    `is_stored` says that the text is not the caller's, who may not be allowed to read it: an error does not quote it.

    Raises:
        Invalid: the text is not valid.
    """
    if content is None or handle_of(item) is not None:
        return
    check_text(content)
    formats.check(format or item.format, content, is_secret=is_stored or item.is_encrypted)
    if not item.is_encrypted:
        summary(effective(item), content)


def publish(
    *,
    item: ConfigItem,
    content: str | None = None,
    comment: str,
    by: Actor,
    based_on: int | None = None,
    if_md5: str | None = None,
    if_version: int | None = None,
    format: str | None = None,
    now: datetime | None = None,
    is_import: bool = False,
) -> ConfigRelease:
    """Bring a text (without one: the draft) into force everywhere, and clear the draft.

    `based_on` is the `draft_version` that the author saw; `if_md5` and `if_version` are of the release that the author saw in force
    ("" and 0: that nothing is). `format` is what a free-form item is written in from now on (None: as before). `now` is for tests:
    the database's clock counts.

    Raises:
        Invalid: it is not valid, each wrong field named.
        DraftConflict: the draft was changed in the meantime.
        ReleaseConflict: something else came into force meanwhile.
        NothingToPublish: there is no draft, or it is in force already.
        GrayRunning: promote or abandon it first.
    """
    action = Action.IMPORT if is_import else Action.PUBLISH
    _prepare(item, item.draft if content is None else content, format and checked_format(format), is_stored=content is None)
    with changing(item, action, by, now) as change:
        _must_be_in_force(change.item, if_md5, if_version)
        if format is not None and format != change.item.format:
            change.item.format = change.detail["format"] = checked_format(format)
        text = _what_to_publish(change, content, based_on)
        before = change.item.current
        change.drop_draft()
        release = change.item.current = change.release(ReleaseAction.IMPORT if is_import else ReleaseAction.PUBLISH, text, comment, before)
        change.detail["after"] = text
    return release


def rollback(*, item: ConfigItem, to: ConfigRelease, comment: str, by: Actor, now: datetime | None = None) -> ConfigRelease:
    """Bring an earlier text into force again as a new release.

    A gray release ends and the draft is discarded, so that the mistake is not published again.

    Raises:
        Invalid: the earlier text is not valid any more, or the release is of another item.
        NothingToPublish: it is in force already.
    """
    if to.item_id == item.pk and to.action != ReleaseAction.REMOVE:
        _prepare(item, to.content)
    with changing(item, Action.ROLLBACK, by, now) as change:
        if to.item_id != change.item.pk or to.action == ReleaseAction.REMOVE:
            raise Invalid.field("to", _("There is no version {number} to go back to.").format(number=to.number))
        validate(change.item, to.content, is_secret=True)
        if change.item.gray is None and change.item.current is not None and change.item.current.content == to.content:
            raise NothingToPublish(_("This text is already in force as version {number}.").format(number=change.item.current.number))
        change.drop_draft()
        change.end_gray()
        release = change.item.current = change.release(ReleaseAction.ROLLBACK, to.content, comment, to)
        change.detail |= {"to": to.number, "after": to.content}
    return release


def remove(*, item: ConfigItem, comment: str, by: Actor, now: datetime | None = None) -> ConfigRelease:
    """Take an item out of force: a module goes back to its defaults, an override to the installation's value.

    Its history stays.

    Raises:
        NothingToPublish: nothing is in force.
    """
    with changing(item, Action.REMOVE, by, now) as change:
        if change.item.current is None and change.item.gray is None:
            raise NothingToPublish(_("No version of this item is in force."))
        before = change.item.current
        change.drop_draft()
        change.end_gray()
        release = change.release(ReleaseAction.REMOVE, "", comment, before)
        change.item.current = None
    return release


# --- gray releases -------------------------------------------------------------------------------------------------


def _spread(labels: Sequence[str], percent: int) -> dict[str, Any]:
    """Check which instances a gray release is for."""
    wrong = [label for label in labels if not LABEL.fullmatch(label)]
    if wrong:
        raise Invalid.field("labels", _("{label} is not of the form name=value.").format(label=wrong[0]))
    if not 0 <= percent <= 100:
        raise Invalid.field("percent", _("A number from 0 to 100."))
    if not labels and not percent:
        raise Invalid.field("percent", _("Set labels or a percentage above 0. Otherwise the release reaches no instance."))
    return {"labels": sorted(set(labels)), "percent": percent}


def start_gray(
    *,
    item: ConfigItem,
    content: str | None,
    labels: Sequence[str],
    percent: int,
    comment: str,
    by: Actor,
    based_on: int | None = None,
    now: datetime | None = None,
) -> ConfigRelease:
    """Bring a text (None: the draft) into force on some instances; the draft becomes the gray release.

    These are the instances with one of the labels, and `percent` of the others.

    Raises: as `publish`.
    """
    spread = _spread(labels, percent)
    _prepare(item, item.draft if content is None else content, is_stored=content is None)
    with changing(item, Action.GRAY_START, by, now) as change:
        text = _what_to_publish(change, content, based_on)
        change.drop_draft()
        release = change.item.gray = change.release(ReleaseAction.GRAY, text, comment, change.item.current)
        change.item.gray_labels, change.item.gray_percent = spread["labels"], percent
        change.detail |= {**spread, "after": text}
    return release


def widen_gray(*, item: ConfigItem, labels: Sequence[str], percent: int, by: Actor, now: datetime | None = None) -> ConfigItem:
    """Return a gray release to other instances, more or fewer. Who takes part by percentage stays in when it rises.

    Raises:
        NoGray: none is running.
    """
    spread = _spread(labels, percent)
    with changing(item, Action.GRAY_WIDEN, by, now) as change:
        gray = _running(change)
        change.item.gray_labels, change.item.gray_percent = spread["labels"], percent
        change.detail |= {**spread, "version": gray.number}
    return item


def promote_gray(*, item: ConfigItem, comment: str, by: Actor, now: datetime | None = None) -> ConfigRelease:
    """Bring the gray release's text into force everywhere.

    Raises:
        NoGray: none is running.
    """
    _prepare(item, item.gray.content if item.gray else None)
    with changing(item, Action.GRAY_PROMOTE, by, now) as change:
        gray = _running(change)
        validate(change.item, gray.content, is_secret=True)
        change.end_gray()
        release = change.item.current = change.release(ReleaseAction.PROMOTE, gray.content, comment, gray)
        change.detail["after"] = gray.content
    return release


def abandon_gray(*, item: ConfigItem, comment: str, by: Actor, now: datetime | None = None) -> ConfigRelease:
    """Stop a gray release. What was in force before becomes a new release, so that one sees it reach every instance.

    Raises:
        NoGray: none is running.
    """
    with changing(item, Action.GRAY_ABANDON, by, now) as change:
        gray, before = _running(change), change.item.current
        change.end_gray()
        release = change.release(ReleaseAction.ABANDON, before.content if before else "", comment, gray)
        if before is not None:
            change.item.current = release
    return release


def _running(change: Change) -> ConfigRelease:
    if change.item.gray is None:
        raise NoGray(_("No gray release of this item is running."))
    return change.item.gray


# --- history -------------------------------------------------------------------------------------------------------


@job(
    "configcenter.forget_old_releases",
    entry="forget old releases",
    title=gettext_lazy("Remove old releases"),
    purpose=gettext_lazy("Removes releases older than 30 days that are not in force and not among the last twenty of their item."),
    every=timedelta(days=1),
    timeout=timedelta(minutes=10),
    blocking=Blocking.OVERLAP,
    queue=queues.NOTIFICATION,
)
def forget_old_releases(*, now: datetime, keep_days: Annotated[int, Field(ge=0, le=36_500)] = 30) -> int:
    """Remove releases older than `keep_days` and return their number.

    Releases in force and the last twenty of each item are kept.
    """
    newest = ConfigRelease.objects.filter(item=OuterRef("item")).order_by("-number").values("number")[:1]
    in_force = ConfigItem.objects.filter(Q(current=OuterRef("pk")) | Q(gray=OuterRef("pk")))
    old = (
        ConfigRelease.objects.filter(~Exists(in_force), at__lt=now - timedelta(days=keep_days))
        .annotate(newest=Subquery(newest))
        .filter(number__lte=F("newest") - KEPT_OF_EACH)
    )
    removed = 0
    while True:
        with transaction.atomic():
            # Under the lock of publishes: none of these is being rolled back to meanwhile.
            list(ConfigState.objects.select_for_update().filter(pk=ConfigState.ONLY))
            chunk = list(old.order_by("pk").values_list("pk", flat=True)[:1000])
            ConfigRelease.objects.filter(pk__in=chunk).delete()
        removed += len(chunk)
        if len(chunk) < 1000:
            return removed
