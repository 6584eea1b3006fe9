"""Delivery rules over the messages that were sent, on the clock of then: how many would have been held back or put off, and by what."""

import json
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any, NamedTuple

import orjson
from django.db.models import Sum
from django.utils.translation import gettext as _

from configcenter.hot import Applied
from messaging.channels.recipients import list_key
from messaging.configuration import delivery_rules
from messaging.configuration.delivery import DeliveryRules, Outside
from messaging.delivery.rules import hours
from messaging.models import Batch, Message, Suppression
from messaging.storage.leave_out import Reading
from posthaste.lib.ids import first_id_at

MAX_MESSAGES = 1_000_000
MAX_SECONDS = 20.0
MAX_REMEMBERED = 500_000  # texts, and counts; the oldest are forgotten first


class Sent(NamedTuple):
    """What the record knows of one message."""

    created_at: datetime
    due_at: datetime
    sent_at: datetime | None
    tenant_id: int
    channel: str
    recipient: str
    category: str
    time_zone: str
    priority: int
    is_sandbox: bool
    template_version_id: int | None
    variables: dict[str, Any]
    subject: str
    body: str

    @property
    def at(self) -> datetime:
        """When it came before the rules, as nearly as the row tells."""
        return self.sent_at or max(self.created_at, min(self.due_at, self.created_at + timedelta(days=366)))

    def text(self) -> bytes:
        """Return a digest of the content without rendering: the same template and variables give the same text."""
        digest = blake2b(digest_size=16)
        variables = _as_bytes(self.variables) if self.variables else b""
        who = f"{self.tenant_id}\0{self.is_sandbox}\0{self.channel}\0{list_key(self.recipient)}\0{self.template_version_id}"
        for part in (who.encode(), variables, self.subject.encode("utf-8", "replace"), self.body.encode("utf-8", "replace")):
            digest.update(part + b"\0")
        return digest.digest()


