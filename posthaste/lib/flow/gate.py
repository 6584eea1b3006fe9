"""What entrances call: `with gate.enter(…)` lets a request in, lets it wait, or raises the 429.

The owner of the rules says which are in force (`plan_cache.put`); this module knows resources and values only.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from posthaste.lib.flow import headers, system
from posthaste.lib.flow.limiter import Pass, limiter
from posthaste.lib.flow.plan_cache import plan_cache
from posthaste.lib.flow.rules import Plan
from posthaste.lib.flow.totals import process_totals
from posthaste.lib.problems import TooMany
from posthaste.lib.process_state import on_reset

#: In force for this process; None: no protection.
protection: system.Bounds | None = None


def protect(priority: int = system.DEFAULT_PRIORITY) -> None:
    """Refuse low priorities while this process is beyond its bounds.

    Raises:
        TooMany: this one is among them.
    """
    bounds = protection
    if bounds is None or priority >= bounds.spared_priority:
        return
    pressure, source = system.load_monitor.pressure(bounds)
    if priority < system.refused_below(pressure, bounds.spared_priority):
        process_totals.refused[f"system:{source}"] += 1
        raise TooMany(
            _("The platform is busy and takes urgent requests first. Try again shortly."), retry_after_seconds=2, limited_by="system"
        )


def ask(resource: str, values: Mapping[str, str], *, cost: int = 1, urgent: bool = False) -> Pass | None:
    """Let a request in, after its wait where a rule has a queue; None: no rule fits. Give the pass to `leave`.

    Raises:
        TooMany: a rule says no. Nothing was taken from any rule.
    """
    plan = plan_cache.plan(resource, values)
    return ask_for(plan, cost=cost, urgent=urgent) if plan.checks else None


def ask_for(plan: Plan, *, cost: int, urgent: bool) -> Pass:
    """Do so for a plan that is at hand.

    Raises:
        TooMany: a rule says no. Nothing was taken from any rule.
    """
    passed = limiter.enter(plan, cost=cost, urgent=urgent)
    if passed.allowed:
        process_totals.count(plan.resource, cost)
        if passed.answer.wait_us:
            process_totals.waited += 1
            time.sleep(passed.answer.wait_us / 1_000_000)
        return passed
    raise refusal(passed, cost)


def refusal(passed: Pass, cost: int) -> TooMany:
    """Return the 429 of a pass that was refused."""
    label = passed.plan.labels[passed.answer.check - 1]
    process_totals.refused[label.rule] += 1
    if passed.answer.verdict == -1:
        text = _("This request counts as {cost}, but the rule {rule} never accepts more than {quota} at once. Send smaller batches.")
    elif label.layer == "at-once":
        text = _("The rule {rule} allows {quota} concurrent requests. Nothing was stored. Try again when others have finished.")
    elif label.layer == "window":
        text = _("The rule {rule} allows {quota} within {seconds} seconds. Nothing was stored. Try again after the time in Retry-After.")
    else:
        text = _("The rule {rule} allows {quota} per second. Nothing was stored. Try again after the time in Retry-After.")
    problem = TooMany(
        format_lazy(text, cost=cost, rule=label.rule, quota=label.quota, seconds=label.seconds),
        retry_after_seconds=headers.retry_after_seconds(passed.answer.wait_us),
        limited_by=label.rule,
        layer=label.layer,
    )
    problem.headers |= headers.of(passed)
    if passed.answer.verdict == -1:
        del problem.headers["Retry-After"]  # waiting does not help
    return problem


def leave(passed: Pass | None) -> None:
    """Return back what a request holds."""
    if passed is not None:
        limiter.leave(passed)


@dataclass(slots=True)
class Entry:
    """A request that is let in together with others, when its group is at hand (see `let_in`)."""

    plan: Plan
    cost: int
    urgent: bool
    passed: Pass | None = None
    is_over: bool = False


def entry(resource: str, values: Mapping[str, str], *, cost: int = 1, urgent: bool = False) -> Entry | None:
    """Prepare the permission that `let_in` asks for; None: no rule fits. Give it to `over` in the end."""
    plan = plan_cache.plan(resource, values)
    return Entry(plan, cost, urgent) if plan.checks else None


def wait(made: Entry | None) -> None:
    """Ask, and wait, at once where a rule has a queue.

    Raises:
        TooMany: a rule says no.
    """
    if made is not None and made.plan.waits:
        made.passed = ask_for(made.plan, cost=made.cost, urgent=made.urgent)


def over(made: Entry | None) -> None:
    """End what was prepared, and give back what it holds."""
    if made is not None:
        made.is_over = True
        leave(made.passed)


def let_in(entries: Sequence[Entry]) -> list[TooMany | None]:
    """Ask for requests that have not been asked for yet, in one call, and give each one's refusal or None, in order."""
    asking = [entry for entry in entries if entry.passed is None]
    refused: dict[int, TooMany] = {}
    if asking:
        for entry, passed in zip(asking, limiter.enter_all([(entry.plan, entry.cost, entry.urgent) for entry in asking]), strict=True):
            if not passed.allowed:
                refused[id(entry)] = refusal(passed, entry.cost)
                continue
            process_totals.count(entry.plan.resource, entry.cost)
            entry.passed = passed
            if entry.is_over:  # its caller has given up meanwhile
                leave(passed)
    return [refused.get(id(entry)) for entry in entries]


@contextmanager
def enter(resource: str, values: Mapping[str, str], *, cost: int = 1, urgent: bool = False) -> Iterator[Pass | None]:
    """Hold a request's permission.

    Raises:
        TooMany: a rule says no.
    """
    passed = ask(resource, values, cost=cost, urgent=urgent)
    try:
        yield passed
    finally:
        leave(passed)


@on_reset
def forget() -> None:
    """Begin with counters of its own: for tests."""
    limiter.forget()
    plan_cache.space = limiter.space
    process_totals.forget()
    system.load_monitor.forget()
