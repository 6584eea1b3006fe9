"""What a rule is, and what it becomes for one request: a plan of checks that the script of `enter.lua` understands.

A rule has up to three layers, and all of them must let a request in:

* *rate*: `per_second`. Without a burst never more than that in any one second (tokens come back a second after they were taken);
  with a burst a token bucket: in any span at most burst + rate × span. Warm-up and queueing shape it (see `Behaviour`).
* *at once*: `at_once` requests in progress, counted by leases that expire, so a process that dies holds none for long.
* *window*: `in_window` in any span of `window_seconds`.

Windows are counted in a hundred parts, and a part counts until all of it has left the window: never more than the rule in any
window, and at least 99 of 101 hundredths of it.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _

PARTS = 100
LEASE_SECONDS = 10  # of a request in progress; prolonged while its process lives
SLOTS = 1 << 20  # so many counters has a hot parameter at most: strangers can't fill Redis with made-up values


class Behaviour(TextChoices):
    """What happens above the rate; the names are Sentinel's."""

    REJECT = "reject", _("Refuse")
    WARM_UP = "warm_up", _("Warm up, then refuse")  # a cold start begins at rate ÷ cold factor (Guava's SmoothWarmingUp)
    QUEUE = "queue", _("Queue")  # one after the other, evenly; who would wait too long is refused
    WARM_UP_QUEUE = "warm_up_queue", _("Warm up and queue")


class Check(NamedTuple):
    """One layer of one rule for one value, in the order in which `enter.lua` reads it."""

    key: str
    kind: str  # w window, b token bucket, q queue, l leases
    limit: float
    span_us: int
    reserve_percent: int
    counts: int
    rate: float
    cold_factor: float
    warm_up_us: int
    owes: int


class Label(NamedTuple):
    """What a check is called in answers."""

    rule: str
    layer: str  # rate, window, at-once
    quota: int
    seconds: int
    counts_cost: bool = False

    @property
    def policy(self) -> str:
        """Name of the policy in the headers."""
        return f"{self.rule}-{self.layer}"


class Plan(NamedTuple):
    """All checks that a request has to pass; made once for each caller and kept."""

    checks: tuple[Check, ...]
    labels: tuple[Label, ...]
    lease_keys: tuple[str, ...]
    policies: str  # the header RateLimit-Policy
    waits: bool = False  # whether an allowed request may have to wait first
    resource: str = ""  # what the request is for


@dataclass(frozen=True, slots=True)
class Limits:
    """The three layers; 0: no limit."""

    per_second: float = 0.0
    burst: int = 0
    at_once: int = 0
    in_window: int = 0
    window_seconds: int = 60


@dataclass(frozen=True, slots=True)
class Rule:
    """Limits for a resource, counted separately for each value of an origin."""

    name: str
    resource: str
    origin: str  # "all", or which of the request's values is counted: "tenant", "key", "ip", "recipient", "template"
    limits: Limits
    only: frozenset[str] = frozenset()
    exceptions: Mapping[str, Limits] = field(default_factory=dict)
    behaviour: Behaviour = Behaviour.REJECT
    cold_factor: float = 3.0
    warm_up_seconds: float = 10.0
    max_wait_ms: int = 500
    urgent_reserve_percent: int = 0
    counts_cost: bool = True  # False: each request counts one, whatever it costs

    def applies_to(self, value: str) -> bool:
        """Return whether the rule is for this value of its origin."""
        return not self.only or value in self.only

    def limits_for(self, value: str) -> Limits:
        """Return the limits of a value: its exception's, or the rule's."""
        return self.exceptions.get(value, self.limits)


@cache
def _slot_seed() -> bytes:
    return b"posthaste-flow"


def place(rule: Rule, value: str) -> str:
    """Name a value in keys. Recipients and addresses become numbers, so no key tells who it was."""
    if rule.origin not in ("ip", "recipient"):
        return value
    if value in rule.exceptions:
        return f"x{hashlib.sha256(value.encode()).hexdigest()[:16]}"
    digest = hashlib.blake2b(value.encode(), digest_size=8, key=_slot_seed()).digest()
    return str(int.from_bytes(digest) % SLOTS)


def checks_of(rule: Rule, value: str, *, prefix: str) -> list[tuple[Check, Label]]:
    """Return the checks of a rule for one value of its origin, and what they are called."""
    limits = rule.limits_for(value)
    key = f"{prefix}:{rule.name}:{place(rule, value)}"
    counts, reserve = int(rule.counts_cost), rule.urgent_reserve_percent
    made: list[tuple[Check, Label]] = []
    if limits.at_once:
        check = Check(f"{key}:l", "l", limits.at_once, LEASE_SECONDS * 1_000_000, reserve, 0, 0.0, 0.0, 0, 0)
        made.append((check, Label(rule.name, "at-once", limits.at_once, 0)))
    if limits.per_second:
        label = Label(rule.name, "rate", max(1, int(limits.per_second)), 1, rule.counts_cost)
        made.append((_rate(rule, limits, key, counts, reserve), label))
    if limits.in_window:
        span_us = limits.window_seconds * 1_000_000
        check = Check(f"{key}:w{limits.window_seconds}", "w", limits.in_window, span_us, reserve, counts, 0.0, 0.0, 0, 0)
        made.append((check, Label(rule.name, "window", limits.in_window, limits.window_seconds, rule.counts_cost)))
    return made


def _rate(rule: Rule, limits: Limits, key: str, counts: int, reserve: int) -> Check:
    rate = float(limits.per_second)
    warms = rule.behaviour in (Behaviour.WARM_UP, Behaviour.WARM_UP_QUEUE)
    cold, warm_up_us = (float(rule.cold_factor), int(rule.warm_up_seconds * 1_000_000)) if warms else (0.0, 0)
    if rule.behaviour in (Behaviour.QUEUE, Behaviour.WARM_UP_QUEUE):
        return Check(f"{key}:q", "q", rate, rule.max_wait_ms * 1000, reserve, counts, rate, cold, warm_up_us, 1)
    if limits.burst and not warms:
        return Check(f"{key}:b", "b", float(limits.burst), 0, reserve, counts, rate, 0.0, 0, 1)
    if rate < 1:  # less than one a second: one in as many seconds
        return Check(f"{key}:s", "w", 1.0, int(1_000_000 / rate), reserve, counts, rate, cold, warm_up_us, 1)
    return Check(f"{key}:s", "w", float(int(rate)), 1_000_000, reserve, counts, rate, cold, warm_up_us, 1)
