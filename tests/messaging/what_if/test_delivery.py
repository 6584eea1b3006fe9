"""What a draft of the delivery and provider rules would have done to what was sent."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from configcenter.hot import Handle
from configcenter.services import items, releases, what_if
from messaging.configuration import delivery_rules, provider_routing
from messaging.configuration.delivery import DeliveryRules
from messaging.configuration.providers import ProviderRouting
from messaging.models import Batch, Message
from messaging.what_if import delivery
from posthaste.lib.ids import first_id_at
from tests.builders import TESTER, fields_of, json_of, make_api, make_message, make_provider, make_tenant

pytestmark = [pytest.mark.django_db, pytest.mark.both_stacks]
START = datetime(2026, 3, 4, 12, tzinfo=UTC)  # 20:00 in Shanghai


def sent(tenant: Any, minutes: float, **fields: Any) -> Message:
    return make_message(tenant, status="sent", at=START + timedelta(minutes=minutes), **fields)


def replay(value: dict[str, Any], *, tenant: Any = None, hours: int = 48) -> dict[str, Any]:
    return what_if.replay_value(
        delivery_rules,
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


def test_it_tells_of_the_rows_that_batches_had_dropped_before_any_rule() -> None:
    tenant, other = make_tenant(), make_tenant("Other")
    for owner, dropped in ((tenant, 3), (tenant, 4), (other, 5)):
        at = START + timedelta(minutes=dropped)
        Batch.objects.create(id=first_id_at(at), tenant=owner, channel="sms", accepted=1, dropped=dropped, created_at=at)
    said = "Rows that batches dropped as duplicates are not included: {n}."
    assert said.format(n=7) in replay({}, tenant=tenant)["notes"]
    assert said.format(n=12) in replay({})["notes"]
    Batch.objects.update(dropped=0)
    assert not any("dropped" in note for note in replay({})["notes"])


def test_quiet_hours_would_have_put_off_by_the_recipients_clock() -> None:
    tenant = make_tenant()
    sent(tenant, 60)  # 21:00 in Shanghai
    sent(tenant, 120)  # 22:00
    sent(tenant, 240)  # midnight
    sent(tenant, 240, recipient="+12125550123")  # 11:00 in New York
    report = replay({"quiet_hours": [{"name": "night", "start": "22:00", "end": "08:00"}]})
    assert (report["deferred"], report["unchanged"]) == (2, 2)
    assert report["max_wait_seconds"] == 10 * 3600
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
    monkeypatch.setattr(delivery, "MAX_MESSAGES", 3)
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


# --- provider routing -------------------------------------------------------------------------------------------------


def replay_routing(value: dict[str, Any], *, tenant: Any = None) -> dict[str, Any]:
    return what_if.replay_value(
        provider_routing,
        ProviderRouting.model_validate(value),
        since=START - timedelta(hours=1),
        until=START + timedelta(hours=1),
        tenant_id=tenant.pk if tenant else None,
    )


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
    report = replay_routing(routing)
    assert {line["provider"]: line["expected"] for line in report["by_provider"]} == expected
    assert {line["provider"]: line["recorded"] for line in report["by_provider"]} == {"first": 8, "second": 2}
    assert report["messages"] == 10
    assert report["moved"] == round(max(0, expected["first"] - 8) + max(0, expected["second"] - 2))


# --- what tenants have of their own -------------------------------------------------------------------------------------

NIGHT = {"name": "night", "start": "22:00", "end": "08:00"}
DAY = {"name": "day", "start": "12:00", "end": "20:30"}  # 12:00 in London is 20:00 in Shanghai
BY_PROVIDER = "/api/config/modules/provider_routing"
BY_RULE = "/api/config/modules/delivery_rules"


def override(handle: Handle[Any], tenant: Any, **own: Any) -> None:
    """Publish what a tenant has of its own; no process follows it, as the replay reads what is released."""
    item = items.module_item(handle.name, tenant=tenant)
    releases.publish(item=item, content=json.dumps(own), comment="", by=TESTER)


def test_each_tenant_is_judged_by_the_draft_with_its_own_override_on_top() -> None:
    plain, own = make_tenant(), make_tenant("Own")
    override(delivery_rules, own, quiet_hours=[DAY])
    for tenant in (plain, own):
        sent(tenant, 0)  # 20:00 in Shanghai
        sent(tenant, 180)  # 23:00
    report = replay({"quiet_hours": [NIGHT], "frequency": [{"name": "once", "most": 1, "hours": 24}]})
    by_rule = {line["rule"]: (line["suppressed"], line["deferred"]) for line in report["by_rule"]}
    # Its hours are its own and the cap is everybody's: the message that waited for 20:30 is the one that counts.
    assert by_rule == {"rule:quiet:night": (0, 1), "rule:quiet:day": (0, 1), "rule:frequency:once": (2, 0)}
    assert any("one tenant" in note for note in report["notes"])
    assert not any("override" in note for note in replay({}, tenant=plain)["notes"])


def test_a_tenant_that_switched_duplicates_on_for_itself_has_them_judged_and_the_others_have_not() -> None:
    plain, own = make_tenant(), make_tenant("Own")
    override(delivery_rules, own, duplicates={"is_enabled": True, "minutes": 10})
    for tenant in (plain, own):
        sent(tenant, 0)
        sent(tenant, 1)
    report = replay({})
    assert (report["messages"], report["suppressed"]) == (4, 1)
    assert any("without rendering" in note for note in report["notes"])
    assert replay({}, tenant=plain)["suppressed"] == 0


def test_what_a_tenant_routes_its_own_way_stays_as_it_is_after_a_draft_for_all() -> None:
    plain, own = make_tenant(), make_tenant("Own")
    override(provider_routing, own, strategy="weighted")
    for tenant in (plain, own):
        heavy = make_provider(tenant, name="heavy", weight=300)
        make_provider(tenant, name="light", weight=100)
        for n in range(4):
            sent(tenant, n, provider=heavy, latency_ms=100)
    expected = {
        tenant.pk: {line["provider"]: line["expected"] for line in replay_routing({"strategy": "in_order"}, tenant=tenant)["by_provider"]}
        for tenant in (plain, own)
    }
    assert expected == {plain.pk: {"heavy": 4}, own.pk: {"heavy": 3, "light": 1}}
    assert replay_routing({"strategy": "in_order"})["moved"] == 1


def test_an_override_that_the_draft_makes_invalid_keeps_its_value_and_is_named() -> None:
    own = make_tenant("Own")
    override(delivery_rules, own, quiet_hours=[NIGHT])
    item = items.module_item("delivery_rules", tenant=own)
    assert item.current
    type(item.current).objects.filter(pk=item.current.pk).update(content='{"quiet_hours": [{"name": "night", "start": "25:00"}]}')
    sent(own, 180)
    report = replay({"quiet_hours": []})
    assert report["deferred"] == 0, "what this process has in force for it: the defaults"
    assert any(own.slug in note for note in report["notes"])


def test_a_draft_of_an_override_is_replayed_for_its_tenant_alone_on_top_of_what_all_have() -> None:
    tenant, other = make_tenant(), make_tenant("Other", is_operator=True)
    base = items.module_item("delivery_rules")
    cap = {"name": "once", "most": 1, "hours": 24}
    releases.publish(item=base, content=json.dumps({"frequency": [cap], "jitter_minutes": 0}), comment="", by=TESTER)
    for owner in (tenant, other):
        sent(owner, 0)
        sent(owner, 180)
    span = {"since": START - timedelta(hours=1), "until": START + timedelta(hours=4)}
    for owner in (tenant, other):
        report = json_of(make_api(owner).post(f"{BY_RULE}/override/what-if/", {"value": {"quiet_hours": [NIGHT]}, **span}))
        assert (report["messages"], report["deferred"], report["suppressed"]) == (2, 1, 1)
        assert any("Only this tenant" in note for note in report["notes"])
    assert json_of(make_api(tenant).post(f"{BY_RULE}/override/what-if/", span))["suppressed"] == 1


def test_a_wrong_override_names_the_field_and_a_module_without_overrides_has_none_to_replay() -> None:
    api = make_api(make_tenant())
    wrong = api.post(f"{BY_RULE}/override/what-if/", {"value": {"exempt_priority": 5}})
    assert (wrong.status_code, fields_of(wrong)) == (422, ["value.exempt_priority"])
    assert fields_of(api.post(f"{BY_RULE}/override/what-if/", {"value": {"quiet_hours": [{"start": "25:00"}]}})) == [
        "value.quiet_hours[0].start"
    ]
    assert api.post("/api/config/modules/flow_rules/override/what-if/", {}).status_code == 404
    assert api.post(f"{BY_PROVIDER}/override/what-if/", {"value": {"strategy": "in_order"}}).status_code == 200
