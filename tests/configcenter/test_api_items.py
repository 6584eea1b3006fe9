"""Free-form items over the API."""

import hashlib
from typing import Any

import pytest
from django.db import connection

from accounts.models import AuditEntry
from configcenter.models import ConfigItem, ConfigNamespace, ConfigRelease
from tests.builders import Api, fields_of, json_of, make_api, make_tenant

pytestmark = [pytest.mark.django_db, pytest.mark.both_stacks]
ITEMS = "/api/config/items/"
SHOP = f"{ITEMS}public/DEFAULT_GROUP/shop.yaml/"


@pytest.fixture
def api() -> Api:
    return make_api(make_tenant("Shop"))


def make(api: Api, data_id: str = "shop.yaml", format: str = "yaml", **more: Any) -> Any:
    return api.post(ITEMS, {"data_id": data_id, "format": format, **more})


def test_a_text_lives_from_draft_to_rollback_and_is_kept_to_the_last_blank(api: Api) -> None:
    made = make(api, content="a: 1 \n", description="Prices")
    assert (made.status_code, json_of(made)["version"], json_of(made)["draft"]["content"]) == (201, 0, "a: 1 \n")
    assert json_of(make(api))["code"] == "already_exists"
    published = api.post(f"{SHOP}publish/", {"comment": "first", "based_on": 1})
    assert (published.status_code, json_of(published)["number"]) == (201, 1)
    assert json_of(published)["md5"] == hashlib.md5(b"a: 1 \n", usedforsecurity=False).hexdigest()
    assert json_of(api.post(f"{SHOP}publish/", {"content": "a: 2\n"}))["number"] == 2
    assert [line["text"] for line in json_of(api.get(f"{SHOP}diff/", before=1, after=2)) if line["kind"] == "added"] == ["a: 2"]
    for seen in ({"if_version": 1}, {"if_version": 0}, {"if_md5": json_of(published)["md5"]}, {"if_md5": ""}):
        late = json_of(api.post(f"{SHOP}publish/", {"content": "a: 3\n", **seen}))
        assert (late["code"], late["version"]) == ("release_conflict", 2)
    assert json_of(api.post(f"{SHOP}rollback/", {"version": 1}))["based_on"] == 1
    found = json_of(api.get(SHOP))
    assert (found["effective"], found["version"], found["draft"]["content"]) == ("a: 1 \n", 3, None)
    assert json_of(api.get(f"{SHOP}releases/2/"))["content"] == "a: 2\n"
    assert [row["number"] for row in json_of(api.get(f"{SHOP}releases/"))["results"]] == [3, 2, 1]
    assert json_of(api.delete(SHOP))["action"] == "remove"
    assert (json_of(api.get(SHOP))["version"], json_of(api.get(SHOP))["effective"]) == (0, "")
    assert json_of(api.delete(SHOP))["code"] == "nothing_to_publish"
    actions = set(AuditEntry.objects.filter(tenant__name="Shop").values_list("action", flat=True))
    assert actions >= {"config.create", "config.draft", "config.publish", "config.rollback", "config.remove"}


def test_what_is_wrong_is_told_kept_as_a_draft_only_and_never_half_stored(api: Api) -> None:
    assert fields_of(make(api, data_id="a b")) == ["data_id"]
    assert fields_of(make(api, data_id="..")) == ["data_id"]
    assert fields_of(make(api, namespace="nowhere")) == ["namespace"]
    assert fields_of(make(api, content="x" * 1_048_577)) == ["content"]
    assert ConfigItem.objects.count() == 0
    make(api, "a.json", "json")
    path = f"{ITEMS}public/DEFAULT_GROUP/a.json/"
    assert fields_of(api.post(f"{path}validate/", {"content": "{"})) == ["content"]
    assert fields_of(api.put(f"{path}draft/", {"content": 5, "based_on": 0})) == ["content"]
    saved = json_of(api.put(f"{path}draft/", {"content": "{", "based_on": 0}))
    assert (saved["draft"]["content"], [entry["field"] for entry in saved["errors"]]) == ("{", ["content"])
    late = api.put(f"{path}draft/", {"content": "{}", "based_on": 0})
    assert (late.status_code, json_of(late)["code"]) == (409, "draft_conflict")
    assert fields_of(api.post(f"{path}publish/", {})) == ["content"]
    assert json_of(api.post(f"{path}validate/", {"content": '{"a": 1}'}))["content"] == '{"a": 1}'
    assert json_of(api.delete(f"{path}draft/"))["content"] is None
    assert ConfigRelease.objects.count() == 0
    assert api.get(f"{ITEMS}public/DEFAULT_GROUP/%00/").status_code == 404


