"""The SQL of every migration goes through squawk, which knows what locks or rewrites a large PostgreSQL table."""

import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection
from django.db.migrations.loader import MigrationLoader

from posthaste.env import ROOT

pytestmark = pytest.mark.django_db

#: What Django writes for every model, and we want: a CharField is varchar(n), and small numbers are bounded by their validators.
OUR_STYLE = ["prefer-text-field", "prefer-bigint-over-int", "prefer-bigint-over-smallint"]
#: The first migration of an app finds an empty database: no lock makes anyone wait, no row lacks a value.
EMPTY_DATABASE = ["require-lock-timeout", "require-statement-timeout", "adding-foreign-key-constraint", "adding-required-field"]


def lint(sql: str, *, excluded: list[str], folder: Path) -> str:
    """Return what squawk says about the statements, "" where it finds nothing."""
    file = folder / "migration.sql"
    file.write_text(sql)
    command = [str(Path(sys.executable).with_name("squawk")), "--pg-version=14.0", "--assume-in-transaction", "--reporter=gcc"]
    done = subprocess.run([*command, f"--exclude={','.join(excluded)}", file], capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).strip() if done.returncode else ""


def own_migrations() -> list[tuple[str, str]]:
    own = {config.label for config in apps.get_app_configs() if Path(config.path).parent in (ROOT, ROOT / "posthaste")}
    return sorted(key for key in MigrationLoader(None).disk_migrations if key[0] in own)


@pytest.mark.skipif(connection.vendor != "postgresql", reason="squawk reads PostgreSQL's SQL")
@pytest.mark.parametrize(("app", "name"), own_migrations())
def test_a_migration_does_not_lock_a_large_table(app: str, name: str, tmp_path: Path) -> None:
    sql = StringIO()
    call_command("sqlmigrate", app, name, stdout=sql, no_color=True)
    statements = "\n".join(line for line in sql.getvalue().splitlines() if line not in ("BEGIN;", "COMMIT;"))
    excluded = OUR_STYLE + (EMPTY_DATABASE if name.startswith(("0001_", "0002_postgresql")) else [])
    assert lint(statements, excluded=excluded, folder=tmp_path) == ""


def test_a_statement_that_rewrites_a_table_is_found(tmp_path: Path) -> None:
    found = lint("ALTER TABLE messaging_message ADD COLUMN note text NOT NULL;", excluded=OUR_STYLE, folder=tmp_path)
    assert "adding-required-field" in found
