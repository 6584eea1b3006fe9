"""A provider or endpoint whose key is lost is shown as such, can be repaired and deleted, and does not disturb others."""

from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.test import Client as Browser
from django.urls import reverse

from accounts.models import Tenant
from messaging.models import WebhookDelivery, WebhookEndpoint
from messaging.providers.cache import provider_cache
from posthaste.lib.crypto import Undecryptable, cipher
from tests.builders import Api, json_of, make_api, make_endpoint, make_event, make_provider, make_tenant
from tests.messaging.webhooks.hooks import turn
from tests.peers.gateway import Gateway

pytestmark = [pytest.mark.django_db, pytest.mark.both_stacks]


@pytest.fixture(autouse=True)
def _ciphers() -> Iterator[None]:
    yield
    cipher.cache_clear()


@pytest.fixture
def tenant() -> Tenant:
    return make_tenant()


@pytest.fixture
def api(tenant: Tenant) -> Api:
    return make_api(tenant)


def lose_the_key(settings: Any) -> None:
    settings.FIELD_ENCRYPTION_KEYS = [Fernet.generate_key()]
    cipher.cache_clear()
    provider_cache.forget()


def test_a_provider_is_listed_disabled_written_anew_and_deleted(tenant: Tenant, api: Api, settings: Any) -> None:
    provider = make_provider(tenant)
    lose_the_key(settings)
    make_provider(tenant, name="Other")
    rows = {row["name"]: row["is_undecryptable"] for row in json_of(api.get("/api/providers/"))["results"]}
    assert rows == {provider.name: True, "Other": False}
    path = f"/api/providers/{provider.pk}/"
    refused = api.patch(path, {"weight": 7})
    assert refused.status_code == 422
    assert "decrypted" in refused.content.decode()
    assert json_of(api.patch(path, {"is_enabled": False}))["is_enabled"] is False
    anew = json_of(api.patch(path, {"config": {}, "is_enabled": True}))
    assert (anew["is_undecryptable"], anew["is_enabled"]) == (False, True)
    lose_the_key(settings)
    assert api.post(f"{path}rotate-receipt-secret/").status_code in (200, 404, 405)
    assert api.delete(path).status_code == 204


def test_the_pages_of_a_provider_are_shown(tenant: Tenant, admin_client: Browser, settings: Any) -> None:
    provider = make_provider(tenant)
    lose_the_key(settings)
    assert admin_client.get(reverse("admin:messaging_provider_changelist")).status_code == 200
    assert admin_client.get(reverse("admin:messaging_provider_change", args=[provider.pk])).status_code == 200


def test_an_endpoint_is_shown_switched_and_gets_a_new_secret(tenant: Tenant, api: Api, admin_client: Browser, settings: Any) -> None:
    endpoint = make_endpoint(tenant)
    lose_the_key(settings)
    path = f"/api/webhooks/{endpoint.pk}/"
    assert len(json_of(api.get("/api/webhooks/"))["results"]) == 1
    assert json_of(api.post(f"{path}disable/"))["state"] == "disabled"
    assert json_of(api.post(f"{path}enable/"))["state"] == "enabled"
    assert admin_client.get(reverse("admin:messaging_webhookendpoint_change", args=[endpoint.pk])).status_code == 200
    tested = api.post(f"{path}test/")
    assert (tested.status_code, json_of(tested)["code"]) == (409, "undecryptable")
    assert json_of(api.post(f"{path}rotate-secret/", {}))["secret"].startswith("whsec_")
    assert WebhookEndpoint.objects.get().previous_secret == ""
    assert api.delete(path).status_code == 204


@pytest.mark.django_db(transaction=True)
def test_an_endpoint_that_cannot_sign_fails_and_the_others_get_their_events(tenant: Tenant, settings: Any) -> None:
    with Gateway() as gateway:
        broken = make_endpoint(tenant, url=gateway.url)
        lose_the_key(settings)
        good = make_endpoint(tenant, url=gateway.url)
        make_event(tenant)
        with pytest.raises(Undecryptable):  # the engine logs it and goes on with the next
            turn(broken)
        assert turn(good) == 1
        broken.refresh_from_db(fields=["failures", "failing_since"])
        good.refresh_from_db(fields=["failures"])
        assert (broken.failures, good.failures) == (1, 0)
        assert WebhookDelivery.objects.filter(status="delivered").values_list("endpoint_id", flat=True).get() == good.pk
