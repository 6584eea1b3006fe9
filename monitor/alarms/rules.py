"""The shape of an alarm's rule, and of a receiver of its notices."""

import re
from collections.abc import Mapping
from typing import Any, Self

from django.apps import apps
from django.db.models import TextChoices
from django.utils import formats
from django.utils.translation import gettext, gettext_lazy
from django.utils.translation import gettext_noop as _
from pydantic import model_validator

from configcenter import hot
from configcenter.hot import Shape, setting
from messaging.channels.recipients import normalise_recipient
from monitor import figures
from monitor.alarms import titles
from posthaste.lib import http

#: A receiver's name, and in how many minutes it is told where that differs from the receiver's own delay.
RECEIVER = re.compile(r"(?P<name>[a-z0-9_.-]{1,40})(?: +(?P<minutes>\d{1,4}))?")
MAX_MINUTES = 10_080
#: Rules that a rule names, and receivers.
MAX_NAMED = 50


class Comparison(TextChoices):
    """How the metric is compared to the threshold."""

    ABOVE = "above", gettext_lazy("above")
    BELOW = "below", gettext_lazy("below")


class Severity(TextChoices):
    """How loud it is."""

    INFO = "info", gettext_lazy("Information")
    WARNING = "warning", gettext_lazy("Warning")
    CRITICAL = "critical", gettext_lazy("Critical")

    @property
    def rank(self) -> int:
        """Its place, from the least severe: 0, 1, 2."""
        return list(Severity).index(self)


class ReceiverKind(TextChoices):
    """How a receiver is reached. The first five are channels of messages, the others are addresses that are called straight."""

    EMAIL = "email", gettext_lazy("E-mail")
    SMS = "sms", gettext_lazy("SMS")
    WEBHOOK = "webhook", gettext_lazy("Webhook address")
    WECOM = "wecom", gettext_lazy("WeCom, through a provider")
    CHAT = "chat", gettext_lazy("Chat, through a provider")
    WECOM_ROBOT = "wecom_robot", gettext_lazy("WeCom robot")
    DINGTALK_ROBOT = "dingtalk_robot", gettext_lazy("DingTalk robot")
    FEISHU_ROBOT = "feishu_robot", gettext_lazy("Feishu robot")

    @property
    def channel(self) -> str:
        """The channel of messages that serves it; empty for a robot."""
        return "" if self in ROBOTS else self.value


ROBOTS = (ReceiverKind.WECOM_ROBOT, ReceiverKind.DINGTALK_ROBOT, ReceiverKind.FEISHU_ROBOT)


class Receiver(Shape):
    """Who is notified."""

    name: str = setting("operators", _("Name"), _("Rules refer to it by this name."), pattern=hot.NAME)
    is_enabled: bool = setting(True, _("Enabled"), "")
    kind: ReceiverKind = setting(ReceiverKind.EMAIL, _("Kind"), "")
    address: str = setting(
        "", _("Address"), _("An e-mail address, a phone number, or the address of a webhook or robot."), max_length=2048, min_length=1
    )
    after_minutes: int = setting(
        0,
        _("Notified after"),
        _("For escalation: only if the alarm is still active and not acknowledged by then. 0: at once."),
        unit="min",
        ge=0,
        le=MAX_MINUTES,
    )
    least_severity: Severity = setting(Severity.INFO, _("From severity"), _("Alarms below it are not sent to this receiver."))
    tells_the_end: bool = setting(True, _("Also when resolved"), _("Send a second notice when the alarm is over."))

    @classmethod
    def in_brief(cls, values: Mapping[str, Any]) -> str:
        """Say how it is reached, without the address, which may hold a token."""
        kind = str(values.get("kind"))
        minutes = values.get("after_minutes")
        if kind not in ReceiverKind.values or not isinstance(minutes, int):
            return ""
        delay = gettext("after {minutes} min").format(minutes=minutes) if minutes else gettext("at once")
        return " · ".join(filter(None, [str(ReceiverKind(kind).label), delay, "" if values.get("is_enabled") else gettext("off")]))

    @model_validator(mode="after")
    def _is_reachable(self) -> Self:
        if self.kind in ROBOTS:
            if not http.is_address(self.address.partition("#")[0]):
                raise hot.Wrong("address", _("Must be an address that begins with https:// or http://."))
        else:
            try:
                normalise_recipient(self.kind.channel, self.address)
            except ValueError as error:
                raise hot.Wrong("address", "{problem}", problem=str(error)) from None
        return self


