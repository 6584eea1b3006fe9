"""The history of a row in the admin is the audit trail's, for every author and entrance."""

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import Member, Tenant, User
from accounts.roles import Role
from messaging.models import Template
from tests.builders import make_api, make_provider, make_template, make_tenant

pytestmark = pytest.mark.django_db


def viewer(owner: Tenant) -> Client:
    user = User.objects.create(username="ada", is_staff=True)
    Member.objects.create(user=user, tenant=owner, role=Role.VIEWER)
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
    client = viewer(tenant)
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
    assert history(viewer(mine), "messaging_template", rows[0].pk).count("template.change") == 1
    assert Template.objects.count() == 2


def test_nobody_reads_the_history_of_a_row_that_is_not_theirs() -> None:
    row = make_provider(make_tenant())
    answer = viewer(make_tenant()).get(reverse("admin:messaging_provider_history", args=[row.pk]))
    assert answer.status_code in (302, 403, 404)
    assert b"provider." not in answer.content


def test_a_history_is_read_in_pages() -> None:
    tenant = make_tenant()
    row = make_provider(tenant)
    api = make_api(tenant)
    for weight in range(52):
        api.patch(f"/api/providers/{row.pk}/", {"weight": weight})
    client = viewer(tenant)
    first = history(client, "messaging_provider", row.pk)
    assert first.count("provider.change") == 50
    older = client.get(reverse("admin:messaging_provider_history", args=[row.pk]), {"p": 2}).content.decode()
    assert older.count("provider.change") == 2
