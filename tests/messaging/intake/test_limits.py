"""Flow rules at the API: 429 with everything a caller needs to know, batches cost their size, urgent messages have a reserve."""

import time
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import Tenant
from accounts.services.api_keys import recognise
from messaging.configuration.flow import Behaviour, Exception_, FlowRule, FlowRules, Origin, Resource, SystemProtection, Unit, flow_rules
from messaging.intake import limits
from messaging.models import Message
from posthaste.lib.flow import system, totals
from posthaste.lib.flow.limiter import limiter
from tests.builders import RECIPIENTS, Api, json_of, make_api, make_provider, make_template, make_tenant

pytestmark = [pytest.mark.django_db, pytest.mark.both_stacks]
SMS = {"channel": "sms", "recipient": RECIPIENTS["sms"], "body": "Your parcel is here."}
URL, BATCH_URL = "/api/messages/", "/api/messages/batch"


def rows(number: int, **fields: Any) -> dict[str, Any]:
    return {"channel": "sms", "body": "Sale!", "recipients": [{"recipient": f"+86138{n:08d}"} for n in range(number)], **fields}


def accept_rule(**fields: Any) -> FlowRule:
    return FlowRule(**{"name": "accept", "resource": Resource.ACCEPT, "origin": Origin.TENANT, **fields})


@pytest.fixture
def tenant() -> Tenant:
    return make_tenant()


@pytest.fixture
def api(tenant: Tenant) -> Api:
    return make_api(tenant)


def test_the_built_in_rules_are_those_of_the_documentation() -> None:
    accept = FlowRules().rules[0]
    assert (accept.per_second, accept.at_once, accept.in_window, accept.window_seconds) == (1000, 500, 10_000, 60)


def test_an_answer_tells_the_limits_and_what_is_left(api: Api) -> None:
    answer = api.post(URL, SMS)
    assert answer.status_code == 202
    assert answer["RateLimit-Policy"] == (
        '"accept-at-once";q=500;qu="concurrent-requests", "accept-rate";q=1000;w=1, "accept-window";q=10000;w=60'
    )
    assert answer["RateLimit"].startswith('"accept-')
    assert {"RateLimit", "RateLimit-Policy"} <= set(api.get("/api/messages/").headers)


def test_above_the_limit_the_answer_is_429_and_nothing_is_stored(api: Api) -> None:
    with flow_rules.set(rules=[accept_rule(in_window=2, window_seconds=30)]):
        assert [api.post(URL, SMS).status_code for _ in range(3)] == [202, 202, 429]
        answer = api.post(URL, SMS)
    assert answer["Content-Type"] == "application/problem+json"
    body = json_of(answer)
    assert (body["code"], body["limited_by"], body["layer"]) == ("too_many_requests", "accept", "window")
    assert "30 seconds" in body["detail"]
    assert 25 <= int(answer["Retry-After"]) <= 31
    assert answer["RateLimit-Policy"] == '"accept-window";q=2;w=30'
    assert answer["RateLimit"].startswith('"accept-window";r=0;t=')
    assert Message.objects.count() == 2


def test_a_refusal_is_told_in_the_readers_language(api: Api) -> None:
    with flow_rules.set(rules=[accept_rule(in_window=1)]):
        api.post(URL, SMS)
        answer = api.post(URL, SMS, headers={"Accept-Language": "zh-hans"})
    assert answer.status_code == 429
    assert json_of(answer)["detail"]


def test_where_messages_are_counted_a_batch_costs_its_size_and_is_let_in_whole_or_not_at_all(api: Api) -> None:
    with flow_rules.set(rules=[accept_rule(unit=Unit.MESSAGES, in_window=10)]):
        assert api.post(BATCH_URL, rows(7)).status_code == 202
        assert api.post(BATCH_URL, rows(4)).status_code == 429
        assert api.post(BATCH_URL, rows(3)).status_code == 202
        assert api.post(URL, SMS).status_code == 429
    assert Message.objects.count() == 10


def test_a_batch_that_no_waiting_would_let_in_is_told_so(api: Api) -> None:
    with flow_rules.set(rules=[accept_rule(unit=Unit.MESSAGES, in_window=10)]):
        answer = api.post(BATCH_URL, rows(11))
        assert answer.status_code == 429
        assert "Retry-After" not in answer.headers
        assert "smaller batches" in json_of(answer)["detail"]
        assert api.post(BATCH_URL, rows(10)).status_code == 202


def test_by_default_a_batch_of_ten_thousand_is_let_in(tenant: Tenant, api: Api) -> None:
    caller = recognise(f"Bearer {api.key}", ip="127.0.0.1", now=timezone.now())
    with limits.handing_over(caller, ip="127.0.0.1", cost=10_000, priority=5) as passed:
        assert passed
    assert api.post(URL, SMS).status_code == 202, "it counts as one request"
    assert api.post(URL, SMS | {"priority": 9}).status_code == 202, "urgent messages have a reserve"


