"""The alarms at the foot of the big screen."""

from typing import Any

from django.urls import reverse

from accounts.services import rights
from monitor.alarms import selectors


def firing(user: Any) -> list[dict[str, Any]] | None:
    """Return the active alarms, the most urgent first: text, severity, since, and the address of each; None if the user may not see alarms.

    Raises:
        django.db.DatabaseError: the database is away.
    """
    if not rights.may_view(user):
        return None
    return [
        {
            "text": alarm.title,
            "severity": alarm.severity,
            "since": alarm.since,
            "url": reverse("alarm", args=[alarm.id]),
        }
        for alarm in selectors.firing()
    ]
