"""The history of a row in the admin is the audit trail's, for every author and entrance."""

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import AuditEntry, Member, Tenant, User
from accounts.roles import Role
from messaging.models import Template
from tests.builders import make_api, make_provider, make_template, make_tenant

pytestmark = pytest.mark.django_db


def member(tenant: Tenant, role: Role = Role.OWNER) -> Client:
    user = User.objects.create(username=f"{role}-{tenant.slug}", is_staff=True)
    Member.objects.create(user=user, tenant=tenant, role=role)
    client = Client()
    client.force_login(user)
    return client


def history(client: Client, name: str, key: object) -> str:
    answer = client.get(reverse(f"admin:{name}_history", args=[key]))
    assert answer.status_code == 200
    return answer.content.decode()


def test_what_an_integrator_changed_over_the_api_stands_in_the_rows_history() -> None:
    tenant = make_tenant()
    row = make_provider(tenant)
    client = member(tenant)
    assert "The audit trail has no entries for it." in history(client, "messaging_provider", row.pk)
    api = make_api(tenant)
    assert api.patch(f"/api/providers/{row.pk}/", {"weight": 7}).status_code == 200
    shown = history(client, "messaging_provider", row.pk)
    assert "provider.change" in shown
    assert "fields: weight" in shown
    assert "key:" in shown


def test_a_history_shows_nothing_of_what_another_tenant_calls_by_the_same_name() -> None:
    mine, theirs = make_tenant(), make_tenant()
    rows = [make_template(owner, name="sale") for owner in (mine, theirs)]
    for owner in (mine, theirs):
        assert make_api(owner).patch("/api/templates/sale/", {"description": f"of {owner.slug}"}).status_code == 200
    assert history(member(mine), "messaging_template", rows[0].pk).count("<code>template.change</code>") == 1
    assert Template.objects.count() == 2


def test_nobody_reads_the_history_of_a_row_that_is_not_theirs() -> None:
    row = make_provider(make_tenant())
    answer = member(make_tenant()).get(reverse("admin:messaging_provider_history", args=[row.pk]))
    assert answer.status_code in (302, 403, 404)
    assert b"provider." not in answer.content


@pytest.mark.parametrize("role", [Role.VIEWER, Role.AUTHOR, Role.OPERATOR])
def test_a_history_is_kept_for_those_who_may_read_the_audit_trail(role: Role) -> None:
    tenant = make_tenant()
    row = make_provider(tenant)
    assert make_api(tenant).patch(f"/api/providers/{row.pk}/", {"weight": 7}).status_code == 200
    client = member(tenant, role)
    assert client.get(reverse("admin:accounts_auditentry_changelist")).status_code == 403
    answer = client.get(reverse("admin:messaging_provider_history", args=[row.pk]))
    assert answer.status_code == 403
    assert "Only owners of the tenant can read its audit trail." in answer.content.decode()
    assert "provider.change" not in answer.content.decode()


def test_the_button_of_the_history_is_shown_to_those_who_may_read_it() -> None:
    tenant = make_tenant()
    page, address = (reverse(f"admin:accounts_tenant_{name}", args=[tenant.pk]) for name in ("change", "history"))
    assert address in member(tenant).get(page).content.decode()
    assert address not in member(tenant, Role.OPERATOR).get(page).content.decode()


def test_an_owner_elsewhere_reads_no_history_where_they_are_a_member() -> None:
    theirs, other = make_tenant(), make_tenant()
    user = User.objects.create(username="eve", is_staff=True)
    Member.objects.create(user=user, tenant=theirs, role=Role.OWNER)
    Member.objects.create(user=user, tenant=other, role=Role.VIEWER)
    client = Client()
    client.force_login(user)
    row = make_provider(other)
    assert client.get(reverse("admin:messaging_provider_history", args=[row.pk])).status_code == 403


def test_a_history_is_read_in_pages() -> None:
    tenant = make_tenant()
    row = make_provider(tenant)
    api = make_api(tenant)
    for weight in range(52):
        api.patch(f"/api/providers/{row.pk}/", {"weight": weight})
    client = member(tenant)
    address = reverse("admin:messaging_provider_history", args=[row.pk])
    first = client.get(address)
    assert first.content.decode().count("<code>provider.change</code>") == 50
    assert client.get(address + first.context["older"]).content.decode().count("<code>provider.change</code>") == 2


def test_a_history_is_narrowed_by_who_and_what_and_taken_as_a_file() -> None:
    tenant = make_tenant()
    row = make_template(tenant, name="sale")
    api = make_api(tenant)
    for number in range(60):
        assert api.patch("/api/templates/sale/", {"description": f"Number {number}"}).status_code == 200
    client, address = member(tenant), reverse("admin:messaging_template_history", args=[row.pk])
    AuditEntry.objects.create(tenant=tenant, actor="user:ada", action="template.publish", target=row.name)
    first = client.get(address)
    assert first.context["older"]
    assert [chip.title for chip in first.context["chips"]] == ["Who", "What"]
    older = client.get(address + first.context["older"])
    assert len(first.context["rows"]) + len(older.context["rows"]) == AuditEntry.objects.filter(action__startswith="template.").count()
    narrowed = client.get(address, {"action": "template.publish", "actor": "user:ada"})
    assert [row["entry"].actor for row in narrowed.context["rows"]] == ["user:ada"]
    assert "Nothing matches." in client.get(address, {"actor": "user:eve"}).content.decode()
    answer = client.get(address, {"csv": "1", "actor": "user:ada"})
    lines = b"".join(answer.streaming_content).decode().splitlines()  # type: ignore[attr-defined]
    assert len(lines) == 2
    assert "template.publish" in lines[1]
    assert AuditEntry.objects.get(action="list.export").detail == {"filters": ["actor"]}


def test_the_file_of_a_history_is_kept_for_those_who_may_read_it() -> None:
    tenant = make_tenant()
    row = make_provider(tenant)
    answer = member(tenant, Role.VIEWER).get(reverse("admin:messaging_provider_history", args=[row.pk]), {"csv": "1"})
    assert (answer.status_code, answer["Content-Type"]) == (403, "text/html; charset=utf-8")
