"""Drafts of the rules, replayed over what was queued."""

from datetime import timedelta

import pytest
from django.utils import timezone

from routing.assignment.queueing import enqueue
from routing.models import Conversation
from tests.builders import fields_of, json_of, make_api, make_tenant
from tests.routing.assignment.builders import make_group
from tests.routing.builders import make_conversation, make_customer, make_identity

pytestmark = [pytest.mark.django_db, pytest.mark.both_stacks]
URL = "/api/config/modules/assignment/what-if/"


def test_a_draft_tells_how_many_conversations_would_go_elsewhere_per_group_with_examples() -> None:
    tenant, other, now = make_tenant(), make_tenant("Other"), timezone.now()
    for owner in (tenant, other):
        for name in ("general", "refunds"):
            make_group(owner, name, at=now)
    made = [
        make_conversation(make_identity(make_customer(owner)), intent=intent, confidence=0.9)
        for owner, intent in ((tenant, "refund"), (tenant, "refund"), (tenant, "praise"), (other, "refund"))
    ]
    enqueue([each.pk for each in made], now=now)
    before = list(Conversation.objects.order_by("pk").values())
    value = {"rules": [{"name": "money", "intents": ["refund"], "skill_group": "refunds"}]}
    span = {"since": (now - timedelta(hours=2)).isoformat()}
    report = json_of(make_api(tenant).post(URL, {"value": value, **span}))
    assert (report["conversations"], report["elsewhere"], report["is_whole"]) == (3, 2, True)
    assert report["by_group"] == [
        {"group": "general", "recorded": 3, "expected": 1},
        {"group": "refunds", "recorded": 0, "expected": 2},
    ]
    assert report["by_rule"] == [{"rule": "money", "conversations": 2}, {"rule": "Fallback group", "conversations": 1}]
    assert {each["conversation"] for each in report["examples"]} == {str(each.pk) for each in made[:2]}
    assert json_of(make_api(make_tenant("Ops", is_operator=True)).post(URL, {"value": value, **span}))["elsewhere"] == 3
    assert list(Conversation.objects.order_by("pk").values()) == before
    assert fields_of(make_api(tenant).post(URL, {"value": {"rules": [{"name": "a"}]}})) == ["value.rules[0].skill_group"]
