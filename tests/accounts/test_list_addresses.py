"""Addresses of the admin's lists: they filter by what the page offers."""

from typing import Any

import pytest
from django.db import models
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import Member, User
from accounts.roles import Role
from messaging.models import Message, Provider, Suppression, WebhookDelivery
from tests.builders import make_batch, make_message, make_provider, make_tenant, make_endpoint

pytestmark = [pytest.mark.django_db, pytest.mark.both_stacks]
SMS = "+8613812345678"


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
