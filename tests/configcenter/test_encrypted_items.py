"""Encrypted items: the database never holds their text in the clear, people never see it, and clients that may read the item do."""

from pathlib import Path
from typing import Any

import orjson
import pytest
from django.core import serializers
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEntry, ConfigRight, User
from configcenter.models import ConfigItem, ConfigRelease
from configcenter.nacos import items as nacos_items
from configcenter.nacos.identity import Who
from configcenter.scopes import CONFIG_READ, CONFIG_WRITE
from configcenter.selectors import MASK
from configcenter.services import drafts, items, releases, transfer
from configcenter.services.changes import md5_of
from configcenter.services.namespaces import Place
from posthaste.lib.crypto import SEALED_PREFIX
from posthaste.lib.problems import Forbidden, Invalid
from tests.builders import actor, fields_of, json_of, make_api, make_tenant

pytestmark = [pytest.mark.django_db, pytest.mark.both_stacks]
SECRET = "hunter2-Zürich"
TEXT = f"password: {SECRET}\n"
BY = actor("user:test")
SHOP = "/api/config/items/public/DEFAULT_GROUP/shop.yaml/"


def in_the_clear() -> list[str]:
    """Return the columns of the database that hold the secret in the clear."""
    found = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            if not table.startswith(("configcenter_", "accounts_audit")):
                continue
            columns = [column.name for column in connection.introspection.get_table_description(cursor, table)]
            for column in columns:
                cursor.execute(f'SELECT COUNT(*) FROM "{table}" WHERE CAST("{column}" AS TEXT) LIKE %s', [f"%{SECRET[:7]}%"])
                if cursor.fetchone()[0]:
                    found.append(f"{table}.{column}")
    return found


def make(*, is_encrypted: bool = True, tenant: Any = None) -> ConfigItem:
    namespace = items.default_namespace(tenant)
    names = {"group": "DEFAULT_GROUP", "data_id": "shop.yaml"}
    return items.create_item(namespace=namespace, **names, format="yaml", is_encrypted=is_encrypted, by=BY)


def text_of(item: ConfigItem) -> str:
    found = nacos_items.in_force(Place(item.namespace.tenant_id, item.namespace.slug), item.group, item.data_id)
    assert found.shown is not None
    return found.shown.content


def test_no_step_in_the_life_of_an_item_stores_its_text_in_the_clear() -> None:
    item = make()
    item = drafts.save_draft(item=item, content=TEXT, based_on=0, by=BY, now=timezone.now())
    assert (item.draft, in_the_clear()) == (TEXT, [])
    first = releases.publish(item=item, comment="", by=BY)
    assert (text_of(item), in_the_clear()) == (TEXT, [])
    releases.start_gray(item=item, content=f"{TEXT}#2", labels=["ip=10.0.0.1"], percent=0, comment="", by=BY)
    releases.promote_gray(item=item, comment="", by=BY)
    releases.start_gray(item=item, content=f"{TEXT}#3", labels=["ip=10.0.0.1"], percent=0, comment="", by=BY)
    releases.abandon_gray(item=item, comment="", by=BY)
    releases.rollback(item=item, to=first, comment="", by=BY)
    item = drafts.save_draft(item=item, content=f"{TEXT}#4", based_on=item.draft_version, by=BY, now=timezone.now())
    items.change_item(item=item, description="Prices", format="text", by=BY)
    assert (text_of(item), in_the_clear()) == (TEXT, [])
    releases.remove(item=item, comment="", by=BY)
    assert in_the_clear() == []
    stored = ConfigRelease.objects.extra(select={"raw": "content"}).values_list("raw", flat=True)
    assert {str(raw)[: len(SEALED_PREFIX)] for raw in stored if raw} == {SEALED_PREFIX}


