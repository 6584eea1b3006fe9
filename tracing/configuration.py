"""How long traces are kept, and of how many messages."""

from django.utils.translation import gettext_noop as _

from configcenter import hot
from configcenter.hot import Module, setting


class Tracing(Module):
    """Retention and sampling."""

    retention_days: int = setting(7, _("Kept for"), _("Afterwards the message itself still tells its times."), unit=_("days"), ge=1, le=90)
    sample_percent: int = setting(
        100,
        _("Sampled"),
        _("Share of the messages that are traced in full; failures and decisions are traced always."),
        unit="%",
        ge=0,
        le=100,
    )
    always_from_priority: int = setting(9, _("Always from priority"), _("From here on every message is traced."), ge=0, le=10)


tracing = hot.register(
    Tracing, name="tracing", title=_("Tracing"), purpose=_("How long traces are kept, and of how many messages."), order=8
)
