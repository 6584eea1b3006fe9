"""Locks of several processes, and what becomes of them when a process or Redis dies."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis as Client

from benchmarks import locks_proof
from posthaste.env import ROOT
from posthaste.lib import locks, redis
from posthaste.lib.ids import new_id
from posthaste.lib.locks import NotAcquired
from tests import packages
from tests.services import Redis, Valkey

HOLD = """
import sys
from posthaste.lib import locks
with locks.simple(sys.argv[1], lease_seconds=float(sys.argv[2])) as lock:
    print(lock.fencing_token, flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def name() -> str:
    return f"test-{new_id().hex}"


@pytest.fixture
def own_redis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Redis]:
    """Start a server for the locks that the test may damage."""
    server = (Redis if packages.redis_server() else Valkey)(tmp_path)
    client = Client.from_url(server.url, socket_timeout=2.0)
    monkeypatch.setattr(redis, "client", lambda: client)
    try:
        yield server.start()
    finally:
        client.close()
        server.stop()


def test_not_one_increment_of_many_processes_is_lost() -> None:
    proof = locks_proof.prove(processes=10, each=50)
    assert proof.number == proof.expected == 500
    assert proof.max_inside == 1
    assert proof.tokens == sorted(set(proof.tokens))


def test_the_lock_of_a_killed_holder_goes_to_the_next_one_after_its_lease(name: str) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, name, "1.5"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ
    )
    assert holder.stdout
    token = int(holder.stdout.readline())
    killed_at = time.monotonic()
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    with pytest.raises(NotAcquired), locks.simple(name):
        pytest.fail("its lease had not run out")
    with locks.simple(name, wait_seconds=10) as lock:
        assert lock.fencing_token > token
    assert time.monotonic() - killed_at > 1.0, "not before its lease has run out"


def test_a_holder_learns_that_redis_came_back_without_its_lock(name: str, own_redis: Redis) -> None:
    with locks.simple(name) as lock:
        own_redis.kill()
        for entry in own_redis.folder.iterdir():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        own_redis.start()
        with locks.simple(name) as second:  # Redis knows of no holder
            assert second.fencing_token > lock.fencing_token, "the fence keeps the first one out"
            assert lock.lost.wait(5)
        with pytest.raises(locks.LockLost):
            lock.check()


def test_a_lock_that_redis_kept_over_a_restart_is_still_held(name: str, own_redis: Redis) -> None:
    with locks.simple(name) as lock:
        own_redis.restart()
        with pytest.raises(NotAcquired), locks.simple(name):
            pytest.fail("two hold the lock")
        lock.check()


def test_who_waits_goes_on_waiting_over_a_restart(name: str, own_redis: Redis) -> None:
    with locks.simple(name, lease_seconds=0.5):
        own_redis.kill()
        own_redis.start()
        with locks.simple(name, wait_seconds=10):
            pass


def test_a_holder_knows_that_its_lease_ran_out_while_redis_is_away(name: str, own_redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "RENEWED_LEASE_SECONDS", 0.6)
    with locks.simple(name) as lock:
        own_redis.kill()
        assert lock.lost.wait(5)
        with pytest.raises(locks.LockLost):
            lock.check()
