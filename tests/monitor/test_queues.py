"""The pages of queues, pools and instances: what they say, and what those with the right change."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEntry, ConfigRight, User
from configcenter.services import instances, items, releases
from configcenter.services.instances import Identity, State
from messaging.configuration import queues, thread_pools
from messaging.models import Status
from messaging.queueing import pool_control, queue_statistics
from messaging.queueing.pool_control import Decision
from messaging.queueing.queue_statistics import QueueStatistics
from monitor.queues import limits
from posthaste import __version__
from posthaste.env import ROOT
from posthaste.lib import heartbeat, process_notes, redis
from tests.builders import actor, make_message, make_tenant, poll

pytestmark = pytest.mark.django_db
POOL = "worker-1:7"
FIGURES: dict[str, Any] = {
    "active_count": 5,
    "completed_tasks": 12,
    "queue_usage_percent": 1.0,
    "queue_size": 9,
    "min_threads": 10,
    "max_threads": 100,
}


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    """Let no other test meet these pools and what waits for them."""
    yield
    for pool in queue_statistics.reported_pools():
        queue_statistics.forget_pool(pool["instance"])
    redis.client().delete(redis.key("waiting"), redis.key("pool-decisions"))


def staff(right: str) -> Client:
    client = Client()
    client.force_login(User.objects.create(username=f"ann {right}", is_staff=True, config_right=right))
    return client


def report(threads: int = 20) -> None:
    queue_statistics.report_pool(POOL, FIGURES | {"instance": POOL, "threads": threads}, alive_seconds=60)


def decision(**fields: Any) -> Decision:
    values: dict[str, Any] = {
        "at": 1_700_000_000.0,
        "instance": POOL,
        "before": 10,
        "threads": 20,
        "reason": "usage",
        "usage_percent": 81.5,
        "waiting": 8_150,
    }
    return Decision(**values | fields)


def test_each_decision_is_shown_with_its_reason_newest_first() -> None:
    report()
    pool_control.exchange(POOL, [decision(), decision(before=20, threads=15, reason="idle", usage_percent=3.0)])
    shown = staff(ConfigRight.VIEW).get(reverse("monitor-queues")).content.decode()
    assert POOL in shown
    assert "The queue is 81.5 % full: more threads." in shown
    assert shown.index("threads are idle: fewer threads") < shown.index("81.5 % full")


@pytest.mark.parametrize("entry", [b"{", b"[]", b'{"of": "another version"}'])
def test_a_decision_that_can_not_be_read_does_not_hide_the_others(entry: bytes) -> None:
    pool_control.exchange(POOL, [decision()])
    redis.client().lpush(redis.key("pool-decisions"), entry)
    assert "81.5 % full" in staff(ConfigRight.VIEW).get(reverse("monitor-queues")).content.decode()


def test_a_message_in_the_broker_that_is_not_taken_is_late_too() -> None:
    now = timezone.now()
    make_message(make_tenant(), status=Status.QUEUED, queued_at=now - timedelta(seconds=300))
    assert queue_statistics.waited_seconds(QueueStatistics(), now) == 300
    assert queue_statistics.waited_seconds(QueueStatistics(oldest_seconds=400.0), now) == 400


def test_only_the_last_decisions_are_kept() -> None:
    for _turn in range(3):
        pool_control.exchange(POOL, [decision()] * 60)
    assert len(pool_control.decisions()) == pool_control.KEPT


def filled(client: Client, **changed: str) -> dict[str, str]:
    """Return what a browser sends of the form that the page shows now, with these fields changed."""
    form = client.get(reverse("monitor-queues")).context["form"]
    shown = {name: str(form[name].value()) for _module, name in limits.FIELDS}
    return {"verb": "limits"} | {f"initial-{name}": value for name, value in shown.items()} | shown | changed


def test_the_limits_are_published_by_those_who_may() -> None:
    viewer = staff(ConfigRight.VIEW)
    wanted = filled(viewer, min_threads="5", max_threads="50", comment="less")
    assert viewer.post(reverse("monitor-queues"), wanted).status_code == 403
    assert staff(ConfigRight.PUBLISH).post(reverse("monitor-queues"), wanted).status_code == 302
    release = items.module_item("thread_pools").current
    assert release is not None
    assert '"max_threads": 50' in release.content
    assert release.comment == "less"
    assert items.module_item("queues").current is None  # nothing of it was changed
    entry = AuditEntry.objects.get(action="config.publish")
    assert entry.actor == f"user:ann {ConfigRight.PUBLISH}"


@pytest.mark.parametrize(
    ("changed", "said"),
    [({"min_threads": "0"}, "greater than or equal to 1"), ({"min_threads": "60"}, "Must not exceed the maximum threads")],
)
def test_wrong_limits_are_refused_under_their_field(changed: dict[str, str], said: str) -> None:
    client = staff(ConfigRight.PUBLISH)
    answer = client.post(reverse("monitor-queues"), filled(client, **{"min_threads": "5", "max_threads": "50"} | changed))
    assert answer.status_code == 422
    assert said in " ".join(answer.context["form"].errors["min_threads"])
    assert thread_pools.value.max_threads == 100


def test_limits_do_not_overwrite_a_draft() -> None:
    item = items.module_item("thread_pools")
    type(item).objects.filter(pk=item.pk).update(draft='{"max_threads": 70}', draft_version=1)
    client = staff(ConfigRight.PUBLISH)
    answer = client.post(reverse("monitor-queues"), filled(client, max_threads="50"))
    assert answer.status_code == 422
    assert "has a draft" in answer.content.decode()
    item.refresh_from_db()
    assert item.draft == '{"max_threads": 70}'


def in_force(module: str, name: str) -> Any:
    return json.loads(items.effective(items.module_item(module)))[name]


def test_limits_that_others_published_since_stay_and_are_not_overwritten() -> None:
    client = staff(ConfigRight.PUBLISH)
    seen = filled(client)
    item, by = items.module_item("thread_pools"), actor("user:other")
    releases.publish(item=item, content=json.dumps(json.loads(items.effective(item)) | {"max_threads": 77}), comment="", by=by)
    assert client.post(reverse("monitor-queues"), seen | {"queue_capacity": "10005"}).status_code == 302
    assert (in_force("thread_pools", "max_threads"), in_force("queues", "queue_capacity")) == (77, 10_005)
    answer = client.post(reverse("monitor-queues"), seen | {"max_threads": "101"})
    assert answer.status_code == 422
    assert "Meanwhile changed to 77" in answer.content.decode()
    assert in_force("thread_pools", "max_threads") == 77
    assert client.post(reverse("monitor-queues"), {"verb": "limits", "max_threads": "101"}).status_code == 422


def test_refused_limits_change_nothing_of_the_other_module() -> None:
    item = items.module_item("queues")
    type(item).objects.filter(pk=item.pk).update(draft='{"queue_capacity": 9999}', draft_version=1)
    client = staff(ConfigRight.PUBLISH)
    answer = client.post(reverse("monitor-queues"), filled(client, max_threads="101", queue_capacity="10005"))
    assert answer.status_code == 422
    assert in_force("thread_pools", "max_threads") == 100


def test_a_pool_is_held_and_let_go() -> None:
    report()
    client = staff(ConfigRight.PUBLISH)
    client.post(reverse("monitor-queues"), {"verb": "hold", "instance": POOL, "threads": "33", "minutes": "5"})
    assert pool_control.exchange(POOL, []) == 33
    assert "held at 33" in client.get(reverse("monitor-queues")).content.decode()
    client.post(reverse("monitor-queues"), {"verb": "release", "instance": POOL})
    assert pool_control.exchange(POOL, []) is None
    assert list(AuditEntry.objects.order_by("id").values_list("action", "target")) == [("pool.hold", POOL), ("pool.release", POOL)]


@pytest.mark.parametrize(("threads", "minutes"), [("0", "5"), ("5", "0"), ("9999999", "5"), ("5", "99999"), ("x", "5")])
def test_a_pool_is_held_only_within_bounds(threads: str, minutes: str) -> None:
    report()
    staff(ConfigRight.PUBLISH).post(reverse("monitor-queues"), {"verb": "hold", "instance": POOL, "threads": threads, "minutes": minutes})
    assert pool_control.exchange(POOL, []) is None
    assert not AuditEntry.objects.exists()


PAGES = ("monitor-queues", "monitor-instances", "config-limits", "config-locks", "dead-letters", "monitor", "admin:index")


@pytest.mark.parametrize(("end", "names"), [("stop", PAGES), ("freeze", PAGES[:1])])
def test_the_pages_answer_without_redis(own_redis: Any, settings: Any, end: str, names: tuple[str, ...]) -> None:
    settings.CACHES = {"default": settings.CACHES["default"] | {"LOCATION": own_redis.url_of(0)}}
    client = staff(ConfigRight.PUBLISH)
    User.objects.update(is_superuser=True)
    getattr(own_redis, end)()
    for page in names:
        answer = client.get(reverse(page))
        assert answer.status_code == 200, page
    assert "Redis is not responding" in client.get(reverse("monitor-queues")).content.decode()


def test_what_was_not_measured_is_not_shown_as_nothing() -> None:
    client = staff(ConfigRight.VIEW)
    redis.client().delete(redis.key("waiting"))
    answer = client.get(reverse("monitor-queues"))
    assert "was not measured" in answer.content.decode()
    assert next(row for row in answer.context["queues"] if row["name"] == "message.send")["depth"] is None
    redis.client().set(redis.key("waiting"), "40 2 0", ex=60)
    answer = client.get(reverse("monitor-queues"))
    assert "was not measured" not in answer.content.decode()
    assert answer.context["waiting"].total == 42


def test_a_nearly_full_queue_stands_out() -> None:
    redis.client().set(redis.key("waiting"), f"{queues.value.queue_capacity} 0 0", ex=60)
    rows = {row["name"]: row["is_nearly_full"] for row in staff(ConfigRight.VIEW).get(reverse("monitor-queues")).context["queues"]}
    assert [name for name, is_nearly_full in rows.items() if is_nearly_full] == ["message.send"]


def test_the_size_of_a_worker_is_changed_from_its_row() -> None:
    report()
    who = Identity(POOL.partition(":")[0], "send")
    instances.report(who=who, state=State(), started_at=timezone.now())
    place = f"{who.host}:{os.getpid()}"
    queue_statistics.report_pool(place, FIGURES | {"instance": place, "threads": 77}, alive_seconds=60)
    client = staff(ConfigRight.PUBLISH)
    shown = client.get(reverse("monitor-instances")).content.decode()
    address = f"{reverse('monitor-queues')}?{urlencode({'pool': place})}"
    assert f"{address}#hold" in shown
    assert client.get(address).context["chosen"]["threads"] == 77


def a_worker(kind: str = "aux") -> str:
    instances.report(who=Identity(socket.gethostname(), kind), state=State(), started_at=timezone.now())
    return f"{socket.gethostname()}:{os.getpid()}"


def test_a_worker_is_shut_down_once_its_name_was_typed() -> None:
    place = a_worker()
    client = staff(ConfigRight.PUBLISH)
    note = redis.key("process-note", "aux", place)
    assert client.post(reverse("monitor-instances"), {"instance": f"{place}:aux", "name": "x"}).status_code == 422
    assert not redis.client().exists(note)
    client.post(reverse("monitor-instances"), {"instance": f"{place}:aux", "name": place})
    assert redis.client().get(note) == process_notes.SHUTDOWN.encode()
    assert AuditEntry.objects.get().action == "instance.shutdown"


def test_a_server_is_not_shut_down_here() -> None:
    place = a_worker("web")
    client = staff(ConfigRight.PUBLISH)
    client.post(reverse("monitor-instances"), {"instance": f"{place}:web", "name": place})
    assert not AuditEntry.objects.exists()


def test_one_who_only_looks_is_offered_no_change() -> None:
    report()
    a_worker()
    client = staff(ConfigRight.VIEW)
    for page in ("monitor-queues", "monitor-instances"):
        shown = client.get(reverse(page)).content.decode()
        content = shown[shown.index('id="content"') : shown.index('id="panel"')]
        assert 'method="post"' not in content, page
        assert "Shut down" not in content, page
    assert client.post(reverse("monitor-instances"), {"instance": "x", "name": "x"}).status_code == 403


def test_a_process_ends_by_the_note_that_names_it_and_no_other() -> None:
    code = "import time; from posthaste.lib import heartbeat; heartbeat.start('aux'); time.sleep(90)"
    running = [subprocess.Popen([sys.executable, "-c", code], cwd=ROOT) for _process in range(2)]
    try:
        first, second = running
        process_notes.leave(kind="aux", host=socket.gethostname(), pid=first.pid, note=process_notes.SHUTDOWN)
        poll(lambda: renewed(first), what="the end of the process")
        assert first.returncode == -signal.SIGTERM
        assert second.poll() is None
    finally:
        for process in running:
            process.kill()
            process.wait()


def renewed(process: subprocess.Popen[bytes]) -> bool:
    """Keep the note fresh while the process starts, which may take longer than a note lasts; return whether it has ended."""
    if process.poll() is None:
        process_notes.leave(kind="aux", host=socket.gethostname(), pid=process.pid, note=process_notes.SHUTDOWN)
    return process.poll() is not None


def test_each_process_tells_its_memory_and_version() -> None:
    place = a_worker()
    heartbeat.report(heartbeat.look("aux", started_at=0.0))
    answer = staff(ConfigRight.VIEW).get(reverse("monitor-instances"))
    row = next(row for row in answer.context["rows"] if row["place"] == place)
    assert row["version"] == __version__
    assert row["memory_bytes"] > 1_000_000
