"""Each recipe of docs/extend.md, followed: its code is written into an app of its own, and gives what the recipe promises."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from posthaste import env
from posthaste.env import ROOT
from tests import crowds
from tests.architecture.recipes import CHECKS
from tests.prepared import SQLITE, prepared

EXTEND = ROOT / "docs" / "extend.md"
#: What the recipes call their things, and what they are called here: a project that followed the recipes has those names already.
NAMES = {"orders": "docsorders", "pager": "docspager", "voice": "docsvoice"}
#: The one line elsewhere that an app of one's own costs.
SETTINGS = f'from posthaste.settings import *\n\nINSTALLED_APPS = [*INSTALLED_APPS, "{NAMES["orders"]}"]\n'
BLOCK = re.compile(r"^```(?:python|html)\n(?:# |<!-- )(?P<path>orders/\S+)(?: -->)?\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
RECIPES = {
    "page": "A page",
    "job": "A job",
    "configuration": "A configuration module",
    "metric": "A metric",
    "provider_kind": "A provider kind",
    "channel": "A channel",
    "event": "An event",
}


def files_of(title: str) -> dict[str, str]:
    """Return the files that a recipe says to write, by path."""
    section = EXTEND.read_text().split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]
    return {renamed(match["path"]): renamed(match["code"]) for match in BLOCK.finditer(section)}


def renamed(text: str) -> str:
    """Return a text of a recipe with the names of this test."""
    for name, own in NAMES.items():
        text = text.replace(name, own)
    return text


def run(*command: str, **variables: str) -> None:
    """Run a command to its end and show what it said if it failed."""
    ended = subprocess.run(
        [sys.executable, *command], cwd=ROOT, env={**os.environ, **variables}, capture_output=True, text=True, timeout=110, check=False
    )
    assert ended.returncode == 0, f"{ended.stdout}\n{ended.stderr}"


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a migrated SQLite database to be copied."""
    if migrated := prepared(SQLITE):
        return migrated
    path = tmp_path_factory.mktemp("recipes") / "empty.sqlite3"
    run("manage.py", "migrate", "--verbosity=0", DATABASE_URL=f"sqlite:///{path}")
    return path


@pytest.fixture
def pager() -> Iterator[str]:
    """Return the address of a pager service that takes a page and refuses what asks for it."""

    class Pager(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            page = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            is_taken = self.headers["Authorization"] == "Bearer topsecret" and "refuse" not in page["text"]
            answer = json.dumps({"id": "page-1"} if is_taken else {"error": "refused"}).encode()
            self.send_response(200 if is_taken else 422)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Pager) as server:
        serving = crowds.start(server.serve_forever, name="pager")
        try:
            yield f"http://127.0.0.1:{server.server_port}/pages"
        finally:
            server.shutdown()
            serving.join()


def test_every_recipe_has_a_test() -> None:
    titles = re.findall(r"^## (.+)$", EXTEND.read_text(), re.MULTILINE)
    assert titles == list(RECIPES.values())
    assert set(CHECKS) == set(RECIPES)


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_gives_what_it_promises(recipe: str, tmp_path: Path, empty_database: Path, pager: str) -> None:
    files = files_of(RECIPES[recipe])
    assert 1 <= len(files) <= 2
    app = tmp_path / NAMES["orders"]
    app.mkdir()
    (app / "__init__.py").touch()
    (tmp_path / "installation.py").write_text(SETTINGS)
    for path, code in files.items():
        target = tmp_path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(code)
    database = tmp_path / "installation.sqlite3"
    shutil.copy(empty_database, database)
    redis_url = env.load().redis_url
    run(
        "-m",
        "tests.architecture.recipes",
        recipe,
        PYTHONPATH=f"{tmp_path}:{ROOT}",
        DJANGO_SETTINGS_MODULE="installation",
        DATABASE_URL=f"sqlite:///{database}",
        REDIS_URL=redis_url,
        BROKER_URL=redis_url,  # not the broker of the tests beside this one
        REDIS_PREFIX=f"recipe-{recipe}"[:16].rstrip("_").replace("_", "-"),
        PAGER_URL=pager,
    )