def test_items_are_found_by_their_names_page_by_page(api: Api) -> None:
    assert api.post("/api/config/namespaces/", {"namespace": "dev", "name": "Development"}).status_code == 201
    for number in range(3):
        make(api, f"service-{number}", "text", description=f"Number {number}", content="x")
        make(api, f"service-{number}", "json", namespace="dev", group=f"G{number}")
    api.post(f"{ITEMS}public/DEFAULT_GROUP/service-1/publish/", {})

    def names(**filters: Any) -> list[str]:
        found = json_of(api.get(ITEMS, **filters))["results"]
        return [f"{row['namespace']}/{row['group']}/{row['data_id']}" for row in found]

    assert len(names()) == 6
    assert names(namespace="dev", group="G1") == ["dev/G1/service-1"]
    assert names(search="number 2") == ["public/DEFAULT_GROUP/service-2"]
    assert names(namespace="dev", data_id="service-0") == ["dev/G0/service-0"]
    assert names(in_force="true") == ["public/DEFAULT_GROUP/service-1"]
    assert names(namespace="posthaste") == []
    first = json_of(api.get(ITEMS, limit=4))
    second = json_of(api.get(ITEMS, limit=4, cursor=first["next"]))
    assert [len(first["results"]), len(second["results"]), second["next"]] == [4, 2, None]
    assert "effective" not in first["results"][0]


def test_the_list_asks_the_same_few_queries_however_long_it_is(api: Api, django_assert_max_num_queries: Any) -> None:
    for number in range(5):
        make(api, f"service-{number}", "text")
        api.post(f"{ITEMS}public/DEFAULT_GROUP/service-{number}/publish/", {"content": "x"})
    with django_assert_max_num_queries(4 if connection.vendor == "sqlite" else 5):
        assert len(json_of(api.get(ITEMS))["results"]) == 5


def test_whoever_operates_the_installation_reaches_its_namespaces_by_their_long_name(api: Api) -> None:
    ops = make_api(make_tenant("Ops", is_operator=True))
    assert make(ops, namespace="installation.public").status_code == 201
    assert make(ops).status_code == 201
    assert {row["namespace"] for row in json_of(ops.get(ITEMS))["results"]} == {"public", "installation.public"}
    path = f"{ITEMS}installation.public/DEFAULT_GROUP/shop.yaml/"
    assert ops.post(f"{path}publish/", {"content": "a: 1"}).status_code == 201
    assert ConfigItem.objects.get(current__isnull=False).namespace.tenant is None
    assert fields_of(make(ops, namespace="posthaste")) == ["namespace"]
    assert ops.get(f"{ITEMS}posthaste/posthaste/queues/").status_code == 404
    # For everybody else the same names are names of their own, of which there are none.
    assert api.get(path).status_code == 404
    assert fields_of(make(api, namespace="installation.public")) == ["namespace"]
    assert json_of(api.get(ITEMS))["results"] == []


def test_namespaces_are_made_and_deleted_while_they_are_empty(api: Api) -> None:
    made = api.post("/api/config/namespaces/", {"namespace": "dev"})
    assert (made.status_code, json_of(made)["namespace"]) == (201, "dev")
    assert json_of(api.post("/api/config/namespaces/", {"namespace": "dev"}))["code"] == "already_exists"
    assert fields_of(api.post("/api/config/namespaces/", {"namespace": "a b"})) == ["namespace"]
    make(api, namespace="dev", content="a: 1")
    assert json_of(api.delete("/api/config/namespaces/dev/"))["code"] == "not_empty"
    api.delete(f"{ITEMS}dev/DEFAULT_GROUP/shop.yaml/draft/")
    assert api.delete("/api/config/namespaces/dev/").status_code == 204
    assert api.delete("/api/config/namespaces/dev/").status_code == 404
    assert not ConfigNamespace.objects.filter(slug="dev").exists()


def test_the_format_changes_only_when_what_is_in_force_is_written_in_it(api: Api) -> None:
    make(api, format="text", content="a: [1")
    api.post(f"{SHOP}publish/", {})
    refused = api.patch(SHOP, {"format": "yaml", "description": "Prices"})
    assert fields_of(refused) == ["format"]
    assert "Version 1 is in force" in json_of(refused)["errors"][0]["message"]
    assert (json_of(api.get(SHOP))["format"], json_of(api.get(SHOP))["description"]) == ("text", "")
    api.post(f"{SHOP}publish/", {"content": "a: [1]"})
    api.put(f"{SHOP}draft/", {"content": "a: [2", "based_on": 1 + 1})
    changed = json_of(api.patch(SHOP, {"format": "yaml", "description": "Prices"}))
    assert (changed["item"]["format"], changed["item"]["description"]) == ("yaml", "Prices")
    assert [entry["field"] for entry in changed["errors"]] == ["content"]
    assert fields_of(api.patch(SHOP, {"format": "nonsense"})) == ["format"]
    assert AuditEntry.objects.get(action="config.change").detail == {"changed": ["format", "description"], "format": "yaml"}