def test_batches_back_to_back_pass_on_the_default_rules_and_leave_room_for_single_messages(api: Api, tenant: Tenant) -> None:
    default = FlowRules().rules[0]
    scaled = default.model_copy(update={"per_second": default.per_second / 10, "at_once": 50, "in_window": default.in_window // 10})
    other = make_api(tenant)
    with flow_rules.set(rules=[scaled]):  # a tenth of the default numbers, for batches of a tenth of the largest size
        for n in range(10):
            assert api.post(BATCH_URL, rows(1_000, name=f"batch {n}")).status_code == 202
            assert other.post(URL, SMS).status_code == 202
    assert Message.objects.count() == 10 * 1_000 + 10


def test_a_rule_counts_requests_or_messages(api: Api) -> None:
    for unit, statuses in ((Unit.REQUESTS, [202, 202, 429]), (Unit.MESSAGES, [202, 429, 429])):
        rule = accept_rule(name=f"by-{unit}", unit=unit, in_window=2)
        with flow_rules.set(rules=[rule]):
            answers = [api.post(BATCH_URL, rows(2)) for _ in range(3)]
        assert [answer.status_code for answer in answers] == statuses
        assert ('qu="messages"' in answers[0]["RateLimit-Policy"]) is (unit == Unit.MESSAGES)


def test_retry_after_is_the_longest_of_all_layers_that_refuse(api: Api) -> None:
    rules = [
        accept_rule(name="short", per_second=1),
        accept_rule(name="long", in_window=1, window_seconds=50),
        accept_rule(name="middle", in_window=1, window_seconds=20),
    ]
    with flow_rules.set(rules=rules):
        assert api.post(URL, SMS).status_code == 202
        answer = api.post(URL, SMS)
    assert (answer.status_code, json_of(answer)["limited_by"]) == (429, "long")
    assert 40 <= int(answer["Retry-After"]) <= 51


def test_an_invalid_request_of_a_single_message_takes_nothing(api: Api) -> None:
    with flow_rules.set(rules=[accept_rule(in_window=1)]):
        assert api.post(URL, SMS | {"recipient": "x"}).status_code == 422
        assert api.post(URL, SMS).status_code == 202


def test_a_repeated_batch_request_costs_nothing(api: Api) -> None:
    with flow_rules.set(rules=[accept_rule(unit=Unit.MESSAGES, in_window=5)]):
        codes = [api.post(BATCH_URL, rows(5), headers={"Idempotency-Key": "once"}).status_code for _ in range(3)]
    assert codes == [202, 202, 202]
    assert Message.objects.count() == 5


def test_tenants_do_not_share_and_one_may_have_other_limits(api: Api, tenant: Tenant) -> None:
    other = make_tenant("Other")
    rule = accept_rule(in_window=1, exceptions=[Exception_(value=other.slug, in_window=3)])
    with flow_rules.set(rules=[rule]):
        theirs = make_api(other)
        assert [api.post(URL, SMS).status_code for _ in range(2)] == [202, 429]
        assert [theirs.post(URL, SMS).status_code for _ in range(4)] == [202, 202, 202, 429]


@pytest.mark.parametrize("origin", [Origin.RECIPIENT, Origin.TEMPLATE, Origin.KEY, Origin.IP, Origin.ALL])
def test_every_origin_counts_for_itself(origin: Origin, tenant: Tenant) -> None:
    first, second = make_api(tenant), make_api(tenant)
    for name in ("one", "two"):
        make_template(tenant, name=name)
    message = {"channel": "sms", "recipient": RECIPIENTS["sms"], "template": "one", "variables": {"code": "1"}}
    with flow_rules.set(rules=[accept_rule(origin=origin, in_window=1)]):
        assert [first.post(URL, message).status_code for _ in range(2)] == [202, 429]
        changed = {
            Origin.RECIPIENT: (first, message | {"recipient": "+8613811111111"}),
            Origin.TEMPLATE: (first, message | {"template": "two"}),
            Origin.KEY: (second, message),
        }.get(origin)
        if changed:
            assert changed[0].post(URL, changed[1]).status_code == 202
        else:
            assert second.post(URL, message | {"recipient": "+8613811111111"}).status_code == 429


def test_a_rule_that_was_published_counts_at_once_without_a_restart(api: Api) -> None:
    with flow_rules.set(rules=[accept_rule(per_second=2)]):
        assert [api.post(URL, SMS).status_code for _ in range(3)] == [202, 202, 429]
        with flow_rules.set(rules=[accept_rule(per_second=4)]):
            assert [api.post(URL, SMS).status_code for _ in range(3)] == [202, 202, 429]
    with flow_rules.set(rules=[]):
        answer = api.post(URL, SMS)
        assert answer.status_code == 202
        assert "RateLimit" not in answer.headers


def test_a_queue_lets_requests_wait_their_turn(api: Api) -> None:
    with flow_rules.set(rules=[accept_rule(per_second=5, behaviour=Behaviour.QUEUE, max_wait_ms=1000)]):
        began = time.monotonic()
        assert [api.post(URL, SMS).status_code for _ in range(3)] == [202, 202, 202]
    assert time.monotonic() - began >= 0.4
    assert totals.process_totals.waited


def test_other_calls_of_the_api_have_rules_of_their_own(api: Api) -> None:
    rule = FlowRule(name="api", resource=Resource.API, origin=Origin.KEY, in_window=2)
    with flow_rules.set(rules=[rule]):
        assert [api.get("/api/templates/").status_code for _ in range(3)] == [200, 200, 429]
        assert api.post(URL, SMS).status_code == 202, "handing over is not counted there"
        refused = api.get("/api/me/")
    assert (refused.status_code, json_of(refused)["limited_by"]) == (429, "api")
    assert {"Retry-After", "RateLimit", "RateLimit-Policy"} <= set(refused.headers)


def test_a_lease_is_given_back_whatever_the_answer_was(api: Api) -> None:
    rules = [FlowRule(name="api", resource=Resource.API, origin=Origin.TENANT, at_once=1), accept_rule(at_once=1)]
    with flow_rules.set(rules=rules):
        for _ in range(3):
            assert api.get("/api/templates/").status_code == 200
            assert api.get("/api/messages/0192f0c1-a2b3-7c4d-8e9f-001122334455/").status_code == 404
            assert api.post(URL, SMS).status_code == 202
            assert api.post(BATCH_URL, rows(1) | {"recipients": [{"recipient": "x"}]}).status_code == 422
    assert not limiter._held


def test_callbacks_are_counted_by_tenant(tenant: Tenant) -> None:
    provider = make_provider(tenant)
    rule = FlowRule(name="callbacks", resource=Resource.CALLBACK, origin=Origin.TENANT, in_window=2)
    with flow_rules.set(rules=[rule]):
        codes = [Api().post(f"/api/receipts/{provider.pk}/", {}).status_code for _ in range(3)]
    assert codes[2] == 429
    assert 429 not in codes[:2]


def test_pages_without_a_login_are_counted_by_address_and_the_docs_are_not() -> None:
    rule = FlowRule(name="public-pages", resource=Resource.PUBLIC, origin=Origin.IP, in_window=2)
    with flow_rules.set(rules=[rule]):
        answers = [Api().get("/") for _ in range(3)]
        assert [answer.status_code for answer in answers] == [302, 302, 429]
        assert answers[2]["Retry-After"]
        page = Api().request("GET", "/", headers={"Accept": "text/html"})
        assert (page.status_code, page["Content-Type"].partition(";")[0]) == (429, "text/html")
        assert page["Retry-After"]
        assert {Api().get(path).status_code for path in ("/docs/errors/", "/health") for _ in range(4)} <= {200, 503}


def test_under_pressure_low_priorities_are_refused_first_and_urgent_ones_never(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    with flow_rules.set(system=SystemProtection(is_enabled=True, load_per_core=1000, latency_ms=60_000, threads_percent=50)):
        monkeypatch.setattr(system.load_monitor, "_threads", 100)
        assert api.post(URL, SMS | {"priority": 0}).status_code == 202
        system.load_monitor.in_progress = 55  # a little too many
        refused = api.post(URL, SMS | {"priority": 0})
        assert (refused.status_code, json_of(refused)["limited_by"]) == (429, "system")
        assert refused["Retry-After"]
        assert api.post(URL, SMS | {"priority": 5}).status_code == 202
        system.load_monitor.in_progress = 90
        assert [api.post(URL, SMS | {"priority": p}).status_code for p in (5, 8, 9, 10)] == [429, 429, 202, 202]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"resource": "public", "origin": "recipient", "per_second": 1}, "origin"),
        ({"resource": "accept"}, "per_second"),
        ({"per_second": 1, "exceptions": [{"value": "a"}, {"value": "a"}]}, "exceptions"),
    ],
)
def test_a_rule_that_means_nothing_is_refused_naming_its_field(fields: dict[str, Any], field: str, api: Api) -> None:
    answer = api.post("/api/config/modules/flow_rules/what-if/", {"value": {"rules": [fields]}})
    assert answer.status_code == 422
    assert [error["field"] for error in json_of(answer)["errors"]] == [f"value.rules[0].{field}"]


def test_what_was_refused_is_counted_for_everybody_to_see(api: Api) -> None:
    with flow_rules.set(rules=[accept_rule(name="tight", in_window=1)]):
        for _ in range(3):
            api.post(URL, SMS)
    before = totals.recent(minutes=2)["refused"].get("tight", 0)
    totals.process_totals.publish()
    assert totals.recent(minutes=2)["refused"]["tight"] == before + 2
