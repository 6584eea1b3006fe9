"""Rules that are looked at once more right before a message goes out."""

import re
from collections.abc import Iterable
from typing import Self

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy
from django.utils.translation import gettext_noop as _
from pydantic import model_validator

from configcenter import hot
from configcenter.hot import Module, Shape, setting
from messaging.channels.channel import channel_choices
from messaging.channels.registry import CHANNELS  # where all of them are known
from posthaste.lib import zones

hot.CHOICES["channel"] = channel_choices
CATEGORY = re.compile(hot.NAME)
NO_CHANNEL = _("There is no channel {value}. Available: {known}.")


class Outside(TextChoices):
    """What becomes of a message outside its hours."""

    DEFER = "defer", gettext_lazy("Wait")
    DROP = "drop", gettext_lazy("Drop")


def _check_channels(field: str, names: Iterable[str]) -> None:
    """Refuse unknown channels: a rule for one would never apply."""
    hot.each(field, names, CHANNELS.__contains__, NO_CHANNEL, known=", ".join(CHANNELS))


def check_channel(name: str) -> None:
    """Refuse a field `channel` that names none.

    Raises:
        hot.Wrong: there is no such channel.
    """
    if name not in CHANNELS:
        raise hot.Wrong("channel", NO_CHANNEL, value=name[:100], known=", ".join(CHANNELS))


def _check_categories(field: str, names: Iterable[str]) -> None:
    hot.each(field, names, CATEGORY.fullmatch, _("A category is 1 to 40 lower-case letters, digits and any of _ . -"))


class Duplicates(Shape):
    """The same text to the same recipient."""

    is_enabled: bool = setting(False, _("Enabled"), "")
    minutes: int = setting(
        10, _("Within"), _("The same content to the same recipient is suppressed within this time."), unit="min", ge=1, le=10_080
    )
    channels: list[str] = setting(list, _("Channels"), _("One per line. Empty: all."), widget="lines", max_length=20)
    exempt_categories: list[str] = setting(
        lambda: ["code"],
        _("Exempt categories"),
        _("One per line. Login codes, for example, are requested twice on purpose."),
        widget="lines",
        max_length=50,
    )

    @model_validator(mode="after")
    def _names_exist(self) -> Self:
        _check_channels("channels", self.channels)
        _check_categories("exempt_categories", self.exempt_categories)
        return self


class Frequency(Shape):
    """How many messages one recipient gets."""

    name: str = setting("cap", _("Name"), _("Shown in traces."), pattern=hot.NAME)
    category: str = setting("", _("Category"), _("The message's category. Empty: all categories together."), pattern=hot.CATEGORY_OR_EMPTY)
    channel: str = setting("", _("Channel"), _("All: the channels are counted together."), widget="channel", max_length=10)
    most: int = setting(5, _("Most"), _("Messages per recipient within the time."), ge=1, le=100_000)
    hours: float = setting(24.0, _("Within"), "", unit="h", ge=0.01, le=8_784)
    outside: Outside = setting(Outside.DROP, _("Above the cap"), _("Defer the message until the cap allows it, or drop it."))

    @model_validator(mode="after")
    def _channel_exists(self) -> Self:
        if self.channel:
            check_channel(self.channel)
        return self


class Hours(Shape):
    """A time of day, by the recipient's clock."""

    name: str = setting("quiet", _("Name"), _("Shown in traces."), pattern=hot.NAME)
    is_enabled: bool = setting(True, _("Enabled"), "")
    category: str = setting("", _("Category"), _("The message's category. Empty: all."), pattern=hot.CATEGORY_OR_EMPTY)
    channels: list[str] = setting(list, _("Channels"), _("One per line. Empty: all."), widget="lines", max_length=20)
    days: list[int] = setting(
        lambda: [1, 2, 3, 4, 5, 6, 7], _("Days of the week"), _("1 (Monday) to 7 (Sunday), one per line."), widget="lines", max_length=7
    )
    start: str = setting("22:00", _("From"), _("Start time on these days."), pattern=hot.CLOCK)
    end: str = setting(
        "08:00", _("Until"), _("Earlier than the start: past midnight. Equal to the start: the whole day."), pattern=hot.CLOCK
    )
    outside: Outside = setting(Outside.DEFER, _("Then"), _("Defer the message until it may be sent, or drop it."))

    @model_validator(mode="after")
    def _parts_exist(self) -> Self:
        _check_channels("channels", self.channels)
        if not self.days or any(not 1 <= day <= 7 for day in self.days):  # without any, a window would never open
            raise hot.Wrong("days", _("Use days from 1 (Monday) to 7 (Sunday)."))
        return self


class DeliveryRules(Module):
    """Duplicates, frequency, quiet hours and send windows. For urgent messages only the suppression list counts."""

    duplicates: Duplicates = setting(Duplicates, _("Duplicates"), _("The same text to the same recipient."))
    frequency: list[Frequency] = setting(list, _("Frequency caps"), _("How many messages one recipient gets."), max_length=100)
    quiet_hours: list[Hours] = setting(list, _("Quiet hours"), _("No messages are sent between these times."), max_length=100)
    send_windows: list[Hours] = setting(list, _("Send windows"), _("Messages are sent only between these times."), max_length=100)
    default_time_zone: str = setting(
        "UTC", _("Time zone"), _("Used when the recipient's time zone is unknown. A phone number gives its country's zone."), max_length=64
    )
    exempt_priority: int = setting(
        9, _("Exempt from priority"), _("From this priority on, only the suppression list is checked."), ge=1, le=10
    )
    jitter_minutes: int = setting(
        10, _("Spread"), _("Messages deferred until the morning are spread over this many minutes."), unit="min", ge=0, le=240
    )
    unsubscribe_categories: list[str] = setting(
        lambda: ["marketing"],
        _("Categories with an unsubscribe link"),
        _("One per line. E-mails in these categories carry the one-click unsubscribe headers of RFC 8058. Codes and notices should not."),
        widget="lines",
        max_length=50,
    )
    bounce_codes: list[str] = setting(
        lambda: ["hard_bounce", "invalid_recipient", "unknown_subscriber", "mailbox_disabled"],
        _("Hard-bounce codes"),
        _("One per line. A message that fails with one of these codes puts its recipient on the suppression list."),
        widget="lines",
        max_length=200,
    )

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if zones.zone(self.default_time_zone) is None:
            raise hot.Wrong("default_time_zone", _("There is no time zone with this name. Use one such as Europe/Paris."))
        for field in ("frequency", "quiet_hours", "send_windows"):
            hot.no_two(field, (rule.name for rule in getattr(self, field)), _("There are two rules named {name}."))
        _check_categories("unsubscribe_categories", self.unsubscribe_categories)
        hot.each("bounce_codes", self.bounce_codes, str.strip, _("Must not be empty."))
        return self


delivery_rules = hot.register(
    DeliveryRules,
    name="delivery_rules",
    title=_("Delivery rules"),
    purpose=_("Duplicates, frequency caps, quiet hours and send windows, checked just before a message is sent."),
    order=6,
    per_tenant=(
        "duplicates",
        "frequency",
        "quiet_hours",
        "send_windows",
        "default_time_zone",
        "jitter_minutes",
        "unsubscribe_categories",
        "bounce_codes",
    ),
)
