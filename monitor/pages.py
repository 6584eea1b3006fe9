"""The monitor's pages: each module hangs its own where it belongs."""

from monitor import overview
from monitor.alarms import pages as alarms
from monitor.breakers import pages as breakers
from monitor.limits import pages as limits

__all__ = ["alarms", "breakers", "limits", "overview"]
