"""The fence: a late writer is refused by the database, whatever it believes."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import connection, transaction
from urllib3.util import parse_url

from accounts.models import Tenant
from jobs.models import Fence
from jobs.services import fence
from posthaste import env
from posthaste.env import ROOT
from posthaste.lib import locks, redis
from posthaste.lib.ids import new_id
from posthaste.lib.locks import server
from tests.builders import make_tenant

pytestmark = [pytest.mark.both_stacks, pytest.mark.django_db(transaction=True)]

LATE = """
import sys
import django
django.setup()
from django.db import transaction
from accounts.models import Tenant
from jobs.services import fence
from posthaste.lib import locks
fence.STOPPED_MS = 700
with locks.simple(sys.argv[1], lease_seconds=1.0, wait_seconds=5) as lock:
    print("held", flush=True)
    sys.stdin.readline()
    try:
        with transaction.atomic():
            Tenant.objects.create(slug="late", name="Late")
            fence.check(lock)
            if sys.argv[2] == "stops in between":
                print("shown", flush=True)
                sys.stdin.readline()
        print("written", flush=True)
    except Exception as error:
        print(type(error).__name__, flush=True)
"""


@pytest.fixture
def name() -> str:
    return f"test-{new_id().hex}"


@contextmanager
def other_process(name: str, how: str = "") -> Iterator["subprocess.Popen[str]"]:
    """Start a process that holds the lock for one second and writes a tenant when told to."""
    database = str(connection.settings_dict["NAME"])
    url = f"sqlite:///{database}" if connection.vendor == "sqlite" else parse_url(env.load().database_url)._replace(path=f"/{database}").url
    settings = {**os.environ, "DJANGO_SETTINGS_MODULE": "posthaste.settings", "DATABASE_URL": url}
    command = [sys.executable, "-c", LATE, name, how]
    process = subprocess.Popen(command, cwd=ROOT, env=settings, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
    try:
        assert line(process) == "held"
        yield process
    finally:
        process.kill()
        process.communicate()


def line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def go(process: "subprocess.Popen[str]") -> None:
    assert process.stdin
    process.stdin.write("go\n")


def test_whoever_comes_later_may_write_and_the_one_before_no_more(name: str) -> None:
    with locks.simple(name, lease_seconds=0.01) as first, locks.simple(name, wait_seconds=5) as second:
        with transaction.atomic():
            fence.check(first)  # its lease ran out, but there was no write since: no harm
        for _ in range(2):
            with transaction.atomic():
                fence.check(second)

        @transaction.atomic
        def write_late() -> None:
            make_tenant(slug="late")
            fence.check(first)

        with pytest.raises(fence.Overtaken):
            write_late()
    assert first.lost.is_set()
    assert not Tenant.objects.filter(slug="late").exists()
    assert Fence.objects.get(name=name).token == second.fencing_token


def test_a_fence_outside_a_transaction_is_a_mistake(name: str) -> None:
    with locks.simple(name) as lock, pytest.raises(transaction.TransactionManagementError):
        fence.check(lock)


def test_a_guarded_block_without_a_lock_is_only_a_transaction(name: str) -> None:
    with fence.guarded(name):
        make_tenant(slug="plain")
    assert Tenant.objects.filter(slug="plain").exists()
    assert not Fence.objects.filter(name=name).exists()


def test_a_process_stopped_past_its_lease_writes_nothing_when_it_goes_on(name: str) -> None:
    with other_process(name) as late:
        late.send_signal(signal.SIGSTOP)
        with locks.simple(name, wait_seconds=10), fence.guarded(name):
            make_tenant(slug="in-time")
        late.send_signal(signal.SIGCONT)
        go(late)
        assert line(late) == "Overtaken"
    assert list(Tenant.objects.filter(slug__in=["late", "in-time"]).values_list("slug", flat=True)) == ["in-time"]


def test_a_process_stopped_before_its_commit_does_not_hold_up_the_next_one(name: str) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has one writer at a time: whoever stops in a transaction stops all")
    with other_process(name, "stops in between") as late:
        go(late)
        assert line(late) == "shown"
        late.send_signal(signal.SIGSTOP)
        with locks.simple(name, wait_seconds=30), fence.guarded(name):
            make_tenant(slug="in-time")  # while the other one is still stopped
        late.send_signal(signal.SIGCONT)
        go(late)
        assert line(late) in ("OperationalError", "InterfaceError", "InternalError")
    assert list(Tenant.objects.filter(slug__in=["late", "in-time"]).values_list("slug", flat=True)) == ["in-time"]


def test_tokens_that_redis_gives_too_small_become_large_enough(name: str) -> None:
    """Redis lost its counter, and its clock stands before the largest token that was shown."""
    kept = redis.client().get(server._key("token"))
    try:
        with locks.simple(name) as lock:
            Fence.objects.create(name=name, token=lock.fencing_token + 60_000_000)
            with pytest.raises(fence.Overtaken), transaction.atomic():
                fence.check(lock)
        with locks.simple(name), fence.guarded(name):
            make_tenant(slug="in-time")
    finally:
        redis.client().set(server._key("token"), kept or 0)
