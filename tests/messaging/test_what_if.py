"""What a draft of the delivery and provider rules would have done to what was sent."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from messaging.configuration import delivery_rules, provider_routing
from messaging.configuration.delivery import DeliveryRules
from messaging.configuration.providers import ProviderRouting
from messaging.models import Message
from messaging.services.what_if import delivery
from tests.builders import make_message, make_provider, make_tenant

pytestmark = [pytest.mark.django_db, pytest.mark.both_stacks]
START = datetime(2026, 3, 4, 12, tzinfo=UTC)  # 20:00 in Shanghai


def sent(tenant: Any, minutes: float, **fields: Any) -> Message:
    return make_message(tenant, status="sent", at=START + timedelta(minutes=minutes), **fields)


def replay(value: dict[str, Any], *, tenant: Any = None, hours: int = 48) -> dict[str, Any]:
    assert delivery_rules.what_if is not None
    return delivery_rules.what_if(
        DeliveryRules.model_validate({"jitter_minutes": 0, **value}),
        since=START - timedelta(hours=1),
        until=START + timedelta(hours=hours),
        tenant_id=tenant.pk if tenant else None,
    )


def test_rules_that_say_nothing_change_nothing() -> None:
    tenant = make_tenant()
    for n in range(3):
        sent(tenant, n)
    report = replay({})
    assert (report["messages"], report["unchanged"], report["suppressed"], report["deferred"], report["is_whole"]) == (3, 3, 0, 0, True)


def test_duplicates_would_have_been_held_back_within_their_time() -> None:
    tenant = make_tenant()
    for minute in (0, 4, 11, 12):
        sent(tenant, minute)
    sent(tenant, 5, body="Another text")
    sent(tenant, 5, recipient="+8613812345679")
    sent(tenant, 5, category="code")
    sent(tenant, 5, priority=9)
    report = replay({"duplicates": {"is_enabled": True, "minutes": 10}})
    assert (report["messages"], report["suppressed"], report["exempt"]) == (8, 2, 1)
    assert report["by_rule"] == [{"rule": "rule:duplicate", "suppressed": 2, "deferred": 0, "mean_wait_seconds": 0.0}]


def test_quiet_hours_would_have_put_off_by_the_recipients_clock() -> None:
    tenant = make_tenant()
    sent(tenant, 60)  # 21:00 in Shanghai
    sent(tenant, 120)  # 22:00
    sent(tenant, 240)  # midnight
    sent(tenant, 240, recipient="+12125550123")  # 11:00 in New York
    report = replay({"quiet_hours": [{"name": "night", "start": "22:00", "end": "08:00"}]})
    assert (report["deferred"], report["unchanged"]) == (2, 2)
    assert report["longest_wait_seconds"] == 10 * 3600
    assert report["mean_wait_seconds"] == 9 * 3600


def test_a_cap_would_have_let_through_as_many_as_it_says_and_no_more() -> None:
    tenant = make_tenant()
    for hour in range(6):
        sent(tenant, 60 * hour, body=f"Offer {hour}", category="marketing")
    cap = {"name": "daily", "category": "marketing", "most": 2, "hours": 24}
    assert replay({"frequency": [cap]})["suppressed"] == 4
    report = replay({"frequency": [{**cap, "outside": "defer"}]})
    assert (report["suppressed"], report["deferred"]) == (0, 4)


def test_only_the_span_and_the_tenant_that_were_asked_for_are_looked_at() -> None:
    tenant, other = make_tenant(), make_tenant("Other")
    sent(tenant, 0)
    sent(other, 0)
    sent(tenant, -600)
    assert replay({}, tenant=tenant)["messages"] == 1
    assert replay({})["messages"] == 2


def test_a_replay_that_would_take_too_much_stops_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    tenant = make_tenant()
    for n in range(5):
        sent(tenant, n)
    monkeypatch.setattr(delivery, "MOST_MESSAGES", 3)
    report = replay({})
    assert (report["messages"], report["is_whole"]) == (3, False)
    assert report["until"] == START + timedelta(minutes=3)
    assert any(report["until"].isoformat() in note for note in report["notes"])


def test_a_replay_writes_nothing() -> None:
    tenant = make_tenant()
    sent(tenant, 0)
    before = list(Message.objects.values())
    replay({"duplicates": {"is_enabled": True}, "quiet_hours": [{"name": "all", "start": "00:00", "end": "00:00"}]})
    assert list(Message.objects.values()) == before


@pytest.mark.parametrize(
    ("routing", "expected"),
    [
        ({}, {"first": 5, "second": 5}),
        ({"strategy": "in_order"}, {"first": 10, "second": 0}),
        ({"channels": [{"channel": "sms", "weights": [{"provider": "second", "weight": 300}]}]}, {"first": 2.5, "second": 7.5}),
        ({"strategy": "fastest"}, {"first": 9, "second": 1}),
    ],
)
def test_the_share_that_each_provider_would_have_had(routing: dict[str, Any], expected: dict[str, float]) -> None:
    tenant = make_tenant()
    first, second = (make_provider(tenant, name=name, weight=100) for name in ("first", "second"))
    for n in range(8):
        sent(tenant, n, provider=first, latency_ms=100)
    for n in range(2):
        sent(tenant, n, provider=second, latency_ms=900)
    assert provider_routing.what_if is not None
    report = provider_routing.what_if(
        ProviderRouting.model_validate(routing), since=START - timedelta(hours=1), until=START + timedelta(hours=1), tenant_id=None
    )
    assert {line["provider"]: line["expected"] for line in report["by_provider"]} == expected
    assert {line["provider"]: line["recorded"] for line in report["by_provider"]} == {"first": 8, "second": 2}
    assert report["messages"] == 10
    assert report["moved"] == round(max(0, expected["first"] - 8) + max(0, expected["second"] - 2))
