"""The verdicts for a chunk, right before its messages go to a provider.

In this order: the suppression list (always, whatever the priority), quiet hours and send windows, then duplicates and frequency
caps together. The list is asked with one query for the chunk, while it is claimed; the counters with one round trip, and only
where a rule wants one. A message from the exempt priority on meets the list alone.

If Redis is away, what a rule of duplicates or frequency concerns is put off for a few seconds at a time: it would otherwise go out
unchecked, which cannot be undone. All other messages go on.
"""

import hashlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from django.utils.translation import gettext_noop

from configcenter.hot import Applied
from messaging.channels.recipients import list_key
from messaging.configuration.delivery import DeliveryRules, Frequency, Outside
from messaging.delivery.render import RenderedMessage
from messaging.delivery.rules import counters, hours
from messaging.delivery.rules.counters import Cap, RuleAnswer, RuleQuery
from messaging.storage.store import Claimed
from posthaste.lib import redis

UNCHECKED_PAUSE = timedelta(seconds=15)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why a message does not go out now. `until` None: it never does."""

    code: str  # as the message shows it: rule:<kind>:<name>
    detail: str
    until: datetime | None = None


@dataclass(slots=True)
class Verdicts:
    """What was found for a chunk."""

    release: int  # the number of the configuration's release that was looked at
    against: dict[UUID, Verdict] = field(default_factory=dict)
    held: dict[UUID, RuleQuery] = field(default_factory=dict)  # what those that may go have claimed and counted


def check(messages: Sequence[RenderedMessage], *, listed: Mapping[UUID, str], applied: Applied[DeliveryRules], now: datetime) -> Verdicts:
    """Return which messages of a chunk may not go out now. `listed` names those on the suppression list, with why."""
    found = Verdicts(applied.release)
    asking: list[tuple[RuleQuery, tuple[Frequency, ...]]] = []
    blocks: dict[tuple[int, str, str], hours.Block | None] = {}
    for message in messages:
        row = message.row
        if reason := listed.get(row.id):
            found.against[row.id] = Verdict(f"rule:suppressed:{reason}", gettext_noop("The recipient is on the suppression list."))
            continue
        rules = applied.by_tenant.get(row.tenant_id, applied.value)
        if row.priority >= rules.exempt_priority:
            continue
        if (rules.quiet_hours or rules.send_windows) and (block := _block(rules, row, now, blocks)) is not None:
            said = "It waits for the recipient's hours." if block.until else "It is outside the recipient's hours."
            found.against[row.id] = Verdict(block.code, said, block.until)
            continue
        if not rules.duplicates.is_enabled and not rules.frequency:
            continue
        queries, caps = _asked(rules, message)
        if queries.keys:
            asking.append((queries, caps))
    _count(asking, found, now)
    return found


def _block(rules: DeliveryRules, row: Claimed, now: datetime, known: dict[tuple[int, str, str], hours.Block | None]) -> hours.Block | None:
    """Worked out once for each category and zone of the chunk; the messages of a chunk have one tenant and channel."""
    zone = hours.zone_of(channel=row.channel, recipient=row.recipient, named=row.time_zone, default=rules.default_time_zone)
    key = (row.tenant_id, row.category, zone.key)
    if key not in known or known[key] is not None:  # each waiting message gets its own pause
        known[key] = hours.block(rules, category=row.category, channel=row.channel, zone=zone, now=now)
    return known[key]


def scope_of(row: Claimed) -> str:
    """Return what separates counts: the tenant, and trying out from earnest."""
    return f"{row.tenant_id}t" if row.is_sandbox else str(row.tenant_id)


def digest(*parts: str) -> str:
    """Return a short name for texts that must not stand in a key."""
    return hashlib.blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _asked(rules: DeliveryRules, message: RenderedMessage) -> tuple[RuleQuery, tuple[Frequency, ...]]:
    row, request = message.row, message.request
    scope, who = scope_of(row), list_key(row.recipient)
    content_key, duplicates = "", rules.duplicates
    concerned = row.category not in duplicates.exempt_categories and (not duplicates.channels or row.channel in duplicates.channels)
    if duplicates.is_enabled and concerned:
        texts = (request.subject, request.body, request.html)
        if message.own_link:  # every message has its own link: equal texts must still compare as equal
            texts = (request.subject, request.body.replace(message.own_link, ""), request.html.replace(message.own_link, ""))
        content_key = redis.key("d", scope, digest(row.channel, who, *texts))
    caps = tuple(cap for cap in rules.frequency if cap.category in ("", row.category) and cap.channel in ("", row.channel))
    counted = digest(who) if caps else ""
    return (
        RuleQuery(
            id=row.id,
            content_key=content_key,
            lasts_ms=duplicates.minutes * 60_000,
            caps=tuple(Cap(redis.key("f", scope, cap.name, counted), int(cap.hours * 3_600_000), cap.most) for cap in caps),
        ),
        caps,
    )


def _count(asking: Sequence[tuple[RuleQuery, tuple[Frequency, ...]]], found: Verdicts, now: datetime) -> None:
    try:
        answers = counters.check([queries for queries, _caps in asking], now=now)
    except redis.Unavailable:
        for queries, _caps in asking:
            said = "Duplicates and frequency can't be looked at while Redis is away."
            found.against[queries.id] = Verdict("rule:unchecked", said, now + UNCHECKED_PAUSE)
        return
    for (queries, caps), answer in zip(asking, answers, strict=True):
        if answer.verdict == 0:
            found.held[queries.id] = queries
        else:
            found.against[queries.id] = _refused(caps, answer, now)


def _refused(caps: Sequence[Frequency], answer: RuleAnswer, now: datetime) -> Verdict:
    if answer.verdict < 0:
        return Verdict("rule:duplicate", gettext_noop("The same text went to the same recipient a short while ago."))
    cap = caps[answer.verdict - 1]
    said = f"The recipient has had {cap.most} in {cap.hours:g} h."
    until = now + answer.wait * (1 + 0.05 * random.random()) if cap.outside == Outside.DEFER else None
    return Verdict(f"rule:frequency:{cap.name}", said, until)
