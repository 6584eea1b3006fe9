"""What would other rules have done? A draft of the module `assignment` over the conversations that were queued in a span.

Each is judged by its tenant's rules and by what was known of it when it was queued, as far as the row tells. Nothing is written; time and
memory are bounded, and the report says so when a bound was met.
"""

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any
from uuid import UUID

from django.utils.translation import gettext as _

from configcenter.hot import Applied
from posthaste.lib.ids import first_id_at
from routing.assignment.facts import attributes_of, facts_of
from routing.assignment.rules import Decision, decide
from routing.configuration import assignment
from routing.configuration.assignment_rules import Assignment
from routing.models import Conversation, SkillGroup

MAX_CONVERSATIONS = 200_000
MAX_SECONDS = 20.0
CHUNK = 500
EXAMPLES = 20
FIELDS = ("id", "tenant_id", "customer_id", "intent", "confidence", "language", "details", "decision", "created_at", "entrance__name")


@dataclass(slots=True)
class _Counts:
    conversations: int = 0
    elsewhere: int = 0
    recorded: "Counter[str]" = field(default_factory=Counter)
    expected: "Counter[str]" = field(default_factory=Counter)
    rules: "Counter[str]" = field(default_factory=Counter)
    examples: list[dict[str, Any]] = field(default_factory=list)


def replay_assignment(draft: Applied[Assignment], *, since: datetime, until: datetime, tenant_id: int | None = None) -> dict[str, Any]:
    """Return how many conversations of a span would have gone to another group, per group, with examples; of one tenant, or of all."""
    rows = Conversation.objects.filter(id__gte=first_id_at(since), id__lt=first_id_at(until)).exclude(decision={})
    if tenant_id is not None:
        rows = rows.filter(tenant_id=tenant_id)
    counts, stop, groups = _Counts(), time.monotonic() + MAX_SECONDS, _groups(tenant_id)
    stopped_at: datetime | None = None
    found = _read(rows)
    while chunk := tuple(islice(found, CHUNK)):
        if counts.conversations >= MAX_CONVERSATIONS or time.monotonic() > stop:
            stopped_at = chunk[0].created_at
            break
        _judge(draft, chunk, groups, counts)
    notes = [
        _("Today's groups, entrances and business hours are used, and what is known of the customers today."),
        _("Only the first choice of the group is replayed: transfers and overflow came later."),
    ]
    if stopped_at is not None:
        notes.append(_("Too much traffic for one replay. It ends at {time}.").format(time=stopped_at.isoformat()))
    names = sorted({*counts.recorded, *counts.expected})
    return {
        "since": since,
        "until": stopped_at or until,
        "is_whole": stopped_at is None,
        "conversations": counts.conversations,
        "elsewhere": counts.elsewhere,
        "by_group": [{"group": name, "recorded": counts.recorded[name], "expected": counts.expected[name]} for name in names],
        "by_rule": [{"rule": name, "conversations": number} for name, number in counts.rules.most_common()],
        "examples": counts.examples,
        "notes": notes,
    }


@dataclass(frozen=True, slots=True)
class _Row:
    """What the record knows of one conversation."""

    id: UUID
    tenant_id: int
    customer_id: UUID
    intent: str
    confidence: float | None
    language: str
    details: Any
    decision: Any
    created_at: datetime
    entrance: str


def _read(rows: Any) -> Iterator[_Row]:
    return (_Row(*values) for values in rows.order_by("id").values_list(*FIELDS).iterator(chunk_size=CHUNK))


def _groups(tenant_id: int | None) -> Mapping[int, set[str]]:
    found: dict[int, set[str]] = {}
    rows = SkillGroup.objects.all() if tenant_id is None else SkillGroup.objects.filter(tenant_id=tenant_id)
    for owner, name in rows.values_list("tenant_id", "name"):
        found.setdefault(owner, set()).add(name)
    return found


def _judge(draft: Applied[Assignment], chunk: tuple[_Row, ...], groups: Mapping[int, set[str]], counts: _Counts) -> None:
    about = attributes_of(chunk, now=chunk[-1].created_at)
    for row in chunk:
        before = row.decision if isinstance(row.decision, dict) else {}
        facts = facts_of(
            row,
            entrance=row.entrance,
            about=about.get(row.customer_id, {}),
            language=str(before.get("language", "")),
            at=row.created_at,
        )
        after = decide(draft.of(row.tenant_id), facts, groups=groups.get(row.tenant_id, set()))
        had = str(before.get("first", before.get("group", "")))
        counts.conversations += 1
        counts.recorded[had] += 1
        counts.expected[after.group] += 1
        counts.rules[_name(after)] += 1
        if after.group != had:
            counts.elsewhere += 1
            if len(counts.examples) < EXAMPLES:
                counts.examples.append(
                    {"conversation": str(row.id), "intent": facts.intent, "recorded": had, "expected": after.group, "rule": _name(after)}
                )


def _name(decision: Decision) -> str:
    match decision.basis:
        case "rule":
            return decision.rule
        case "intent":
            return _("Intents")
        case "wanted":
            return _("Entrance")
    return _("Fallback group")


assignment.what_if = replay_assignment
