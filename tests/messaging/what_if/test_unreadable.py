"""Rows that can't be read, planted straight into the database: a replay leaves them out, says so, and writes nothing."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from configcenter.hot import Applied
from messaging.configuration.delivery import DeliveryRules
from messaging.configuration.flow import FlowRule, FlowRules, Origin, Resource
from messaging.configuration.providers import ProviderRouting
from messaging.models import Batch, Message
from messaging.what_if import delivery, flow, providers
from posthaste.lib.ids import first_id_at
from tests.builders import make_message, make_provider, make_tenant

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_stacks]
START = datetime(2026, 3, 4, 12, tzinfo=UTC)
SPAN: dict[str, Any] = {"since": START - timedelta(hours=1), "until": START + timedelta(hours=1)}
LEFT_OUT = "Rows that can't be read are not included: 1."
PLANTED = {
    "a time beyond the year 9999": {
        "postgresql": "created_at = '10000-01-01 13:59:59+00'",
        "sqlite": "created_at = '10000-01-01 13:59:59'",
    },
    "a time that no page can show": {"postgresql": "due_at = '4000-01-01 00:00:00+00'", "sqlite": "due_at = '4000-01-01 00:00:00'"},
    "an endless time": {"postgresql": "sent_at = 'infinity'"},
    "a list as variables": {"postgresql": "variables = '[1, 2]'", "sqlite": "variables = '[1, 2]'"},
    "JSON nested too deeply": {
        "postgresql": f"variables = '{'[' * 3000}{']' * 3000}'",
        "sqlite": f"variables = '{'[' * 3000}{']' * 3000}'",
    },
    "an id that is none": {"sqlite": "id = substr(id, 1, 20) || 'not-a-uuid'"},
    "a provider that is none": {"sqlite": "provider_id = 'not-a-uuid'"},
    "bytes that are no text": {"sqlite": "recipient = CAST(x'ff' AS TEXT)"},
    "a channel that is no text": {"sqlite": "channel = CAST(x'ff' AS TEXT)"},
}
#: By replay: the kinds whose columns it does not read.
NOT_READ = {
    "delivery": {"an id that is none", "a provider that is none"},
    "flow": {
        "a time that no page can show",
        "an endless time",
        "a list as variables",
        "JSON nested too deeply",
        "an id that is none",
        "a provider that is none",
        "a channel that is no text",
    },
    "providers": set(PLANTED) - {"a provider that is none", "a channel that is no text"},
}


def overwrite(row: Message | Batch, assignment: str) -> None:
    address = row.pk if connection.vendor == "postgresql" else row.pk.hex
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("PRAGMA ignore_check_constraints = 1")
        cursor.execute(f"UPDATE {row._meta.db_table} SET {assignment} WHERE id = %s", [address])
        assert cursor.rowcount == 1
        if connection.vendor == "sqlite":
            cursor.execute("PRAGMA ignore_check_constraints = 0")


def stored() -> list[Any]:
    """Return what the database holds, as it is."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT CAST(id AS VARCHAR(99)), status, error_code FROM messaging_message ORDER BY 1")
        return list(cursor.fetchall())


def replay(name: str) -> dict[str, Any]:
    if name == "flow":
        rule = FlowRule(name="accept", resource=Resource.ACCEPT, origin=Origin.TENANT, per_second=100)
        return flow.replay_flow(Applied(FlowRules(rules=[rule])), **SPAN)
    if name == "providers":
        return providers.replay_routing(Applied(ProviderRouting()), **SPAN)
    rules = DeliveryRules.model_validate({"duplicates": {"is_enabled": True, "minutes": 10}})
    return delivery.replay_delivery(Applied(rules), **SPAN)


@pytest.mark.parametrize("name", NOT_READ)
@pytest.mark.parametrize("kind", PLANTED)
def test_a_replay_leaves_out_what_cant_be_read_and_counts_the_rest(kind: str, name: str) -> None:
    if connection.vendor not in PLANTED[kind]:
        pytest.skip("this database does not store it")
    tenant = make_tenant()
    provider = make_provider(tenant, name="main")
    messages = [make_message(tenant, status="sent", at=START + timedelta(minutes=n), provider=provider, latency_ms=80) for n in range(7)]
    overwrite(messages[3], PLANTED[kind][connection.vendor])
    before = stored()
    report = replay(name)
    left_out = kind not in NOT_READ[name]
    assert report["messages"] == 7 - left_out
    assert (LEFT_OUT in report["notes"]) is left_out
    assert stored() == before


def test_unreadable_batches_are_left_out_too() -> None:
    tenant = make_tenant()
    for n in range(3):
        at = START + timedelta(minutes=n)
        batch = Batch.objects.create(id=first_id_at(at), tenant=tenant, channel="sms", accepted=10, created_at=at)
    overwrite(batch, {"postgresql": "created_at = '12026-01-01 00:00:00+00'", "sqlite": "created_at = 'yesterday'"}[connection.vendor])
    report = replay("flow")
    assert report["messages"] == 20
    assert LEFT_OUT in report["notes"]


def test_all_pages_are_read_with_an_unreadable_row_at_the_end_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("messaging.storage.leave_out.ROWS_A_PAGE", 2)
    tenant = make_tenant()
    messages = [make_message(tenant, status="sent", at=START + timedelta(minutes=n)) for n in range(7)]
    for place in (1, 4, 5):
        overwrite(messages[place], "variables = '[1]'")
    report = replay("delivery")
    assert report["messages"] == 4
    assert LEFT_OUT.replace("1", "3") in report["notes"]


def test_variables_with_an_integer_of_more_than_64_bits_are_compared_like_all_others() -> None:
    tenant = make_tenant()
    for minute in (0, 1):
        make_message(tenant, status="sent", at=START + timedelta(minutes=minute), variables={"order": 10**30})
    assert replay("delivery")["suppressed"] == 1
