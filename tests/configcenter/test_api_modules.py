"""Hot configuration over the API."""

from typing import Any

import pytest
from django.utils.translation import override

from accounts.models import AuditEntry
from configcenter import hot
from configcenter.models import ConfigRelease
from configcenter.services import loading
from tests.architecture.routes import api_routes, methods_of
from tests.builders import Api, fields_of, json_of, make_api, make_tenant

pytestmark = [pytest.mark.django_db, pytest.mark.both_stacks]
POOLS = "/api/config/modules/thread_pools/"
RETRIES = "/api/config/modules/retry_policy/"


@pytest.fixture
def api() -> Api:
    return make_api(make_tenant("Ops", is_operator=True))


def in_force(name: str = "thread_pools") -> Any:
    loading.apply_released()
    return hot.module(name).value


def save(api: Api, content: Any, based_on: int = 0, path: str = POOLS) -> Any:
    return api.put(f"{path}draft/", {"content": content, "based_on": based_on})


def test_the_list_tells_how_every_module_stands(api: Api) -> None:
    found = json_of(api.get("/api/config/modules/"))
    assert [module["name"] for module in found] == [handle.name for handle in hot.modules()]
    assert len(found) == 16
    assert found[0]["version"] == 0
    assert set(found[0]["instances"]) == {"expected", "running", "on_gray", "slowest_ms", "errors"}


def test_a_value_lives_from_draft_to_rollback(api: Api) -> None:
    assert json_of(save(api, {"max_threads": 200}))["draft"]["version"] == 1
    lines = json_of(api.get(f"{POOLS}diff/"))
    assert [line["text"].strip() for line in lines if line["kind"] == "added"] == ['"max_threads": 200,']
    answer = api.post(f"{POOLS}publish/", {"comment": "more", "based_on": 1})
    assert (answer.status_code, json_of(answer)["number"], json_of(answer)["author"][:4]) == (201, 1, "key:")
    assert in_force().max_threads == 200
    api.post(f"{POOLS}publish/", {"content": {"max_threads": 300}})
    assert [row["number"] for row in json_of(api.get(f"{POOLS}releases/"))["results"]] == [2, 1]
    assert '"max_threads": 200' in json_of(api.get(f"{POOLS}releases/1/"))["content"]
    changed = json_of(api.get(f"{POOLS}diff/", before=1, after=2))
    assert [line["kind"] for line in changed if line["kind"] in ("added", "removed")] == ["removed", "added"]
    assert json_of(api.post(f"{POOLS}rollback/", {"version": 1}))["based_on"] == 1
    assert in_force().max_threads == 200
    assert api.delete(POOLS).status_code == 200
    assert in_force().max_threads == 100
    detail = json_of(api.get(POOLS))
    assert (detail["version"], detail["effective"]["max_threads"], detail["draft"]["content"]) == (0, 100, None)
    assert set(AuditEntry.objects.values_list("action", flat=True)) >= {
        "config.draft",
        "config.publish",
        "config.rollback",
        "config.remove",
    }


def test_a_wrong_draft_is_kept_and_said_to_be_wrong_and_never_published(api: Api) -> None:
    saved = json_of(save(api, {"max_threads": 0}))
    assert [error["field"] for error in saved["errors"]] == ["max_threads"]
    assert fields_of(api.post(f"{POOLS}publish/", {})) == ["max_threads"]
    assert fields_of(api.post(f"{POOLS}validate/", {"content": {"max_threads": "x", "colour": 1}})) == ["max_threads", "colour"]
    assert json_of(api.post(f"{POOLS}validate/", {"content": {"max_threads": 50}}))["content"]["grow_by"] == 10
    assert ConfigRelease.objects.count() == 0


def test_the_second_of_two_editors_is_told(api: Api) -> None:
    save(api, {"max_threads": 200})
    answer = save(api, {"max_threads": 300})
    assert (answer.status_code, json_of(answer)["code"]) == (409, "draft_conflict")
    assert json_of(answer)["draft_version"] == 1
    assert save(api, {"max_threads": 300}, based_on=1).status_code == 200
    assert json_of(api.delete(f"{POOLS}draft/"))["content"] is None
    answer = api.post(f"{POOLS}publish/", {})
    assert (answer.status_code, json_of(answer)["code"]) == (409, "nothing_to_publish")


