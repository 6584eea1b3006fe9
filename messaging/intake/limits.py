"""Flow rules at work: from the published module to the rules that `posthaste.lib.flow` asks, and what handing over messages calls."""

from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from accounts.services.api_keys import Caller
from messaging.configuration.flow import FlowRule, FlowRules, Resource, Unit, flow_rules
from posthaste.lib import redis
from posthaste.lib.flow import gate, system
from posthaste.lib.flow.adaptive import Adaptive, Settings
from posthaste.lib.flow.limiter import Pass, limiter
from posthaste.lib.flow.plan_cache import plan_cache
from posthaste.lib.flow.rules import Limits, Rule
from posthaste.lib.flow.totals import process_totals
from posthaste.lib.queues import URGENT

log = structlog.get_logger(__name__)
ADAPTIVE = "adaptive"

adaptive = Adaptive()


def rule_of(rule: FlowRule) -> Rule:
    """Turn one published rule into one that is asked."""
    return Rule(
        name=rule.name,
        resource=rule.resource.value,
        origin=rule.origin.value,
        limits=Limits(rule.per_second, rule.burst, rule.at_once, rule.in_window, rule.window_seconds),
        only=frozenset(rule.only),
        exceptions={
            entry.value: Limits(entry.per_second, 0, entry.at_once, entry.in_window, rule.window_seconds) for entry in rule.exceptions
        },
        behaviour=rule.behaviour,
        cold_factor=rule.cold_factor,
        warm_up_seconds=rule.warm_up_seconds,
        max_wait_ms=rule.max_wait_ms,
        urgent_reserve_percent=rule.urgent_reserve_percent if rule.resource == Resource.ACCEPT else 0,
        counts_cost=rule.unit == Unit.MESSAGES,
    )


def rules_of(value: FlowRules, *, adaptive_limit: float | None = None) -> list[Rule]:
    """Return all rules to be asked, with the adaptive limit where there is one."""
    rules = [rule_of(rule) for rule in value.rules if rule.is_enabled]
    if value.adaptive.is_enabled and adaptive_limit:
        limits = Limits(per_second=round(adaptive_limit))
        counts_cost = value.adaptive.unit == Unit.MESSAGES
        rules.append(Rule(ADAPTIVE, Resource.ACCEPT.value, origin="all", limits=limits, urgent_reserve_percent=10, counts_cost=counts_cost))
    return rules


@flow_rules.listen
def put_in_force(value: FlowRules) -> None:
    """Put published rules in force in this process."""
    limit = None
    if value.adaptive.is_enabled:
        limit = min(value.adaptive.max_per_second, max(value.adaptive.min_per_second, adaptive.limit or value.adaptive.max_per_second))
    plan_cache.put(rules_of(value, adaptive_limit=limit))
    bounds = value.system
    gate.protection = (
        system.Bounds(bounds.load_per_core, bounds.latency_ms, bounds.threads_percent, bounds.spared_priority)
        if bounds.is_enabled
        else None
    )


class _Told:
    """What the adaptive limit was told so far."""

    requests = let_in = messages = refused = 0
    took_ms = 0.0


_told = _Told()


def follow() -> None:
    """Let the adaptive limit take its step; the limiter's keeper calls it about once a second."""
    settings = flow_rules.value.adaptive
    if not settings.is_enabled:
        return
    load, counted = system.load_monitor, process_totals
    accept = Resource.ACCEPT.value  # what the limit is about, and no other call of the API
    let_in, messages = counted.let_in_to[accept], counted.messages_to[accept]
    fresh = messages - _told.messages if settings.unit == Unit.MESSAGES else let_in - _told.let_in
    seen = (load.finished, load.took_ms, counted.refused[ADAPTIVE])
    before = adaptive.limit
    try:
        limit = adaptive.tick(
            Settings(
                settings.min_per_second,
                settings.max_per_second,
                settings.target_latency_ms,
                settings.step_percent,
                settings.every_seconds,
            ),
            requests=max(0, seen[0] - _told.requests),
            counted=max(0, fresh),
            took_ms=max(0.0, seen[1] - _told.took_ms),
            refused=max(0, seen[2] - _told.refused),
        )
    except redis.Unavailable:
        return
    _told.requests, _told.took_ms, _told.refused = seen
    _told.let_in, _told.messages = let_in, messages
    if before is None or round(limit) != round(before):
        log.info("adaptive limit", per_second=round(limit))
        put_in_force(flow_rules.value)


def values_of(caller: Caller, *, ip: str, recipient: str = "", template: str | None = None) -> dict[str, str]:
    """Return what a request that hands over messages is known by."""
    return {"tenant": caller.tenant_slug, "key": caller.prefix, "ip": ip, "recipient": recipient, "template": template or ""}


@contextmanager
def handing_over(
    caller: Caller, *, ip: str, cost: int, priority: int, recipient: str = "", template: str | None = None
) -> Iterator[Pass | None]:
    """Let messages in, all of a request or none.

    `cost` is the number of messages. Priorities from 9 on have a reserve behind each rule. `recipient` is counted for single messages
    only: ten thousand counters for one batch would cost more than they save, and frequency caps look at each message later.

    Raises:
        TooMany: a rule says no, or the process is beyond its bounds and the priority too low.
    """
    gate.protect(priority)
    values = values_of(caller, ip=ip, recipient=recipient, template=template)
    with gate.enter(Resource.ACCEPT.value, values, cost=cost, urgent=priority >= URGENT) as passed:
        yield passed


def entry_of(caller: Caller, *, ip: str, priority: int, recipient: str, template: str | None) -> gate.Entry | None:
    """Prepare the way of one message through the limits, which is asked for with its group: see `accept`.

    Raises:
        TooMany: the process is beyond its bounds and the priority too low.
    """
    gate.protect(priority)
    values = values_of(caller, ip=ip, recipient=recipient, template=template)
    return gate.entry(Resource.ACCEPT.value, values, urgent=priority >= URGENT)


put_in_force(flow_rules.value)
limiter.on_tick.append(follow)
