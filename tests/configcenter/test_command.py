"""`manage.py config`: the configuration from a shell."""

from io import StringIO
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.core.management import CommandError, call_command

from accounts.models import AuditEntry
from configcenter import hot
from configcenter.services import loading
from tests.builders import make_tenant

pytestmark = pytest.mark.django_db


def config(*arguments: str) -> str:
    out = StringIO()
    call_command("config", *arguments, stdout=out)
    return out.getvalue()


def status_of(*arguments: str) -> int:
    with pytest.raises(CommandError) as error:
        config(*arguments)
    return error.value.returncode


def in_force() -> Any:
    loading.apply_released()
    return hot.module("thread_pools").value


def test_a_value_is_set_published_and_taken_back() -> None:
    assert config("get", "thread_pools.max_threads").strip() == "100"
    config("set", "thread_pools", "max_threads=200", "min_threads=20")
    assert '+   "max_threads": 200,' in config("diff", "thread_pools")
    assert in_force().max_threads == 100
    config("publish", "thread_pools", "-m", "more")
    assert (in_force().max_threads, in_force().min_threads) == (200, 20)
    config("set", "thread_pools", "max_threads=300")
    config("publish", "thread_pools")
    config("rollback", "thread_pools", "1", "--comment", "too many")
    assert in_force().max_threads == 200
    lines = config("history", "thread_pools").splitlines()
    assert [line.split()[0] for line in lines] == ["v3", "v2", "v1"]
    assert "in force" in lines[0]
    assert AuditEntry.objects.filter(actor="command:config", action="config.rollback").exists()


def test_a_place_inside_a_list_is_set_and_a_new_entry_added() -> None:
    config("set", "flow_rules", "rules[0].per_second=50", 'rules[3]={"name": "mine", "per_second": 5}')
    config("publish", "flow_rules")
    loading.apply_released()
    rules = hot.module("flow_rules").value.rules
    assert (rules[0].per_second, rules[3].name, len(rules)) == (50, "mine", 4)
    assert config("get", "flow_rules.rules[3].name").strip() == "mine"


def test_a_tenants_override_is_set() -> None:
    tenant = make_tenant("Shop", slug="shop")
    config("set", "retry_policy", "max_retries=1", "--tenant", "shop")
    config("publish", "retry_policy", "--tenant", "shop")
    loading.apply_released()
    assert hot.module("retry_policy").of(tenant.pk).max_retries == 1


def test_a_gray_release_is_begun_widened_promoted_and_abandoned() -> None:
    config("set", "thread_pools", "max_threads=200")
    assert status_of("gray", "begin", "thread_pools") == 3  # for no tenant
    assert status_of("gray", "begin", "thread_pools", "--label", "zone") == 3
    assert "Gray release v1 for zone=b" in config("gray", "begin", "thread_pools", "--label", "zone=b", "-m", "some first")
    assert in_force().max_threads == 100
    assert status_of("gray", "begin", "thread_pools", "--percent", "5") == 4  # one is running
    config("gray", "widen", "thread_pools", "--label", "zone=b", "--percent", "100")
    status = orjson.loads(config("gray", "status", "thread_pools", "--json"))
    assert (status["number"], status["labels"], status["percent"]) == (1, ["zone=b"], 100)
    assert in_force().max_threads == 200
    assert "Version 2" in config("gray", "abandon", "thread_pools")
    assert in_force().max_threads == 100
    config("set", "thread_pools", "max_threads=300")
    config("gray", "begin", "thread_pools", "--percent", "100")
    assert orjson.loads(config("gray", "promote", "thread_pools", "--json"))["number"] == 4
    assert in_force().max_threads == 300
    for verb in ("status", "widen", "promote", "abandon"):
        assert status_of("gray", verb, "thread_pools", *(["--percent", "5"] if verb == "widen" else [])) == 4
    make_tenant("Shop", slug="shop")
    config("set", "retry_policy", "max_retries=1", "--tenant", "shop")
    assert "Gray release v1" in config("gray", "begin", "retry_policy", "--tenant", "shop", "--percent", "10")


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["get", "no_such"], 5),
        (["get", "thread_pools", "--tenant", "nobody"], 5),
        (["get", "thread_pools", "--draft"], 5),
        (["get", "thread_pools.no_such"], 3),
        (["set", "thread_pools", "max_threads=0"], 3),
        (["set", "thread_pools", "colour=red"], 3),
        (["set", "thread_pools", "rules[0]=1"], 3),
        (["set", "thread_pools", "max_threads"], 2),
        (["publish", "thread_pools"], 4),
        (["rollback", "thread_pools", "7"], 5),
        (["import", "/no/such/file"], 2),
        (["export", "no_such"], 5),
    ],
)
def test_what_goes_wrong_has_a_status_of_its_own(arguments: list[str], status: int) -> None:
    assert status_of(*arguments) == status


def test_an_export_is_imported(tmp_path: Path) -> None:
    config("set", "thread_pools", "max_threads=200")
    config("publish", "thread_pools")
    file = tmp_path / "configuration.json"
    config("export", "thread_pools", "--output", str(file))
    config("set", "thread_pools", "max_threads=300")
    config("publish", "thread_pools")
    assert status_of("import", str(file)) == 4
    assert "updated" in config("import", str(file), "--policy", "overwrite", "--dry-run")
    assert in_force().max_threads == 300
    answer = orjson.loads(config("import", str(file), "--policy", "overwrite", "--json"))
    assert [entry["outcome"] for entry in answer["items"]] == ["updated"]
    assert in_force().max_threads == 200


def test_answers_for_programs_are_json() -> None:
    assert len(orjson.loads(config("get", "--json"))) == 16
    assert orjson.loads(config("get", "thread_pools"))["max_threads"] == 100
    config("set", "thread_pools", "max_threads=200")
    assert orjson.loads(config("publish", "thread_pools", "--json"))["number"] == 1
    assert len(orjson.loads(config("history", "thread_pools", "--json"))) == 1
    assert isinstance(orjson.loads(config("instances", "--json")), list)
    config("discard", "thread_pools")
    assert config("diff", "thread_pools").strip() == "No difference."