def test_a_gray_release_is_steered(api: Api) -> None:
    assert fields_of(api.post(f"{POOLS}gray/", {"content": {"max_threads": 200}})) == ["percent"]
    assert api.post(f"{POOLS}gray/", {"content": {"max_threads": 200}, "labels": ["zone=b"]}).status_code == 201
    answer = api.post(f"{POOLS}publish/", {"content": {"max_threads": 300}})
    assert (answer.status_code, json_of(answer)["code"]) == (409, "gray_running")
    widened = json_of(api.put(f"{POOLS}gray/", {"percent": 100}))
    assert (widened["gray"]["percent"], widened["gray"]["labels"]) == (100, [])
    assert in_force().max_threads == 200
    assert api.post(f"{POOLS}gray/abandon/", {}).status_code == 201
    assert in_force().max_threads == 100
    api.post(f"{POOLS}gray/", {"content": {"max_threads": 250}, "percent": 100})
    assert api.post(f"{POOLS}gray/promote/", {"comment": "good"}).status_code == 201
    assert in_force().max_threads == 250
    assert json_of(api.post(f"{POOLS}gray/promote/", {}))["code"] == "no_gray"


def test_the_shape_of_a_module_comes_with_its_words(api: Api) -> None:
    schema = json_of(api.get(POOLS))["schema"]
    field = schema["properties"]["max_threads"]
    assert (field["minimum"], field["maximum"], field["default"], field["unit"], field["title"]) == (
        1,
        1000,
        100,
        "threads",
        "Maximum threads",
    )
    with override("zh-hans"):
        assert json_of(api.get(POOLS))["schema"]["properties"].keys() == schema["properties"].keys()


# --- who may -------------------------------------------------------------------------------------------------------


def test_a_tenant_that_does_not_operate_the_installation_finds_its_own_values_only(api: Api) -> None:
    stranger = make_api(make_tenant("Shop"))
    api.post(f"{POOLS}publish/", {"content": {"max_threads": 200}})
    wrong = {}
    for route in api_routes():
        if (
            not route.pattern.startswith("api/config/")
            or "override" in route.pattern
            or not ("module" in route.pattern or "inst" in route.pattern)
        ):
            continue
        path = route.path.replace("/x/", "/thread_pools/").replace("4711", "1")
        for method in methods_of(route):
            body = {"content": {"max_threads": 1}, "based_on": 0, "version": 1, "percent": 5}
            fields = {"draft": ("content", "based_on"), "validate": ("content",), "rollback": ("version",), "gray": ("percent",)}
            kept = fields.get(path.rstrip("/").rpartition("/")[2], ())
            answer = stranger.request(method, path, {name: body[name] for name in kept})
            if answer.status_code != 404:
                wrong[f"{method} {path}"] = (answer.status_code, answer.content)
    assert wrong == {}
    assert in_force().max_threads == 200


def test_a_tenant_overrides_what_it_may_and_nobody_else_sees_it(api: Api) -> None:
    shop = make_tenant("Shop")
    mine, other = make_api(shop), make_api(make_tenant("Other"))
    path = f"{RETRIES}override/"
    assert json_of(mine.get(path))["effective"] == {"max_retries": 3, "base_seconds": 5.0, "max_seconds": 900.0}
    assert save(mine, {"max_retries": 1}, path=path).status_code == 200
    assert json_of(mine.get(path))["draft"]["content"] == {"max_retries": 1}
    assert mine.post(f"{path}publish/", {}).status_code == 201
    assert fields_of(mine.post(f"{path}publish/", {"content": {"lease_seconds": 5}})) == ["lease_seconds"]
    loading.apply_released()
    assert hot.module("retry_policy").of(shop.pk).max_retries == 1
    assert json_of(mine.get(path))["own"] == {"max_retries": 1}
    assert json_of(other.get(path))["own"] == {}
    assert json_of(other.get(f"{path}releases/"))["results"] == []
    assert mine.post(f"{path}publish/", {"content": {"max_retries": 2}}).status_code == 201
    assert mine.post(f"{path}validate/", {"content": {"max_retries": 2}}).status_code == 200
    assert other.post(f"{path}rollback/", {"version": 1}).status_code == 404
    assert mine.post(f"{path}rollback/", {"version": 1}).status_code == 201
    assert len(json_of(mine.get(f"{path}diff/", before=1, after=2))) > 0
    assert mine.delete(f"{path}draft/").status_code == 200
    assert mine.delete(path).status_code == 200
    assert mine.get(f"{POOLS}override/").status_code == 404  # the same for all tenants


