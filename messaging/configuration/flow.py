"""Flow control: how much of whose traffic is accepted."""

from collections.abc import Mapping
from typing import Any, Self

from django.db.models import TextChoices
from django.utils import formats
from django.utils.translation import gettext, gettext_lazy
from django.utils.translation import gettext_noop as _
from pydantic import model_validator

from configcenter import hot
from configcenter.hot import Module, Shape, setting
from posthaste.lib.flow.rules import Behaviour


class Resource(TextChoices):
    """What is guarded. A request belongs to one of them."""

    API = "api", gettext_lazy("Any call of the API")  # calls of the API other than handing over: lists, templates, configuration
    ACCEPT = "accept", gettext_lazy("Submitting messages")  # handing over messages, one by one or in batches
    CALLBACK = "callback", gettext_lazy("Receipts and inbound messages")  # receipts and inbound messages
    PUBLIC = "public", gettext_lazy("Pages without a login")  # pages without a login


class Origin(TextChoices):
    """The dimension by which a rule counts separately."""

    ALL = "all", gettext_lazy("All callers together")  # everybody together
    TENANT = "tenant", gettext_lazy("Tenant")
    KEY = "key", gettext_lazy("API key")
    IP = "ip", gettext_lazy("Address")
    RECIPIENT = "recipient", gettext_lazy("Recipient")  # a hot parameter of single messages
    TEMPLATE = "template", gettext_lazy("Template")  # a hot parameter of accept


class Unit(TextChoices):
    """What a rule counts."""

    REQUESTS = "requests", gettext_lazy("Requests")  # a batch is one
    MESSAGES = "messages", gettext_lazy("Messages")  # a batch counts as its size


#: What a request to each resource is known by.
KNOWN_BY = {
    Resource.API: {Origin.ALL, Origin.TENANT, Origin.KEY, Origin.IP},
    Resource.ACCEPT: set(Origin),
    Resource.CALLBACK: {Origin.ALL, Origin.TENANT, Origin.IP},
    Resource.PUBLIC: {Origin.ALL, Origin.IP},
}


class Exception_(Shape):  # noqa: N801 - Exception is taken
    """Other limits for one value, instead of the rule's."""

    value: str = setting("", _("Value"), _("Exact tenant short name, key prefix, address, recipient or template."), max_length=256)
    per_second: float = setting(0.0, _("Rate"), _("Requests or messages per second. 0: no limit."), unit="per s", ge=0, le=1_000_000)
    at_once: int = setting(0, _("Concurrent requests"), _("0: no limit."), ge=0, le=100_000)
    in_window: int = setting(0, _("Maximum per window"), _("Requests or messages within the window. 0: no limit."), ge=0, le=100_000_000)

    @model_validator(mode="after")
    def _is_for_somebody(self) -> Self:
        hot.filled(self, "value")
        return self


