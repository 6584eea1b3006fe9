"""Addresses of the admin's lists: they filter by what the page offers, and nothing in them makes the page fail."""

from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import pytest
from django.contrib import admin
from django.contrib.admin.exceptions import DisallowedModelAdminLookup
from django.db import models, transaction
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils import timezone

from accounts.models import Member, User
from accounts.roles import Role
from messaging.models import Message, Provider, Suppression, WebhookDelivery
from tests.builders import make_batch, make_endpoint, make_message, make_provider, make_template, make_tenant, published

pytestmark = pytest.mark.django_db
SMS = "+8613812345678"
MODELS = sorted(admin.site._registry, key=lambda model: model._meta.label)


def signed_in(role: str | None, **fields: Any) -> Client:
    """Return a client signed in as a superuser, or as a member of a new tenant with rows."""
    client, tenant = Client(raise_request_exception=False), make_tenant("Acme")
    user = User.objects.create(username="ada", is_staff=True, is_superuser=role is None)
    if role is not None:
        Member.objects.create(user=user, tenant=tenant, role=role)
    client.force_login(user)
    make_message(tenant, recipient=SMS, body="Your code is 4711", batch=make_batch(tenant), provider=make_provider(tenant, name="Gateway"))
    Suppression.objects.create(tenant=tenant, recipient=SMS, reason="manual", created_at=timezone.now())
    return client


def listing(model: type[models.Model]) -> str:
    """Return the address of a model's list."""
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


@pytest.mark.both_stacks
@pytest.mark.parametrize(
    ("model", "lookup", "right", "wrong"),
    [
        (Message, "recipient__startswith", "+86", "+44"),
        (Message, "recipient", SMS, "+447911123456"),
        (Message, "recipient__in", SMS, "+447911123456"),
        (Message, "body__startswith", "Your code is 4", "Your code is 5"),
        (Message, "variables__contains", "x", "y"),
        (Message, "batch__messages__recipient__startswith", "+86", "+44"),
        (Message, "tenant__name__startswith", "A", "B"),
        (Suppression, "recipient__contains", "1381", "4479"),
        (Provider, "config__contains", "a", "b"),
        (Provider, "messages__recipient__startswith", "+86", "+44"),
    ],
)
def test_a_list_is_not_filtered_by_what_its_page_does_not_offer(model: type[models.Model], lookup: str, right: str, wrong: str) -> None:
    client = signed_in(Role.VIEWER)
    for value in (right, wrong):
        assert client.get(listing(model), {lookup: value}).status_code == 400, value
    first = Message.objects.get().pk if model is Message else None
    if first is not None:
        assert client.get(listing(model), {"id": str(first), lookup: right}).status_code == 400


@pytest.mark.both_stacks
def test_the_filters_of_a_page_and_the_links_to_it_work() -> None:
    client = signed_in(Role.VIEWER)
    row = Message.objects.get()
    endpoint = make_endpoint(row.tenant)
    found = {
        (Message, "state"): (row.status, "cancelled"),
        (Message, "channel__exact"): ("sms", "email"),
        (Message, "provider__id__exact"): (row.provider_id, make_provider(row.tenant).pk),
        (Message, "is_sandbox__exact"): ("0", "1"),
        (Message, "batch"): (row.batch_id, make_batch(row.tenant).pk),
        (Message, "q"): (SMS, "+447911123456"),
        (Suppression, "reason__exact"): ("manual", "complaint"),
    }
    for (model, name), (right, wrong) in found.items():
        counts = [client.get(listing(model), {name: str(value)}).context["cl"].result_count for value in (right, wrong)]
        assert counts == [1, 0], (model, name)
    assert client.get(listing(WebhookDelivery), {"endpoint__id__exact": str(endpoint.pk)}).status_code == 200


NINES = "9" * 400
AWFUL = [NINES, "9" * 5_000, "²", "\0", "[" * 1_500]
LOOKUPS = [("gte", "0001-01-01T00:00:00+14:00"), ("lt", "9999-12-31 23:59:59-14:00"), ("year", NINES), ("in", NINES), ("contains", "x")]


