"""The monitor's pages: each module hangs its own where it belongs."""

from monitor import overview
from monitor.breakers import pages as breakers
from monitor.limits import pages as limits
from monitor.screen import pages as screen

__all__ = ["breakers", "limits", "overview", "screen"]
