"""The alarms module: what may be published, and what a new installation watches."""

from typing import Any

import pytest
from pydantic import ValidationError

from monitor import figures
from monitor.alarms import built_in
from monitor.alarms.configuration import Alarms, alarms
from monitor.alarms.rules import Comparison
from monitor.alarms.states import is_clear, is_met


def test_every_built_in_rule_watches_a_metric_that_there_is_with_labels_that_it_has() -> None:
    known = figures.titled()
    assert [one.name for one in built_in.rules() if one.metric not in known] == []
    assert Alarms.model_validate(Alarms().model_dump()) == Alarms()
    assert alarms.value.rules


def test_every_built_in_rule_ends_where_it_does_not_fire() -> None:
    for one in built_in.rules():
        step = -1 if one.comparison == Comparison.BELOW else 1
        assert is_met(one, one.bound + step), one.name
        assert not is_met(one, one.bound), one.name
        assert is_clear(one, one.clears_at), one.name


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"rules": [{"metric": "none"}]}, "metric"),
        ({"rules": [{"metric": "up", "only": ["colour=red"]}]}, "only[0]"),
        ({"rules": [{"bound": 5, "clear_bound": 6}]}, "clear_bound"),
        ({"rules": [{"bound": 5, "clear_bound": 4, "comparison": "below"}]}, "clear_bound"),
        ({"rules": [{"receivers": ["nobody"]}]}, "rules[0].receivers[0]"),
        ({"rules": [{"receivers": ["Ada Lovelace"]}]}, "receivers[0]"),
        ({"rules": [{"inhibited_by": ["none"]}]}, "rules[0].inhibited_by[0]"),
        ({"rules": [{"name": "a", "inhibited_by": ["a"]}]}, "inhibited_by[0]"),
        ({"rules": [{"name": "a"}, {"name": "a"}]}, "rules"),
        ({"receivers": [{"address": "ada"}]}, "address"),
        ({"receivers": [{"kind": "sms", "address": "12"}]}, "address"),
        ({"receivers": [{"kind": "wecom_robot", "address": "ftp://a"}]}, "address"),
        ({"receivers": [{"address": "a@example.com"}, {"address": "b@example.com"}]}, "receivers"),
        ({"quiet_start": "22:00"}, "quiet_end"),
        ({"quiet_start": "10:00", "quiet_end": "10:00"}, "quiet_end"),
        ({"rules": [{"name": "a", "inhibited_by": ["b"]}, {"name": "b", "inhibited_by": ["a"]}]}, "inhibited_by[0]"),
        (
            {
                "rules": [
                    {"name": "a", "inhibited_by": ["d", "b"]},
                    {"name": "b", "inhibited_by": ["c"]},
                    {"name": "c", "inhibited_by": ["a"]},
                    {"name": "d"},
                ]
            },
            "inhibited_by[1]",
        ),
        ({"heartbeat_url": "nowhere"}, "heartbeat_url"),
    ],
)
def test_a_mistake_is_refused_and_its_field_is_named(change: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Alarms.model_validate(change)
    assert f"{field}:" in str(refused.value)


def test_a_receiver_of_every_kind_can_be_given() -> None:
    made = Alarms.model_validate(
        {
            "rules": [{"name": "a", "metric": "up", "only": ["part=redis"], "receivers": ["mail", "robot 30"]}],
            "receivers": [
                {"name": "mail", "kind": "email", "address": "ops@example.com"},
                {"name": "text", "kind": "sms", "address": "+8613812345678"},
                {"name": "hook", "kind": "webhook", "address": "https://hooks.example.com/alarms"},
                {"name": "robot", "kind": "dingtalk_robot", "address": "https://oapi.dingtalk.com/robot/send?access_token=t#SECx"},
                {"name": "wecom", "kind": "wecom", "address": "zhangsan"},
            ],
        }
    )
    assert made.rules[0].receiver_delays(made.receivers_by_name) == {"mail": 0, "robot": 30}
