"""Flow rules over the messages and batches that were handed over, with the limiter's own model on the recorded times."""

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from heapq import merge
from typing import Any, NamedTuple

from django.db.models import F
from django.utils.translation import gettext as _

from accounts.selectors import key_prefixes, tenant_slugs
from configcenter.hot import Applied
from messaging.configuration.flow import FlowRules, Resource, flow_rules
from messaging.intake.limits import rules_of
from messaging.models import Batch, Message, TemplateVersion
from messaging.storage.leave_out import Reading
from posthaste.lib.flow.model import Model
from posthaste.lib.flow.plan_cache import PlanCache
from posthaste.lib.flow.rules import Plan
from posthaste.lib.ids import first_id_at
from posthaste.lib.queues import URGENT

MAX_REQUESTS = 500_000
MAX_SECONDS = 20.0
MAX_COUNTERS = 50_000
WORST_MINUTES = TOP_TENANTS = 10


class Handed(NamedTuple):
    """One request that handed messages over."""

    at: datetime
    tenant_id: int
    key_id: int | None
    version_id: int | None
    recipient: str
    priority: int
    cost: int


@dataclass(slots=True)
class _Counts:
    requests: int = 0
    messages: int = 0
    limited_requests: int = 0
    limited_messages: int = 0
    waited_requests: int = 0
    max_wait_ms: int = 0
    by_rule: "Counter[tuple[str, str]]" = field(default_factory=Counter)
    messages_by_rule: "Counter[tuple[str, str]]" = field(default_factory=Counter)
    limited_by_minute: "Counter[datetime]" = field(default_factory=Counter)
    by_minute: "Counter[datetime]" = field(default_factory=Counter)
    limited_by_tenant: "Counter[int]" = field(default_factory=Counter)
    by_tenant: "Counter[int]" = field(default_factory=Counter)


class HandedOver:
    """The requests of a span in the order of their times, a page of rows in memory at a time; `left_out` could not be read so far."""

    def __init__(self, since: datetime, until: datetime, tenant_id: int | None) -> None:
        own = {} if tenant_id is None else {"tenant_id": tenant_id}
        span = {"id__gte": first_id_at(since), "id__lt": first_id_at(until)}  # the id begins with the time, and has the index
        fields = ("created_at", "tenant_id", "api_key_id", "template_version_id", "recipient", "priority")
        self._singles = Reading(Message.objects.filter(batch=None, **span, **own), fields)
        # The limits counted all its rows, also those that were then found to be invalid or duplicates.
        sized = Batch.objects.filter(**span, **own).annotate(size=F("accepted") + F("rejected") + F("dropped"))
        self._batches = Reading(sized, ("created_at", "tenant_id", "api_key_id", "template_version_id", "priority", "size"))

    def __iter__(self) -> Iterator[Handed]:
        return merge(
            (Handed._make((*row, 1)) for row in self._singles),
            (Handed(at, tenant, key, version, "", priority, cost) for at, tenant, key, version, priority, cost in self._batches),
            key=lambda handed: handed.at,
        )

    @property
    def left_out(self) -> int:
        return self._singles.left_out + self._batches.left_out


def replay_flow(draft: Applied[FlowRules], *, since: datetime, until: datetime, tenant_id: int | None = None) -> dict[str, Any]:
    """Return what the rules would have done to what was handed over in a span; of one tenant, or of all."""
    rules = draft.value  # tenants have no separate limits: those of a tenant are exceptions within the rules
    plans = PlanCache()
    plans.put(rules_of(rules.model_copy(update={"adaptive": flow_rules.value.adaptive.model_copy(update={"is_enabled": False})})))
    tenants = tenant_slugs()
    keys = key_prefixes()
    templates = dict(TemplateVersion.objects.values_list("pk", "template__name"))
    model, counts, until_clock = Model(max_counters=MAX_COUNTERS), _Counts(), time.monotonic() + MAX_SECONDS
    timed: dict[Plan, Plan] = {}
    stopped_at: datetime | None = None
    requests = HandedOver(since, until, tenant_id)
    for handed in requests:
        if counts.requests >= MAX_REQUESTS or (counts.requests % 1_000 == 999 and time.monotonic() > until_clock):
            stopped_at = handed.at
            break
        values = {
            "tenant": tenants.get(handed.tenant_id, ""),
            "key": keys.get(handed.key_id or 0, ""),
            "template": templates.get(handed.version_id or 0, ""),
            "recipient": handed.recipient,
        }
        plan = plans.plan(Resource.ACCEPT, values)
        _ask(model, _without_leases(plan, timed), handed, counts)
    return _report(counts, tenants, since=since, until=until, stopped_at=stopped_at, rules=rules, left_out=requests.left_out)


