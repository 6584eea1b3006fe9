"""Entrances and contact ways over the API: tenants and scopes apart, secrets never shown, wrong fields named."""

from typing import Any

import pytest

from accounts.models import AuditEntry
from messaging.models import Provider
from routing.models import ContactWay, Entrance, EntranceKind
from tests.builders import fields_of, json_of, make_api, make_tenant
from tests.peers.wecom import AES_KEY, CORP_ID, SECRET, TOKEN, WeCom
from tests.routing.builders import make_conversation, make_entrance
from tests.routing.entrances.builders import HOOK_SECRET, make_wecom

pytestmark = pytest.mark.django_db

BOTH = ("entrances:read", "entrances:write")
HOOK: dict[str, Any] = {"name": "Shop", "kind": "webhook", "secrets": {"secret": HOOK_SECRET}}


def test_an_entrance_is_made_read_changed_and_deleted() -> None:
    tenant = make_tenant()
    api = make_api(tenant, *BOTH)
    made = json_of(api.post("/api/entrances/", HOOK))
    assert (made["secrets"], made["callback_url"].endswith(f"/in/{made['id']}/")) == (["secret"], True)
    assert Provider.objects.filter(tenant=tenant, kind="entrance").count() == 1

    place = f"/api/entrances/{made['id']}/"
    changed = json_of(api.patch(place, {"settings": {"reply_url": "https://shop.example/in"}, "secrets": {"old_secret": "x" * 32}}))
    assert (changed["settings"]["reply_url"], changed["secrets"]) == ("https://shop.example/in", ["old_secret", "secret"])
    assert Entrance.objects.get().secrets["secret"] == HOOK_SECRET
    assert [row["id"] for row in json_of(api.get("/api/entrances/?kind=webhook"))["results"]] == [made["id"]]
    assert HOOK_SECRET not in api.get(place).content.decode()
    assert api.delete(place).status_code == 204
    actions = ["entrance.create", "entrance.change", "entrance.delete"]
    assert list(AuditEntry.objects.filter(target=made["id"]).order_by("pk").values_list("action", flat=True)) == actions


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({**HOOK, "kind": "fax"}, ["kind"]),
        ({**HOOK, "secrets": {"secret": "short"}}, ["secrets.secret"]),
        ({**HOOK, "settings": {"colour": 1}}, ["settings.colour"]),
        ({**HOOK, "settings": {"reply_url": "ftp://x"}}, ["settings.reply_url"]),
        ({"name": "Mail", "kind": "email", "settings": {"address": "nonsense"}}, ["settings.address"]),
        (
            {
                "name": "KF",
                "kind": "wecom_kf",
                "settings": {"corp_id": CORP_ID},
                "secrets": {"secret": "s", "token": "t", "encoding_aes_key": "x"},
            },
            ["secrets.encoding_aes_key"],
        ),
    ],
)
def test_wrong_fields_are_named(body: dict[str, Any], fields: list[str]) -> None:
    answer = make_api(make_tenant(), *BOTH).post("/api/entrances/", body)
    assert (answer.status_code, fields_of(answer)) == (422, fields)


def test_a_name_is_taken_once_and_conversations_keep_their_entrance() -> None:
    conversation = make_conversation()
    api = make_api(conversation.tenant, *BOTH)
    assert fields_of(api.post("/api/entrances/", {**HOOK, "name": conversation.entrance.name})) == ["name"]
    assert api.delete(f"/api/entrances/{conversation.entrance_id}/").status_code == 409


def test_another_tenants_entrance_is_not_there() -> None:
    entrance = make_entrance()
    api = make_api(make_tenant("Other"), *BOTH)
    place = f"/api/entrances/{entrance.pk}/"
    assert [call.status_code for call in (api.get(place), api.patch(place, {}), api.delete(place))] == [404] * 3


def test_a_key_that_only_writes_gets_the_id() -> None:
    answer = make_api(make_tenant(), "entrances:write").post("/api/entrances/", HOOK)
    assert (answer.status_code, set(json_of(answer))) == (201, {"id"})


def test_the_kinds_tell_their_fields() -> None:
    kinds = {kind["kind"]: kind for kind in json_of(make_api(make_tenant(), "entrances:read").get("/api/entrance-kinds/"))}
    assert set(kinds) == set(EntranceKind.values)
    assert "encoding_aes_key" in kinds["wecom_kf"]["secrets"]["properties"]


def test_contact_ways_are_made_at_wecom_and_listed_with_their_link(wecom: WeCom) -> None:
    entrance = make_wecom(EntranceKind.WECOM_CONTACT, wecom)
    api = make_api(entrance.tenant, *BOTH)
    body = {"entrance": str(entrance.pk), "name": "Shop 7", "state": "shop-7", "users": ["zhangsan"]}
    made = json_of(api.post("/api/contact-ways/", body))
    assert made["qr_code"].startswith(wecom.url)
    assert fields_of(api.post("/api/contact-ways/", body)) == ["state"]
    assert fields_of(api.post("/api/contact-ways/", {**body, "state": "中", "group": ""})) == ["state"]
    assert fields_of(api.post("/api/contact-ways/", {**body, "group": "none"})) == ["group"]
    place = f"/api/contact-ways/{made['id']}/"
    assert json_of(api.patch(place, {"users": ["lisi"]}))["users"] == ["lisi"]
    assert len(json_of(api.get(f"/api/contact-ways/?entrance={entrance.pk}"))["results"]) == 1
    wecom.answer_error(call="externalcontact/del_contact_way", code=-1)
    assert (api.delete(place).status_code, ContactWay.objects.count()) == (502, 1)
    assert (api.delete(place).status_code, ContactWay.objects.count(), wecom.ways) == (204, 0, {})


def test_a_connection_is_tested(wecom: WeCom) -> None:
    entrance = make_wecom(EntranceKind.WECOM_KF, wecom)
    api = make_api(entrance.tenant, *BOTH)
    assert json_of(api.post(f"/api/entrances/{entrance.pk}/test/", {}))["ok"] is True
    entrance.secrets = {"secret": "wrong", "token": TOKEN, "encoding_aes_key": AES_KEY}
    entrance.save()
    found = json_of(api.post(f"/api/entrances/{entrance.pk}/test/", {}))
    assert (found["ok"], SECRET in str(found)) == (False, False)
