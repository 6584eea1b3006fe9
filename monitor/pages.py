"""The monitor's pages: each module hangs its own where it belongs."""

from monitor import attention, overview
from monitor.alarms import pages as alarms
from monitor.breakers import pages as breakers
from monitor.dead_letters import pages as dead_letters
from monitor.instances import pages as instances
from monitor.limits import pages as limits
from monitor.queues import pages as queues
from monitor.screen import pages as screen
from monitor.search import pages as search

__all__ = ["alarms", "attention", "breakers", "dead_letters", "instances", "limits", "overview", "queues", "screen", "search"]
