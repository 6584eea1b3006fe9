"""How long traces are kept, and for how many messages."""

from django.utils.translation import gettext_noop as _

from configcenter import hot
from configcenter.hot import Module, setting


class Tracing(Module):
    """Retention and sampling."""

    retention_days: int = setting(7, _("Retention"), _("After that, the message still shows its main times."), unit=_("days"), ge=1, le=90)
    sample_percent: int = setting(
        100,
        _("Sampled"),
        _("Share of messages traced in full. Failures and decisions are always traced."),
        unit="%",
        ge=0,
        le=100,
    )
    always_from_priority: int = setting(9, _("Always from priority"), _("From this priority on, every message is traced."), ge=0, le=10)


tracing = hot.register(
    Tracing, name="tracing", title=_("Tracing"), purpose=_("How long traces are kept, and for how many messages."), order=8
)
