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

    channel: str = setting("sms", _("Channel"), "", widget="channel", max_length=10)
    strategy: Strategy = setting(Strategy.WEIGHTED, _("Choice"), _("By weight, by weight and latency, or in order of weight."))
    weights: list["ProviderWeight"] = setting(list, _("Weights"), _("Override the weights on the providers' pages."), max_length=50)

    @model_validator(mode="after")
    def _names_fit(self) -> Self:
        check_channel(self.channel)
        hot.no_two("weights", (entry.provider for entry in self.weights), _("The provider {name} is listed twice."))
        return self


class ProviderWeight(Shape):
    """A provider's share."""

    provider: str = setting("", _("Provider"), _("The provider's name."), max_length=100)
    weight: int = setting(100, _("Weight"), _("0: used only when the others fail."), ge=0, le=1000)

    @model_validator(mode="after")
    def _is_named(self) -> Self:
        hot.filled(self, "provider")
        return self


class ProviderRouting(Module):
    """Weights and fail-over."""

    strategy: Strategy = setting(Strategy.WEIGHTED, _("Choice"), _("By weight, by weight and latency, or in order of weight."))
    channels: list[ChannelRoute] = setting(list, _("Channels"), _("Routing that differs for a channel."), max_length=20)
    fail_over: bool = setting(
        True, _("Fail over"), _("A message goes to the next provider at once if its provider can't be reached or its breaker is open.")
    )
    max_providers: int = setting(3, _("Maximum providers"), _("Providers tried per attempt."), ge=1, le=20)
    rest_seconds: float = setting(
        5.0, _("Cool-down"), _("A provider that could not be reached is tried last for this long."), unit="s", ge=0, le=600
    )
    drift_back_seconds: float = setting(
        30.0, _("Recovery time"), _("A recovered provider regains its full share after this long."), unit="s", ge=0, le=3600
    )

    @model_validator(mode="after")
    def _channels_fit(self) -> Self:
        hot.no_two("channels", (route.channel for route in self.channels), _("The channel {name} is listed twice."))
        return self


ChannelRoute.model_rebuild()
provider_routing = hot.register(
    ProviderRouting,
    name="provider_routing",
    title=_("Provider routing"),
    purpose=_("Which of several providers sends a message, and what happens when one fails."),
    order=7,
    per_tenant=("strategy", "channels", "fail_over"),
)
