"""Rules, receivers and times for the tests of alarms."""

from datetime import UTC, datetime, timedelta
from typing import Any

from monitor.alarms.rules import AlarmRule, Comparison, Receiver, ReceiverKind

START = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def rule(name: str = "backlog", **fields: Any) -> AlarmRule:
    """Make a rule: more than 100 for 60 seconds."""
    return AlarmRule(**{"name": name, "metric": "due_messages", "bound": 100, "for_seconds": 60, "hold_seconds": 300, **fields})


def low(name: str = "success", **fields: Any) -> AlarmRule:
    """Make a rule that fires below its threshold."""
    return rule(name, **{"comparison": Comparison.BELOW, "bound": 95, "clear_bound": 97, "metric": "success_percent", **fields})


def receiver(name: str = "ops", **fields: Any) -> Receiver:
    """Make a receiver by e-mail."""
    return Receiver(**{"name": name, "kind": ReceiverKind.EMAIL, "address": f"{name}@example.com", **fields})


def after(seconds: float) -> datetime:
    """Return the time so many seconds after the start."""
    return START + timedelta(seconds=seconds)
