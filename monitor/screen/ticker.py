"""The alarms at the foot of the big screen."""

from typing import Any


def firing(user: Any) -> list[dict[str, Any]]:
    """Return the alarms that are firing and that the user may see: text, severity, since, and the address of each."""
    return []
