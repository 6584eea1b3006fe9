"""Commands beside `make run` work on its installation, or on the one that the environment names; never on a mixture."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from deploy.local.installation import Installation
from posthaste.env import ROOT, Environment

SHOW = "import json, os; from deploy.local.installation import adopt; from posthaste import env; adopt(); s = env.load(); print(json.dumps(\
[s.secret_key.get_secret_value(), s.encryption_keys, s.redis_url, s.database_url]))"
FOREIGN = ("DATABASE_URL", "BROKER_URL", "REDIS_URL", "REDIS_PREFIX", "SECRET_KEY", "ENCRYPTION_KEYS", "PORT", "WS_PORT", "PUBLIC_URL")


def seen(data: Path, **given: str) -> Any:
    """Return the keys and addresses that a command works with."""
    kept = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    done = subprocess.run(
        [sys.executable, "-c", SHOW], cwd=ROOT, env={**kept, "DATA_DIR": str(data), **given}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Keep the variables of an installation whose Valkey has another port than the usual one."""
    for name in FOREIGN:
        monkeypatch.delenv(name, raising=False)
    installation = Installation(Environment(data_dir=tmp_path))
    installation.make_folders()
    return installation.environment(valkey_port=7123)


def test_a_command_takes_the_keys_and_the_valkey_of_the_running_stack(local: dict[str, str], tmp_path: Path) -> None:
    secret, keys, redis_url, database_url = seen(tmp_path)
    assert (secret, keys) == (local["SECRET_KEY"], [local["ENCRYPTION_KEYS"]])
    assert redis_url == "redis://127.0.0.1:7123/0"
    assert database_url == f"sqlite:///{tmp_path}/posthaste.sqlite3"
    assert (tmp_path / "environment.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("variable", ["DATABASE_URL", "SECRET_KEY", "REDIS_URL"])
def test_a_command_for_another_installation_takes_nothing(variable: str, local: dict[str, str], tmp_path: Path) -> None:
    other = {"DATABASE_URL": "sqlite:////elsewhere.sqlite3", "SECRET_KEY": "s" * 60, "REDIS_URL": "redis://other:6379/0"}[variable]
    found = seen(tmp_path, **{variable: other})
    assert other in found
    assert local["ENCRYPTION_KEYS"] not in str(found)
    assert "7123" not in str(found)


def test_the_same_value_given_again_is_the_same_installation(local: dict[str, str], tmp_path: Path) -> None:
    assert seen(tmp_path, SECRET_KEY=local["SECRET_KEY"])[1] == [local["ENCRYPTION_KEYS"]]


def test_without_an_installation_the_environment_counts(tmp_path: Path) -> None:
    assert seen(tmp_path / "none", REDIS_URL="redis://other:6379/0")[2] == "redis://other:6379/0"


def test_a_file_that_cannot_be_read_is_named_in_one_line(local: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "environment.json").write_text("{")
    kept = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    done = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=ROOT,
        env={**kept, "DATA_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "environment.json" in done.stderr
