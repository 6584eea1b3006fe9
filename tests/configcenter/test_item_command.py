"""`manage.py config item` and `namespace`: free-form items from a shell."""

import io
from io import StringIO
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.core.management import CommandError, call_command

from accounts.models import AuditEntry
from configcenter.models import ConfigItem, ConfigRelease
from configcenter.services import releases
from configcenter.services.changes import md5_of
from tests.builders import actor, make_tenant

pytestmark = pytest.mark.django_db


def config(*arguments: str) -> str:
    out = StringIO()
    call_command("config", *arguments, stdout=out)
    return out.getvalue()


def item(*arguments: str) -> str:
    return config("item", *arguments)


def told(*arguments: str) -> Any:
    return orjson.loads(item(*arguments, "--json"))


def refused(*arguments: str) -> tuple[int, str]:
    with pytest.raises(CommandError) as error:
        config(*arguments)
    return error.value.returncode, str(error.value)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "text"
    path.write_bytes(b"a: 1 \r\n\n")
    return path


def test_a_text_goes_from_a_file_into_force_and_comes_out_to_the_last_blank(file: Path) -> None:
    assert "Version 1 of public/DEFAULT_GROUP/shop.yaml" in item("publish", "shop.yaml", str(file), "-m", "first", "--author", "ada")
    assert item("get", "shop.yaml") == "a: 1 \r\n\n"
    known = told("get", "shop.yaml")
    assert (known["format"], known["version"], known["md5"], known["content"]) == ("yaml", 1, md5_of("a: 1 \r\n\n"), "a: 1 \r\n\n")
    release = ConfigRelease.objects.get()
    assert (release.author, release.comment) == ("command:config (ada)", "first")
    assert AuditEntry.objects.get(action="config.publish").actor == "command:config (ada)"


def test_a_draft_is_saved_compared_published_and_rolled_back(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    item("publish", "shop.yaml", str(file))
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"a: 2\n")))
    assert "Draft 1 of public/DEFAULT_GROUP/shop.yaml (yaml)" in item("set", "shop.yaml", "-", "--description", "Prices")
    assert item("get", "shop.yaml", "--draft") == "a: 2\n"
    assert "+ a: 2" in item("diff", "shop.yaml")
    assert item("get", "shop.yaml") == "a: 1 \r\n\n"
    item("publish", "shop.yaml")
    assert item("get", "shop.yaml", "--version", "1") == "a: 1 \r\n\n"
    assert told("rollback", "shop.yaml", "1", "-m", "too early")["number"] == 3
    assert [line.split()[0] for line in item("history", "shop.yaml").splitlines()] == ["v3", "v2", "v1"]
    assert told("delete", "shop.yaml")["action"] == "remove"
    assert refused("item", "get", "shop.yaml")[0] == 5
    assert refused("item", "delete", "shop.yaml")[0] == 4
    item("set", "shop.yaml", str(file))
    assert item("list").split() == ["public/DEFAULT_GROUP/shop.yaml", "yaml", "v0", "draft"]
    item("discard", "shop.yaml")
    assert told("list") == []


def test_whoever_saw_another_text_in_force_or_another_draft_is_refused(file: Path) -> None:
    item("publish", "a", str(file), "--if-version", "0", "--if-md5", "")
    file.write_text("two")
    status, said = refused("item", "publish", "a", str(file), "--if-md5", md5_of("other"))
    assert (status, "Version 1 by command:config is now in force" in said, "\n" in said) == (4, True, False)
    assert refused("item", "publish", "a", str(file), "--if-version", "0")[0] == 4
    item("publish", "a", str(file), "--if-md5", md5_of("a: 1 \r\n\n").upper(), "--if-version", "1")
    item("set", "a", str(file), "--based-on", "0")
    assert refused("item", "set", "a", str(file), "--based-on", "0")[0] == 4
    assert ConfigRelease.objects.count() == 2


