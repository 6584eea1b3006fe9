"""A role counts in the tenant of the row: an owner of one tenant changes nothing in another in which he only looks."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db import models
from django.test import Client, RequestFactory
from django.urls import reverse
from pytest_django import DjangoDbBlocker

from accounts.models import Member, User
from accounts.roles import Role
from accounts.tenancy import owned_by, tenant_path
from messaging.models import Message, Status
from tests.architecture.test_tenants import Owned, make_everything, snapshot
from tests.builders import make_message, make_tenant
from tests.kept import kept

pytestmark = pytest.mark.django_db

#: Actions of the admin of the whole installation, which no member sees.
PAGES = {model: page for model, page in admin.site._registry.items() if tenant_path(model) is not None}


def bulk_actions() -> list[tuple[type[models.Model], str]]:
    request = RequestFactory().get("/")
    request.user = User(username="root", is_superuser=True, is_staff=True, is_active=True)
    return [(model, name) for model, page in PAGES.items() for name in page.get_actions(request)]


def make_other() -> Owned:
    made = make_everything("Other")
    for status in (Status.UNKNOWN, Status.EXPIRED, Status.CANCELLED):
        make_message(made.tenant, status=status)
    return made


@pytest.fixture(scope="module")
def made(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Owned]:
    yield from kept(django_db_blocker, make_other)


@pytest.fixture
def other(made: Owned) -> Owned:
    return copy.deepcopy(made)


@pytest.fixture
def client(other: Owned) -> Client:
    user = User.objects.create(username="ada", is_staff=True)
    Member.objects.create(user=user, tenant=make_tenant("Own"), role=Role.OWNER)
    Member.objects.create(user=user, tenant=other.tenant, role=Role.VIEWER)
    client = Client()
    client.force_login(user)
    return client


def state(other: Owned) -> list[Any]:
    return [*snapshot(other.tenant), *Member.objects.filter(tenant=other.tenant).order_by("pk").values_list("pk", "role")]


@pytest.mark.parametrize(("model", "action"), bulk_actions(), ids=lambda value: getattr(value, "__name__", value))
def test_an_owner_elsewhere_changes_nothing_by_a_bulk_action(model: type[models.Model], action: str, other: Owned, client: Client) -> None:
    rows = owned_by(model._default_manager.all(), other.tenant.pk)
    chosen = [str(pk) for pk in rows.values_list("pk", flat=True)]
    assert chosen, "nothing to try it on"
    before = state(other)
    address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    sent = {"action": action, ACTION_CHECKBOX_NAME: chosen, "confirmed": "1", "number": str(len(chosen)), "post": "yes"}
    answer = client.post(address, sent)
    assert answer.status_code in (200, 302, 403)
    assert state(other) == before


def test_the_actions_are_walked() -> None:
    assert (Message, "retry") in bulk_actions()


@pytest.mark.parametrize(("model", "action"), bulk_actions(), ids=lambda value: getattr(value, "__name__", value))
def test_the_same_action_by_an_owner_of_the_tenant_has_an_effect(
    model: type[models.Model], action: str, other: Owned, client: Client
) -> None:
    Member.objects.filter(tenant=other.tenant).update(role=Role.OWNER)
    chosen = [str(pk) for pk in owned_by(model._default_manager.all(), other.tenant.pk).values_list("pk", flat=True)]
    before = state(other)
    address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    sent = {"action": action, ACTION_CHECKBOX_NAME: chosen, "confirmed": "1", "number": str(len(chosen)), "post": "yes"}
    client.post(address, sent)
    assert state(other) != before