def test_encrypting_an_item_encrypts_its_history_and_its_draft_and_is_not_taken_back() -> None:
    item = make(is_encrypted=False)
    first = releases.publish(item=item, content=TEXT, comment="", by=BY)
    releases.publish(item=item, content=f"{TEXT}#2", comment="", by=BY)
    item = drafts.save_draft(item=item, content=f"{TEXT}#3", based_on=item.draft_version, by=BY, now=timezone.now())
    assert set(in_the_clear()) == {"configcenter_configitem.draft", "configcenter_configrelease.content"}
    stale = ConfigItem.objects.get(pk=item.pk)
    item = items.change_item(item=item, is_encrypted=True, by=BY)
    assert in_the_clear() == []
    assert (item.draft, text_of(item)) == (f"{TEXT}#3", f"{TEXT}#2")
    releases.rollback(item=stale, to=first, comment="", by=BY)
    drafts.save_draft(item=stale, content=f"{TEXT}#4", based_on=stale.draft_version, by=BY, now=timezone.now())
    assert (text_of(item), in_the_clear()) == (TEXT, [])
    with pytest.raises(Invalid):
        items.change_item(item=item, is_encrypted=False, by=BY)


def test_a_plain_text_that_looks_like_an_encrypted_one_is_read_as_it_was_written() -> None:
    item = make(is_encrypted=False)
    releases.publish(item=item, content=f"{SEALED_PREFIX} no", comment="", by=BY)
    assert text_of(item) == f"{SEALED_PREFIX} no"


def test_a_dump_of_the_rows_has_no_text_in_the_clear_and_is_read_back() -> None:
    releases.publish(item=make(), content=TEXT, comment="", by=BY)
    dumped = serializers.serialize("json", ConfigRelease.objects.all())
    assert SECRET[:7] not in dumped
    for row in serializers.deserialize("json", dumped):
        row.save()
    assert (ConfigRelease.objects.get().content, in_the_clear()) == (TEXT, [])


def test_the_api_shows_the_text_in_force_only_and_masks_draft_history_and_lists() -> None:
    tenant = make_tenant("Shop")
    api = make_api(tenant)
    made = api.post("/api/config/items/", {"data_id": "shop.yaml", "format": "yaml", "content": TEXT, "is_encrypted": True})
    assert (made.status_code, json_of(made)["draft"]["content"], json_of(made)["is_encrypted"]) == (201, MASK, True)
    assert api.post(f"{SHOP}publish/", {"based_on": 1}).status_code == 201
    assert json_of(api.get(SHOP))["effective"] == TEXT
    assert json_of(api.put(f"{SHOP}draft/", {"content": f"{TEXT}#2", "based_on": 2}))["draft"]["content"] == MASK
    assert json_of(api.get(f"{SHOP}releases/1/"))["content"] == MASK
    assert json_of(api.get(f"{SHOP}diff/"))["code"] == "encrypted"
    for address in ("/api/config/items/", f"{SHOP}releases/", "/api/audit/", "/api/config/export/"):
        assert SECRET[:7] not in api.get(address).content.decode(), address
    assert fields_of(api.patch(SHOP, {"is_encrypted": False})) == ["is_encrypted"]
    assert in_the_clear() == []


def test_the_console_shows_no_text_and_takes_a_new_one() -> None:
    browser = Browser()
    browser.force_login(User.objects.create(username="ada", is_staff=True, config_right=ConfigRight.PUBLISH))
    new = {"namespace": items.default_namespace(None).pk, "group": "DEFAULT_GROUP", "data_id": "shop.yaml", "format": "yaml"}
    browser.post(reverse("config:item-new"), {**new, "is_encrypted": "on"})
    item = ConfigItem.objects.get(data_id="shop.yaml")
    pages = [reverse(f"config:item-{verb}", args=[item.pk]) for verb in ("edit", "publish", "history", "listeners")]
    saved = browser.post(pages[0], {"content": TEXT, "began": "", "based_on": "0", "release": "0", "save": ""})
    item.refresh_from_db()
    assert (saved.status_code, item.draft) == (302, TEXT)
    browser.post(pages[1], {"comment": "first", "based_on": item.draft_version, "reach": "all"})
    item.refresh_from_db()
    assert text_of(item) == TEXT
    browser.post(pages[0], {"content": "", "began": "", "based_on": item.draft_version, "release": "1", "save": ""})
    browser.post(pages[0], {"content": f"{TEXT}#2", "began": "", "based_on": item.draft_version, "release": "1", "save": ""})
    stale = browser.post(pages[0], {"content": "other: 1", "began": "", "based_on": "0", "release": "1", "save": ""})
    assert stale.status_code == 409
    assert SECRET[:7] not in stale.content.decode()
    number = reverse("config:item-release", args=[item.pk, 1])
    compared = reverse("config:item-compare", args=[item.pk]) + "?from=1&to=2"
    for address in (*pages, number, compared, reverse("config:items"), reverse("config:export")):
        shown = browser.get(address, follow=True).content.decode()
        assert SECRET[:7] not in shown, address
        assert md5_of(TEXT)[:8] not in shown, address
    assert in_the_clear() == []


