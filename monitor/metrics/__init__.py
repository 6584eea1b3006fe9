"""The outlet of the figures at `/metrics`, and the monitor's own figures."""

from monitor.metrics import alarms, http, platform  # noqa: F401 - each declares its own
