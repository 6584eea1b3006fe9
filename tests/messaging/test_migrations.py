"""The way from the foundation's database to today's keeps every row, and counts what was there before."""

import json
import os
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from messaging.configuration.pools import ThreadPools
from posthaste import env
from posthaste.env import ROOT
from tests.integration.conftest import _with_path

pytestmark = pytest.mark.both_stacks

UPGRADE = """
import json, sys
import django
django.setup()
from datetime import timedelta
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone
from posthaste.lib.ids import first_id_at

first = [("messaging", "0001_initial")]
executor = MigrationExecutor(connection)
executor.migrate(first)
old = executor.loader.project_state(first).apps
tenant = old.get_model("configcenter", "Tenant").objects.create(name="Acme", slug="acme")
old.get_model("configcenter", "ThreadPoolConfig").objects.create(name="message.send", max_threads=250)
now = timezone.now()
batch = old.get_model("messaging", "Batch").objects.create(tenant=tenant, channel="sms", accepted=3, created_at=now)
Message = old.get_model("messaging", "Message")
for n, (status, days) in enumerate([("pending", 0), ("queued", 0), ("sent", 40), ("failed", 3), ("sent", 0)]):
    at = now - timedelta(days=days)
    Message.objects.create(
        id=type(batch.pk)(int=first_id_at(at).int + n), tenant=tenant, batch=batch if n < 3 else None, channel="sms",
        recipient=f"+861380000000{n}", status=status, created_at=at, due_at=at,
        queued_at=at if status != "pending" else None,
        latency_ms=77 if status == "sent" else None,
    )
before = list(Message.objects.order_by("pk").values_list("pk", "recipient", "status"))
executor = MigrationExecutor(connection)
executor.migrate(executor.loader.graph.leaf_nodes())

from messaging import selectors, tallies
from messaging.models import Batch, Message
from messaging.services import partitions
partitions.make_ahead(now=now)
counts = selectors.batch_counts(Batch.objects.all())[batch.pk]
today = now.replace(hour=0, minute=0, second=0, microsecond=0)
from configcenter.models import ConfigItem, ConfigState
print(json.dumps({
    "pools": [[item.data_id, item.current.number, json.loads(item.current.content)] for item in ConfigItem.objects.all()],
    "revision": ConfigState.objects.get().revision,
    "kept": list(Message.objects.order_by("pk").values_list("pk", "recipient", "status")) == before,
    "counts": {status: number for status, number in counts.items() if number},
    "today": sorted(tallies.by_channel(today - timedelta(days=1), today + timedelta(days=1), tenant.pk)),
    "latency": tallies.by_latency(today - timedelta(days=1), today + timedelta(days=1), tenant.pk),
}))
"""


def new_database(folder: Path) -> str:
    settings = env.load()
    if not settings.is_postgresql:
        return f"sqlite:///{folder}/old.sqlite3"
    name = f"old_{uuid4().hex[:8]}"
    with psycopg.connect(_with_path(settings.database_url, "postgres"), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return _with_path(settings.database_url, name)


def test_rows_of_the_first_version_are_kept_and_counted(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "DATABASE_URL": new_database(tmp_path),
        "DATA_DIR": str(tmp_path),
        "DJANGO_SETTINGS_MODULE": "posthaste.settings",
    }
    done = subprocess.run(
        [sys.executable, "-c", UPGRADE], cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    pools = found.pop("pools")
    assert [(name, number) for name, number, _content in pools] == [("thread_pools", 1)], "queues were at their defaults"
    assert ThreadPools.model_validate(pools[0][2]) == ThreadPools(max_threads=250)
    assert found == {
        "revision": 1,
        "kept": True,
        "counts": {"pending": 1, "queued": 1, "sent": 1},
        "today": [["sms", "pending", 1], ["sms", "queued", 1], ["sms", "sent", 1]],
        "latency": [[77, 1]],
    }