def test_a_gray_release_of_an_override_is_steered_and_reaches_its_tenant_only() -> None:
    shop, other = make_tenant("Shop"), make_tenant("Other")
    mine, path = make_api(shop), f"{RETRIES}override/"

    def runs() -> tuple[int, int]:
        loading.apply_released()
        retries = hot.module("retry_policy")
        return retries.of(shop.pk).max_retries, retries.of(other.pk).max_retries

    mine.post(f"{path}publish/", {"content": {"max_retries": 1}})
    assert fields_of(mine.post(f"{path}gray/", {"content": {"max_retries": 99}, "percent": 100})) == ["max_retries"]
    assert mine.post(f"{path}gray/", {"content": {"max_retries": 7}, "labels": ["zone=nowhere"]}).status_code == 201
    assert runs() == (1, 3)
    widened = json_of(mine.put(f"{path}gray/", {"percent": 100}))
    assert (widened["gray"]["percent"], widened["own"]) == (100, {"max_retries": 1})
    assert runs() == (7, 3)
    assert json_of(mine.post(f"{path}publish/", {"content": {"max_retries": 2}}))["code"] == "gray_running"
    assert mine.post(f"{path}gray/abandon/", {}).status_code == 201
    assert runs() == (1, 3)
    mine.put(f"{path}draft/", {"content": {"max_retries": 5}, "based_on": 0})
    assert mine.post(f"{path}gray/", {"percent": 100}).status_code == 201
    assert mine.post(f"{path}gray/promote/", {"comment": "good"}).status_code == 201
    assert (runs(), json_of(mine.get(path))["gray"]) == ((5, 3), None)
    # None of another tenant, and none of a module that is the same for all.
    assert json_of(make_api(other).post(f"{path}gray/promote/", {}))["code"] == "no_gray"
    assert mine.post(f"{POOLS}override/gray/", {"content": {}, "percent": 5}).status_code == 404


# --- as a file -----------------------------------------------------------------------------------------------------


def test_what_is_exported_is_imported_elsewhere(api: Api) -> None:
    api.post(f"{POOLS}publish/", {"content": {"max_threads": 200}})
    document = json_of(api.get("/api/config/export/"))
    assert [item["data_id"] for item in document["items"]] == ["thread_pools"]
    api.post(f"{POOLS}publish/", {"content": {"max_threads": 300}})
    answer = api.post("/api/config/import/", {"document": document})
    assert (answer.status_code, json_of(answer)["code"], json_of(answer)["items"]) == (409, "import_conflict", ["thread_pools"])
    tried = json_of(api.post("/api/config/import/", {"document": document, "policy": "overwrite", "dry_run": True}))
    assert (tried["is_dry_run"], tried["items"][0]["outcome"]) == (True, "updated")
    assert in_force().max_threads == 300
    done = json_of(api.post("/api/config/import/", {"document": document, "policy": "overwrite"}))
    assert (done["is_dry_run"], done["items"][0]["version"]) == (False, 3)
    assert in_force().max_threads == 200


def test_a_tenant_exports_and_imports_its_own_only(api: Api) -> None:
    mine = make_api(make_tenant("Shop"))
    api.post(f"{POOLS}publish/", {"content": {"max_threads": 200}})
    mine.post(f"{RETRIES}override/publish/", {"content": {"max_retries": 1}})
    document = json_of(mine.get("/api/config/export/"))
    assert [item["data_id"] for item in document["items"]] == ["retry_policy"]
    assert mine.post("/api/config/import/", {"document": document}).status_code == 200
    foreign = json_of(api.get("/api/config/export/"))
    assert mine.post("/api/config/import/", {"document": foreign, "policy": "overwrite"}).status_code == 422
    assert make_api(make_tenant("Other")).post("/api/config/import/", {"document": document}).status_code == 422


def test_instances_are_listed(api: Api) -> None:
    assert isinstance(json_of(api.get("/api/config/instances/")), list)
