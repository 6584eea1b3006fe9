"""The rules, on facts alone."""

from datetime import UTC, datetime
from typing import Any

import pytest

from routing.assignment.business_hours import open_at
from routing.assignment.rules import Decision, Facts, decide
from routing.configuration import service_levels
from routing.configuration.assignment_rules import Assignment

GROUPS = ("general", "billing", "billing-zh", "gold", "night")
RULES = [
    {"name": "night", "hours": "closed", "skill_group": "night", "priority": 2},
    {"name": "gold", "levels": ["Gold"], "vip": "vip", "skill_group": "gold", "choice": "skill_first"},
    {"name": "billing in Chinese", "intents": ["invoice"], "languages": ["zh"], "skill_group": "billing-zh", "priority": 6},
    {"name": "shop", "entrances": ["Shop"], "skill_group": "nowhere"},
]


def decided(facts: dict[str, Any], **settings: Any) -> Decision:
    made = {"rules": RULES, "routes": [{"intent": "invoice", "skill_group": "billing", "priority": 7}], **settings}
    return decide(Assignment.model_validate(made), Facts(**facts), groups=GROUPS)


@pytest.mark.parametrize(
    ("facts", "group", "basis", "priority"),
    [
        ({"intent": "invoice", "is_open": False}, "night", "rule", 2),
        ({"intent": "invoice", "confidence": 0.9, "language": "zh-Hans"}, "billing-zh", "rule", 6),
        ({"intent": "invoice", "confidence": 0.9, "language": "en"}, "billing", "intent", 7),
        ({"intent": "invoice", "confidence": 0.59, "language": "zh"}, "general", "fallback", 5),
        ({"level": "gold", "is_vip": True}, "gold", "rule", 9),
        ({"level": "gold"}, "general", "fallback", 5),
        ({"is_vip": True}, "general", "fallback", 9),
        ({"wanted_group": "billing", "level": "gold", "is_vip": True}, "billing", "wanted", 9),
        ({"wanted_group": "unknown"}, "general", "fallback", 5),
        ({"entrance": "shop"}, "general", "rule", 5),
        ({}, "general", "fallback", 5),
    ],
)
def test_the_first_rule_that_fits_decides_then_the_intents_then_the_fallback_group(
    facts: dict[str, Any], group: str, basis: str, priority: int
) -> None:
    decision = decided(facts)
    assert (decision.group, decision.basis, decision.priority) == (group, basis, priority)


def test_a_group_that_does_not_exist_is_replaced_by_the_fallback_group_and_named() -> None:
    decision = decided({"entrance": "Shop"})
    assert (decision.group, decision.missing, decision.rule) == ("general", "nowhere", "shop")
    lost = decide(Assignment(fallback_group="gone"), Facts(), groups=GROUPS)
    assert (lost.group, lost.missing) == ("", "gone")


def test_a_rule_may_have_its_own_strategy() -> None:
    assert decided({"level": "gold", "is_vip": True}).choice == "skill_first"
    assert decided({}).choice == "least_loaded"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        (datetime(2026, 11, 27, 0, 59, tzinfo=UTC), False),  # Friday 08:59 in Shanghai
        (datetime(2026, 11, 27, 1, 0, tzinfo=UTC), True),
        (datetime(2026, 11, 27, 10, 0, tzinfo=UTC), False),
        (datetime(2026, 11, 26, 22, 0, tzinfo=UTC), False),
        (datetime(2026, 11, 28, 3, 0, tzinfo=UTC), False),  # Saturday
        (datetime(2026, 10, 1, 3, 0, tzinfo=UTC), False),  # a holiday
    ],
)
def test_business_hours_follow_the_time_zone_the_week_and_the_holidays(moment: datetime, is_open: bool) -> None:
    with service_levels.set(time_zone="Asia/Shanghai", holidays=["2026-10-01"]):
        assert open_at(1, moment) is is_open


@pytest.mark.django_db
def test_a_day_that_is_open_until_midnight_is_open_to_its_last_minute() -> None:
    late = [{"day": 5, "start": "20:00", "end": "00:00"}]
    with service_levels.set(hours=late):
        assert open_at(1, datetime(2026, 11, 27, 23, 59, tzinfo=UTC))
        assert not open_at(1, datetime(2026, 11, 28, 0, 0, tzinfo=UTC))
