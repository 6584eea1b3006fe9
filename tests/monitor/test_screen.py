"""The big screen's page and what it asks for: who may look, and whose figures they see."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import Member, User
from accounts.roles import Role
from messaging.statistics import rollups
from messaging.statistics.rollups import roll_up
from monitor.screen import pages
from posthaste.lib import redis
from tests.builders import make_tenant
from tests.messaging.statistics.test_statistics import redis_is_away  # noqa: F401 - a fixture
from tracing.services.record import count

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _nothing_kept() -> None:
    pages._kept.clear()


def signed_in(tenant: Any = None, *, role: str = Role.VIEWER, **fields: Any) -> Client:
    user = User.objects.create(username=f"u{User.objects.count()}", is_staff=True, **fields)
    if tenant is not None:
        Member.objects.create(user=user, tenant=tenant, role=role)
    client = Client()
    client.force_login(user)
    return client


def accepted(answer: Any) -> int:
    return sum((point["events"] or {}).get("accepted", 0) for point in answer.json()["points"])


def test_a_viewer_sees_the_figures_of_the_own_tenant_only() -> None:
    now = timezone.now() - timedelta(minutes=2)
    ours, theirs = make_tenant(), make_tenant("Other")
    pipeline = redis.client().pipeline()
    count(pipeline, now, {(ours.pk, "sms", "accepted"): 3, (theirs.pk, "sms", "accepted"): 50})
    pipeline.execute()
    roll_up(now=now)
    client = signed_in(ours)
    for query in ("", f"&tenant={ours.pk}", f"&tenant={theirs.pk}", "&tenant=x"):
        assert accepted(client.get(f"/monitor/figures/?range=1h{query}")) == 3, query
    everybody = signed_in(is_superuser=True)
    assert accepted(everybody.get("/monitor/figures/?range=1h")) >= 53
    assert accepted(everybody.get(f"/monitor/figures/?range=1h&tenant={theirs.pk}")) == 50


@pytest.mark.parametrize("path", ["/monitor/", "/monitor/figures/", "/monitor/ticker/"])
def test_nobody_else_sees_anything(path: str) -> None:
    assert Client().get(path).status_code == 302
    assert signed_in().get(path).status_code == 403
    assert signed_in(make_tenant()).get(path).status_code == 200
    assert signed_in(make_tenant()).post(path).status_code == 405


def test_an_unknown_range_is_refused() -> None:
    answer = signed_in(make_tenant()).get("/monitor/figures/?range=1y")
    assert answer.status_code == 400
    assert "24h" in answer.json()["detail"]


@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_the_page_has_four_charts_each_with_a_name_and_a_table(language: str) -> None:
    client = signed_in(make_tenant())
    client.cookies["django_language"] = language
    text = client.get("/monitor/").content.decode()
    for name in ("throughput", "channels", "queue", "latency"):
        assert f'id="{name}" role="img" aria-labelledby="title-{name}"' in text
        assert f'data-table="{name}"' in text


@pytest.mark.usefixtures("redis_is_away")
def test_the_page_and_the_past_are_answered_while_redis_is_away() -> None:
    client = signed_in(make_tenant())
    assert client.get("/monitor/").status_code == 200
    assert client.get("/monitor/figures/?range=24h").status_code == 200


def test_the_past_is_read_once_for_many_viewers(django_assert_num_queries: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    tenant = make_tenant()
    clients = [signed_in(tenant) for _ in range(3)]
    reads: list[int] = []
    read = rollups.flow_rows

    def counting(**options: Any) -> Any:
        reads.append(1)
        return read(**options)

    monkeypatch.setattr("messaging.statistics.history.flow_rows", counting)
    for client in clients:
        client.get("/monitor/figures/?range=7d")
    assert len(reads) == 1
