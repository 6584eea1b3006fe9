"""Entrances and contact ways in the admin: secrets go in and never come out, and the address to enter elsewhere is at hand."""

from typing import Any

import pytest
from django.test import Client

from accounts.models import AuditEntry, Member, Tenant, User
from routing.models import ContactWay, Entrance, EntranceKind
from tests.builders import make_tenant
from tests.peers.wecom import AES_KEY, CORP_ID, SECRET, TOKEN, WeCom
from tests.routing.builders import make_conversation, make_entrance
from tests.routing.entrances.builders import make_wecom

pytestmark = pytest.mark.django_db

ADD = "/admin/routing/entrance/add/?kind=wecom_contact"


def member(tenant: Tenant, role: str = "operator") -> Client:
    user = User.objects.create_user(f"{role}-{tenant.pk}", is_staff=True)
    Member.objects.create(user=user, tenant=tenant, role=role)
    client = Client()
    client.force_login(user)
    return client


def filled(tenant: Tenant, **changes: Any) -> dict[str, Any]:
    inputs = {
        "tenant": tenant.pk,
        "name": "Contacts",
        "is_enabled": "on",
        "setting_corp_id": CORP_ID,
        "setting_base_url": "https://qyapi.weixin.qq.com",
    }
    return {**inputs, "secret_secret": SECRET, "secret_token": TOKEN, "secret_encoding_aes_key": AES_KEY, **changes}


def test_the_kind_is_asked_for_first() -> None:
    page = member(make_tenant()).get("/admin/routing/entrance/add/")
    assert [f"?kind={kind}".encode() in page.content for kind in EntranceKind.values] == [True] * 6


def test_an_entrance_is_made_and_shows_its_address_but_no_secret() -> None:
    tenant = make_tenant()
    client = member(tenant)
    assert client.post(ADD, filled(tenant)).status_code == 302
    entrance = Entrance.objects.get()
    assert (entrance.kind, entrance.secrets["secret"]) == ("wecom_contact", SECRET)
    assert AuditEntry.objects.filter(action="entrance.create", target=str(entrance.pk)).exists()

    page = client.get(f"/admin/routing/entrance/{entrance.pk}/change/").content.decode()
    assert f"/in/{entrance.pk}/" in page
    assert not [secret for secret in (SECRET, TOKEN, AES_KEY) if secret in page]


def test_a_portal_shows_where_it_is_and_the_line_that_embeds_its_chat() -> None:
    tenant = make_tenant()
    entrance = make_entrance(tenant, settings={"slug": "acme-help"})
    page = member(tenant).get(f"/admin/routing/entrance/{entrance.pk}/change/").content.decode()
    assert 'href="http://localhost:8000/help/acme-help/"' in page
    assert "&lt;script src=&quot;http://localhost:8000/help/acme-help/widget.js&quot; async&gt;" in page
    assert "/test/" not in page, "there is nothing to connect to"


def test_an_empty_secret_keeps_the_stored_one() -> None:
    tenant = make_tenant()
    client = member(tenant)
    client.post(ADD, filled(tenant))
    entrance = Entrance.objects.get()
    changed = filled(tenant, name="Renamed", secret_secret="", secret_token="another", secret_encoding_aes_key="")
    assert client.post(f"/admin/routing/entrance/{entrance.pk}/change/", changed).status_code == 302
    entrance.refresh_from_db()
    assert (entrance.name, entrance.secrets) == ("Renamed", {"secret": SECRET, "token": "another", "encoding_aes_key": AES_KEY})


def test_a_wrong_value_is_told_at_its_field() -> None:
    tenant = make_tenant()
    page = member(tenant).post(ADD, filled(tenant, secret_encoding_aes_key="short"))
    assert page.context["adminform"].form.errors.keys() == {"secret_encoding_aes_key"}
    assert not Entrance.objects.exists()


def test_a_viewer_sees_settings_only_and_a_stranger_nothing() -> None:
    entrance = make_entrance(settings={"sites": ["https://shop.example"]})
    place = f"/admin/routing/entrance/{entrance.pk}/change/"
    page = member(entrance.tenant, "viewer").get(place).content.decode()
    assert ("shop.example" in page, "signing_secret" in page) == (True, False)
    assert member(make_tenant("Other")).get(place).status_code in (302, 404)


def test_an_entrance_with_conversations_is_not_deleted() -> None:
    conversation = make_conversation()
    client = member(conversation.tenant)
    client.post(f"/admin/routing/entrance/{conversation.entrance_id}/delete/", {"post": "yes"})
    assert Entrance.objects.filter(pk=conversation.entrance_id).exists()


def test_the_connection_is_tested(wecom: WeCom) -> None:
    entrance = make_wecom(EntranceKind.WECOM_CONTACT, wecom)
    client = member(entrance.tenant)
    page = client.post(f"/admin/routing/entrance/{entrance.pk}/test/", follow=True).content.decode()
    assert "Employees with contacts: 2." in page
    wecom.answer_error(call="externalcontact/get_follow_user_list", code=48002)
    page = client.post(f"/admin/routing/entrance/{entrance.pk}/test/", follow=True).content.decode()
    assert "no permission" in page


def test_a_contact_way_is_made_at_wecom_changed_and_deleted(wecom: WeCom) -> None:
    entrance = make_wecom(EntranceKind.WECOM_CONTACT, wecom)
    client = member(entrance.tenant)
    inputs = {
        "entrance": entrance.pk,
        "name": "Shop 7",
        "state": "shop-7",
        "users": "zhangsan\nlisi",
        "group": "",
        "tags": "b2b",
        "welcome": "您好",
    }
    assert client.post("/admin/routing/contactway/add/", inputs).status_code == 302
    way = ContactWay.objects.get()
    assert (wecom.ways[way.config_id]["state"], way.users, way.tags) == ("shop-7", ["zhangsan", "lisi"], ["b2b"])
    assert way.qr_code in client.get("/admin/routing/contactway/").content.decode()

    place = f"/admin/routing/contactway/{way.pk}"
    assert client.post(f"{place}/change/", {**inputs, "users": "lisi"}).status_code == 302
    assert wecom.ways[way.config_id]["user"] == ["lisi"]
    client.post(f"{place}/delete/", {"post": "yes"})
    assert (ContactWay.objects.count(), wecom.ways) == (0, {})


def test_what_wecom_refuses_is_said_and_nothing_is_stored(wecom: WeCom) -> None:
    entrance = make_wecom(EntranceKind.WECOM_CONTACT, wecom)
    wecom.answer_error(call="externalcontact/add_contact_way", code=40003)
    inputs = {"entrance": entrance.pk, "name": "x", "state": "s", "users": "nobody", "tags": "", "welcome": ""}
    page = member(entrance.tenant).post("/admin/routing/contactway/add/", inputs, follow=True).content.decode()
    assert "does not know this employee" in page
    assert not ContactWay.objects.exists()
