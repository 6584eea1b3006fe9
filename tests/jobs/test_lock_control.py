"""Locks over the API: seen and released by force, by operators only."""

from contextlib import suppress

import pytest

from accounts.models import AuditEntry
from jobs.services.lock_control import force_release
from posthaste.lib import locks
from posthaste.lib.ids import new_id
from tests.builders import TESTER, json_of, make_api, make_tenant

pytestmark = pytest.mark.django_db


@pytest.fixture
def name() -> str:
    return f"test-{new_id().hex}"


def test_the_operator_sees_a_lock_and_releases_it_with_an_entry_in_the_trail(name: str) -> None:
    api = make_api(make_tenant(is_operator=True))
    with locks.simple(name, lease_seconds=30) as lock:
        (seen,) = [entry for entry in json_of(api.get("/api/locks/")) if entry["name"] == name]
        assert (seen["owner"], seen["fencing_token"], seen["count"], seen["waiters"]) == (lock.owner, lock.fencing_token, 1, 0)
        freed = api.post("/api/locks/release/", {"name": name})
        assert freed.status_code == 200
        assert json_of(freed)["owner"] == lock.owner
        with locks.simple(name):
            pass
        assert lock.lost.wait(5)
    entry = AuditEntry.objects.get(action="lock.force_release")
    assert (entry.target, entry.detail["owner"]) == (name, lock.owner)
    assert entry.actor.startswith("key:")


def test_a_lock_that_nobody_holds_is_not_found(name: str) -> None:
    answer = make_api(make_tenant(is_operator=True)).post("/api/locks/release/", {"name": name})
    assert answer.status_code == 404
    assert not AuditEntry.objects.exists()


def test_a_process_that_dies_after_it_freed_a_lock_leaves_its_entry(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    free = locks.force_release

    def free_and_die(name: str) -> None:
        free(name)
        raise KeyboardInterrupt

    monkeypatch.setattr(locks, "force_release", free_and_die)
    with suppress(locks.LockLost), locks.simple(name, lease_seconds=30):
        with pytest.raises(KeyboardInterrupt):
            force_release(name=name, by=TESTER)
        assert all(held.name != name for held in locks.held())
    assert AuditEntry.objects.get(action="lock.force_release").target == name


def test_other_tenants_and_keys_without_the_scope_see_nothing_and_a_sandbox_key_releases_nothing(name: str) -> None:
    operator = make_tenant(is_operator=True)
    with locks.simple(name) as lock:
        for api, status in ((make_api(make_tenant()), 404), (make_api(operator, "messages:read"), 403)):
            assert api.get("/api/locks/").status_code == status
            assert api.post("/api/locks/release/", {"name": name}).status_code == status
        assert make_api(operator, kind="sandbox").post("/api/locks/release/", {"name": name}).status_code == 403
        lock.check()
