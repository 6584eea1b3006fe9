"""A key that may edit or publish configuration, but not read it, is not told what is stored."""

from typing import Any

import pytest

from configcenter.services.changes import md5_of
from tests.builders import fields_of, json_of, make_api, make_tenant

pytestmark = [pytest.mark.django_db, pytest.mark.both_stacks]
SECRET = "hunter2"
SHOP = "/api/config/items/public/DEFAULT_GROUP/shop.yaml/"
BROKEN = f"a = 1\nb = {{ {SECRET} = 1, }}\n"  # TOML 1.1, which the second of two parsers refuses
OVERRIDE = "/api/config/modules/retry_policy/override/"


def make(api: Any, *, is_encrypted: bool, draft: str = f"b: {SECRET}\n") -> None:
    names = {"data_id": "shop.yaml", "format": "yaml", "description": SECRET, "is_encrypted": is_encrypted}
    assert api.post("/api/config/items/", {**names, "content": f"a: {SECRET}\n"}).status_code == 201
    assert api.post(f"{SHOP}publish/", {}).status_code == 201
    assert api.put(f"{SHOP}draft/", {"content": draft, "based_on": 2}).status_code == 200


@pytest.mark.parametrize("is_encrypted", [True, False])
def test_a_key_that_may_only_write_is_not_shown_the_texts_of_an_item(is_encrypted: bool) -> None:
    tenant = make_tenant("Shop")
    make(make_api(tenant), is_encrypted=is_encrypted)
    writer = make_api(tenant, "config:write")
    assert writer.get(SHOP).status_code == 403
    answers = [writer.patch(SHOP, change) for change in ({}, {"format": "text"}, {"is_encrypted": True})]
    answers.append(writer.delete(f"{SHOP}draft/"))
    assert {answer.status_code for answer in answers} == {200}
    assert not any(SECRET in answer.content.decode() for answer in answers)
    assert json_of(answers[0])["item"] == {"namespace": "public", "group": "DEFAULT_GROUP", "data_id": "shop.yaml"}
    whole = json_of(make_api(tenant, "config:write", "config:read").patch(SHOP, {}))["item"]
    assert whole["effective"] == f"a: {SECRET}\n"


def test_what_is_wrong_in_a_text_is_not_quoted_to_a_key_that_may_only_write_or_publish() -> None:
    tenant = make_tenant("Shop")
    make(make_api(tenant), is_encrypted=False, draft=BROKEN)
    make_api(tenant).patch(SHOP, {"format": "text"})
    make_api(tenant).post(f"{SHOP}publish/", {"content": "a = 1\n"})
    make_api(tenant).put(f"{SHOP}draft/", {"content": BROKEN, "based_on": 4})
    changed = make_api(tenant, "config:write").patch(SHOP, {"format": "toml"})
    assert "line 2" in json_of(changed)["errors"][0]["message"]
    refused = make_api(tenant, "config:publish").post(f"{SHOP}publish/", {})
    assert fields_of(refused) == ["content"]
    assert not any(SECRET in answer.content.decode() for answer in (changed, refused))


def test_a_key_that_may_only_publish_is_not_told_the_fingerprint_of_a_text() -> None:
    tenant = make_tenant("Shop")
    make(make_api(tenant), is_encrypted=True)
    publisher = make_api(tenant, "config:publish")
    late = publisher.post(f"{SHOP}publish/", {"if_version": 0})
    assert (late.status_code, json_of(late)["version"]) == (409, 1)
    answers = [publisher.post(f"{SHOP}publish/", {}), publisher.post(f"{SHOP}rollback/", {"version": 1}), publisher.delete(SHOP)]
    assert [answer.status_code for answer in answers] == [201, 201, 200]
    for answer in (late, *answers):
        assert not any(md5_of(f"{name}: {SECRET}\n") in answer.content.decode() for name in "ab")
    assert json_of(make_api(tenant).get(f"{SHOP}releases/3/"))["md5"] == md5_of(f"a: {SECRET}\n")


def test_a_key_that_may_only_publish_is_not_shown_an_override_as_it_widens_a_gray_release() -> None:
    tenant = make_tenant("Shop")
    api, publisher = make_api(tenant), make_api(tenant, "config:publish")
    assert api.post(f"{OVERRIDE}publish/", {"content": {"max_retries": 7}}).status_code == 201
    assert publisher.post(f"{OVERRIDE}gray/", {"content": {"max_retries": 6}, "percent": 10}).status_code == 201
    assert json_of(publisher.put(f"{OVERRIDE}gray/", {"percent": 20})) == {"name": "retry_policy"}
    assert json_of(api.put(f"{OVERRIDE}gray/", {"percent": 30}))["own"] == {"max_retries": 7}