class FlowRule(Shape):
    """One rule: up to three layers, all of which must let a request pass."""

    name: str = setting("rule", _("Name"), _("Shown in responses, traces and statistics."), pattern=hot.NAME)
    is_enabled: bool = setting(True, _("Enabled"), "")
    resource: Resource = setting(Resource.API, _("Resource"), _("The resource that is limited."))
    origin: Origin = setting(Origin.TENANT, _("Counted per"), _("What shares one counter."))
    only: list[str] = setting(
        list, _("Only for"), _("Values the rule applies to, one per line. Empty: all."), widget="lines", max_length=1000
    )
    unit: Unit = setting(
        Unit.REQUESTS,
        _("Counts"),
        _("What the rate and the window count. A batch is one request, or as many messages as it has recipients."),
    )
    per_second: float = setting(
        0.0, _("Rate"), _("Maximum in any one second, of requests or messages. 0: no limit."), unit="per s", ge=0, le=1_000_000
    )
    burst: int = setting(
        0,
        _("Burst"),
        _("Above 0: this many may arrive together after a quiet period, then the rate applies. Not with warm-up or queueing."),
        ge=0,
        le=1_000_000,
    )
    at_once: int = setting(0, _("Concurrent requests"), _("0: no limit."), ge=0, le=100_000)
    in_window: int = setting(0, _("Maximum per window"), _("Requests or messages within the window. 0: no limit."), ge=0, le=100_000_000)
    window_seconds: int = setting(60, _("Window"), "", unit="s", ge=1, le=86_400)
    behaviour: Behaviour = setting(Behaviour.REJECT, _("Above the rate"), _("Refuse, warm up slowly, queue, or both."))
    cold_factor: float = setting(3.0, _("Cold factor"), _("A cold start begins at the rate divided by this."), ge=1.1, le=100)
    warm_up_seconds: float = setting(10.0, _("Warm-up"), _("Time until the full rate is reached."), unit="s", ge=1, le=3600)
    max_wait_ms: int = setting(
        500,
        _("Maximum wait"),
        _("Requests that would wait longer are refused. A waiting request occupies a thread."),
        unit="ms",
        ge=0,
        le=30_000,
    )
    urgent_reserve_percent: int = setting(
        10,
        _("Reserve for urgent"),
        _("Messages of priority 9 and 10 that the rule would refuse may use this much extra."),
        unit="%",
        ge=0,
        le=100,
    )
    exceptions: list[Exception_] = setting(
        list, _("Exceptions"), _("Different limits for single values."), max_length=1000, is_unordered=True
    )

    @classmethod
    def in_brief(cls, values: Mapping[str, Any]) -> str:
        """Say what the rule lets through: 1,000 requests/s · 500 at once · 10,000 requests in 60 s."""
        number: dict[str, Any] = {name: values.get(name) for name in ("per_second", "at_once", "in_window", "window_seconds")}
        if not all(isinstance(value, int | float) for value in number.values()):
            return ""
        shown = {
            name: formats.number_format(f"{value:g}" if value < 1e6 else int(value), use_l10n=True, force_grouping=True)
            for name, value in number.items()
        }
        is_messages = values.get("unit") == Unit.MESSAGES
        parts = [
            (gettext("{n} messages/s") if is_messages else gettext("{n} requests/s")).format(n=shown["per_second"])
            if number["per_second"]
            else "",
            gettext("{n} at once").format(n=shown["at_once"]) if number["at_once"] else "",
            (gettext("{n} messages in {seconds} s") if is_messages else gettext("{n} requests in {seconds} s")).format(
                n=shown["in_window"], seconds=shown["window_seconds"]
            )
            if number["in_window"]
            else "",
        ]
        return " · ".join(filter(None, [*parts, "" if values.get("is_enabled") else gettext("off")]))

    @model_validator(mode="after")
    def _means_something(self) -> Self:
        if self.origin not in KNOWN_BY[self.resource]:
            known = ", ".join(sorted(KNOWN_BY[self.resource]))
            raise hot.Wrong(
                "origin", _("Requests to {resource} do not have this. Use one of: {known}."), resource=self.resource.value, known=known
            )
        if self.unit == Unit.MESSAGES and self.resource != Resource.ACCEPT:
            raise hot.Wrong("unit", _("Only submitted messages can be counted. Count requests, or choose the resource accept."))
        hot.each("only", self.only, str.strip, _("Must not be empty."))
        hot.no_two("exceptions", (entry.value for entry in self.exceptions), _("There are two exceptions for {name}."))
        if self.burst and self.behaviour != Behaviour.REJECT:
            raise hot.Wrong("burst", _("A burst works only with refusing. Set it to 0, or refuse above the rate."))
        if self.is_enabled and not (self.per_second or self.at_once or self.in_window or self.exceptions):
            raise hot.Wrong("per_second", _("Set a rate, a number of concurrent requests or a window, or disable the rule."))
        return self


