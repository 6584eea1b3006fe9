"""The monitor's pages: each module hangs its own where it belongs."""

from monitor import overview
from monitor.breakers import pages as breakers
from monitor.limits import pages as limits

__all__ = ["breakers", "limits", "overview"]
