"""What the limits do at the moment, for the API and the console: what was let in and refused, the adaptive limit and its reasons."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from messaging.configuration.flow import flow_rules
from messaging.intake import limits
from posthaste.lib import redis
from posthaste.lib.flow import adaptive, totals
from posthaste.lib.flow.limiter import limiter

MINUTES = 5
SYSTEM = "system:"
NOTHING: dict[str, Any] = {"let_in": None, "messages": None, "waited": None, "refused": [], "rules": []}


def _by_rule(let_in_to: Mapping[str, int], refused: Mapping[str, int]) -> list[dict[str, Any]]:
    """Return each rule in force, those that refuse most first. A request passes all rules of its resource, or is refused by one."""
    rows = [
        {
            "rule": rule.name,
            "is_enabled": rule.is_enabled,
            "resource": rule.resource,
            "origin": rule.origin,
            "let_in": let_in_to.get(rule.resource.value, 0),
            "refused": refused.get(rule.name, 0),
        }
        for rule in flow_rules.value.rules
    ]
    return sorted(rows, key=lambda row: -int(row["refused"]))


def now() -> dict[str, Any]:
    """Return what all processes counted lately; None for numbers that are unknown while Redis is away.

    Keys: minutes, is_local, processes, let_in, messages, waited, refused (rows of rule and number), rules (each with what its resource
    let in and what it refused), system, adaptive.
    """
    try:
        counted = totals.recent(minutes=MINUTES)
        steps = adaptive.history()
        rows = [{"rule": rule, "number": number} for rule, number in counted["refused"].items()]
        known = {
            "let_in": counted["let_in"],
            "messages": counted["messages"],
            "waited": counted["waited"],
            "refused": [row for row in rows if not row["rule"].startswith(SYSTEM)],
            "rules": _by_rule(counted["let_in_to"], counted["refused"]),
        }
    except redis.Unavailable:
        steps, rows, known = [], [], NOTHING
    is_away = known is NOTHING
    value = flow_rules.value
    return {
        "minutes": MINUTES,
        "is_local": is_away or limiter.is_local,
        "processes": limiter.local.processes,
        **known,
        "system": {
            "is_enabled": value.system.is_enabled,
            "refused": [{**row, "rule": row["rule"].removeprefix(SYSTEM)} for row in rows if row["rule"].startswith(SYSTEM)],
        },
        "adaptive": {
            "is_enabled": value.adaptive.is_enabled,
            "limit": steps[0]["limit"] if steps and value.adaptive.is_enabled else limits.adaptive.limit,
            "unit": value.adaptive.unit.value,
            "min_per_second": value.adaptive.min_per_second,
            "max_per_second": value.adaptive.max_per_second,
            "steps": [{**step, "at": datetime.fromtimestamp(step["at"], UTC)} for step in steps],
        },
    }
