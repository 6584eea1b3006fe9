"""What an alarm says in one plain sentence, in the reader's language: "Redis does not respond"."""

from collections.abc import Callable, Mapping

from django.utils.functional import lazystr
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from monitor.alarms import titles
from monitor.alarms.rules import AlarmRule, Comparison, number, title_of
from monitor.alarms.states import is_clear
from posthaste.ui.templatetags.interface import milliseconds

PARTS = {"database": gettext_lazy("The database"), "redis": lazystr("Redis"), "broker": gettext_lazy("The message broker")}
#: The processes whose name is not that of their kind.
PROCESSES = {"send": "worker", "aux": "worker-aux"}

Say = Callable[[str, float], str]  # from what the alarm is about (a provider, a job, a host) and the value


def _processes(kind: str, value: float) -> str:
    name = PROCESSES.get(kind, kind)
    if value == 0:
        return _("No {name} process is running").format(name=name)
    return _("Running {name} processes: {number}").format(name=name, number=number(value))


def _waiting(_about: str, value: float) -> str:
    text = ngettext("{number} message is waiting to be sent", "{number} messages are waiting to be sent", round(value))
    return text.format(number=number(value))


def _credential(name: str, value: float) -> str:
    if value < 0:
        return _("A credential of {name} has expired").format(name=name)
    return _("A credential of {name} expires in {days} days").format(name=name, days=number(value))


def _certificate(name: str, value: float) -> str:
    if value < 0:
        return _("The certificate of {name} has expired").format(name=name)
    return _("The certificate of {name} expires in {days} days").format(name=name, days=number(value))


ABOVE, BELOW = Comparison.ABOVE, Comparison.BELOW
#: By metric and direction. What is not here is told as the metric's title with the value.
SAID: dict[tuple[str, Comparison], Say] = {
    ("up", BELOW): lambda part, value: _("{name} does not respond").format(name=PARTS.get(part, part)),
    ("processes", BELOW): _processes,
    ("oldest_due_seconds", ABOVE): lambda about, value: _("The oldest message has been waiting for {span}").format(
        span=milliseconds(round(value) * 1000)
    ),
    ("due_messages", ABOVE): _waiting,
    ("queue_usage_percent", ABOVE): lambda about, value: _("The queue is {number} % full").format(number=number(value)),
    ("pool_usage_percent", ABOVE): lambda about, value: _("{number} % of the sending threads are busy").format(number=number(value)),
    ("success_percent", BELOW): lambda about, value: _("Only {number} % of messages succeed").format(number=number(value)),
    ("failure_rise_ratio", ABOVE): lambda about, value: _("{number} times as many failures as in the hour before").format(
        number=number(value)
    ),
    ("disk_used_percent", ABOVE): lambda host, value: _("The disk is {number} % full").format(number=number(value)),
    ("redis_memory_used_percent", ABOVE): lambda about, value: _("Redis uses {number} % of its memory").format(number=number(value)),
    ("unloadable_intent_models", ABOVE): lambda about, value: _("The intent model of {number} tenants can't be loaded").format(
        number=number(value)
    ),
    ("limits_are_local", ABOVE): lambda about, value: _("Each process keeps limits of its own, as Redis is away"),
}
#: The same, where one thing is named: a provider, a job.
SAID_OF: dict[tuple[str, Comparison], Say] = {
    ("open_breakers", ABOVE): lambda name, value: _("The breaker of {name} is open").format(name=name),
    ("refused_credentials", ABOVE): lambda name, value: _("{name} refuses our credentials").format(name=name),
    ("credential_days", BELOW): _credential,
    ("certificate_days", BELOW): _certificate,
    ("receipts_missing_percent", ABOVE): lambda name, value: _("{number} % of the receipts of {name} are missing").format(
        name=name, number=number(value)
    ),
    ("failed_arrivals", ABOVE): lambda name, value: _("{number} messages of customers of {name} could not be processed").format(
        name=name, number=number(value)
    ),
    ("breached_clocks", ABOVE): lambda name, value: _("{number} conversations and tickets of {name} are late").format(
        name=name, number=number(value)
    ),
    ("calendars_without_holidays", ABOVE): lambda name, value: _("{number} business calendars of {name} lack holidays").format(
        name=name, number=number(value)
    ),
    ("failed_jobs", ABOVE): lambda name, value: _("The last run of the job {name} failed").format(name=name),
}


def sentence(rule: AlarmRule, series: str, value: float | None, *, has_data: bool = True) -> str:
    """Say what is wrong, without a full stop.

    Args:
        rule: the rule as it is now.
        series: which of the metric's series, such as `provider=FCM`; empty: it has one.
        value: the last reading.
        has_data: whether the alarm is about the value, and not about its absence.
    """
    if not has_data or value is None:
        return _("no data of {metric}").format(metric=title_of(rule.metric))
    if is_clear(rule, value):
        return _("back to normal, and over if that lasts")
    about = ", ".join(_values(series, rule.labels))
    key = rule.metric, Comparison(rule.comparison)
    say = SAID.get(key) or (SAID_OF.get(key) if about else None)
    if say:
        return say(about, value)
    if rule.bound == 0 and key[1] == ABOVE:
        return f"{title_of(rule.metric)}: {number(value)}"
    words = {"metric": title_of(rule.metric), "value": number(value), "comparison": key[1].label, "bound": number(rule.bound)}
    return _("{metric} is {value} ({comparison} {bound})").format(**words)


def headline(rule: AlarmRule, series: str, value: float | None, *, has_data: bool = True) -> str:
    """Name an alarm and say what is wrong; the series is added where the sentence does not name it."""
    said = sentence(rule, series, value, has_data=has_data)
    is_named = all(one in said for one in _values(series, {}))
    title = titles.of_rule(rule.name)
    return f"{title}: {said}" if is_named else f"{title} ({series}): {said}"


def _values(series: str, fixed: Mapping[str, str]) -> list[str]:
    """Return what the labels say: those of the series, else those that the rule fixes."""
    parts = series.split(", ") if series else []
    return [value for _name, _equals, value in (part.partition("=") for part in parts)] or list(fixed.values())