def _without_leases(plan: Plan, timed: dict[Plan, Plan]) -> Plan:
    """How long requests took was not recorded, so what counts them at once can't be replayed."""
    if not plan.lease_keys:
        return plan
    found = timed.get(plan)
    if found is None:
        if len(timed) >= MAX_COUNTERS:
            timed.clear()
        pairs = [pair for pair in zip(plan.checks, plan.labels, strict=True) if pair[0].kind != "l"]
        found = timed[plan] = plan._replace(checks=tuple(check for check, _l in pairs), labels=tuple(label for _c, label in pairs))
    return found


def _ask(model: Model, plan: Plan, handed: Handed, counts: _Counts) -> None:
    minute = handed.at.replace(second=0, microsecond=0)
    counts.requests += 1
    counts.messages += handed.cost
    counts.by_minute[minute] += handed.cost
    counts.by_tenant[handed.tenant_id] += handed.cost
    now_us = int(handed.at.timestamp() * 1_000_000)
    answer = model.enter(plan.checks, cost=max(1, handed.cost), urgent=handed.priority >= URGENT, lease="", now_us=now_us)
    if answer.verdict == 1:
        if answer.wait_us:
            counts.waited_requests += 1
            counts.max_wait_ms = max(counts.max_wait_ms, answer.wait_us // 1000)
        return
    label = plan.labels[answer.check - 1]
    counts.limited_requests += 1
    counts.limited_messages += handed.cost
    counts.by_rule[label.rule, label.layer] += 1
    counts.messages_by_rule[label.rule, label.layer] += handed.cost
    counts.limited_by_minute[minute] += handed.cost
    counts.limited_by_tenant[handed.tenant_id] += handed.cost


def _report(
    counts: _Counts,
    tenants: dict[int, str],
    *,
    since: datetime,
    until: datetime,
    stopped_at: datetime | None,
    rules: FlowRules,
    left_out: int,
) -> dict[str, Any]:
    enabled = [rule for rule in rules.rules if rule.is_enabled]
    notes = [_("Only accepted requests were recorded. Requests refused at the time are not included.")]
    if any(rule.at_once for rule in enabled):
        notes.append(_("Concurrent requests can't be replayed because durations were not recorded."))
    if any(rule.resource != Resource.ACCEPT for rule in enabled):
        notes.append(_("Only submitted messages were recorded. Rules for other resources are not included."))
    if any(rule.origin == "ip" and rule.resource == Resource.ACCEPT for rule in enabled):
        notes.append(_("Addresses were not recorded. Rules that count by address are not included."))
    if left_out:
        notes.append(_("Rows that can't be read are not included: {n}.").format(n=left_out))
    if stopped_at is not None:
        notes.append(_("Too much traffic for one replay. It ends at {time}.").format(time=stopped_at.isoformat()))
    return {
        "since": since,
        "until": stopped_at or until,
        "is_whole": stopped_at is None,
        "requests": counts.requests,
        "messages": counts.messages,
        "limited_requests": counts.limited_requests,
        "limited_messages": counts.limited_messages,
        "waited_requests": counts.waited_requests,
        "max_wait_ms": counts.max_wait_ms,
        "by_rule": [
            {"rule": rule, "layer": layer, "requests": number, "messages": counts.messages_by_rule[rule, layer]}
            for (rule, layer), number in counts.by_rule.most_common()
        ],
        "worst_minutes": [
            {"minute": minute, "limited_messages": number, "messages": counts.by_minute[minute]}
            for minute, number in counts.limited_by_minute.most_common(WORST_MINUTES)
        ],
        "top_tenants": [
            {"tenant": tenants.get(tenant, str(tenant)), "limited_messages": number, "messages": counts.by_tenant[tenant]}
            for tenant, number in counts.limited_by_tenant.most_common(TOP_TENANTS)
        ],
        "notes": notes,
    }


flow_rules.what_if = replay_flow
