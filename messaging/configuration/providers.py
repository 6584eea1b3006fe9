"""Which of several providers carries a message."""

from typing import Self

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy
from django.utils.translation import gettext_noop as _
from pydantic import model_validator

from configcenter import hot
from configcenter.hot import Module, Shape, setting
from messaging.configuration.delivery import check_channel


class Strategy(TextChoices):
    """How one of several healthy providers is chosen."""

    WEIGHTED = "weighted", gettext_lazy("By weight")  # by weight
    FASTEST = "fastest", gettext_lazy("By weight and latency")  # by weight ÷ latency
    IN_ORDER = "in_order", gettext_lazy("In order of weight")  # the heaviest one; the others only in its place


class ChannelRoute(Shape):
    """Another way for one channel."""

    channel: str = setting("sms", _("Channel"), "", max_length=10)
    strategy: Strategy = setting(Strategy.WEIGHTED, _("Choice"), _("By weight, by weight and latency, or the heaviest first."))
    weights: list["ProviderWeight"] = setting(list, _("Weights"), _("Instead of those of the providers' pages."), max_length=50)

    @model_validator(mode="after")
    def _names_fit(self) -> Self:
        check_channel(self.channel)
        hot.no_two("weights", (entry.provider for entry in self.weights), _("The provider {name} stands here twice."))
        return self


class ProviderWeight(Shape):
    """A provider's share."""

    provider: str = setting("", _("Provider"), _("Its name."), max_length=100)
    weight: int = setting(100, _("Weight"), _("0: only when the others fail."), ge=0, le=1000)

    @model_validator(mode="after")
    def _is_named(self) -> Self:
        hot.filled(self, "provider")
        return self


class ProviderRouting(Module):
    """Weights and fail-over."""

    strategy: Strategy = setting(Strategy.WEIGHTED, _("Choice"), _("By weight, by weight and latency, or the heaviest first."))
    channels: list[ChannelRoute] = setting(list, _("Channels"), _("Where a channel goes another way."), max_length=20)
    fail_over: bool = setting(
        True, _("Fail over"), _("A message whose provider can't be reached, or whose breaker is open, goes to the next one at once.")
    )
    most_providers: int = setting(3, _("Most providers"), _("Tried for one attempt."), ge=1, le=20)
    rest_seconds: float = setting(
        5.0, _("Rest"), _("A provider that could not be reached is asked last for so long."), unit="s", ge=0, le=600
    )
    drift_back_seconds: float = setting(
        30.0, _("Drift back"), _("A provider that came back gets its full share after so long."), unit="s", ge=0, le=3600
    )

    @model_validator(mode="after")
    def _channels_fit(self) -> Self:
        hot.no_two("channels", (route.channel for route in self.channels), _("The channel {name} stands here twice."))
        return self


ChannelRoute.model_rebuild()
provider_routing = hot.register(
    ProviderRouting,
    name="provider_routing",
    title=_("Provider routing"),
    purpose=_("Which of several providers carries a message, and what happens when one fails."),
    order=7,
    per_tenant=("strategy", "channels", "fail_over"),
)
