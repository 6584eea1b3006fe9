"""Rules in force, and the plan of checks for a request: worked out once for each caller, then looked up."""

from collections.abc import Iterable, Mapping, Sequence

from posthaste.lib import redis
from posthaste.lib.flow import headers
from posthaste.lib.flow.rules import Plan, Rule, checks_of

MAX_PLANS = 20_000
NOTHING = Plan((), (), (), "")


def plan_for(rules: Iterable[Rule], values: Mapping[str, str], *, prefix: str) -> Plan:
    """Return the checks that a request with these values must pass.

    `values` holds what the request is known by: "tenant", "key", "ip", "recipient", "template". A rule on a value that the request does
    not have says nothing.
    """
    found, waits, resource = [], False, ""
    for rule in rules:
        value = "all" if rule.origin == "all" else values.get(rule.origin, "")
        if value and rule.applies_to(value):
            found += checks_of(rule, value, prefix=prefix)
            resource = rule.resource
            waits = waits or rule.behaviour.endswith("queue")
    if not found:
        return NOTHING
    checks, labels = zip(*found, strict=True)
    return Plan(checks, labels, tuple(check.key for check in checks if check.kind == "l"), headers.policies(labels), waits, resource)


class PlanCache:
    """The rules of each resource. Swapped as a whole, so that a reader sees one release."""

    def __init__(self) -> None:
        self._by_resource: dict[str, tuple[Rule, ...]] = {}
        self._origins: dict[str, tuple[str, ...]] = {}
        self._plans: dict[tuple[str, ...], Plan] = {}
        self.space = ""

    def put(self, rules: Iterable[Rule]) -> None:
        """Put rules in force."""
        by_resource: dict[str, list[Rule]] = {}
        for rule in rules:
            by_resource.setdefault(rule.resource, []).append(rule)
        origins = {name: tuple(sorted({rule.origin for rule in found} - {"all"})) for name, found in by_resource.items()}
        self._by_resource, self._origins, self._plans = {name: tuple(found) for name, found in by_resource.items()}, origins, {}

    def origins(self, resource: str) -> Sequence[str]:
        """Name the values that the resource's rules ask for."""
        return self._origins.get(resource, ())

    def rules(self, resource: str) -> Sequence[Rule]:
        """Return the resource's rules."""
        return self._by_resource.get(resource, ())

    def plan(self, resource: str, values: Mapping[str, str]) -> Plan:
        """Return the plan for a request."""
        origins = self._origins.get(resource)
        if origins is None:
            return NOTHING
        plans = self._plans
        name = (resource, self.space, *[values.get(origin, "") for origin in origins])
        plan = plans.get(name)
        if plan is None:
            if len(plans) >= MAX_PLANS:
                plans.clear()  # made-up values must not fill the memory
            prefix = redis.key("flow", self.space) if self.space else redis.key("flow")
            plan = plans[name] = plan_for(self.rules(resource), values, prefix=prefix)
        return plan


plan_cache = PlanCache()
