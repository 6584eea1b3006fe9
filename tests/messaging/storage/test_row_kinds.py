"""API keys, providers and idempotency keys that can't be read, planted straight into the database: a job sets them aside."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection, models
from django.utils import timezone

from accounts.models import ApiKey, AuditEntry, Tenant
from accounts.services import api_keys
from messaging.metrics.outcomes import set_aside_rows_total
from messaging.models import IdempotencyKey, Message, Provider
from messaging.storage import never_due
from tests.builders import RECIPIENTS, close_committer, json_of, make_api, make_provider, make_tenant

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_stacks]
SMS = {"channel": "sms", "recipient": RECIPIENTS["sms"], "body": "Your parcel is here."}
TIMES = {"postgresql": "'10000-01-01 13:59:59+00'", "sqlite": "'10000-01-01 13:59:59'"}


@pytest.fixture
def tenant() -> Tenant:
    return make_tenant()


@pytest.fixture
def committer() -> Iterator[None]:
    """Close the writer's connection, which would keep the test database from being removed."""
    yield
    close_committer()


def overwrite(row: models.Model, column: str, value: str | dict[str, str]) -> None:
    text = value if isinstance(value, str) else value[connection.vendor]
    address: Any = row.pk.hex if connection.vendor == "sqlite" and not isinstance(row.pk, int) else row.pk
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("PRAGMA ignore_check_constraints = 1")
        cursor.execute(f"UPDATE {row._meta.db_table} SET {column} = {text} WHERE id = %s", [address])
        assert cursor.rowcount == 1
        if connection.vendor == "sqlite":
            cursor.execute("PRAGMA ignore_check_constraints = 0")


def run_job() -> int:
    return never_due.set_aside_unreadable(now=timezone.now())


@pytest.mark.parametrize(
    ("column", "value"), [("expires_at", TIMES), ("last_used_at", TIMES), ("scopes", "'{}'"), ("ip_ranges", "'7'"), ("scopes", "'null'")]
)
def test_an_unreadable_key_is_revoked_and_the_audit_trail_keeps_what_was_there(tenant: Tenant, column: str, value: Any) -> None:
    good, bad = make_api(tenant), make_api(tenant)
    row = ApiKey.objects.order_by("-pk")[0]
    before = set_aside_rows_total()["apikey"]
    overwrite(row, column, value)
    assert run_job() == 1
    row.refresh_from_db()
    assert row.revoked_at is not None
    api_keys.forget_cached_keys()
    assert (good.get("/api/messages/").status_code, bad.get("/api/messages/").status_code) == (200, 401)
    entry = AuditEntry.objects.get(action="key.revoke")
    assert (entry.actor, entry.target, entry.tenant_id) == ("system:set_aside_unreadable", row.prefix, tenant.pk)
    planted = (value if isinstance(value, str) else value[connection.vendor]).strip("'")[:19]
    assert entry.detail["unreadable"][column].startswith(planted)
    assert set_aside_rows_total()["apikey"] == before + 1
    assert len(json_of(good.get("/api/keys/"))["results"]) == 2
    assert run_job() == 0


def test_an_unreadable_provider_is_repaired_and_its_credentials_stay(tenant: Tenant) -> None:
    dated = make_provider(tenant, name="dated", max_per_second=7)
    overwrite(dated, "created_at", TIMES)
    assert run_job() == 1
    dated.refresh_from_db()
    assert (dated.is_enabled, dated.max_per_second, dated.config) == (True, 7, {})
    assert "created_at" in AuditEntry.objects.get(action="provider.change").detail["unreadable"]
    assert [row["name"] for row in json_of(make_api(tenant).get("/api/providers/"))["results"]] == ["dated"]


def test_a_provider_whose_cap_was_lost_is_disabled(tenant: Tenant) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("this database stores no text as a number")
    capped = make_provider(tenant, name="capped", max_per_second=7)
    overwrite(capped, "max_per_second", "'many'")
    assert run_job() == 1
    assert not Provider.objects.get(pk=capped.pk).is_enabled


def test_a_provider_whose_key_is_missing_is_left_as_it_is(tenant: Tenant) -> None:
    """Its credentials can be read again when the key is added to ENCRYPTION_KEYS."""
    locked = make_provider(tenant)
    overwrite(locked, "config", "'not-encrypted-with-our-key'")
    overwrite(locked, "created_at", TIMES)
    assert run_job() == 1
    with connection.cursor() as cursor:
        cursor.execute("SELECT config FROM messaging_provider")
        assert cursor.fetchone() == ("not-encrypted-with-our-key",)


@pytest.mark.usefixtures("committer")
def test_an_idempotency_key_of_the_far_future_is_forgotten_like_all_others(tenant: Tenant) -> None:
    api = make_api(tenant)
    first = api.post("/api/messages/", SMS, headers={"Idempotency-Key": "order-1"})
    overwrite(IdempotencyKey.objects.get(), "created_at", TIMES)
    assert run_job() == 1
    assert IdempotencyKey.objects.get().created_at <= timezone.now()
    again = api.post("/api/messages/", SMS, headers={"Idempotency-Key": "order-1"})
    assert json_of(again)["id"] == json_of(first)["id"]


@pytest.mark.usefixtures("committer")
@pytest.mark.parametrize(("column", "value"), [("answer", "'[1]'"), ("created_at", TIMES), ("target", {"sqlite": "'not-a-uuid'"})])
def test_an_unreadable_first_answer_sends_nothing_twice_and_holds_up_no_other_request(tenant: Tenant, column: str, value: Any) -> None:
    if isinstance(value, dict) and connection.vendor not in value:
        pytest.skip("this database does not store it")
    api = make_api(tenant)
    first = api.post("/api/messages/", SMS, headers={"Idempotency-Key": "order-1"})
    overwrite(IdempotencyKey.objects.get(), column, value)
    for _number in range(2):
        again = api.post("/api/messages/", SMS, headers={"Idempotency-Key": "order-1"})
        if column == "created_at":
            assert json_of(again)["id"] == json_of(first)["id"]
        else:
            assert again.status_code == 409
    assert api.post("/api/messages/", SMS, headers={"Idempotency-Key": "order-2"}).status_code == 202
    assert Message.objects.count() == 2
