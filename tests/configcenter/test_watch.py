"""Publish here, in force there: with real processes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from accounts.models import AuditEntry, Tenant
from accounts.services.tenants import TenantInUse, delete_tenant
from configcenter import hot, selectors
from configcenter.models import ConfigItem, ConfigRelease
from configcenter.services import instances, items, loading, releases
from posthaste import env
from posthaste.env import ROOT
from posthaste.lib import redis
from tests.builders import actor, make_message, make_tenant, poll
from tests.peers.instance import APART, DEAF, Watching

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_stacks]
HOW: dict[str, Any] = {"comment": "", "by": actor("user:ada")}


def database_url() -> str:
    """Return the address of the test's own database, for other processes."""
    name = str(connection.settings_dict["NAME"])
    return f"{env.load().database_url.rpartition('/')[0]}/{name}" if env.load().is_postgresql else f"sqlite:///{name}"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Watching]]:
    made: list[Watching] = []

    def start(*kinds: str, **environment: str) -> Watching:
        settings = {"DATABASE_URL": database_url(), "DATA_DIR": str(tmp_path), **environment}
        made.append(Watching(*kinds, environment=settings))
        poll(made[-1].are_up, what=f"{', '.join(kinds)} are up")
        return made[-1]

    yield start
    for watching in made:
        watching.end()
    forget_instances()


def forget_instances() -> None:
    """Those of a test before, perhaps in another file, have told that they live for seconds to come."""
    for name in redis.client().scan_iter(match=redis.key("config-instance*")):
        redis.client().delete(name)


def pools() -> ConfigItem:
    return items.module_item("thread_pools")


def text(threads: int) -> str:
    return orjson.dumps({"min_threads": threads, "max_threads": threads + APART}).decode()


def publish(threads: int) -> ConfigRelease:
    return releases.publish(item=pools(), content=text(threads), **HOW)


def standing() -> Any:
    return selectors.module_state("thread_pools")


def test_every_publish_reaches_every_process_and_nobody_reads_half_of_it(start: Callable[..., Watching]) -> None:
    forget_instances()
    five = start(*(f"trial-{number}" for number in range(5)))
    lags = []
    for number in range(1, 21):
        publish(100 + number)
        published = time.time()
        seen = poll(lambda number=number: five.all_saw(number), what=f"version {number} in five processes")  # type: ignore[misc]
        lags.append(seen - published)
    assert five.torn() == 0
    assert sorted(lags)[10] < 0.2, lags
    state = poll(lambda: (found := standing()).running == 5 and found, what="all five have told")
    assert (state.expected, state.number, state.errors) == (5, 20, {})
    assert state.slowest_ms is not None
    told = instances.live()
    assert {instance.source for instance in told} == {"database"}
    assert len({instance.pid for instance in told}) == 5


def test_gray_releases_reach_their_instances_and_leave_all_of_them(start: Callable[..., Watching]) -> None:
    publish(101)
    two = start("a,zone=a", "b,zone=b,canary=yes")
    gray = releases.start_gray(item=pools(), content=text(102), labels=["zone=b"], percent=0, **HOW)
    poll(lambda: two.seen_at("b", gray.number), what="the gray release is where its label is")
    state = poll(lambda: (found := standing()).on_gray == 1 and found.running == 2 and found, what="both have told")
    assert (two.seen_at("a", gray.number), state.expected) == (0.0, 2)
    releases.widen_gray(item=pools(), labels=[], percent=100, by=actor("user:ada"))
    poll(lambda: two.seen_at("a", gray.number), what="widened, it is everywhere")
    abandoned = releases.abandon_gray(item=pools(), **HOW)
    poll(lambda: two.all_saw(abandoned.number), what="abandoned, it has left everybody")
    gray = releases.start_gray(item=pools(), content=text(103), labels=["zone=a"], percent=0, **HOW)
    poll(lambda: two.seen_at("a", gray.number), what="another one")
    promoted = releases.promote_gray(item=pools(), **HOW)
    poll(lambda: two.all_saw(promoted.number), what="promoted, it is everywhere")
    poll(lambda: standing().running == 2, what="all run the released version")