def test_an_export_has_no_text_of_it_and_its_import_leaves_it_alone() -> None:
    item = make()
    releases.publish(item=item, content=TEXT, comment="", by=BY)
    data = transfer.export(items=ConfigItem.objects.select_related("namespace", "current", "override_of"))
    (entry,) = orjson.loads(data)["items"]
    assert (entry["content"], entry["md5"], entry["is_encrypted"]) == (None, None, True)
    report = transfer.import_(data=data, policy="overwrite", dry_run=False, by=BY)
    assert [(row.outcome, row.errors) for row in report.items] == [("skipped", [])]
    assert text_of(item) == TEXT
    with_text = orjson.dumps(orjson.loads(data) | {"items": [entry | {"content": f"{TEXT}#2", "data_id": "new.yaml"}]})
    assert transfer.import_(data=with_text, policy="abort", dry_run=False, by=BY).count("created") == 1
    assert in_the_clear() == []


def test_the_command_shows_it_only_when_asked_to_reveal(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "shop.yaml"
    file.write_text(TEXT)
    call_command("config", "item", "set", "shop.yaml", str(file), "--encrypted")
    call_command("config", "item", "publish", "shop.yaml")
    call_command("config", "item", "get", "shop.yaml")
    assert MASK in capsys.readouterr().out
    call_command("config", "item", "get", "shop.yaml", "--reveal")
    assert TEXT in capsys.readouterr().out
    with pytest.raises(CommandError):
        call_command("config", "item", "diff", "shop.yaml")
    assert in_the_clear() == []


def test_lists_and_history_for_nacos_clients_have_no_text_of_it() -> None:
    releases.publish(item=make(), content=TEXT, comment="", by=BY)
    who = Who(BY, None, reaches_installation=True, scopes=frozenset({CONFIG_READ}))
    fields = {"dataId": "shop.yaml", "group": "DEFAULT_GROUP"}
    (release,) = ConfigRelease.objects.all()
    shown = [
        nacos_items.listing(who=who, fields={"search": "blur"}),
        nacos_items.history(who=who, fields=fields),
        nacos_items.history(who=who, fields={**fields, "nid": str(release.pk)}),
    ]
    assert [answer.status for answer in shown] == [200] * 3
    assert not any(SECRET[:7] in answer.body.decode() for answer in shown)


def test_staff_who_only_look_on_do_not_get_it_through_a_nacos_client_either() -> None:
    with pytest.raises(Forbidden):
        Who(BY, None, reaches_installation=True, scopes=frozenset({CONFIG_READ})).must_reveal()
    Who(BY, None, reaches_installation=True, scopes=frozenset({CONFIG_READ, CONFIG_WRITE})).must_reveal()
    Who(BY, 1, reaches_installation=False, scopes=frozenset({CONFIG_READ})).must_reveal()


WRONG = {
    "toml": (f"[{SECRET[:7]}-2]\n[{SECRET[:7]}-2]\n", "TOML: line 2, column"),
    "yaml": (f"a: 1\nb: {SECRET}: *{SECRET[:7]}\n", "YAML: line 2, column"),
    "json": (f'{{"a": 1,\n {SECRET}}}', "JSON: line 2, column 2"),
    "xml": (f"<a>\n<{SECRET[:7]}></a>", "XML: line 2, column"),
    "properties": (f"a=1\n{SECRET[:7]}=\\uXYZ", "Properties: line 2, column 9"),
}


@pytest.mark.parametrize("format", [*WRONG])
def test_what_is_wrong_in_a_text_is_told_by_its_place_and_quotes_nothing(format: str) -> None:
    text, place = WRONG[format]
    tenant = make_tenant("Shop")
    api, ops = make_api(tenant), make_api(make_tenant("Ops", is_operator=True))
    names = {"data_id": "shop.yaml", "format": "text", "is_encrypted": True, "content": text}
    api.post("/api/config/items/", names)
    ops.post("/api/config/items/", {**names, "namespace": "installation.public"})
    ops_shop = SHOP.replace("public", "installation.public")
    ops.patch(ops_shop, {"format": format})
    answers = [
        api.patch(SHOP, {"format": format}),
        api.post(f"{SHOP}publish/", {}),
        api.post(f"{SHOP}publish/", {"content": text}),
        api.post(f"{SHOP}validate/", {"content": text}),
        api.put(f"{SHOP}draft/", {"content": text, "based_on": 1}),
    ]
    browser = Browser()
    browser.force_login(User.objects.create(username="vi", is_staff=True, config_right=ConfigRight.VIEW))
    item = ConfigItem.objects.get(namespace__tenant=None)
    answers.append(browser.get(reverse("config:item-edit", args=[item.pk])))
    for number, answer in enumerate(answers):
        shown = answer.content.decode()
        assert (number, SECRET[:7] in shown, place in shown) == (number, False, True), shown


def test_the_format_that_a_secret_text_in_force_is_not_written_in_is_refused_without_quoting_it() -> None:
    api = make_api(make_tenant("Shop"))
    text, place = WRONG["toml"]
    api.post("/api/config/items/", {"data_id": "shop.yaml", "format": "text", "is_encrypted": True, "content": text})
    api.post(f"{SHOP}publish/", {})
    refused = api.patch(SHOP, {"format": "toml"})
    assert fields_of(refused) == ["format"]
    assert place in json_of(refused)["errors"][0]["message"]
    assert SECRET[:7] not in refused.content.decode()


def test_encrypting_an_item_takes_what_tells_of_its_texts_out_of_its_audit_entries_only() -> None:
    tenant = make_tenant("Shop")
    item = make(is_encrypted=False, tenant=tenant)
    other = items.create_item(namespace=item.namespace, group="G", data_id="other", format="json", by=BY)
    for each, texts in ((item, (TEXT, f"{TEXT}#2")), (other, ('{"a": 1}', '{"a": 2}'))):
        for text in texts:
            release = releases.publish(item=each, content=text, comment="why", by=BY)
    releases.rollback(item=item, to=item.releases.get(number=1), comment="", by=BY)
    items.change_item(item=item, description="Prices", by=BY)
    items.change_item(item=item, format="text", by=BY)
    assert md5_of(TEXT) in make_api(tenant).get("/api/audit/").content.decode()
    items.change_item(item=item, is_encrypted=True, by=BY)
    told = AuditEntry.objects.filter(target=items.name_of(item))
    assert not any(set(entry.detail) & {"md5", "lines_added", "lines_removed"} for entry in told)
    assert [entry.detail for entry in told.filter(action="config.publish").order_by("pk")] == [
        {"version": 1, "comment": "why"},
        {"version": 2, "comment": "why"},
    ]
    assert [entry.detail["changed"] for entry in told.filter(action="config.change").order_by("pk")] == [
        ["description"],
        ["format"],
        ["is_encrypted"],
    ]
    assert AuditEntry.objects.filter(target=items.name_of(other), detail__md5=release.md5, detail__changed=["a"]).exists()


@pytest.mark.django_db(transaction=True)
def test_the_files_of_sqlite_hold_no_text_from_before_an_item_was_encrypted() -> None:
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL keeps old rows until it vacuums")
    item = make(is_encrypted=False)
    releases.publish(item=item, content=TEXT, comment="", by=BY)
    drafts.save_draft(item=item, content=f"{TEXT}#2", based_on=item.draft_version, by=BY, now=timezone.now())
    files = [Path(f"{connection.settings_dict['NAME']}{suffix}") for suffix in ("", "-wal")]

    def holds() -> bool:
        return any(SECRET[:7].encode() in file.read_bytes() for file in files if file.exists())

    assert holds()
    items.change_item(item=item, is_encrypted=True, by=BY)
    assert not holds()
