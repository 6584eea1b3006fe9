"""When a provider or a host is left alone for a while."""

from typing import Self

from django.utils.translation import gettext_noop as _
from pydantic import model_validator

from configcenter import hot
from configcenter.hot import Module, Shape, setting


class BreakerRule(Shape):
    """When a breaker opens, and how it closes again."""

    is_enabled: bool = setting(True, _("Enabled"), "")
    window_seconds: int = setting(
        30, _("Window"), _("The rolling time window that is evaluated; it moves in steps of one tenth."), unit="s", ge=1, le=3600
    )
    min_requests: int = setting(20, _("Minimum calls"), _("With fewer calls in the window the breaker stays closed."), ge=1, le=100_000)
    slow_ms: int = setting(5_000, _("Slow from"), _("A call that takes longer counts as slow."), unit="ms", ge=1, le=600_000)
    slow_percent: int = setting(60, _("Open at slow-call rate"), _("0: ignored."), unit="%", ge=0, le=100)
    error_percent: int = setting(50, _("Open at error rate"), _("0: ignored."), unit="%", ge=0, le=100)
    error_count: int = setting(0, _("Open at error count"), _("0: ignored."), ge=0, le=1_000_000)
    open_seconds: float = setting(10.0, _("Open for"), _("Then a few trial calls are made."), unit="s", ge=0.5, le=3600)
    trial_calls: int = setting(
        3,
        _("Trial calls"),
        _("While half-open, this many calls must succeed to close the breaker. A failed one opens it again."),
        ge=1,
        le=100,
    )


class ReceiptRule(Shape):
    """A provider that accepts everything and delivers nothing is broken too."""

    is_enabled: bool = setting(True, _("Enabled"), "")
    window_seconds: int = setting(300, _("Window"), "", unit="s", ge=10, le=86_400)
    min_receipts: int = setting(50, _("Minimum receipts"), "", ge=1, le=100_000)
    failed_percent: int = setting(50, _("Open at failed-receipt rate"), "", unit="%", ge=1, le=100)
    wait_seconds: int = setting(
        60,
        _("Wait for receipts"),
        _("While half-open, wait this long for the receipts of trial messages. If none arrive, it closes. 0: an accepted call is enough."),
        unit="s",
        ge=0,
        le=3600,
    )
    max_open_seconds: int = setting(
        600,
        _("Maximum open time"),
        _("Each consecutive time that receipts open the breaker, it stays open twice as long, up to this."),
        unit="s",
        ge=1,
        le=86_400,
    )


class CircuitBreakers(Module):
    """One breaker for each provider and for each host that webhooks go to."""

    providers: BreakerRule = setting(BreakerRule, _("Providers"), _("One breaker for each provider."))
    webhooks: BreakerRule = setting(BreakerRule, _("Webhook hosts"), _("One breaker for each host that webhooks are sent to."))
    receipts: ReceiptRule = setting(ReceiptRule, _("Receipts"), _("Failure receipts count against the provider."))

    @model_validator(mode="after")
    def _something_opens(self) -> Self:
        for name in ("providers", "webhooks"):
            rule: BreakerRule = getattr(self, name)
            if rule.is_enabled and not (rule.slow_percent or rule.error_percent or rule.error_count):
                raise hot.Wrong(name, _("Set a slow-call rate, an error rate or an error count, or disable the breaker."))
        return self


circuit_breakers = hot.register(
    CircuitBreakers,
    name="circuit_breakers",
    title=_("Circuit breakers"),
    purpose=_("When calls to a slow or failing provider or webhook host stop, and how they resume."),
    order=4,
)