def _as_bytes(variables: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(variables, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # an integer of more than 64 bits, or very deep
        return json.dumps(variables, sort_keys=True).encode()


@dataclass(slots=True)
class _Counts:
    messages: int = 0
    exempt: int = 0
    suppressed: "Counter[str]" = field(default_factory=Counter)
    deferred: "Counter[str]" = field(default_factory=Counter)
    waits: "dict[str, float]" = field(default_factory=dict)  # seconds in all, by rule
    longest: timedelta = timedelta()


def recorded(since: datetime, until: datetime, tenant_id: int | None) -> Reading:
    """Return the messages of a span, as the fields of `Sent`, in the order in which they were accepted."""
    rows = Message.objects.filter(id__gte=first_id_at(since), id__lt=first_id_at(until))
    return Reading(rows if tenant_id is None else rows.filter(tenant_id=tenant_id), Sent._fields)


def replay_delivery(draft: Applied[DeliveryRules], *, since: datetime, until: datetime, tenant_id: int | None = None) -> dict[str, Any]:
    """Return what the rules would have done to the messages of a span, each by its tenant's; of one tenant, or of all."""
    counts, replay, stop = _Counts(), _Replay(draft), time.monotonic() + MAX_SECONDS
    stopped_at: datetime | None = None
    rows = recorded(since, until, tenant_id)
    for sent in map(Sent._make, rows):
        if counts.messages >= MAX_MESSAGES or (counts.messages % 1_000 == 999 and time.monotonic() > stop):
            stopped_at = sent.created_at
            break
        counts.messages += 1
        replay.look(sent, counts)
    dropped = _dropped(since, stopped_at or until, tenant_id)
    judged_by = draft.values(tenant_id)
    return _report(counts, judged_by, since=since, until=until, stopped_at=stopped_at, dropped=dropped, left_out=rows.left_out)


def _dropped(since: datetime, until: datetime, tenant_id: int | None) -> int:
    """Return how many rows batches dropped as duplicates before any rule saw them."""
    batches = Batch.objects.filter(id__gte=first_id_at(since), id__lt=first_id_at(until))
    if tenant_id is not None:
        batches = batches.filter(tenant_id=tenant_id)
    return batches.aggregate(number=Sum("dropped"))["number"] or 0


class _Replay:
    """The rules in memory instead of in Redis."""

    def __init__(self, draft: Applied[DeliveryRules]) -> None:
        self.draft = draft
        self.texts: OrderedDict[bytes, datetime] = OrderedDict()
        self.heard: OrderedDict[tuple[str, int, bool, str], deque[datetime]] = OrderedDict()

    def look(self, sent: Sent, counts: _Counts) -> None:
        """Pass one message through hours, duplicates and caps, as `messaging.delivery.rules.check` does."""
        rules, at = self.draft.of(sent.tenant_id), sent.at
        if sent.priority >= rules.exempt_priority:
            counts.exempt += 1
            return
        if rules.quiet_hours or rules.send_windows:
            zone = hours.zone_of(channel=sent.channel, recipient=sent.recipient, named=sent.time_zone, default=rules.default_time_zone)
            block = hours.block(rules, category=sent.category, channel=sent.channel, zone=zone, now=at)
            if block is not None:
                _note(counts, block.code, None if block.until is None else block.until - at)
                if block.until is None:
                    return
                at = block.until  # then it comes before the other rules
        text, within = _text(rules, sent), timedelta(minutes=rules.duplicates.minutes)
        if text is not None and (before := self.texts.get(text)) is not None and at - before < within:
            _note(counts, "rule:duplicate", None)
            return
        heard = []
        for cap in rules.frequency:
            if cap.category not in ("", sent.category) or cap.channel not in ("", sent.channel):
                continue
            times = self.heard.setdefault((cap.name, sent.tenant_id, sent.is_sandbox, list_key(sent.recipient)), deque())
            span = timedelta(hours=cap.hours)
            while times and times[0] <= at - span:
                times.popleft()
            if len(times) >= cap.most:
                wait = times[len(times) - cap.most] + span - at if cap.outside == Outside.DEFER else None
                _note(counts, f"rule:frequency:{cap.name}", wait)
                return
            heard.append(times)
        for times in heard:
            times.append(at)
        if text is not None:
            self.texts[text] = at
            self.texts.move_to_end(text)
        for memory in (self.texts, self.heard):
            while len(memory) > MAX_REMEMBERED:
                memory.popitem(last=False)


def _text(rules: DeliveryRules, sent: Sent) -> bytes | None:
    duplicates = rules.duplicates
    if not duplicates.is_enabled or sent.category in duplicates.exempt_categories:
        return None
    return sent.text() if not duplicates.channels or sent.channel in duplicates.channels else None


def _note(counts: _Counts, code: str, wait: timedelta | None) -> None:
    if wait is None:
        counts.suppressed[code] += 1
        return
    counts.deferred[code] += 1
    counts.waits[code] = counts.waits.get(code, 0.0) + wait.total_seconds()
    counts.longest = max(counts.longest, wait)


def _report(
    counts: _Counts,
    judged_by: Sequence[DeliveryRules],
    *,
    since: datetime,
    until: datetime,
    stopped_at: datetime | None,
    dropped: int,
    left_out: int,
) -> dict[str, Any]:
    notes = [_("Messages that were suppressed or deferred at the time are evaluated again like all others.")]
    if any(rules.duplicates.is_enabled for rules in judged_by):
        notes.append(_("Texts are compared by template and variables, without rendering them."))
    if dropped:
        notes.append(_("Rows that batches dropped as duplicates are not included: {n}.").format(n=dropped))
    if Suppression.objects.exists():
        notes.append(_("The suppression list is not included. It is not one of the rules and is always checked."))
    if left_out:
        notes.append(_("Rows that can't be read are not included: {n}.").format(n=left_out))
    if stopped_at is not None:
        notes.append(_("Too much traffic for one replay. It ends at {time}.").format(time=stopped_at.isoformat()))
    suppressed, deferred = counts.suppressed.total(), counts.deferred.total()
    return {
        "since": since,
        "until": stopped_at or until,
        "is_whole": stopped_at is None,
        "messages": counts.messages,
        "exempt": counts.exempt,
        "suppressed": suppressed,
        "deferred": deferred,
        "unchanged": counts.messages - suppressed - deferred,
        "mean_wait_seconds": round(sum(counts.waits.values()) / deferred, 1) if deferred else 0.0,
        "max_wait_seconds": round(counts.longest.total_seconds(), 1),
        "by_rule": [
            {
                "rule": code,
                "suppressed": counts.suppressed[code],
                "deferred": counts.deferred[code],
                "mean_wait_seconds": round(counts.waits.get(code, 0.0) / counts.deferred[code], 1) if counts.deferred[code] else 0.0,
            }
            for code, _number in (counts.suppressed + counts.deferred).most_common()
        ],
        "notes": notes,
    }


delivery_rules.what_if = replay_delivery