def test_instances_tell_which_overrides_they_run_and_drop_those_of_a_deleted_tenant(start: Callable[..., Watching]) -> None:
    forget_instances()
    shop, other = make_tenant("Shop"), make_tenant("Other")
    for tenant in (shop, other):
        releases.publish(item=items.module_item("retry_policy", tenant=tenant), content='{"max_retries": 1}', **HOW)
    start("a,zone=a", DEAF)
    mine, theirs = (instances.key_of("retry_policy", tenant.pk) for tenant in (shop, other))

    def told() -> dict[str, int]:
        return {key: version.number for each in instances.with_overrides(instances.live()) for key, version in each.overrides.items()}

    poll(lambda: told() == {mine: 1, theirs: 1}, what="the one that has Redis has told of both")
    releases.start_gray(
        item=items.module_item("retry_policy", tenant=shop), content='{"max_retries": 2}', labels=["zone=a"], percent=0, **HOW
    )
    poll(lambda: told() == {mine: 2, theirs: 1}, what="the gray release of one is told")
    assert [version.number for each in instances.with_overrides(instances.live(), [mine]) for version in each.overrides.values()] == [2]
    loading.apply_released()
    assert hot.module("retry_policy").of(shop.pk).max_retries == 1  # this process has no such label
    slug = shop.slug
    assert f"retry_policy@{slug}" in selectors.reported_instances()[0]["overrides"]
    delete_tenant(tenant=shop, by=actor("user:ada"))
    poll(lambda: told() == {theirs: 1}, what="nothing of the deleted tenant is left")
    loading.apply_released()
    assert set(hot.module("retry_policy").now.by_tenant) == {other.pk}


def test_a_tenant_that_has_sent_something_is_not_deleted_and_keeps_its_overrides() -> None:
    tenant = make_tenant("Shop")
    make_message(tenant)
    item = items.module_item("retry_policy", tenant=tenant)
    releases.publish(item=item, content='{"max_retries": 1}', **HOW)
    with pytest.raises(TenantInUse):
        delete_tenant(tenant=tenant, by=actor("user:ada"))
    item.refresh_from_db()
    assert item.current is not None
    empty = make_tenant("Empty", slug="empty")
    drawer = items.default_namespace(empty)
    items.create_item(namespace=drawer, group="G", data_id="d", format="text", by=actor("user:ada"))
    with pytest.raises(CommandError):
        call_command("delete_tenant", "empty")
    call_command("delete_tenant", "empty", "--yes", stdout=StringIO())
    assert not Tenant.objects.filter(slug="empty").exists()
    assert AuditEntry.objects.filter(action="tenant.delete", target="empty").exists()


def test_a_lost_notice_is_made_good_within_five_seconds(start: Callable[..., Watching]) -> None:
    """Redis is away for one; the other hears nothing because the publisher is killed between commit and notice."""
    pools()
    program = (
        "import os, signal, django; django.setup()\n"
        "from accounts.services.audit import Actor\n"
        "from configcenter.services import changes, items, releases\n"
        "changes.notify = lambda revision: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"releases.publish(item=items.module_item('thread_pools'), content='{text(110)}', comment='', by=Actor.command('test'))\n"
    )
    settings = {"DJANGO_SETTINGS_MODULE": "posthaste.settings", "DATABASE_URL": database_url()}
    two = start(DEAF, "well")
    killed = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env={**os.environ, **settings}, check=False)
    ended = time.time()
    assert killed.returncode == -signal.SIGKILL
    assert pools().current is not None
    assert poll(lambda: two.all_saw(1), what="both have asked by themselves") - ended < 5


def test_a_process_without_its_database_starts_from_the_last_snapshot_and_says_so(start: Callable[..., Watching], tmp_path: Path) -> None:
    publish(150)
    loading.apply_released()
    (tmp_path / "configuration.json").write_bytes(loading.snapshot_path().read_bytes())
    lonely = start("lonely", DATABASE_URL="sqlite:////no/such/folder/database")
    assert lonely.sources() == {"lonely": "snapshot"}
    assert lonely.said[0] == ["lonely", "source", "snapshot", str(150 + APART)]
    (told,) = poll(instances.live, what="it tells")
    assert (told.kind, told.source, told.versions["thread_pools"].number) == ("lonely", "snapshot", 1)


def test_a_snapshot_that_cannot_be_read_harms_nobody() -> None:
    loading.snapshot_path().write_text("{ half a")
    assert loading.loader.load_snapshot() is False
    publish(150)
    assert loading.apply_released() is True
    assert orjson.loads(loading.snapshot_path().read_bytes())["rows"][0]["data_id"] == "thread_pools"
    loading.forget()
    hot.reset()
    assert loading.loader.load_snapshot() is True
    assert hot.module("thread_pools").value.max_threads == 150 + APART
    assert loading.loader.state.source == "snapshot"
