"""What the limits do at the moment: the page, the API, the health page, with Redis and without."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import ConfigRight, Tenant
from configcenter.scopes import CONFIG_READ
from messaging.configuration.flow import AdaptiveLimit, FlowRule, Origin, Resource, SystemProtection, Unit, flow_rules
from messaging.intake import limits
from messaging.scopes import SEND
from monitor.health import report as health
from posthaste.lib.flow import totals
from posthaste.lib.flow.adaptive import Adaptive, Settings
from tests.builders import RECIPIENTS, json_of, make_api, make_tenant
from tests.monitor.test_breakers import staff

pytestmark = pytest.mark.django_db
SMS = {"channel": "sms", "recipient": RECIPIENTS["sms"], "body": "Your parcel is here."}
URL = "/api/limits/"
UNBOUNDED = SystemProtection(is_enabled=True, load_per_core=1000, latency_ms=60_000, threads_percent=100)  # on, and never in the way


@pytest.fixture
def operator() -> Tenant:
    tenant = make_tenant()
    Tenant.objects.filter(pk=tenant.pk).update(is_operator=True)
    tenant.refresh_from_db()
    return tenant


def page(client: Client) -> str:
    return client.get(reverse("config-limits")).content.decode()


def test_what_was_refused_and_the_steps_of_the_adaptive_limit_are_shown(operator: Tenant) -> None:
    api, client = make_api(operator, SEND, CONFIG_READ), staff(ConfigRight.VIEW)
    rule = FlowRule(name="as-shown", resource=Resource.ACCEPT, origin=Origin.TENANT, in_window=1)
    settings = Settings(10, 1000, 200, 10, 1)
    now = [1_000.0]
    adaptive = Adaptive(lambda: now[0])
    adaptive.tick(settings, requests=10, counted=900, took_ms=10_000, refused=0)
    now[0] += 1
    adaptive.tick(settings, requests=0, counted=0, took_ms=0, refused=0)
    with flow_rules.set(rules=[rule], adaptive=AdaptiveLimit(is_enabled=True), system=UNBOUNDED):
        assert [api.post("/api/messages/", SMS).status_code for _ in range(3)] == [202, 429, 429]
        totals.process_totals.publish()
        seen = json_of(api.get(URL))
        assert {"rule": "as-shown", "number": 2} in seen["refused"]
        assert (seen["is_local"], seen["let_in"] >= 1, seen["system"]["is_enabled"]) == (False, True, True)
        newest = seen["adaptive"]["steps"][0]  # that of the test, or one that the process itself has taken since
        step = next(step for step in seen["adaptive"]["steps"] if step["reason"] == "latency")
        assert (step["reason"], step["before"], step["latency_ms"], step["per_second"]) == ("latency", 1000.0, 1000.0, 900.0)
        assert step["limit"] < 1000
        assert seen["adaptive"]["limit"] == newest["limit"]
        assert (seen["adaptive"]["min_per_second"], seen["adaptive"]["max_per_second"]) == (100.0, 5_000.0), "as the configuration says"
        text = page(client)
        assert "requests a second, between" in text
        assert "Responses took too long" in text
        assert "as-shown" in text


def test_while_redis_is_away_everybody_who_looks_is_told_that_each_process_limits_by_itself(operator: Tenant, own_redis: Any) -> None:
    api, client = make_api(operator, SEND, CONFIG_READ), staff(ConfigRight.VIEW)
    assert health.ready()[1]["limits"] == "shared"
    assert "Each process enforces its own share" not in page(client)
    own_redis.kill()
    well, report = health.ready()
    assert (well, report["limits"].partition(":")[0], report["parts"]["redis"]["state"]) == (False, "local", "away")
    seen = json_of(api.get(URL))
    assert (seen["is_local"], seen["let_in"], seen["refused"]) == (True, None, [])
    text = page(client)
    assert "Each process enforces its own share" in text
    assert "Unknown while Redis is unavailable." in text


def test_the_figures_of_all_tenants_are_for_operators(operator: Tenant) -> None:
    assert make_api(operator, SEND).get(URL).status_code == 403
    assert make_api(make_tenant("other"), CONFIG_READ).get(URL).status_code == 404
    assert make_api(operator, CONFIG_READ).get(URL).status_code == 200
    assert Client().get(reverse("config-limits")).status_code == 302


@pytest.mark.parametrize(("unit", "per_batch"), [("requests", 1), ("messages", 3)])
def test_the_adaptive_limit_counts_what_is_submitted_in_its_unit_and_no_other_calls(operator: Tenant, unit: str, per_batch: int) -> None:
    api = make_api(operator, SEND, CONFIG_READ)
    rows = [{"recipient": f"+86138123456{n:02}"} for n in range(3)]
    adaptive = AdaptiveLimit(is_enabled=True, unit=Unit(unit), every_seconds=3600)
    told: list[int] = []

    def tick(_settings: Settings, *, counted: int, **_seen: Any) -> float:
        told.append(counted)
        return 100.0

    with flow_rules.set(rules=[FlowRule(name="api", per_second=1000)], adaptive=adaptive), pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits.adaptive, "tick", tick)
        limits.follow()
        told.clear()
        for _number in range(5):
            assert api.get(URL).status_code == 200
        assert api.post("/api/messages/batch/", {"channel": "sms", "body": "Hello", "recipients": rows}).status_code == 202
        limits.follow()
        seen = json_of(api.get(URL))["adaptive"]
    assert sum(told) == per_batch
    assert seen["unit"] == unit
    assert limits.rules_of(flow_rules.value.model_copy(update={"adaptive": adaptive}), adaptive_limit=100)[-1].counts_cost == (
        unit == "messages"
    )