class AlarmRule(Shape):
    """One alarm."""

    name: str = setting("alarm", _("Name"), _("Shown in notices and on pages."), pattern=hot.NAME)
    is_enabled: bool = setting(True, _("Enabled"), "")
    metric: str = setting("due_messages", _("Metric"), _("The metric to watch."), widget="figure", max_length=60)
    only: list[str] = setting(
        list,
        _("Only"),
        _("Watch only series with these labels, one per line, such as part=redis. Empty: each series has an alarm of its own."),
        widget="lines",
        max_length=10,
    )
    comparison: Comparison = setting(Comparison.ABOVE, _("Condition"), "")
    bound: float = setting(0.0, _("Threshold"), _("In the unit of the metric."), ge=0, le=1_000_000_000)
    clear_bound: float | None = setting(
        None,
        _("Cleared at"),
        _("The alarm ends only when the metric is back at this value. Empty: at the threshold."),
        ge=0,
        le=1_000_000_000,
    )
    for_seconds: int = setting(60, _("For"), _("How long the condition must hold."), unit="s", ge=0, le=86_400)
    hold_seconds: int = setting(
        300,
        _("Resolved after"),
        _("How long the metric must stay clear. It doubles, up to an hour, each time the alarm comes back within an hour."),
        unit="s",
        ge=30,
        le=86_400,
    )
    no_data_minutes: int = setting(
        0, _("No data after"), _("How long the metric may be missing before that is reported. 0: never."), unit="min", ge=0, le=MAX_MINUTES
    )
    severity: Severity = setting(Severity.WARNING, _("Severity"), "")
    receivers: list[str] = setting(
        list,
        _("Receivers"),
        _("Names, one per line, each followed by a delay in minutes if it differs from the receiver's own. Empty: all receivers."),
        widget="lines",
        max_length=MAX_NAMED,
    )
    repeat_minutes: int = setting(
        240, _("Repeat after"), _("While the alarm is active and not acknowledged. 0: never."), unit="min", ge=0, le=MAX_MINUTES
    )
    group: str = setting(
        "", _("Group"), _("Alarms of one group share a notice. Empty: all alarms of this rule."), pattern=hot.CATEGORY_OR_EMPTY
    )
    inhibited_by: list[str] = setting(
        list,
        _("Inhibited by"),
        _("Names of rules, one per line. While one of them is active, this alarm sends no notices."),
        widget="lines",
        max_length=MAX_NAMED,
    )

    @property
    def clears_at(self) -> float:
        """The value at which the metric is well again."""
        return self.bound if self.clear_bound is None else self.clear_bound

    @property
    def labels(self) -> dict[str, str]:
        """The values of labels that a series must have to be watched."""
        parts = [line.partition("=") for line in self.only]
        return {name.strip(): value.strip() for name, _equals, value in parts}

    @property
    def group_name(self) -> str:
        """The group that its notices belong to."""
        return self.group or self.name

    @classmethod
    def in_brief(cls, values: Mapping[str, Any]) -> str:
        """Say when the alarm is raised: Backlog too large · Messages waiting above 100,000 for 60 s · Warning."""
        metric, comparison, severity = (str(values.get(name)) for name in ("metric", "comparison", "severity"))
        bound, seconds = values.get("bound"), values.get("for_seconds")
        is_whole = comparison in Comparison.values and severity in Severity.values
        if not is_whole or not isinstance(bound, int | float) or not isinstance(seconds, int | float):
            return ""
        pattern = gettext("{figure} {comparison} {bound} for {seconds} s") if seconds else gettext("{figure} {comparison} {bound}")
        text = pattern.format(
            figure=title_of(metric),
            comparison=Comparison(comparison).label,
            bound=number(bound),
            seconds=formats.number_format(seconds, use_l10n=True, force_grouping=True),
        )
        named = str(values.get("name"))
        title = "" if (known := titles.of_rule(named)) == named else known
        return " · ".join(filter(None, [title, text, str(Severity(severity).label), "" if values.get("is_enabled") else gettext("off")]))

    def receiver_delays(self, receivers: Mapping[str, Receiver]) -> dict[str, int]:
        """Return who is told, and in how many minutes."""
        if not self.receivers:
            named = {name: receiver.after_minutes for name, receiver in receivers.items()}
        else:
            named = {}
            for line in self.receivers:
                found = RECEIVER.fullmatch(line.strip())
                if found and (receiver := receivers.get(found["name"])):
                    named[found["name"]] = receiver.after_minutes if found["minutes"] is None else int(found["minutes"])
        return {
            name: minutes
            for name, minutes in named.items()
            if receivers[name].is_enabled and receivers[name].least_severity.rank <= self.severity.rank
        }

    @model_validator(mode="after")
    def _can_be_met(self) -> Self:
        if apps.ready:  # not while the defaults are made: metrics are declared by apps that are still being set up
            self._check_metric()
        is_above = self.comparison == Comparison.ABOVE
        if (self.clears_at > self.bound) if is_above else (self.clears_at < self.bound):
            raise hot.Wrong("clear_bound", _("Must be on the other side of the threshold, or equal to it."))
        hot.each(
            "receivers",
            self.receivers,
            lambda line: RECEIVER.fullmatch(line.strip()),
            _("Must be the name of a receiver, and optionally a number of minutes."),
        )
        hot.each("inhibited_by", self.inhibited_by, lambda name: name != self.name, _("An alarm can't inhibit itself."))
        return self

    def _check_metric(self) -> None:
        metric = figures.titled().get(self.metric)
        if metric is None:
            raise hot.Wrong("metric", _("There is no metric {value}."), value=self.metric[:60])
        hot.each(
            "only",
            self.only,
            lambda line: "=" in line and line.partition("=")[0].strip() in metric.labels,
            _("Must be a label of the metric with a value, such as part=redis. Labels of this metric: {known}."),
            known=", ".join(metric.labels) or "–",
        )


def title_of(metric: str) -> str:
    """Return the title of a metric in the reader's language, or its name where it is not known."""
    found = figures.titled().get(metric)
    return str(found.title) if found else metric


def number(value: float) -> str:
    """Write a value of a metric, in the reader's language: at most two decimals."""
    rounded = round(value, 2)
    whole = int(rounded) if rounded == int(rounded) else rounded
    return str(formats.number_format(whole, use_l10n=True, force_grouping=True))
