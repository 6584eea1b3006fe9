"""How events are sent to the endpoints of tenants, and how long they are kept."""

from django.utils.translation import gettext_noop as _

from configcenter import hot
from configcenter.hot import Module, setting


class Webhooks(Module):
    """How events are sent, repeated, given up, and kept."""

    timeout_seconds: float = setting(
        10.0, _("Request timeout"), _("After this, the outcome is unknown and the request is repeated."), unit="s", ge=1, le=60
    )
    max_attempt_hours: float = setting(
        24.0,
        _("Give up after"),
        _("A request that fails for this long is given up, and the next events are sent."),
        unit="h",
        ge=0.1,
        le=168,
    )
    disable_after_hours: float = setting(
        72.0,
        _("Disable after"),
        _("An endpoint that fails for this long is disabled. The overview and the metrics show it."),
        unit="h",
        ge=0.1,
        le=720,
    )
    at_once_per_host: int = setting(4, _("Concurrent requests per host"), _("Across all endpoints of one tenant."), ge=1, le=100)
    at_once_per_host_in_total: int = setting(
        16, _("Concurrent requests per host in total"), _("Across all endpoints and tenants."), ge=1, le=1_000
    )
    max_lag_seconds: float = setting(
        60.0,
        _("Maximum event delay under load"),
        _("While many messages are being sent, events wait so that sending is not slowed. Older events are sent at once. 0: never wait."),
        unit="s",
        ge=0,
        le=600,
    )
    max_endpoints: int = setting(20, _("Maximum endpoints per tenant"), "", ge=1, le=1_000)
    keep_days: int = setting(
        7,
        _("Keep events for"),
        _("Events and the delivery log are deleted after that, including undelivered events."),
        unit=_("days"),
        ge=1,
        le=30,
    )


webhooks = hot.register(
    Webhooks,
    name="webhooks",
    title=_("Webhooks"),
    purpose=_("How events are sent to the endpoints of tenants, and how long they are kept."),
    order=14,
    per_tenant=("max_endpoints",),
)
