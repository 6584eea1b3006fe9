"""An item whose key is lost is shown as such, can be replaced and deleted, and does not disturb what is beside it."""

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from accounts.models import Tenant
from configcenter.models import ConfigItem, ConfigRelease
from configcenter.nacos import items as nacos_items
from configcenter.nacos.clients import Client
from configcenter.services import drafts, items, releases, transfer
from configcenter.services.namespaces import Place
from posthaste.lib.crypto import Undecryptable, cipher
from tests.builders import Api, actor, json_of, make_api, make_tenant

pytestmark = [pytest.mark.django_db, pytest.mark.both_stacks]
BY = actor("user:test")
URL = "/api/config/items/"
ITEM = f"{URL}public/DEFAULT_GROUP/secret/"


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


@pytest.fixture
def lost(tenant: Tenant, settings: Any) -> ConfigItem:
    """Make an item that is in force and edited, beside a plain one, and lose its key."""
    namespace = items.default_namespace(tenant)
    for name, is_encrypted in (("secret", True), ("plain", False)):
        item = items.create_item(namespace=namespace, group="DEFAULT_GROUP", data_id=name, format="text", is_encrypted=is_encrypted, by=BY)
        releases.publish(item=item, content="hunter2", comment="", by=BY)
        drafts.save_draft(item=item, content="hunter3", based_on=item.draft_version, by=BY, now=timezone.now())
    settings.FIELD_ENCRYPTION_KEYS = [Fernet.generate_key()]
    cipher.cache_clear()
    return ConfigItem.objects.get(data_id="secret")


def nacos_text(tenant: Tenant, name: str) -> str:
    found = nacos_items.in_force(Place(tenant.pk, "public"), "DEFAULT_GROUP", name)
    return found.of(Client("10.0.0.1"), "DEFAULT_GROUP", name).content


def test_lists_and_the_item_itself_are_shown_over_the_api(lost: ConfigItem, api: Api) -> None:
    rows = {row["data_id"]: row["is_undecryptable"] for row in json_of(api.get(URL))["results"]}
    assert rows == {"secret": True, "plain": False}
    shown = json_of(api.get(ITEM))
    assert (shown["is_undecryptable"], shown["effective"]) == (True, None)
    assert shown["draft"]["content"] == "(can't be decrypted)"
    assert api.get(f"{ITEM}releases/").status_code == 200


def test_pages_are_shown(lost: ConfigItem, admin_client: Browser) -> None:
    page = admin_client.get(reverse("config:items"))
    assert page.status_code == 200
    assert page.content.decode().count("can&#x27;t be decrypted") + page.content.decode().count("can't be decrypted") == 1
    for verb in ("edit", "publish", "history"):
        assert admin_client.get(reverse(f"config:item-{verb}", args=[lost.pk])).status_code == 200


def test_others_are_read_and_exported_as_before(lost: ConfigItem, tenant: Tenant) -> None:
    assert nacos_text(tenant, "plain") == "hunter2"
    with pytest.raises(Undecryptable):
        nacos_text(tenant, "secret")
    assert "hunter2" in str(transfer.export(items=ConfigItem.objects.order_by("pk")))


def test_its_draft_cannot_be_published_and_says_why(lost: ConfigItem, api: Api) -> None:
    answer = api.post(f"{ITEM}publish/", {})
    assert answer.status_code == 422
    assert json_of(answer)["errors"][0]["code"] == "undecryptable"
    assert ConfigRelease.objects.filter(item=lost).count() == 1


def test_it_is_replaced_by_a_new_text(lost: ConfigItem, api: Api, tenant: Tenant) -> None:
    assert api.post(f"{ITEM}publish/", {"content": "new"}).status_code in (200, 201)
    assert nacos_text(tenant, "secret") == "new"
    assert json_of(api.get(ITEM))["is_undecryptable"] is False


def test_it_is_deleted(lost: ConfigItem, api: Api) -> None:
    assert api.delete(ITEM).status_code in (200, 204)
    lost.refresh_from_db()
    assert lost.current is None


def test_the_command_lists_describes_and_deletes_it(lost: ConfigItem, tenant: Tenant, capsys: pytest.CaptureFixture[str]) -> None:
    def say(*arguments: str) -> Any:
        call_command("config", "item", *arguments, "--tenant", tenant.slug, "--json")
        return orjson.loads(capsys.readouterr().out)

    assert {row["data_id"]: row["is_undecryptable"] for row in say("list")} == {"secret": True, "plain": False}
    assert say("get", "secret")["content"] == "(can't be decrypted)"
    with pytest.raises((Undecryptable, CommandError)):
        say("get", "secret", "--reveal")
    assert say("delete", "secret")["number"] == 2


def test_ending_a_gray_release_keeps_the_fingerprint_of_what_is_in_force(tenant: Tenant, settings: Any) -> None:
    item = items.create_item(
        namespace=items.default_namespace(tenant), group="DEFAULT_GROUP", data_id="secret", format="text", is_encrypted=True, by=BY
    )
    releases.publish(item=item, content="hunter2", comment="", by=BY)
    releases.start_gray(item=item, content="hunter3", labels=["ip=10.0.0.1"], percent=0, comment="", by=BY)
    key = settings.FIELD_ENCRYPTION_KEYS
    settings.FIELD_ENCRYPTION_KEYS = [Fernet.generate_key()]
    cipher.cache_clear()
    before = item.current
    assert before is not None
    releases.abandon_gray(item=ConfigItem.objects.get(), comment="", by=BY)
    settings.FIELD_ENCRYPTION_KEYS = key
    cipher.cache_clear()
    now = ConfigItem.objects.get().current
    assert now is not None
    assert (now.content, now.md5) == ("hunter2", before.md5)
