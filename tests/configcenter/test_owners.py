"""Owners of a tenant in the console: they set the values that their tenant has of its own, and nothing else."""

import orjson
import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import AuditEntry, Member, Tenant, User
from configcenter.services import items
from tests.builders import make_tenant
from tests.configcenter.forms import posted

pytestmark = pytest.mark.django_db
OVERVIEW = reverse("config:overview")


def member(tenant: Tenant, role: str) -> Client:
    """Return a client signed in as a member of the tenant, without a right to the installation's configuration."""
    user = User.objects.create(username=f"{role}-{tenant.slug}", is_staff=True)
    Member.objects.create(tenant=tenant, user=user, role=role)
    client = Client()
    client.force_login(user)
    return client


def at(tenant: Tenant | None, verb: str = "edit", name: str = "retry_policy") -> str:
    return reverse(f"config:module-{verb}", args=[name]) + (f"?tenant={tenant.slug}" if tenant else "")


def test_an_owner_finds_sets_and_publishes_the_values_of_the_tenant() -> None:
    tenant = make_tenant()
    owner = member(tenant, "owner")
    listed = owner.get(OVERVIEW).content.decode()
    assert OVERVIEW in owner.get(reverse("admin:index")).content.decode()
    assert at(tenant) in listed
    assert at(None, name="thread_pools") not in listed
    page = owner.get(at(tenant)).content.decode()
    assert reverse("config:instances") not in page
    assert at(None, "tenants") not in page
    assert owner.post(at(tenant), posted(page) | {"own:max_retries": "1", "max_retries": "1"}).status_code == 302
    based_on = items.module_item("retry_policy", tenant=tenant).draft_version
    assert owner.get(at(tenant, "publish")).status_code == 200
    assert owner.post(at(tenant, "publish"), {"comment": "ours", "based_on": based_on}).status_code == 302
    assert orjson.loads(items.effective(items.module_item("retry_policy", tenant=tenant))) == {"max_retries": 1}
    assert AuditEntry.objects.filter(actor__startswith="user:owner", action__startswith="config").exists()
    assert owner.get(at(tenant, "history")).status_code == 200


@pytest.mark.parametrize("verb", ["edit", "publish", "history", "replay", "remove", "live", "reach"])
def test_what_is_of_the_installation_or_of_others_stays_closed_to_an_owner(verb: str) -> None:
    owner, other = member(make_tenant(), "owner"), make_tenant("Other")
    for target in (None, other):
        assert owner.get(at(target, verb)).status_code == 403
        assert owner.post(at(target, verb), {"comment": "mine now"}).status_code == 403
    assert owner.get(at(other, "tenants")).status_code == 403
    assert owner.get(reverse("config:items")).status_code == 403


def test_an_operator_sets_nothing() -> None:
    tenant = make_tenant()
    operator = member(tenant, "operator")
    assert operator.get(OVERVIEW).status_code == 403
    assert operator.get(at(tenant)).status_code == 403
    assert operator.post(at(tenant), {}).status_code == 403