class SystemProtection(Shape):
    """Bounds of a web process beyond which low priorities are refused first."""

    is_enabled: bool = setting(False, _("Enabled"), "")
    load_per_core: float = setting(4.0, _("Load"), _("One-minute load average per core."), unit=_("per core"), ge=0.1, le=1000)
    latency_ms: int = setting(1_000, _("Latency"), _("Mean latency of recent requests."), unit="ms", ge=1, le=60_000)
    threads_percent: int = setting(90, _("Threads in use"), _("Share of the web process's threads in use."), unit="%", ge=1, le=100)
    spared_priority: int = setting(
        9, _("Exempt from priority"), _("From this priority on, system protection refuses nothing."), ge=0, le=10
    )


class AdaptiveLimit(Shape):
    """A rate that follows what the system can do."""

    is_enabled: bool = setting(False, _("Enabled"), _("Adjusts the limit to recent latency. The Limits page shows why."))
    unit: Unit = setting(
        Unit.REQUESTS, _("Counts"), _("What the rate counts. A batch is one request, or as many messages as it has recipients.")
    )
    min_per_second: float = setting(100.0, _("Lower bound"), "", unit="per s", ge=1, le=1_000_000)
    max_per_second: float = setting(5_000.0, _("Upper bound"), "", unit="per s", ge=1, le=1_000_000)
    target_latency_ms: int = setting(
        200, _("Target latency"), _("Above it the limit falls, below it the limit rises."), unit="ms", ge=1, le=60_000
    )
    step_percent: int = setting(10, _("Step"), _("Largest change in one step."), unit="%", ge=1, le=50)
    every_seconds: float = setting(5.0, _("Interval"), _("Time between two steps."), unit="s", ge=1, le=3600)

    @model_validator(mode="after")
    def _bounds_fit(self) -> Self:
        if self.min_per_second > self.max_per_second:
            raise hot.Wrong("min_per_second", _("Must not be above the upper bound."))
        return self


def _first_rules() -> list[FlowRule]:
    """Return the rules in force until something is published: per tenant, a rate, a concurrency limit and a window of requests.

    They count requests, so that batches leave room for other callers' single messages. How many messages there are is limited by the
    backlog (`queues.max_backlog`), and how fast they leave by the caps of providers.
    """
    return [
        FlowRule(name="accept", resource=Resource.ACCEPT, origin=Origin.TENANT, per_second=1_000, at_once=500, in_window=10_000),
        FlowRule(name="api", resource=Resource.API, origin=Origin.TENANT, per_second=1_000, at_once=500, in_window=10_000),
        FlowRule(name="callbacks", resource=Resource.CALLBACK, origin=Origin.TENANT, per_second=1_000, at_once=500),
        FlowRule(name="public-pages", resource=Resource.PUBLIC, origin=Origin.IP, per_second=20, burst=40),
    ]


class FlowRules(Module):
    """Rules for what comes in. All rules that fit a request must let it pass; one refusal takes nothing from the others."""

    rules: list[FlowRule] = setting(
        _first_rules,
        _("Rules"),
        _("All rules are checked together. The number of messages is limited by the backlog and the provider caps."),
        max_length=200,
        is_unordered=True,
    )
    system: SystemProtection = setting(SystemProtection, _("System protection"), _("Low priorities are refused first."))
    adaptive: AdaptiveLimit = setting(AdaptiveLimit, _("Adaptive limit"), _("For accepting messages. Disabled by default."))

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        hot.no_two("rules", (rule.name for rule in self.rules), _("There are two rules named {name}."))
        return self


flow_rules = hot.register(
    FlowRules,
    name="flow_rules",
    title=_("Flow rules"),
    purpose=_("How much is accepted: rate, concurrent requests and a sliding window, per tenant, key or address."),
    order=3,
)

__all__ = [
    "AdaptiveLimit",
    "Behaviour",
    "Exception_",
    "FlowRule",
    "FlowRules",
    "Origin",
    "Resource",
    "SystemProtection",
    "Unit",
    "flow_rules",
]
