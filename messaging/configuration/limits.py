"""How long a message may be."""

from typing import Self

from django.utils.translation import gettext_noop as _
from pydantic import model_validator

from configcenter import hot
from configcenter.hot import Module, Shape, setting
from messaging.channels.channel import CHAT, EMAIL, PUSH, WEBHOOK, WECOM
from messaging.configuration.delivery import check_channel

DEFAULT_BODY_BYTES = {EMAIL: 524_288, PUSH: 4_096, WECOM: 4_096, WEBHOOK: 262_144, CHAT: 20_480}


class BodySize(Shape):
    """The limit of one channel."""

    channel: str = setting("email", _("Channel"), _("The channel that the limit is for."), widget="channel", max_length=10)
    max_bytes: int = setting(65_536, _("Maximum size"), _("Of the text and of the HTML, in UTF-8."), unit=_("bytes"), ge=1, le=1_000_000)

    @model_validator(mode="after")
    def _channel_exists(self) -> Self:
        check_channel(self.channel)
        return self


def _default_sizes() -> list[BodySize]:
    return [BodySize(channel=channel, max_bytes=size) for channel, size in DEFAULT_BODY_BYTES.items()]


class MessageLimits(Module):
    """Longer messages are refused on submission."""

    max_sms_segments: int = setting(
        10,
        _("Maximum SMS segments"),
        _("Each segment is charged as one SMS. GSM 03.40 allows 255; many networks allow fewer."),
        unit=_("segments"),
        ge=1,
        le=255,
    )
    body_sizes: list[BodySize] = setting(
        _default_sizes, _("Body sizes"), _("Limits of channels other than SMS."), max_length=50, is_unordered=True
    )
    max_bytes: int = setting(
        65_536, _("Default maximum size"), _("For channels without a limit of their own."), unit=_("bytes"), ge=1, le=1_000_000
    )

    @model_validator(mode="after")
    def _channels_are_listed_once(self) -> Self:
        hot.no_two("body_sizes", (size.channel for size in self.body_sizes), _("There are two limits for the channel {name}."))
        return self

    def max_body_bytes(self, channel: str) -> int:
        """Return how long a text for a channel may be, in bytes of UTF-8."""
        return next((size.max_bytes for size in self.body_sizes if size.channel == channel), self.max_bytes)


message_limits = hot.register(
    MessageLimits,
    name="message_limits",
    title=_("Message limits"),
    purpose=_("How long a message may be. Longer messages are refused on submission."),
    order=13,
    per_tenant=("max_sms_segments", "body_sizes", "max_bytes"),
)
