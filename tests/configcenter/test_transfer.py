"""Configuration as a file."""

from typing import Any

import orjson
import pytest

from configcenter import selectors
from configcenter.models import ConfigItem, ConfigNamespace, ConfigRelease
from configcenter.services import items, releases, transfer
from configcenter.services.transfer import ImportConflict
from posthaste.lib.problems import Invalid
from tests.builders import actor, make_tenant

pytestmark = [pytest.mark.django_db, pytest.mark.both_stacks]


def publish(item: ConfigItem, content: str) -> ConfigRelease:
    return releases.publish(item=item, content=content, comment="", by=actor("user:ada"))


def something() -> None:
    """Publish a module, an override and a free-form item in a namespace."""
    tenant = make_tenant("Shop", slug="shop")
    publish(items.module_item("queues"), '{"queue_capacity": 500}')
    publish(items.module_item("retry_policy", tenant=tenant), '{"max_retries": 1}')
    namespace = items.create_namespace(tenant=None, slug="dev", name="", by=actor("user:ada"))
    item = items.create_item(namespace=namespace, group="G", data_id="app.yaml", format="yaml", by=actor("user:ada"))
    publish(item, "a: 1\n")


def exported() -> bytes:
    return transfer.export(items=selectors.everything().order_by("pk"))


def imported(data: bytes, policy: str = "abort", *, dry_run: bool = False, **options: Any) -> dict[str, str]:
    report = transfer.import_(data=data, policy=policy, dry_run=dry_run, by=actor("user:ada"), **options)
    return {entry.item: entry.outcome for entry in report.items}


def edited(data: bytes, index: int, **changes: Any) -> bytes:
    document = orjson.loads(data)
    document["items"][index] = {**document["items"][index], "md5": None, **changes}
    return orjson.dumps(document)


def test_what_goes_out_comes_back_the_same() -> None:
    something()
    data = exported()
    assert set(imported(data).values()) == {"unchanged"}
    for item in selectors.everything():
        releases.remove(item=item, comment="", by=actor("user:ada"))
    assert selectors.everything().count() == 0
    assert imported(data, dry_run=True) == {"queues": "created", "retry_policy@shop": "created", "dev/G/app.yaml": "created"}
    assert selectors.everything().count() == 0
    assert set(imported(data).values()) == {"created"}
    texts = [[item["content"] for item in orjson.loads(found)["items"]] for found in (exported(), data)]
    assert texts[0] == texts[1]


@pytest.mark.parametrize(("policy", "outcome", "capacity"), [("skip", "skipped", 500), ("overwrite", "updated", 700)])
def test_the_policy_decides_where_something_else_is_in_force(policy: str, outcome: str, capacity: int) -> None:
    something()
    data = edited(exported(), 0, content='{"queue_capacity": 700}')
    with pytest.raises(ImportConflict) as error:
        imported(data)
    assert error.value.extra["items"] == ["queues"]
    assert imported(data, policy)["queues"] == outcome
    assert orjson.loads(items.effective(items.module_item("queues")))["queue_capacity"] == capacity


def test_one_wrong_item_and_nothing_is_imported() -> None:
    something()
    data = edited(edited(exported(), 0, content='{"queue_capacity": 700}'), 2, content="a: [")
    before = ConfigRelease.objects.count()
    tried = imported(data, "overwrite", dry_run=True)
    assert tried == {"queues": "updated", "retry_policy@shop": "unchanged", "dev/G/app.yaml": "invalid"}
    with pytest.raises(Invalid) as error:
        imported(data, "overwrite")
    assert [entry["field"] for entry in error.value.errors] == ["items[2].content"]
    assert ConfigRelease.objects.count() == before


def test_a_file_that_was_edited_by_hand_is_noticed() -> None:
    something()
    document = orjson.loads(exported())
    document["items"][0]["content"] = '{"queue_capacity": 700}'
    with pytest.raises(Invalid) as error:
        imported(orjson.dumps(document))
    assert [entry["field"] for entry in error.value.errors] == ["items[0].md5"]


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"kind": "posthaste-configuration", "version": 9, "items": []}', b"\xff"])
def test_what_is_no_export_is_refused(data: bytes) -> None:
    with pytest.raises(Invalid):
        imported(data)


def test_an_unknown_tenant_or_module_is_named() -> None:
    something()
    with pytest.raises(Invalid) as error:
        imported(edited(edited(exported(), 1, tenant="nobody"), 0, data_id="no_such"), "overwrite")
    assert [entry["field"] for entry in error.value.errors] == ["items[0]", "items[1]"]


def test_nobody_imports_into_another_tenant() -> None:
    something()
    other = make_tenant("Other")
    with pytest.raises(Invalid):
        imported(exported(), "overwrite", only_tenant=other)


@pytest.mark.parametrize(
    "entry",
    [
        {"tenant": None, "data_id": "links_and_cache", "content": "{}"},
        {"tenant": "shop", "data_id": "retry_policy", "content": '{"max_retries": 1}'},
        {"tenant": None, "data_id": "links_and_cache", "content": None},
    ],
)
def test_a_file_encrypts_no_module_and_no_override(entry: dict[str, Any]) -> None:
    make_tenant("Shop", slug="shop")
    names = {"namespace": "posthaste", "group": "posthaste", "format": "json", "version": 1, "md5": None, "is_encrypted": True}
    data = orjson.dumps({"kind": transfer.KIND, "version": transfer.VERSION, "items": [names | entry]})
    with pytest.raises(Invalid) as error:
        imported(data)
    assert [wrong["field"] for wrong in error.value.errors] == ["items[0].is_encrypted"]
    assert not ConfigItem.objects.filter(is_encrypted=True).exists()
    assert not ConfigRelease.objects.exists()


def test_a_module_is_neither_encrypted_nor_written_in_another_format() -> None:
    tenant = make_tenant("Shop")
    for item in (items.module_item("queues"), items.module_item("retry_policy", tenant=tenant)):
        for change in ({"is_encrypted": True}, {"format": "yaml"}):
            with pytest.raises(Invalid) as error:
                items.change_item(item=item, by=actor("user:ada"), **change)
            assert [wrong["field"] for wrong in error.value.errors] == [*change]


@pytest.mark.parametrize("tenant", [None, "shop"])
def test_a_file_makes_no_namespace_under_a_name_that_means_another(tenant: str | None) -> None:
    make_tenant("Shop", slug="shop")
    entry = {"namespace": "installation.public", "tenant": tenant, "group": "G", "data_id": "a", "content": "x"}
    with pytest.raises(Invalid) as error:
        imported(orjson.dumps({"kind": transfer.KIND, "version": transfer.VERSION, "items": [entry]}))
    assert [wrong["field"] for wrong in error.value.errors] == ["items[0].namespace"]
    assert not ConfigNamespace.objects.filter(slug__startswith="installation.").exists()