def test_a_text_of_another_format_comes_into_force_with_it(file: Path) -> None:
    item("publish", "a", str(file))
    file.write_text('{"a": 1}')
    status, said = refused("item", "set", "a", "--format", "json")
    assert (status, said.startswith("format: Version 1 is in force: Not valid JSON")) == (3, True)
    item("publish", "a", str(file), "--format", "json")
    assert (told("get", "a")["format"], told("get", "a")["version"]) == ("json", 2)
    assert AuditEntry.objects.filter(action="config.publish").latest("at").detail["format"] == "json"
    item("set", "a", "--format", "text", "--description", "Not so strict")
    assert (told("get", "a")["format"], told("get", "a")["description"]) == ("text", "Not so strict")


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["item", "get", "none"], 5, "There is no item public/DEFAULT_GROUP/none."),
        (["item", "get", "none", "--namespace", "dev"], 5, "There is no namespace dev."),
        (["item", "list", "--tenant", "nobody"], 5, "There is no tenant nobody."),
        (["item", "get", "queues", "--namespace", "posthaste", "--group", "posthaste"], 3, "holds only modules"),
        (["item", "publish", "a.json", "FILE"], 3, "content: Not valid JSON"),
        (["item", "set", "a.json", "FILE"], 3, "content: Not valid JSON"),
        (["item", "publish", "a b", "FILE"], 3, "data_id: 1 to 256 letters"),
        (["item", "publish", "a", "/no/such"], 2, "/no/such: No such file"),
        (["item", "publish", "a", "LATIN"], 2, "not a text in UTF-8"),
        (["item", "set", "a"], 2, "Give a FILE"),
        (["item", "publish", "none"], 5, "There is no item"),
        (["namespace", "create", "a b"], 3, "slug: 1 to 128 letters"),
        (["namespace", "delete", "public"], 4, "This namespace can't be deleted."),
        (["export", "--namespace", "dev"], 5, "There is no namespace dev."),
    ],
)
def test_what_goes_wrong_is_told_in_one_line_has_a_status_and_leaves_nothing(
    arguments: list[str], status: int, said: str, file: Path
) -> None:
    latin = file.with_name("latin")
    latin.write_bytes(b"\xe9")
    found, text = refused(*({"FILE": str(file), "LATIN": str(latin)}.get(part, part) for part in arguments))
    assert (found, said in text, "\n" in text) == (status, True, False), text
    assert ConfigItem.objects.count() == 0


def test_a_tenants_items_and_namespaces_are_its_own(file: Path) -> None:
    make_tenant("Shop", slug="shop")
    config("namespace", "create", "dev", "--tenant", "shop", "--name", "Development")
    item("publish", "a", str(file), "--tenant", "shop", "--namespace", "dev", "--group", "G")
    assert ConfigItem.objects.get().namespace.tenant.slug == "shop"  # type: ignore[union-attr]
    assert told("list") == []
    assert [row["data_id"] for row in told("list", "--tenant", "shop", "--namespace", "dev", "--group", "G", "--search", "A")] == ["a"]
    assert [row["namespace"] for row in orjson.loads(config("namespace", "list", "--tenant", "shop", "--json"))] == ["dev", "public"]
    assert refused("namespace", "delete", "dev", "--tenant", "shop")[0] == 4
    item("delete", "a", "--tenant", "shop", "--namespace", "dev", "--group", "G")
    assert "deleted" in config("namespace", "delete", "dev", "--tenant", "shop")


def test_a_gray_release_from_the_console_that_stands_in_the_way_is_ended(file: Path) -> None:
    item("set", "a", str(file))
    made = ConfigItem.objects.get()
    releases.start_gray(item=made, content=None, labels=["zone=b"], percent=0, comment="", by=actor("user:ada"))
    assert refused("item", "publish", "a", str(file))[0] == 4
    assert told("gray", "status", "a")["labels"] == ["zone=b"]
    assert told("gray", "promote", "a", "-m", "good")["number"] == 2
    assert item("get", "a") == "a: 1 \r\n\n"


def test_items_of_chosen_namespaces_are_exported_and_imported_with_their_format(file: Path, tmp_path: Path) -> None:
    config("namespace", "create", "dev")
    for name in ("public", "dev"):
        item("publish", "a.yaml", str(file), "--namespace", name)
    document = tmp_path / "export.json"
    config("export", "--namespace", "dev", "-o", str(document))
    assert [entry["namespace"] for entry in orjson.loads(document.read_bytes())["items"]] == ["dev"]
    file.write_text("x")
    item("publish", "a.yaml", str(file), "--namespace", "dev", "--format", "text")
    assert refused("import", str(document))[0] == 4
    assert "updated    dev/DEFAULT_GROUP/a.yaml" in config("import", str(document), "--policy", "overwrite", "--dry-run")
    assert item("get", "a.yaml", "--namespace", "dev") == "x"
    config("import", str(document), "--policy", "overwrite")
    known = told("get", "a.yaml", "--namespace", "dev")
    assert (known["content"], known["format"]) == ("a: 1 \r\n\n", "yaml")
    item("set", "a.yaml", "--namespace", "dev", "--format", "text")
    assert orjson.loads(config("import", str(document), "--policy", "skip", "--json"))["items"][0]["outcome"] == "skipped"
    assert orjson.loads(config("import", str(document), "--policy", "overwrite", "--json"))["items"][0]["outcome"] == "updated"
    assert told("get", "a.yaml", "--namespace", "dev")["format"] == "yaml"
