"""What is being edited. A draft may be wrong; only what is right is published."""

from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils.translation import gettext as _

from accounts.services import audit
from accounts.services.audit import Actor
from configcenter.actions import Action
from configcenter.models import ConfigItem
from configcenter.services.items import name_of
from configcenter.services.validation import canonical, check_text
from posthaste.lib.crypto import Sealed
from posthaste.lib.problems import Conflict, NotFound


class DraftConflict(Conflict):
    """Another user changed the draft meanwhile: `draft_version` is the current one, saved by `draft_by` at `draft_at`."""

    code = "draft_conflict"


def draft_conflict(item: ConfigItem) -> DraftConflict:
    """Make the error for the second of two editors, naming the first."""
    who: dict[str, Any] = {"draft_by": item.draft_by, "draft_at": item.draft_at, "draft_version": item.draft_version}
    return DraftConflict(
        _("The draft was changed by {who} in the meantime. Review it, then save again on top of version {version}.").format(
            who=item.draft_by or _("a publish"), version=item.draft_version
        ),
        **who,
    )


def save_draft(*, item: ConfigItem, content: str, based_on: int, by: Actor, now: datetime) -> ConfigItem:
    """Store a draft, be it valid or not, and return the item as it is now.

    `based_on` is the `draft_version` that the author saw.

    Raises:
        DraftConflict: another user saved first.
        Invalid: it can't be stored.
    """
    check_text(content)
    with transaction.atomic():
        # Locked, so that the item is not marked as encrypted between this look and the write.
        is_encrypted = ConfigItem.objects.select_for_update().filter(pk=item.pk).values_list("is_encrypted", flat=True).first()
        text = canonical(item, content)
        changed = ConfigItem.objects.filter(pk=item.pk, draft_version=based_on).update(
            draft=Sealed(text) if is_encrypted else text, draft_version=F("draft_version") + 1, draft_by=str(by)[:150], draft_at=now
        )
        fresh = _again(item)
        if not changed:
            raise draft_conflict(fresh)
        _record(fresh, Action.DRAFT_SAVE, by)
    return fresh


def discard_draft(*, item: ConfigItem, by: Actor) -> ConfigItem:
    """Throw the draft away; without one it does nothing."""
    with transaction.atomic():
        changed = ConfigItem.objects.filter(pk=item.pk, draft__isnull=False).update(
            draft=None, draft_version=F("draft_version") + 1, draft_by="", draft_at=None
        )
        fresh = _again(item)
        if changed:
            _record(fresh, Action.DRAFT_DISCARD, by)
    return fresh


def _again(item: ConfigItem) -> ConfigItem:
    fresh = ConfigItem.objects.select_related("namespace", "current", "gray", "override_of").filter(pk=item.pk).first()
    if fresh is None:
        raise NotFound(_("This item was deleted in the meantime."))
    return fresh


def _record(item: ConfigItem, action: Action, by: Actor) -> None:
    tenant_id = item.override_of_id or item.namespace.tenant_id
    audit.record(by=by, action=action, target=name_of(item), tenant_id=tenant_id, detail={"version": item.draft_version})
