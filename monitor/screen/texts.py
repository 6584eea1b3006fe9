"""The words that the big screen's scripts put into charts and tables, in the reader's language."""

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from messaging.channels.registry import CHANNEL_CHOICES
from messaging.statistics import state_labels


def texts() -> dict[str, Any]:
    """Return the words by their use."""
    states = state_labels()
    return {
        "live": pgettext("connection", "live"),
        "reconnecting": _("reconnecting"),
        "asOf": _("as of {time}"),
        "accepted": _("Accepted"),
        "states": states,
        "channels": {code: str(label) for code, label in CHANNEL_CHOICES},
        "depth": _("Waiting to be sent"),
        "capacity": _("Capacity"),
        "threads": _("Threads"),
        "busy": _("Threads at work"),
        "success": _("Success rate"),
        "perSecond": _("{number}/s"),
        "units": {"ms": _("ms"), "s": _("s")},
        "time": _("Time"),
        "nothing": _("Nothing was sent in this time."),
        "unknown": _("No figures were recorded in this time."),
        "failed": _("The figures could not be read. The next attempt follows in a few seconds."),
        "table": _("Table"),
        "chart": _("Chart"),
        "alarms": _("{number} alarms"),
        "noAlarms": _("No alarm is firing"),
        "alarmsUnknown": _("The alarms could not be read"),
        "full": _("The queue is 80 % full"),
    }
