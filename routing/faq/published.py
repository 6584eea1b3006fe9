"""What is published of an entry, and the number that says when it changed."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from django.db.models import F, Q, QuerySet

from accounts.tenancy import owned_by
from routing.models import FaqEntry, FaqRevision

#: What readers see is a copy of these, made when the entry is published; the rest takes effect at once.
TEXTS = ("question", "phrasings", "answer")
IS_PUBLISHED = ~Q(published={})


class Published(NamedTuple):
    """The texts of an entry as customers see them, while a newer version may be in the making."""

    question: str
    phrasings: tuple[str, ...]
    answer: str


def texts_of(entry: FaqEntry) -> Published:
    """Return what customers see of a published entry."""
    kept: Mapping[str, Any] = entry.published
    return Published(str(kept["question"]), tuple(kept.get("phrasings", ())), str(kept["answer"]))


def copy_of(entry: FaqEntry) -> dict[str, Any]:
    """Return the texts of an entry as they are published."""
    return {name: getattr(entry, name) for name in TEXTS}


def entries(tenant_id: int, *, language: str = "", category: str = "", slug: str = "") -> "QuerySet[FaqEntry]":
    """Return the published entries of a tenant, of one language, category or address where that is given."""
    asked = {"language": language, "category": category, "slug": slug}
    rows = owned_by(FaqEntry.objects.filter(IS_PUBLISHED), tenant_id)
    return rows.filter(**{name: value for name, value in asked.items() if value}).order_by("category", "question", "pk")


def revision(tenant_id: int) -> int:
    """Return the number of changes to what is published; one read by the primary key."""
    return FaqRevision.objects.filter(pk=tenant_id).values_list("number", flat=True).first() or 0


def note_change(tenant_id: int) -> None:
    """Count a change to what is published, in the caller's transaction."""
    if not FaqRevision.objects.filter(pk=tenant_id).update(number=F("number") + 1):
        FaqRevision.objects.bulk_create([FaqRevision(tenant_id=tenant_id)], ignore_conflicts=True)
        FaqRevision.objects.filter(pk=tenant_id).update(number=F("number") + 1)
