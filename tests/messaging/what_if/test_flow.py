"""Flow rules replayed over recorded traffic."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from accounts.models import Tenant
from configcenter.hot import Applied
from messaging.configuration.flow import FlowRule, FlowRules, Origin, Resource
from messaging.models import Batch, Message
from messaging.what_if import flow
from posthaste.lib.ids import first_id_at
from tests.builders import json_of, make_api, make_message, make_tenant

pytestmark = [pytest.mark.django_db, pytest.mark.both_stacks]
BEGIN = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
URL = "/api/config/modules/flow_rules/what-if/"


@pytest.fixture
def tenant() -> Tenant:
    return make_tenant()


def rules(**fields: Any) -> FlowRules:
    return FlowRules(rules=[FlowRule(**{"name": "accept", "resource": Resource.ACCEPT, "origin": Origin.TENANT, **fields})])


def a_batch(tenant: Tenant, at: datetime, accepted: int) -> Batch:
    return Batch.objects.create(id=UUID(int=first_id_at(at).int + 1), tenant=tenant, channel="sms", accepted=accepted, created_at=at)


def replay(value: FlowRules, **options: Any) -> dict[str, Any]:
    return flow.replay_flow(Applied(value), since=BEGIN, until=BEGIN + timedelta(hours=1), **options)


def test_it_tells_how_many_would_have_been_limited_by_which_rule_when_and_whose(tenant: Tenant) -> None:
    other = make_tenant("Other")
    for second in range(20):
        make_message(tenant, at=BEGIN + timedelta(seconds=2 * second))
        make_message(tenant, at=BEGIN + timedelta(seconds=2 * second, milliseconds=300))
    make_message(other, at=BEGIN + timedelta(seconds=5))
    report = replay(rules(per_second=1))
    assert (report["requests"], report["messages"], report["limited_messages"]) == (41, 41, 20)
    assert report["by_rule"] == [{"rule": "accept", "layer": "rate", "requests": 20, "messages": 20}]
    assert report["worst_minutes"] == [{"minute": BEGIN, "limited_messages": 20, "messages": 41}]
    assert report["top_tenants"] == [{"tenant": tenant.slug, "limited_messages": 20, "messages": 40}]
    assert report["is_whole"]


def test_a_batch_counts_its_size_where_messages_are_counted_and_one_otherwise(tenant: Tenant) -> None:
    a_batch(tenant, BEGIN + timedelta(minutes=1), 900)
    a_batch(tenant, BEGIN + timedelta(minutes=1, seconds=10), 200)
    make_message(tenant, at=BEGIN + timedelta(minutes=1, seconds=11))
    assert replay(rules(in_window=1_000))["limited_requests"] == 0
    report = replay(rules(unit="messages", in_window=1_000))
    assert (report["requests"], report["messages"]) == (3, 1_101)
    assert (report["limited_requests"], report["limited_messages"]) == (1, 200)


def test_a_batch_counts_also_the_rows_that_were_dropped_or_rejected(tenant: Tenant) -> None:
    batch = a_batch(tenant, BEGIN + timedelta(minutes=1), 100)
    Batch.objects.filter(pk=batch.pk).update(dropped=700, rejected=100)
    a_batch(tenant, BEGIN + timedelta(minutes=1, seconds=10), 200)
    report = replay(rules(unit="messages", in_window=1_000))
    assert (report["messages"], report["limited_requests"], report["limited_messages"]) == (1_100, 1, 200)


def test_what_it_cannot_know_is_said(tenant: Tenant) -> None:
    make_message(tenant, at=BEGIN)
    report = replay(rules(at_once=1, origin=Origin.IP, per_second=1))
    assert report["limited_messages"] == 0
    assert len(report["notes"]) == 3


def test_a_replay_that_is_too_long_ends_and_says_so(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    for second in range(5):
        make_message(tenant, at=BEGIN + timedelta(seconds=second))
    monkeypatch.setattr(flow, "MAX_REQUESTS", 3)
    report = replay(rules(per_second=1))
    assert (report["requests"], report["is_whole"], report["until"]) == (3, False, BEGIN + timedelta(seconds=3))


def test_a_tenant_sees_its_own_traffic_and_an_operator_all_of_it(tenant: Tenant) -> None:
    make_message(tenant, at=BEGIN)
    make_message(make_tenant("Other"), at=BEGIN)
    body = {"since": BEGIN, "until": BEGIN + timedelta(minutes=5), "value": rules(per_second=1).model_dump(mode="json")}
    assert json_of(make_api(tenant).post(URL, body))["messages"] == 1
    assert json_of(make_api(make_tenant("Ops", is_operator=True)).post(URL, body))["messages"] == 2
    assert Message.objects.count() == 2


def test_a_wrong_draft_names_the_field(tenant: Tenant) -> None:
    answer = make_api(tenant).post(URL, {"value": {"rules": [{"name": "a", "per_second": 1}, {"name": "b", "per_second": -1}]}})
    assert answer.status_code == 422
    assert [error["field"] for error in json_of(answer)["errors"]] == ["value.rules[1].per_second"]


@pytest.mark.parametrize(("name", "status"), [("nothing", 404), ("tracing", 404), ("flow_rules", 200)])
def test_only_modules_with_rules_can_be_replayed(name: str, status: int, tenant: Tenant) -> None:
    assert make_api(tenant).post(f"/api/config/modules/{name}/what-if/", {}).status_code == status


def test_the_span_is_bounded(tenant: Tenant) -> None:
    api = make_api(tenant)
    for since, until in ((BEGIN, BEGIN), (BEGIN - timedelta(days=8), BEGIN)):
        answer = api.post(URL, {"since": since, "until": until})
        assert (answer.status_code, json_of(answer)["errors"][0]["field"]) == (422, "since")
    assert api.post(URL, {"since": BEGIN - timedelta(days=7, seconds=2), "until": BEGIN}).status_code == 200  # a week ago, a moment ago
