"""When a failed attempt is repeated."""

from typing import Self

from django.utils.translation import gettext_noop as _
from pydantic import model_validator

from configcenter import hot
from configcenter.hot import Module, setting


class RetryPolicy(Module):
    """Exponential back-off with equal jitter."""

    max_retries: int = setting(3, _("Retries"), _("Attempts after the first. Then the message becomes a dead letter."), ge=0, le=10)
    base_seconds: float = setting(
        5.0, _("First delay"), _("Doubles with every retry and is randomly shortened by up to half."), unit="s", ge=0.05, le=3600
    )
    max_seconds: float = setting(900.0, _("Maximum delay"), _("The delay does not grow beyond this."), unit="s", ge=0.05, le=86_400)
    max_retry_after_seconds: float = setting(
        86_400.0, _("Maximum Retry-After"), _("A provider's Retry-After is honoured up to this."), unit="s", ge=0, le=604_800
    )
    lease_seconds: float = setting(
        30.0,
        _("Lease"),
        _("How long a worker may hold messages without renewing its lease before another takes over."),
        unit="s",
        ge=1,
        le=600,
    )

    @model_validator(mode="after")
    def _pauses_fit(self) -> Self:
        if self.base_seconds > self.max_seconds:
            raise hot.Wrong("base_seconds", _("Must not exceed the maximum delay."))
        return self


retry_policy = hot.register(
    RetryPolicy,
    name="retry_policy",
    title=_("Retry policy"),
    purpose=_("How often and when a failed attempt is retried."),
    order=5,
    per_tenant=("max_retries", "base_seconds", "max_seconds"),
)
