"""Rules about the code that no linter knows."""

import ast
from functools import cache
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command

from posthaste.env import ROOT, Environment

MAX_LINES = 350
APPS = tuple(sorted(path.parent.name for path in ROOT.glob("*/apps.py")))
#: Entrances that say which settings Django takes, and nothing else.
MAY_SET_THE_SETTINGS_MODULE = {"manage.py", "posthaste/wsgi.py", "posthaste/rsgi.py", "posthaste/asgi.py", "posthaste/celery.py"}
#: Where the environment of other processes is put together.
MAY_READ_THE_ENVIRONMENT = {"posthaste/env.py"}
NO_NAMES = {"utils", "util", "helpers", "helper", "common", "misc"}


@cache
def sources() -> dict[str, str]:
    """Return the product's own modules by their path, without migrations."""
    found = [ROOT / "manage.py", *(path for app in APPS for path in (ROOT / app).rglob("*.py"))]
    return {str(path.relative_to(ROOT)): path.read_text() for path in found if "migrations" not in path.parts}


def test_there_is_code_to_look_at() -> None:
    assert len(sources()) > 60


def test_a_module_is_read_in_one_sitting() -> None:
    lines = {path: text.count("\n") for path, text in sources().items()}
    assert {path: number for path, number in lines.items() if number > MAX_LINES} == {}


def test_a_module_is_named_for_its_subject() -> None:
    assert [path for path in sources() if NO_NAMES & set(Path(path).with_suffix("").parts)] == []


def environment_uses(text: str) -> list[str]:
    """Name what a module does with the environment: the attribute of `os.environ`, or `getenv`."""
    uses = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute) and node.value.attr == "environ":
            uses.append(node.attr)
        elif isinstance(node, ast.Subscript) and isinstance(node.value, ast.Attribute) and node.value.attr == "environ":
            uses.append("[]")
        elif isinstance(node, ast.Attribute | ast.Name) and getattr(node, "attr", getattr(node, "id", "")) in ("getenv", "putenv"):
            uses.append("getenv")
        elif isinstance(node, ast.ImportFrom) and node.module == "os" and any(alias.name in ("environ", "getenv") for alias in node.names):
            uses.append("import")
    return uses


def test_environment_variables_are_read_in_one_place() -> None:
    found = {path: environment_uses(text) for path, text in sources().items() if path not in MAY_READ_THE_ENVIRONMENT}
    allowed = {path: ["setdefault"] for path in MAY_SET_THE_SETTINGS_MODULE}
    assert {path: uses for path, uses in found.items() if uses and uses != allowed.get(path)} == {}


def test_the_check_for_environment_variables_sees_every_way_of_reading_them() -> None:
    text = "import os\nfrom os import environ\nos.environ['A']\nos.environ.get('B')\nos.getenv('C')"
    assert sorted(environment_uses(text)) == ["[]", "get", "getenv", "import"]


@pytest.mark.django_db
def test_every_change_of_a_model_has_its_migration() -> None:
    said = StringIO()
    try:
        call_command("makemigrations", "--check", "--dry-run", stdout=said, stderr=said)
    except SystemExit:
        pytest.fail(f"python manage.py makemigrations is needed:\n{said.getvalue()}")


def documented() -> dict[str, list[str]]:
    """Return the rows of the tables in docs/configuration.md by the variable they begin with."""
    rows = {}
    for line in (ROOT / "docs/configuration.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) == 3 and cells[0].startswith("`"):
            rows[cells[0].strip("`")] = cells[1:]
    return rows


def test_every_environment_variable_is_documented_and_no_other() -> None:
    assert set(documented()) == {name.upper() for name in Environment.model_fields}


def test_every_documented_default_is_the_true_one() -> None:
    for name, field in Environment.model_fields.items():
        default = field.get_default(call_default_factory=True)
        if isinstance(default, bool | int | float | str) and default != "":
            shown = str(default).lower() if isinstance(default, bool) else f"{default:g}" if isinstance(default, float) else str(default)
            assert f"`{shown}`" in documented()[name.upper()][0], f"{name.upper()}: the default is {shown}"


def test_every_environment_variable_says_in_the_code_what_it_is() -> None:
    assert [name for name, field in Environment.model_fields.items() if not field.description] == []
