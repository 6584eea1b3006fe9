"""Entries as people write and delete them. What is published stays as it is until it is published again."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from accounts.services import audit
from accounts.services.audit import Actor
from posthaste.lib.problems import Conflict, Invalid
from posthaste.lib.rows import lock
from routing.actions import Action
from routing.faq.checks import cleaned, slug_from
from routing.faq.published import TEXTS, note_change
from routing.models import FaqEntry, FaqState

MOST = 5_000
#: What takes effect at once, also of a published entry.
FACTS = ("slug", "category", "intent", "is_for_bot")
FIELDS = ("slug", "language", "category", "question", "phrasings", "answer", "intent", "is_for_bot")


@transaction.atomic
def create_entry(*, tenant_id: int, values: Mapping[str, Any], by: Actor, now: datetime, action: Action = Action.FAQ_CREATE) -> FaqEntry:
    """Store a draft. Without an address (`slug`) it gets one made of its question.

    Raises:
        Conflict: the tenant has as many entries as it may have.
        Invalid: a field is wrong, or the address is taken in this language.
    """
    given = cleaned({"language": "en", "phrasings": [], "answer": "", "question": "", **values})
    if FaqEntry.objects.filter(tenant_id=tenant_id).count() >= MOST:
        raise Conflict(_("A tenant has at most {n} entries.").format(n=MOST))
    if not given.get("slug"):
        given["slug"] = _free_slug(tenant_id, given["language"], slug_from(given["question"]))
    entry = FaqEntry(
        tenant_id=tenant_id,
        written_by=str(by)[:150],
        created_at=now,
        changed_at=now,
        **{name: value for name, value in given.items() if name in FIELDS},
    )
    _store(entry, is_new=True)
    audit.record(by=by, action=action, target=entry.pk, tenant_id=tenant_id, detail={"slug": entry.slug, "language": entry.language})
    return entry


@transaction.atomic
def change_entry(*, entry: FaqEntry, changes: Mapping[str, Any], by: Actor, now: datetime, action: Action = Action.FAQ_CHANGE) -> FaqEntry:
    """Change an entry. Another text makes it a draft again, and what is published stays until that is published; facts count at once.

    Raises:
        Conflict: it is in the archive.
        Invalid: a field is wrong, or the address is taken.
        NotFound: it was deleted meanwhile.
    """
    row = locked(entry)
    if row.state == FaqState.ARCHIVED:
        raise Conflict(_("The entry is in the archive. Restore it first."))
    given = cleaned({"question": row.question, **{name: value for name, value in changes.items() if name in (*TEXTS, *FACTS)}})
    changed = sorted(name for name, value in given.items() if getattr(row, name) != value)
    if "slug" in changed and not given["slug"]:
        raise Invalid.field("slug", _("Must not be empty."), "required")
    if not changed:
        return row
    for name in changed:
        setattr(row, name, given[name])
    row.changed_at = now
    if set(changed) & set(TEXTS):
        row.state, row.written_by, row.reviewed_by = FaqState.DRAFT, str(by)[:150], ""
    _store(row)
    if row.published and set(changed) & set(FACTS):
        note_change(row.tenant_id)
    audit.record(by=by, action=action, target=row.pk, tenant_id=row.tenant_id, detail={"slug": row.slug, "fields": changed})
    return row


@transaction.atomic
def delete_entry(*, entry: FaqEntry, by: Actor) -> None:
    """Delete an entry that is not published. What the bot did with it is kept.

    Raises:
        Conflict: it is published.
        NotFound: it was deleted meanwhile.
    """
    row = locked(entry)
    if row.published:
        raise Conflict(_("The entry is published. Archive it first."))
    pk, detail = row.pk, {"slug": row.slug, "language": row.language}
    row.delete()
    audit.record(by=by, action=Action.FAQ_DELETE, target=pk, tenant_id=row.tenant_id, detail=detail)


def locked(entry: FaqEntry) -> FaqEntry:
    """Return an entry as it is now, locked until the transaction ends.

    Raises:
        NotFound: it was deleted since it was read.
    """
    lock(entry)
    return FaqEntry.objects.get(pk=entry.pk)


def _store(entry: FaqEntry, *, is_new: bool = False) -> None:
    try:
        with transaction.atomic():
            entry.save(force_insert=is_new, force_update=not is_new)
    except IntegrityError:
        raise Invalid.field("slug", _("Another entry of this language has this address."), "taken") from None


def _free_slug(tenant_id: int, language: str, wanted: str) -> str:
    """Return an address that no entry of the language has: the wanted one, or that with a number."""
    taken = set(FaqEntry.objects.filter(tenant_id=tenant_id, language=language, slug__startswith=wanted).values_list("slug", flat=True))
    number, found = 1, wanted
    while found in taken:
        number += 1
        found = f"{wanted}-{number}"
    return found
