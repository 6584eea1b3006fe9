"""From a draft to what customers see, and out of their sight again."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from accounts.services import audit
from accounts.services.audit import Actor
from posthaste.lib.problems import Conflict
from routing.actions import Action
from routing.configuration import bot
from routing.faq import indexing
from routing.faq.editing import locked
from routing.faq.published import copy_of, note_change
from routing.models import FaqEntry, FaqState, FaqVectors


class NeedsReview(Conflict):
    """An entry must be reviewed by another person than the one who wrote it before it is published."""

    code = "needs_review"


@transaction.atomic
def submit_entry(*, entry: FaqEntry, by: Actor, now: datetime) -> FaqEntry:
    """Offer a draft for review.

    Raises:
        Conflict: it is no draft.
        NotFound: it was deleted meanwhile.
    """
    row = _in_state(entry, (FaqState.DRAFT,), _("Only a draft can be offered for review."))
    return _moved(row, FaqState.REVIEW, Action.FAQ_SUBMIT, by=by, now=now)


@transaction.atomic
def return_entry(*, entry: FaqEntry, by: Actor, now: datetime) -> FaqEntry:
    """Make an entry in review a draft again.

    Raises:
        Conflict: it is not in review.
        NotFound: it was deleted meanwhile.
    """
    row = _in_state(entry, (FaqState.REVIEW,), _("Only an entry in review can be returned."))
    return _moved(row, FaqState.DRAFT, Action.FAQ_RETURN, by=by, now=now)


@transaction.atomic
def publish_entry(*, entry: FaqEntry, by: Actor, now: datetime) -> FaqEntry:
    """Show an entry to customers, in place of what was published of it before.

    Raises:
        Conflict: it is published already, or in the archive.
        NeedsReview: another person has to publish it, after a review.
        NotFound: it was deleted meanwhile.
    """
    row = _in_state(entry, (FaqState.DRAFT, FaqState.REVIEW), _("Only a draft or an entry in review can be published."))
    if bot.of(row.tenant_id).two_people:
        if row.state != FaqState.REVIEW:
            raise NeedsReview(_("Offer the entry for review first. Then another person publishes it."))
        if row.written_by == str(by)[:150]:
            raise NeedsReview(_("You wrote this entry. Another person has to publish it."))
    row.published, row.published_at, row.reviewed_by = copy_of(row), now, str(by)[:150]
    _out_of_date(row)
    return _moved(row, FaqState.PUBLISHED, Action.FAQ_PUBLISH, by=by, now=now, fields=("published", "published_at", "reviewed_by"))


@transaction.atomic
def archive_entry(*, entry: FaqEntry, by: Actor, now: datetime) -> FaqEntry:
    """Take an entry out of customers' sight and keep it.

    Raises:
        Conflict: it is in the archive already.
        NotFound: it was deleted meanwhile.
    """
    allowed = (FaqState.DRAFT, FaqState.REVIEW, FaqState.PUBLISHED)
    row = _in_state(entry, allowed, _("The entry is in the archive already."))
    if row.published:
        row.published = {}
        _out_of_date(row)
    return _moved(row, FaqState.ARCHIVED, Action.FAQ_ARCHIVE, by=by, now=now, fields=("published",))


@transaction.atomic
def restore_entry(*, entry: FaqEntry, by: Actor, now: datetime) -> FaqEntry:
    """Make an entry of the archive a draft.

    Raises:
        Conflict: it is not in the archive.
        NotFound: it was deleted meanwhile.
    """
    row = _in_state(entry, (FaqState.ARCHIVED,), _("Only an entry of the archive can be restored."))
    return _moved(row, FaqState.DRAFT, Action.FAQ_RESTORE, by=by, now=now)


def _in_state(entry: FaqEntry, states: Collection[FaqState], refused: str) -> FaqEntry:
    row = locked(entry)
    if row.state not in states:
        raise Conflict(refused)
    return row


def _moved(row: FaqEntry, state: FaqState, action: Action, *, by: Actor, now: datetime, fields: Collection[str] = ()) -> FaqEntry:
    before = row.state
    row.state, row.changed_at = state, now
    row.save(update_fields=["state", "changed_at", *fields])
    detail: dict[str, Any] = {"slug": row.slug, "language": row.language, "from": before, "to": state}
    audit.record(by=by, action=action, target=row.pk, tenant_id=row.tenant_id, detail=detail)
    return row


def _out_of_date(row: FaqEntry) -> None:
    """Forget the vectors of what was published before, and have those of the new text computed after the commit."""
    FaqVectors.objects.filter(pk=row.pk).delete()
    note_change(row.tenant_id)
    transaction.on_commit(indexing.kick, robust=True)
