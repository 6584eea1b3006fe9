"""The registered figures and their outlet at `/metrics`."""

from monitor.metrics import platform  # noqa: F401 - declares the monitor's own
