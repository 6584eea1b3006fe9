"""`manage.py create_tenant`: how an installation gets its first tenant."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from accounts.models import ApiKey, AuditEntry, Tenant
from tests.builders import Api, make_tenant

pytestmark = pytest.mark.django_db


def test_it_prints_a_key_that_works_and_leaves_a_trace_in_the_audit() -> None:
    out = StringIO()
    call_command("create_tenant", "shop", "--name", "Shop", "--weight", "3", stdout=out)
    assert Api(out.getvalue().strip()).get("/api/me/").json()["tenant"] == "shop"
    assert Tenant.objects.get(slug="shop").weight == 3
    assert AuditEntry.objects.filter(action="tenant.create", target="shop").exists()


@pytest.mark.parametrize("slug", ["not a slug", ""])
def test_a_bad_name_is_refused_and_nothing_is_made(slug: str) -> None:
    with pytest.raises(CommandError):
        call_command("create_tenant", slug)
    assert not Tenant.objects.exists()
    assert not ApiKey.objects.exists()


def test_a_name_that_is_taken_is_refused() -> None:
    taken = make_tenant().slug
    with pytest.raises(CommandError):
        call_command("create_tenant", taken)
    assert Tenant.objects.count() == 1


def test_the_first_key_of_an_operator_reaches_the_whole_configuration() -> None:
    keys = []
    for arguments in (("ops", "--operator"), ("shop",)):
        out = StringIO()
        call_command("create_tenant", *arguments, stdout=out)
        keys.append(out.getvalue().strip())
    assert [Api(key).get("/api/config/modules/").status_code for key in keys] == [200, 404]


def test_the_audit_trail_says_which_command_made_the_tenant_and_its_key() -> None:
    call_command("create_tenant", "shop", stdout=StringIO())
    tenant = Tenant.objects.get(slug="shop")
    entries = AuditEntry.objects.order_by("id").values_list("actor", "action", "tenant_id")
    assert [*entries] == [("command:create_tenant", action, tenant.pk) for action in ("tenant.create", "key.issue")]
