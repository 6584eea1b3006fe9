"""Events for webhook endpoints, and the endpoints."""

from collections.abc import Mapping

from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from messaging.models import DisabledCode
from messaging.webhooks import figures
from posthaste.lib.metric_readings import once_a_reading
from posthaste.lib.metrics import metric


@once_a_reading
def _disabled() -> Mapping[str, float]:
    return figures.by_disabled_code()


@metric("webhook_waiting_events", help=_("Events that wait for enabled webhook endpoints, counted up to 10,000 for each."), unit="events")
def webhook_waiting_events() -> float:
    """Count what lies after the cursors."""
    return figures.waiting()


@metric(
    "webhook_oldest_event_seconds",
    title=_("Age of the oldest waiting webhook event, seconds"),
    help=_("Age of the oldest event that waits for an enabled webhook endpoint."),
    unit="seconds",
)
def webhook_oldest_event_seconds() -> float:
    """Return 0 where nothing waits."""
    return figures.oldest_seconds(now=timezone.now())


@metric("webhook_endpoints", help=_("Webhook endpoints by state: enabled, failing, disabled."), labels=("state",))
def webhook_endpoints() -> Mapping[str, float]:
    """Count the endpoints of all tenants."""
    return figures.endpoints_by_state()


@metric(
    "webhook_disabled_endpoints",
    help=_("Disabled webhook endpoints by why: manual, gone (answered 410), failing (failed for too long)."),
    labels=("code",),
)
def webhook_disabled_endpoints() -> Mapping[str, float]:
    """Count the disabled endpoints of all tenants."""
    return _disabled()


@metric(
    "webhook_given_up_endpoints",
    title=_("Webhook endpoints that Posthaste disabled"),
    help=_("Webhook endpoints that Posthaste itself disabled, because they answered 410 or failed for too long."),
    unit="endpoints",
)
def webhook_given_up_endpoints() -> float:
    """Count the disabled endpoints of all tenants, without those that were disabled by hand."""
    return sum(number for code, number in _disabled().items() if code != DisabledCode.MANUAL)


@metric(
    "webhook_deliveries_total",
    help=_("Requests to webhook endpoints by what came of them: delivered, failed, unknown, given_up. Tests and replays are not counted."),
    kind="counter",
    labels=("status",),
)
def webhook_deliveries_total() -> Mapping[str, float]:
    """Return what all processes have counted in Redis."""
    return figures.deliveries()
