"""`manage.py add_member`: how people come into a tenant without a browser."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from accounts.models import AuditEntry, Member, User
from tests.builders import make_tenant

pytestmark = pytest.mark.django_db


def add(*arguments: str) -> str:
    out = StringIO()
    call_command("add_member", *arguments, stdout=out, stderr=StringIO())
    return out.getvalue().strip()


def test_a_new_person_gets_an_account_whose_password_is_printed() -> None:
    tenant = make_tenant()
    password = add(tenant.slug, "mei", "--first-name", "Mei", "--email", "mei@example.com", "--role", "operator")
    user = User.objects.get(username="mei")
    assert user.check_password(password)
    assert (user.first_name, user.is_staff, user.is_superuser) == ("Mei", True, False)
    assert Member.objects.get(user=user, tenant=tenant).role == "operator"
    entries = AuditEntry.objects.order_by("id").values_list("actor", "action")
    assert [*entries] == [("command:add_member", "user.create"), ("command:add_member", "member.create")]


def test_a_person_with_an_account_keeps_the_password() -> None:
    password = add(make_tenant().slug, "mei")
    assert add(make_tenant().slug, "mei") == ""
    user = User.objects.get(username="mei")
    assert user.check_password(password)
    assert user.memberships.count() == 2


def test_what_is_wrong_is_refused_and_nothing_is_made() -> None:
    tenant = make_tenant()
    with pytest.raises(CommandError, match="create_tenant"):
        add("no-such", "mei")
    with pytest.raises(CommandError, match="valid"):
        add(tenant.slug, "a b/c")
    with pytest.raises(CommandError, match="valid"):
        add(tenant.slug, "mei", "--email", "nothing")
    assert not User.objects.exists()
    add(tenant.slug, "mei")
    with pytest.raises(CommandError, match="already"):
        add(tenant.slug, "mei", "--role", "owner")
    User.objects.update(is_active=False)
    with pytest.raises(CommandError, match="active"):
        add(make_tenant().slug, "mei")
    assert Member.objects.get().role == "viewer"
