"""Deleting a tenant in the admin: asked for by its short name, refused with the reason where it has sent something."""

from itertools import count

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import ApiKey, AuditEntry, Member, Tenant, User
from accounts.roles import Role
from accounts.services.api_keys import issue_api_key
from tests.builders import TESTER, make_message, make_tenant

pytestmark = pytest.mark.django_db
_numbers = count(1)


def client_of(owner: Tenant | None = None) -> Client:
    """Return a client signed in as an owner of the tenant, or as a superuser."""
    user = User.objects.create(username=f"person-{next(_numbers)}", is_staff=True, is_superuser=owner is None)
    if owner:
        Member.objects.create(user=user, tenant=owner, role=Role.OWNER)
    client = Client()
    client.force_login(user)
    return client


def page_of(tenant: Tenant) -> str:
    return reverse("admin:accounts_tenant_delete", args=[tenant.pk])


def test_a_tenant_that_has_sent_nothing_is_deleted_once_its_short_name_is_typed() -> None:
    shop, other = make_tenant("Shop"), make_tenant("Other")
    issue_api_key(tenant=shop, name="Till", scopes=["messages:send"], by=TESTER)
    boss = client_of()
    change = boss.get(reverse("admin:accounts_tenant_change", args=[shop.pk])).content.decode()
    assert page_of(shop) in change
    asked = boss.get(page_of(shop))
    assert asked.status_code == 200
    assert "API keys" in asked.content.decode()
    assert boss.post(page_of(shop), {"name": "Shop"}).status_code == 422
    assert Tenant.objects.filter(pk=shop.pk).exists()
    answer = boss.post(page_of(shop), {"name": shop.slug})
    assert answer.status_code == 302
    assert answer["Location"] == reverse("admin:accounts_tenant_changelist")
    assert list(Tenant.objects.all()) == [other]
    assert not ApiKey.objects.exists()
    entry = AuditEntry.objects.get(action="tenant.delete")
    assert (entry.target, entry.detail, entry.ip) == (shop.slug, {"name": "Shop"}, "127.0.0.1")
    assert entry.actor.startswith("user:person-")


def test_a_tenant_that_has_sent_something_stays_and_the_page_says_why() -> None:
    shop = make_tenant("Shop")
    make_message(shop)
    boss = client_of()
    asked = boss.get(page_of(shop)).content.decode()
    assert f"The tenant {shop.slug} has messages or batches, which must be kept. Deactivate it instead." in asked
    assert 'name="name"' not in asked
    refused = boss.post(page_of(shop), {"name": shop.slug})
    assert refused.status_code == 409
    assert "which must be kept" in refused.content.decode()
    assert Tenant.objects.filter(pk=shop.pk).exists()
    assert not AuditEntry.objects.filter(action="tenant.delete").exists()


def test_nobody_but_a_superuser_deletes_a_tenant() -> None:
    mine, other = make_tenant("Mine"), make_tenant("Other")
    owner = client_of(mine)
    assert page_of(mine) not in owner.get(reverse("admin:accounts_tenant_change", args=[mine.pk])).content.decode()
    for tenant, status in ((mine, 403), (other, 404)):
        assert owner.get(page_of(tenant)).status_code == status
        assert owner.post(page_of(tenant), {"name": tenant.slug}).status_code == status
    assert Client().post(page_of(mine), {"name": mine.slug}).status_code == 302  # to the sign-in page
    assert Tenant.objects.count() == 2


def test_tenants_are_not_deleted_by_the_lists_bulk_action() -> None:
    shop = make_tenant("Shop")
    boss = client_of()
    listing = reverse("admin:accounts_tenant_changelist")
    assert "delete_selected" not in boss.get(listing).content.decode()
    boss.post(listing, {"action": "delete_selected", "_selected_action": [shop.pk], "post": "yes"})
    assert Tenant.objects.filter(pk=shop.pk).exists()
