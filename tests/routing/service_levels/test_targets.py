"""Which target counts."""

from typing import Any

import pytest
from pydantic import ValidationError

from routing.configuration import ServiceLevels
from routing.configuration.targets import Target, priority_name, target_for

TARGETS = [
    Target(first_response_minutes=60),
    Target(first_response_minutes=50, applies_to="tickets"),
    Target(first_response_minutes=30, level="Gold"),
    Target(first_response_minutes=20, type="refund"),
    Target(first_response_minutes=10, type="refund", level="gold"),
]


@pytest.mark.parametrize(
    ("facts", "minutes"),
    [
        ({"is_ticket": False}, 60),
        ({"is_ticket": True}, 50),
        ({"is_ticket": True, "level": "gold"}, 30),
        ({"is_ticket": True, "type": "refund", "level": "silver"}, 20),
        ({"is_ticket": True, "type": "refund", "level": "GOLD"}, 10),
        ({"is_ticket": False, "priority": "urgent"}, None),
    ],
)
def test_the_most_specific_target_counts(facts: dict[str, Any], minutes: int | None) -> None:
    found = target_for(TARGETS, **{"priority": "normal", **facts})
    assert (found.first_response_minutes if found else None) == minutes


def test_the_numbers_of_priorities_have_four_names() -> None:
    names = [priority_name(number) for number in range(11)]
    assert names == ["low"] * 4 + ["normal"] * 3 + ["high"] * 2 + ["urgent"] * 2


def test_two_targets_for_the_same_are_refused() -> None:
    ServiceLevels(targets=TARGETS)
    with pytest.raises(ValidationError, match="two targets for normal · gold · both"):
        ServiceLevels(targets=[*TARGETS, Target(level="gold")])
    with pytest.raises(ValidationError, match="Conversations have no type"):
        Target(type="refund", applies_to="conversations")
