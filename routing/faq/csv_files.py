"""Entries as a file: what a CSV file brings, storing it, and writing one."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import translation
from django.utils.translation import gettext as _

from accounts.services.audit import Actor
from posthaste.lib.problems import Invalid
from posthaste.ui.export import as_written
from routing.actions import Action
from routing.faq.checks import cleaned, slug_from
from routing.faq.editing import change_entry, create_entry
from routing.faq.published import TEXTS
from routing.models import FaqEntry, FaqState

COLUMNS = ("slug", "language", "category", "question", "phrasings", "answer", "intent")
NEEDED = ("question", "answer")
MAX_ROWS = 2_000
MAX_BYTES = 5 * 1024 * 1024


@dataclass(slots=True)
class FileReport:
    """What a file brings: new entries, changes of those that are there, and rows that change nothing."""

    rows: int = 0
    new: list[dict[str, Any]] = field(default_factory=list)
    changed: list[tuple[FaqEntry, dict[str, Any]]] = field(default_factory=list)
    same: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return the report as the API shows it."""
        return {"rows": self.rows, "new": len(self.new), "changed": len(self.changed), "same": self.same}


def check_file(*, tenant_id: int, content: bytes) -> FileReport:
    """Return what a CSV file brings to a tenant; nothing is stored.

    Raises:
        Invalid: it can't be read, or rows are wrong; each error names its line.
    """
    report, errors = FileReport(), []
    there = {(row.slug, row.language): row for row in FaqEntry.objects.filter(tenant_id=tenant_id)}
    seen: dict[tuple[str, str], int] = {}
    for line, raw in _rows(content):
        report.rows += 1
        try:
            values = cleaned(raw)
        except Invalid as problem:
            errors += [_fault(line, f"{error['field']}: {error['message']}") for error in problem.errors]
            continue
        values["slug"] = values.get("slug") or slug_from(values["question"])
        key = (values["slug"], values["language"])
        if key in seen:
            errors.append(_fault(line, _("The same entry as in line {line}.").format(line=seen[key])))
        seen.setdefault(key, line)
        known = there.get(key)
        if known is None:
            report.new.append(values)
        elif known.state == FaqState.ARCHIVED:
            errors.append(_fault(line, _("The entry is in the archive. Restore it first.")))
        elif any(getattr(known, name) != value for name, value in values.items()):
            report.changed.append((known, values))
        else:
            report.same += 1
    if errors:
        raise Invalid(errors=errors)
    return report


@transaction.atomic
def import_file(*, tenant_id: int, report: FileReport, by: Actor, now: datetime) -> int:
    """Store what a file brings as drafts, and return of how many entries. What is published stays until it is published again.

    Raises:
        Conflict: there would be too many, or one was archived meanwhile.
        Invalid: one got its address meanwhile.
    """
    for values in report.new:
        create_entry(tenant_id=tenant_id, values=values, by=by, now=now, action=Action.FAQ_IMPORT)
    for entry, values in report.changed:
        changes = {name: value for name, value in values.items() if name in (*TEXTS, "category", "intent")}
        change_entry(entry=entry, changes=changes, by=by, now=now, action=Action.FAQ_IMPORT)
    return len(report.new) + len(report.changed)


def cells(entries: Iterable[FaqEntry]) -> Iterator[Sequence[str]]:
    """Yield entries as the rows of a file that can be imported again, with their newest texts."""
    for row in entries:
        yield (row.slug, row.language, row.category, row.question, "\n".join(row.phrasings), row.answer, row.intent)


def _rows(content: bytes) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the rows of a file with the lines at which they end."""
    if len(content) > MAX_BYTES:
        raise Invalid.field("file", _("The file is too large: at most {n} MB.").format(n=MAX_BYTES // 1024 // 1024))
    try:
        reader = csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
        known = _columns()
        heads = [known.get(head := str(name).strip().lower(), head) for name in reader.fieldnames or ()]
        if missing := [name for name in NEEDED if name not in heads]:
            raise Invalid.field("file", _("The column {name} is missing.").format(name=missing[0]), "required")
        reader.fieldnames = heads
        for number, row in enumerate(reader):
            if number == MAX_ROWS:
                raise Invalid.field("file", _("At most {n} rows.").format(n=MAX_ROWS))
            values: dict[str, Any] = {name: as_written(row.get(name) or "").replace("\x00", "") for name in COLUMNS if name in heads}
            values["language"] = values.get("language", "").strip() or "en"
            if "phrasings" in values:
                values["phrasings"] = values["phrasings"].splitlines()
            yield reader.line_num, values
    except UnicodeDecodeError:
        raise Invalid.field("file", _("The file is not UTF-8. Save it as CSV UTF-8.")) from None
    except csv.Error as error:
        raise Invalid.field("file", _("This is no CSV file: {error}.").format(error=error)) from None


def _columns() -> dict[str, str]:
    """Return the columns by what the list's file calls them, in each language."""
    found: dict[str, str] = {}
    for code, _name in settings.LANGUAGES:
        with translation.override(code):
            found |= {str(FaqEntry._meta.get_field(name).verbose_name).lower(): name for name in COLUMNS}  # type: ignore[union-attr]
            found[_("phrasings").lower()] = "phrasings"
    return found


def _fault(line: int, message: str) -> dict[str, Any]:
    return {"field": f"line {line}", "code": "invalid", "message": message}
