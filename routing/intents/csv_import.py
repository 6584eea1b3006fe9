"""A file of utterances: what it brings and what a person should look at before, then storing it."""

import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.utils.translation import gettext as _

from accounts.services.audit import Actor
from posthaste.lib.problems import Invalid
from routing.actions import Action
from routing.intents.editing import OUT_OF_SCOPE, check_name, create_intent
from routing.intents.languages import language_of
from routing.intents.text_keys import MAX_CHARACTERS, text_key
from routing.intents.utterances import NewUtterance, add_utterances, known
from routing.models import Intent, Utterance, UtteranceSource, UtteranceState

if TYPE_CHECKING:
    from routing.intents.labelled import Row
    from routing.intents.ngrams import Floats

MAX_FINDINGS = 200  # that are listed
MAX_COMPARED = 5_000  # texts among which near-doubles are looked for
BUCKETS = 1_024
GRAM = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a person should look at. Without `other_line` it is about an utterance that is there already."""

    kind: str  # invalid, duplicate, contradiction, near_double, unknown_intent
    line: int
    other_line: int | None
    text: str
    detail: str


@dataclass(slots=True)
class FileReport:
    """What a file brings. What can't be stored is not in `entries`."""

    rows: int
    entries: list[NewUtterance] = field(default_factory=list)
    present: int = 0
    intents: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    languages: dict[str, int] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return the report as the API shows it."""
        return {
            "rows": self.rows,
            "new": len(self.entries),
            "present": self.present,
            "intents": self.intents,
            "languages": self.languages,
            "findings": [asdict(one) for one in self.findings[:MAX_FINDINGS]],
            "more_findings": max(0, len(self.findings) - MAX_FINDINGS),
        }


def check_file(*, tenant_id: int, content: bytes, create_intents: bool) -> FileReport:
    """Return what a CSV file brings to a tenant; nothing is stored.

    Raises:
        Invalid: the file can't be read; each error names its line.
    """
    from routing.intents import importing, labelled  # they load numpy

    try:
        rows = labelled.read(content)
    except labelled.BadFile as bad:
        raise Invalid(errors=[_fault(one.line, one.message) for one in bad.faults]) from None
    found = importing.check_rows(rows, encode=_fingerprints if len(rows) <= MAX_COMPARED else None)
    report = FileReport(rows=found.rows)
    for kind, doubles in (("contradiction", found.contradictions), ("near_double", found.near_doubles), ("duplicate", found.duplicates)):
        for one in doubles:
            detail = _("Like line {line}, which has {category}.").format(line=one.other_line, category=one.other_category)
            report.findings.append(Finding(kind, one.line, one.other_line, one.text[:200], detail))
    _compare_with_what_is_there(tenant_id, found.kept, report, create_intents)
    report.languages = dict(Counter(entry.language for entry in report.entries).most_common())
    return report


@transaction.atomic
def import_file(*, tenant_id: int, report: FileReport, by: Actor, now: datetime) -> int:
    """Store what a file brings, with the intents that it needs, and return the number of new utterances.

    Raises:
        Conflict: there would be too many.
        Invalid: a text got another intent since the file was checked; nothing was stored.
    """
    there = set(Intent.objects.filter(tenant_id=tenant_id, name__in=report.intents).values_list("name", flat=True))
    for name in report.intents:
        if name not in there:
            create_intent(tenant_id=tenant_id, name=name, by=by, now=now)
    added = add_utterances(
        tenant_id=tenant_id, entries=report.entries, source=UtteranceSource.IMPORT, by=by, now=now, action=Action.UTTERANCES_IMPORT
    )
    return added.added


def _compare_with_what_is_there(tenant_id: int, rows: Sequence["Row"], report: FileReport, create_intents: bool) -> None:
    intents = set(Intent.objects.filter(tenant_id=tenant_id).values_list("name", flat=True)) | {OUT_OF_SCOPE}
    there = known(tenant_id=tenant_id, keys={text_key(row.text) for row in rows})
    for row in rows:
        stored = there.get(text_key(row.text))
        if len(row.text) > MAX_CHARACTERS:
            report.findings.append(_finding("invalid", row, _("At most {n} characters.").format(n=MAX_CHARACTERS)))
        elif row.category not in intents and not create_intents:
            report.findings.append(_finding("unknown_intent", row, _("There is no intent {name}.").format(name=row.category)))
        elif row.category not in intents and (wrong := _why_no_name(row.category)):
            report.findings.append(_finding("invalid", row, wrong))
        elif stored is not None and stored.state == UtteranceState.ACCEPTED:
            if _category(stored) == row.category:
                report.present += 1
            else:
                detail = _("This text has the intent {name} already.").format(name=_category(stored))
                report.findings.append(_finding("contradiction", row, detail))
        else:
            if row.category not in intents and row.category not in report.intents:
                report.intents.append(row.category)
            held_out = {"held_out": True, "train": False}.get(row.part)
            report.entries.append(NewUtterance(row.text, row.category, row.language or language_of(row.text), held_out))


def _why_no_name(name: str) -> str:
    try:
        check_name(name)
    except Invalid as problem:
        return str(problem.errors[0]["message"])
    return ""


def _category(row: Utterance) -> str:
    return row.intent.name if row.intent else OUT_OF_SCOPE


def _finding(kind: str, row: "Row", detail: str) -> Finding:
    return Finding(kind, row.line, None, row.text[:200], detail)


def _fault(line: int, message: str) -> dict[str, Any]:
    return {"field": f"line {line}" if line else "file", "code": "invalid", "message": message}


def _fingerprints(texts: Sequence[str]) -> "Floats":
    """Return a vector of unit length for each text by its groups of three characters: texts that are nearly the same lie close together.

    Sentence vectors would tell more, but take seven milliseconds a text and 150 MB in each web process.
    """
    import numpy as np

    found = np.zeros((len(texts), BUCKETS), np.float32)
    for place, text in enumerate(texts):
        folded = f" {' '.join(text.casefold().split())} "
        for start in range(max(1, len(folded) - GRAM + 1)):
            found[place, zlib.crc32(folded[start : start + GRAM].encode()) % BUCKETS] += 1
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    return found
