"""When a provider or a host is left alone for a while."""

from typing import Self

from django.utils.translation import gettext_noop as _
from pydantic import model_validator

from configcenter import hot
from configcenter.hot import Module, Shape, setting


class BreakerRule(Shape):
    """When a breaker opens, and how it closes again."""

    is_enabled: bool = setting(True, _("Enabled"), "")
    window_seconds: int = setting(30, _("Window"), _("What is looked back upon; it rolls on in tenths."), unit="s", ge=1, le=3600)
    min_requests: int = setting(20, _("Fewest calls"), _("Fewer calls in the window say nothing."), ge=1, le=100_000)
    slow_ms: int = setting(5_000, _("Slow from"), _("A call that takes longer counts as slow."), unit="ms", ge=1, le=600_000)
    slow_percent: int = setting(60, _("Open at slow calls"), _("0: not looked at."), unit="%", ge=0, le=100)
    error_percent: int = setting(50, _("Open at errors"), _("0: not looked at."), unit="%", ge=0, le=100)
    error_count: int = setting(0, _("Open at number of errors"), _("0: not looked at."), ge=0, le=1_000_000)
    open_seconds: float = setting(10.0, _("Stays open"), _("Then a few calls are tried."), unit="s", ge=0.5, le=3600)
    trial_calls: int = setting(
        3, _("Trial calls"), _("Half-open: so many must succeed to close it; one that fails opens it again."), ge=1, le=100
    )


class ReceiptRule(Shape):
    """A provider that accepts everything and delivers nothing is broken too."""

    is_enabled: bool = setting(True, _("Enabled"), "")
    window_seconds: int = setting(300, _("Window"), "", unit="s", ge=10, le=86_400)
    min_receipts: int = setting(50, _("Fewest receipts"), "", ge=1, le=100_000)
    failed_percent: int = setting(50, _("Open at failed receipts"), "", unit="%", ge=1, le=100)
    wait_seconds: int = setting(
        60,
        _("Wait for receipts"),
        _("Half-open: so long the receipts of trial messages are waited for; without any it closes. 0: a call that was taken is enough."),
        unit="s",
        ge=0,
        le=3600,
    )
    longest_open_seconds: int = setting(
        600,
        _("Open at most"),
        _("Each time in a row that receipts open it, it stays open twice as long, up to this."),
        unit="s",
        ge=1,
        le=86_400,
    )


class CircuitBreakers(Module):
    """One breaker for each provider and for each host that webhooks go to."""

    providers: BreakerRule = setting(BreakerRule, _("Providers"), _("One breaker each."))
    webhooks: BreakerRule = setting(BreakerRule, _("Webhook hosts"), _("One breaker for each host that webhooks are sent to."))
    receipts: ReceiptRule = setting(ReceiptRule, _("Receipts"), _("Receipts of failure count against a provider."))

    @model_validator(mode="after")
    def _something_opens(self) -> Self:
        for name in ("providers", "webhooks"):
            rule: BreakerRule = getattr(self, name)
            if rule.is_enabled and not (rule.slow_percent or rule.error_percent or rule.error_count):
                raise hot.Wrong(name, _("Give at least one of slow calls, errors and number of errors, or switch it off."))
        return self


circuit_breakers = hot.register(
    CircuitBreakers,
    name="circuit_breakers",
    title=_("Circuit breakers"),
    purpose=_("When a provider that is slow or failing is left alone, and how it comes back."),
    order=4,
)
