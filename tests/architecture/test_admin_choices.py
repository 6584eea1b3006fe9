"""Choices in the admin's forms: rows of the form's tenant and of no other, also for a superuser, who may see all of them."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.utils import flatten_fieldsets
from django.db import models
from django.forms import ModelChoiceField
from django.test import Client, RequestFactory
from django.urls import reverse
from pytest_django import DjangoDbBlocker

from accounts.models import Member, Tenant, User
from accounts.tenancy import owned_by, tenant_path
from tests.architecture.test_tenants import Owned, make_everything
from tests.builders import make_tenant
from tests.kept import kept

pytestmark = pytest.mark.django_db
PAGES = {model: page for model, page in admin.site._registry.items() if tenant_path(model) is not None and model is not Tenant}
#: The tenant of a new row follows from another choice, so that is offered for all of the reader's tenants; services check the rest.
FOLLOWS = {"contactway": {"entrance", "group"}}


@pytest.fixture(scope="module")
def made(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[tuple[Owned, Owned]]:
    yield from kept(django_db_blocker, lambda: (make_everything("One"), make_everything("Two")))


@pytest.fixture
def two(made: tuple[Owned, Owned]) -> tuple[Owned, Owned]:
    return made


@pytest.fixture
def root(two: tuple[Owned, Owned]) -> User:
    return User.objects.create(username="root", is_staff=True, is_superuser=True)


def foreign(field: Any, tenant: Tenant) -> list[Any]:
    """Return what a choice offers of other tenants."""
    rows = field.queryset
    if rows.model is Tenant:
        return []
    if rows.model is User:
        return list(rows.exclude(pk__in=Member.objects.filter(tenant=tenant).values("user")))
    return list(rows.exclude(pk__in=owned_by(rows.model._default_manager.all(), tenant.pk).values("pk")))


def choices(page: Any, request: Any, row: models.Model | None) -> Iterator[tuple[str, Any]]:
    """Yield the choices of a form and of its inline forms."""
    form = page.get_form(request, row, change=row is not None, fields=_names(page, request, row))
    yield from form(instance=row).fields.items()
    for inline in page.get_inline_instances(request, row):
        yield from inline.get_formset(request, row).form.base_fields.items()


def _names(page: Any, request: Any, row: models.Model | None) -> list[str]:
    return list(map(str, flatten_fieldsets(page.get_fieldsets(request, row))))


@pytest.mark.parametrize("model", PAGES, ids=lambda model: model._meta.label_lower)
def test_a_form_offers_rows_of_its_tenant_only(model: type[models.Model], two: tuple[Owned, Owned], root: User) -> None:
    page, request, tenant = PAGES[model], RequestFactory().get("/"), two[1].tenant
    request.user = root
    row = owned_by(model._default_manager.all(), tenant.pk).first()
    if row is None or not hasattr(row, "tenant_id"):
        pytest.skip("no such row, or it has no tenant of its own")
    wrong = {name: foreign(field, tenant) for name, field in choices(page, request, row) if isinstance(field, ModelChoiceField)}
    assert not {name: rows for name, rows in wrong.items() if rows}


@pytest.mark.parametrize("model", PAGES, ids=lambda model: model._meta.label_lower)
def test_a_new_row_is_offered_rows_of_the_tenant_that_is_chosen(model: type[models.Model], two: tuple[Owned, Owned], root: User) -> None:
    page, tenant = PAGES[model], two[1].tenant
    request = RequestFactory().get("/", {"tenant": tenant.pk})
    request.user = root
    if not page.has_add_permission(request):
        pytest.skip("nothing is added here")
    left_out = FOLLOWS.get(model._meta.model_name or "", set())
    fields = {name: field for name, field in choices(page, request, None) if isinstance(field, ModelChoiceField) and name not in left_out}
    assert not {name: rows for name, field in fields.items() if (rows := foreign(field, tenant))}


def test_superusers_and_members_of_other_tenants_are_no_agents_to_be(client: Client) -> None:
    own, other = make_tenant("Own"), make_tenant("Other")
    root = User.objects.create(username="root", is_staff=True, is_superuser=True)
    for tenant in (own, other):
        Member.objects.create(tenant=tenant, user=User.objects.create(username=f"of-{tenant.slug}", is_staff=True), role="viewer")
    client.force_login(root)
    page = client.get(reverse("admin:routing_agent_add"), {"tenant": own.pk}).content.decode()
    options = page.partition('name="user"')[2].partition("</select>")[0]
    assert f"of-{own.slug}" in options
    assert f"of-{other.slug}" not in options
    assert "root" not in options
