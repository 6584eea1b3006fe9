"""Rules that derive attributes from others: pure, so that the same values always give the same result."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from routing.configuration.attribute_rules import AttributeRule, Operator
from routing.customers.attribute_values import LEVEL, TAGS, fault


def derive(rules: Iterable[AttributeRule], known: Mapping[str, Any]) -> dict[str, tuple[Any, set[str]]]:
    """Return what rules say of a customer, by attribute: the value, and the attributes that it rests on.

    Rules look only at what others said, never at what a rule derived, so their order matters only where two set the same attribute: the
    first one counts. Tags of all rules are added up.
    """
    found: dict[str, tuple[Any, set[str]]] = {}
    for rule in rules:
        if not applies(rule, known):
            continue
        value = read(rule)
        if fault(rule.sets, value):
            continue
        if rule.sets == TAGS and TAGS in found:
            tags, basis = found[TAGS]
            found[TAGS] = ([*tags, *(tag for tag in value if tag not in tags)], basis | {rule.attribute})
        else:
            found.setdefault(rule.sets, (value, {rule.attribute}))
    return found


def applies(rule: AttributeRule, known: Mapping[str, Any]) -> bool:
    """Return whether a customer's attributes fit a rule. An attribute that is not set fits none, not even `differs`."""
    if rule.attribute not in known:
        return False
    value = known[rule.attribute]
    match rule.operator:
        case Operator.IS_SET:
            return True
        case Operator.EQUALS:
            return _as_text(value) == rule.value
        case Operator.DIFFERS:
            return _as_text(value) != rule.value
        case Operator.CONTAINS:
            return rule.value in value if isinstance(value, list) else rule.value in _as_text(value)
    try:
        number = float(value) if not isinstance(value, bool | list) else None
    except ValueError:
        number = None
    if number is None:
        return False
    return number >= float(rule.value) if rule.operator == Operator.AT_LEAST else number <= float(rule.value)


def read(rule: AttributeRule) -> Any:
    """Return the value that a rule sets: text for a level, a list for tags; otherwise true, false, a number or a text."""
    if rule.sets == LEVEL:
        return rule.to
    if rule.sets == TAGS:
        return [rule.to]
    try:
        value = json.loads(rule.to)
    except ValueError:
        return rule.to
    return value if isinstance(value, bool | int | float) else rule.to


def _as_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
