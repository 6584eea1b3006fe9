"""System check of the export of traces: what it needs is installed where it is asked for."""

from importlib.util import find_spec
from typing import Any

from django.core.checks import CheckMessage, Warning

from posthaste import env

PACKAGE = "opentelemetry.exporter.otlp.proto.http"


def is_installed() -> bool:
    """Return whether the packages of requirements-otel.txt are installed."""
    try:
        return find_spec(PACKAGE) is not None
    except ModuleNotFoundError:
        return False


def check_export(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Report that traces can't be exported because a package is missing."""
    if not env.load().otlp_endpoint or is_installed():
        return []
    return [
        Warning(
            "OTLP_ENDPOINT is set, but the packages that export traces are not installed: no traces are exported.",
            hint="Run `pip install -r requirements-otel.txt` (opentelemetry-exporter-otlp-proto-http), or leave OTLP_ENDPOINT empty.",
            id="tracing.W001",
        )
    ]