def by_columns(model: type[models.Model]) -> Iterator[dict[str, str]]:
    """Yield queries by the columns of a list, which it refuses before it asks the database."""
    for field in model._meta.concrete_fields:
        for lookup, value in LOOKUPS:
            yield {f"{field.name}__{lookup}": value}


def by_parameters(model: type[models.Model]) -> Iterator[dict[str, str]]:
    """Yield queries by what a list takes, with values that are wrong in some way."""
    page = admin.site._registry[model]
    offered = {name for entry in page.list_filter if isinstance(entry, str) for name in (f"{entry}__exact", f"{entry}__isnull")}
    offered |= {f"{entry[0]}__{rest}" for entry in page.list_filter if isinstance(entry, tuple) for rest in ("id__exact", "isnull")}
    offered |= {
        str(entry.parameter_name) for entry in page.list_filter if isinstance(entry, type) and issubclass(entry, admin.SimpleListFilter)
    }
    for name in (*sorted(offered), "tenant", "q", "p", "o"):
        for value in AWFUL:
            yield {name: value}


def asked(model: type[models.Model], query: dict[str, str], client: Client) -> int:
    """Return the status of the answer to a query, whose rows are read and not drawn, nor the frame around them; errors are, in full."""
    request = RequestFactory().get(listing(model), query)
    request.user = User.objects.get()
    try:
        with transaction.atomic(), patch.object(admin.site, "each_context", return_value={}):
            answer = admin.site._registry[model].changelist_view(request)
            if changes := getattr(answer, "context_data", {}).get("cl"):
                list(changes.result_list)
    except Exception:  # noqa: BLE001 - whatever it is, the status that becomes of it counts
        return client.get(listing(model), query).status_code
    return int(answer.status_code)


def answers(model: type[models.Model]) -> dict[str, int]:
    """Return the status of the answer to each query.

    Drawing a page takes far longer than finding what is on it. So of each parameter one value is drawn, of the next one the next value:
    each parameter and each value is, of every model.
    """
    client = signed_in(None)
    make_tenant()  # the filter by tenant is there for those who see several
    found = {}
    for place, query in enumerate(by_parameters(model)):
        parameter, value = divmod(place, len(AWFUL))
        is_drawn = value == parameter % len(AWFUL)
        found[str(query)[:80]] = client.get(listing(model), query).status_code if is_drawn else asked(model, query, client)
    return found


@pytest.mark.both_stacks
@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_no_address_of_a_list_is_a_server_error(model: type[models.Model]) -> None:
    assert {query: code for query, code in answers(model).items() if code >= 500} == {}


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_no_list_is_filtered_by_a_column_as_it_stands(model: type[models.Model]) -> None:
    """The page is asked itself: what it raises is answered with 400, as the tests above hold."""
    signed_in(None)
    page, user = admin.site._registry[model], User.objects.get()
    for query in by_columns(model):
        request = RequestFactory().get(listing(model), query)
        request.user = user
        with pytest.raises(DisallowedModelAdminLookup):
            page.changelist_view(request)


@pytest.mark.both_stacks
@pytest.mark.parametrize("value", AWFUL)
def test_no_values_to_try_a_version_with_are_a_server_error(value: str) -> None:
    client = signed_in(None)
    version = published(make_template(make_tenant()))
    for name in ("change", "html"):
        address = reverse(f"admin:messaging_templateversion_{name}", args=[version.pk])
        assert client.get(address, {"variables": value}).status_code == 200, name


@pytest.mark.both_stacks
@pytest.mark.parametrize("value", AWFUL)
def test_no_choice_of_a_tenant_is_a_server_error(value: str) -> None:
    client = signed_in(Role.OWNER)
    for name in ("admin:index", "admin:figures", "admin:outbox"):
        assert client.get(reverse(name), {"tenant": value}).status_code == 200, name
