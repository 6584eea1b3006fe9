"""The audit trail in the admin: found by actor and action, of the own tenants alone, and taken as a file."""

import csv
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import ApiKey, AuditEntry, Member, Tenant, User
from accounts.roles import Role
from tests.builders import make_key, make_tenant

pytestmark = [pytest.mark.django_db, pytest.mark.both_stacks]
TRAIL = "admin:accounts_auditentry_changelist"


def owner(tenant: Tenant, name: str = "olga") -> Client:
    user = User.objects.create(username=name, first_name="Olga", last_name="Ivanova", is_staff=True)
    Member.objects.create(user=user, tenant=tenant, role=Role.OWNER)
    client = Client()
    client.force_login(user)
    return client


def entry(tenant: Tenant | None, actor: str, action: str, **fields: Any) -> AuditEntry:
    return AuditEntry.objects.create(tenant=tenant, actor=actor, action=action, **fields)


def found(client: Client, **query: str) -> list[tuple[str, str]]:
    rows = client.get(reverse(TRAIL), query).context["cl"].result_list
    return [(row.actor, row.action) for row in rows]


def test_entries_are_found_by_actor_by_action_by_subject_and_by_all_together() -> None:
    tenant = make_tenant()
    client = owner(tenant)
    for actor, action in (
        ("user:ada", "batch.pause"),
        ("user:ada", "batch.resume"),
        ("user:ada", "message.retry"),
        ("user:bob", "batch.pause"),
    ):
        entry(tenant, actor, action)
    assert found(client, actor="user:bob") == [("user:bob", "batch.pause")]
    assert found(client, action="batch.pause") == [("user:bob", "batch.pause"), ("user:ada", "batch.pause")]
    assert found(client, subject="batch") == [("user:bob", "batch.pause"), ("user:ada", "batch.resume"), ("user:ada", "batch.pause")]
    assert found(client, actor="user:ada", subject="batch", action="batch.resume") == [("user:ada", "batch.resume")]
    assert found(client, actor="user:eve") == []


def test_the_filters_offer_the_actors_of_the_own_tenant_alone() -> None:
    mine, other = make_tenant("Mine"), make_tenant("Other")
    client = owner(mine)
    entry(mine, "user:ada", "batch.pause")
    entry(other, "user:stranger", "batch.pause")
    entry(None, "user:root", "user.create")
    shown = client.get(reverse(TRAIL)).content.decode()
    assert "actor=user%3Aada" in shown
    assert "stranger" not in shown
    assert "root" not in shown
    assert found(client, actor="user:stranger") == []


def test_actors_have_names() -> None:
    tenant, other = make_tenant("Mine"), make_tenant("Other")
    client = owner(tenant)
    key, _clear = make_key(tenant, name="Shop backend")
    foreign, _clear = make_key(other, name="Their backend")
    entry(tenant, "user:olga", "batch.pause")
    entry(tenant, f"key:{key.prefix}", "batch.pause")
    entry(tenant, f"key:{foreign.prefix}", "batch.resume")
    entry(tenant, "system:release_due", "message.retry")
    shown = client.get(reverse(TRAIL)).content.decode()
    assert '<span title="user:olga">Olga Ivanova</span>' in shown
    assert f'<span title="key:{key.prefix}">Shop backend · API key</span>' in shown
    assert "Their backend" not in shown
    assert '<span title="system:release_due">release_due · The platform</span>' in shown


def test_a_target_that_is_a_number_is_shown_by_its_name() -> None:
    root = Client()
    root.force_login(User.objects.create(username="root", is_staff=True, is_superuser=True))
    row = entry(None, "user:ada", "job.pause", target="7", detail={"name": "messaging.release_due"})
    entry(None, "user:ada", "config.publish", target="queues", detail={"name": "ours"})
    shown = root.get(reverse(TRAIL)).content.decode()
    assert '<span class="first">messaging.release_due</span><span class="second soft">7</span>' in shown
    assert "ours" not in shown, "what the entry calls it already is a name"
    assert "job.pause · messaging.release_due" in root.get(reverse("admin:accounts_auditentry_change", args=[row.pk])).content.decode()


def test_the_names_of_a_page_cost_the_same_however_many_rows_it_has(django_assert_max_num_queries: Any) -> None:
    tenant = make_tenant()
    client = owner(tenant)
    for number in range(30):
        user = User.objects.create(username=f"user{number}")
        key = ApiKey.objects.create(tenant=tenant, name=f"Key {number}", prefix=f"{number:08}", digest=bytes([number]) * 32, scopes=[])
        entry(tenant, f"user:{user.username}", "batch.pause")
        entry(tenant, f"key:{key.prefix}", "batch.pause")
    client.get(reverse(TRAIL))
    with django_assert_max_num_queries(20):
        assert "Key 29 · API key" in client.get(reverse(TRAIL)).content.decode()


def test_an_entry_tells_everything_and_words_stand_where_nothing_was_noted() -> None:
    tenant = make_tenant()
    client = owner(tenant)
    one = entry(tenant, "system:release_due", "message.retry", detail={"messages": 3, "ids": ["a", "b"]})
    page = client.get(reverse("admin:accounts_auditentry_change", args=[one.pk])).content.decode()
    assert "inside the platform" in page
    assert "system:release_due" in page
    assert "<dt>Messages</dt><dd>3</dd>" in page
    bare = entry(tenant, "user:olga", "batch.pause")
    page = client.get(reverse("admin:accounts_auditentry_change", args=[bare.pk])).content.decode()
    assert "Nothing more was noted." in page
    assert "not noted" in page


def test_a_file_of_the_trail_has_the_filtered_entries_as_they_are_written() -> None:
    tenant = make_tenant()
    client = owner(tenant)
    entry(tenant, "user:ada", "batch.pause", target="01a209db-dc57-7481-8dca-bf0e921f1db1", ip="10.1.2.3")
    entry(tenant, "user:bob", "batch.resume")
    answer = client.get(reverse("admin:accounts_auditentry_export"), {"actor": "user:ada"})
    heads, *rows = csv.reader(b"".join(answer.streaming_content).decode().removeprefix("\ufeff").splitlines())  # type: ignore[attr-defined]
    assert len(rows) == 1
    told = dict(zip(heads, rows[0], strict=True))
    assert told["Actor"] == "user:ada"
    assert told["Target"] == "01a209db-dc57-7481-8dca-bf0e921f1db1"
    assert told["Address"] == "10.1.2.3"
