"""Rows are shown to members of their tenant, in the role that counts there, and to no member where they have no tenant."""

from collections.abc import Iterator

import pytest
from django.apps import apps
from django.db import models
from django.test import Client
from django.urls import reverse

from accounts.checks import check_model, check_tenant_lookups
from accounts.models import AuditEntry, Member, Tenant, User
from accounts.roles import Role
from accounts.services import audit
from tests.builders import TESTER, make_key, make_tenant


@pytest.fixture(autouse=True)
def forget_models() -> Iterator[None]:
    """Take the models of these tests out of Django's registry again."""
    before = {label: dict(found) for label, found in apps.all_models.items()}
    yield
    for label, found in apps.all_models.items():
        for name in set(found) - set(before.get(label, {})):
            del found[name]
    apps.clear_cache()


def ids_of(model: type[models.Model]) -> list[str | None]:
    return [found.id for found in check_model(model)]


def test_every_model_of_this_project_says_whose_its_rows_are() -> None:
    assert check_tenant_lookups() == []


def test_a_model_that_does_not_say_whose_its_rows_are_fails_the_check() -> None:
    class Silent(models.Model):  # noqa: DJ008 - never shown
        class Meta:
            app_label = "accounts"

    assert ids_of(Silent) == ["accounts.E001"]
    assert [found.obj for found in check_tenant_lookups([apps.get_app_config("accounts")])] == [Silent]


@pytest.mark.parametrize("lookup", ["owner_id", "tenant", "user_id", "tenant__name", 7])
def test_a_lookup_that_leads_to_no_tenant_fails_the_check(lookup: object) -> None:
    class Astray(models.Model):  # noqa: DJ008 - never shown
        tenant_lookup = lookup
        tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="+")
        user = models.ForeignKey(User, models.CASCADE, related_name="+")

        class Meta:
            app_label = "accounts"

    assert ids_of(Astray) == ["accounts.E002"]


def test_a_model_with_a_tenant_cannot_say_that_it_has_none() -> None:
    class Denying(models.Model):  # noqa: DJ008 - never shown
        tenant_lookup = None
        tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="+")

        class Meta:
            app_label = "accounts"

    assert ids_of(Denying) == ["accounts.E003"]


def member_of(**roles: Tenant) -> Client:
    user = User.objects.create(username="ada", is_staff=True)
    for role, tenant in roles.items():
        Member.objects.create(user=user, tenant=tenant, role=Role(role))
    client = Client()
    client.force_login(user)
    return client


@pytest.mark.django_db
def test_an_entry_without_a_tenant_is_shown_to_no_member() -> None:
    mine = make_tenant("Mine")
    audit.record(by=TESTER, action="own.thing", target="x", tenant_id=mine.pk)
    audit.record(by=TESTER, action="everybodys.thing", target="x")
    shown = member_of(owner=mine).get(reverse("admin:accounts_auditentry_changelist")).content.decode()
    assert "own.thing" in shown
    assert "everybodys.thing" not in shown
    assert AuditEntry.objects.count() == 2


@pytest.mark.django_db
def test_a_row_is_seen_with_the_role_in_its_own_tenant() -> None:
    owned, looked_at = make_tenant("Owned"), make_tenant("Looked")
    own, foreign = make_key(owned, name="Key of mine")[0], make_key(looked_at, name="Key of the other")[0]
    client = member_of(owner=owned, viewer=looked_at)
    shown = client.get(reverse("admin:accounts_apikey_changelist")).content.decode()
    assert own.name in shown
    assert foreign.name not in shown
    client.post(reverse("admin:accounts_apikey_revoke", args=[foreign.pk]))
    foreign.refresh_from_db()
    assert foreign.revoked_at is None
