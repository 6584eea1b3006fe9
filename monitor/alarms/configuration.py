"""Alarm rules and the people they notify."""

import re
from collections.abc import Mapping
from typing import Any, Self

from django.db.models import TextChoices
from django.utils import formats
from django.utils.translation import gettext, gettext_lazy
from django.utils.translation import gettext_noop as _
from pydantic import model_validator

from configcenter import hot
from configcenter.hot import Module, Shape, setting

RECEIVER = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+|https?://[^\s/]+\S*")


class Figure(TextChoices):
    """What an alarm looks at."""

    BACKLOG = "backlog", gettext_lazy("Messages waiting")
    OLDEST_SECONDS = "oldest_seconds", gettext_lazy("Age of the oldest, seconds")
    FAILED_PERCENT = "failed_percent", gettext_lazy("Failed, per cent")
    SUCCESS_PERCENT = "success_percent", gettext_lazy("Successful, per cent")
    LATENCY_P95_MS = "latency_p95_ms", gettext_lazy("Latency p95, milliseconds")
    POOL_USAGE_PERCENT = "pool_usage_percent", gettext_lazy("Use of the thread pool, per cent")
    BREAKER_OPEN = "breaker_open", gettext_lazy("Open breakers")
    PROCESS_MISSING = "process_missing", gettext_lazy("Missing processes")
    JOB_FAILED = "job_failed", gettext_lazy("Failed jobs")
    LIMITER_LOCAL = "limiter_local", gettext_lazy("Limits kept without Redis")


class Comparison(TextChoices):
    """How the figure is compared to the bound."""

    ABOVE = "above", gettext_lazy("above")
    BELOW = "below", gettext_lazy("below")


class Severity(TextChoices):
    """How loud it is."""

    INFO = "info", gettext_lazy("Information")
    WARNING = "warning", gettext_lazy("Warning")
    CRITICAL = "critical", gettext_lazy("Critical")


class AlarmRule(Shape):
    """One alarm."""

    name: str = setting("alarm", _("Name"), "", pattern=hot.NAME)
    is_enabled: bool = setting(True, _("Enabled"), "")
    figure: Figure = setting(Figure.BACKLOG, _("Metric"), _("The metric to watch."))
    comparison: Comparison = setting(Comparison.ABOVE, _("Condition"), "")
    bound: float = setting(0.0, _("Threshold"), _("In the unit of the metric."), ge=0, le=1_000_000_000)
    for_seconds: int = setting(60, _("For"), _("How long the condition must hold."), unit="s", ge=0, le=86_400)
    severity: Severity = setting(Severity.WARNING, _("Severity"), "")
    receivers: list[str] = setting(
        list, _("Receivers"), _("E-mail addresses or webhook addresses, one per line."), widget="lines", max_length=50
    )
    repeat_minutes: int = setting(30, _("Repeat after"), _("While the alarm is active."), unit="min", ge=1, le=10_080)

    @classmethod
    def in_brief(cls, values: Mapping[str, Any]) -> str:
        """Say when the alarm is raised: Messages waiting above 100,000 for 60 s · Warning."""
        figure, comparison, severity = (str(values.get(name)) for name in ("figure", "comparison", "severity"))
        bound, seconds = values.get("bound"), values.get("for_seconds")
        is_whole = figure in Figure.values and comparison in Comparison.values and severity in Severity.values
        if not is_whole or not isinstance(bound, int | float) or not isinstance(seconds, int | float):
            return ""
        text = gettext("{figure} {comparison} {bound} for {seconds} s").format(
            figure=Figure(figure).label,
            comparison=Comparison(comparison).label,
            bound=formats.number_format(int(bound) if bound == int(bound) else bound, use_l10n=True, force_grouping=True),
            seconds=formats.number_format(seconds, use_l10n=True, force_grouping=True),
        )
        return " · ".join(filter(None, [text, str(Severity(severity).label), "" if values.get("is_enabled") else gettext("off")]))

    @model_validator(mode="after")
    def _can_be_met(self) -> Self:
        hot.each(
            "receivers",
            self.receivers,
            RECEIVER.fullmatch,
            _("Must be an e-mail address or an address that begins with https:// or http://."),
        )
        if self.figure.endswith("_percent") and self.bound > 100:
            raise hot.Wrong("bound", _("Must be at most {le}."), le=100)
        return self


class Alarms(Module):
    """What is watched."""

    rules: list[AlarmRule] = setting(
        lambda: [
            AlarmRule(name="backlog", figure=Figure.BACKLOG, bound=100_000, for_seconds=60),
            AlarmRule(name="failures", figure=Figure.FAILED_PERCENT, bound=5, for_seconds=120, severity=Severity.CRITICAL),
            AlarmRule(name="breaker", figure=Figure.BREAKER_OPEN, bound=0, for_seconds=0),
            AlarmRule(name="limits-without-redis", figure=Figure.LIMITER_LOCAL, bound=0, for_seconds=0, severity=Severity.CRITICAL),
        ],
        _("Alarms"),
        "",
        max_length=100,
        is_unordered=True,
    )
    quiet_start: str = setting(
        "",
        _("Quiet from"),
        _("Only critical alarms are sent during these hours. Empty: all alarms are always sent."),
        pattern=hot.CLOCK_OR_EMPTY,
    )
    quiet_end: str = setting("", _("Quiet until"), "", pattern=hot.CLOCK_OR_EMPTY)

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        hot.no_two("rules", (rule.name for rule in self.rules), _("There are two rules named {name}."))
        if bool(self.quiet_start) != bool(self.quiet_end):
            missing = "quiet_end" if self.quiet_start else "quiet_start"
            raise hot.Wrong(missing, _("Set both times, or neither."))
        return self


alarms = hot.register(Alarms, name="alarms", title=_("Alarms"), purpose=_("Which problems raise an alarm, and who is notified."), order=9)
