"""The sending pool grows under a backlog, falls back when idle, obeys limits that change while it works, and shares with others."""

import time
from collections.abc import Iterator
from typing import Any

import orjson
import psycopg
import pytest
import redis
from kombu.connection import Connection

from posthaste.lib import queues
from tests.integration.customer import Customer, what_waits
from tests.integration.stack import Stack
from tests.integration.waiting import poll, reach
from tests.peers.gateway import Gateway

DEFAULTS = {
    "queue_capacity": 10_000,
    "cooldown_seconds": 2.0,
    "min_threads": 10,
    "max_threads": 100,
    "grow_above_drain_seconds": 10.0,
    "grow_above_age_seconds": 10.0,
}


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with Gateway(latency_ms=20, keep_bodies=False) as running:
        yield running


@pytest.fixture
def customer(stack: Stack, gateway: Gateway) -> Iterator[Customer]:
    """Make a customer of the gateway; the pool has its ten threads before and after, and its usual limits."""
    made = Customer(stack)
    made.gateway(gateway, config={"timeout_seconds": 25})
    with redis.Redis.from_url(stack.environment["REDIS_URL"]) as client:  # what caps of earlier tests let work
        client.delete(f"{stack.environment['REDIS_PREFIX']}:useful_threads")
    at_rest(stack, made)
    yield made
    made.cancel_all()  # what a test that failed has left is none of the next one's
    at_rest(stack, made)


def at_rest(stack: Stack, customer: Customer) -> None:
    """Put the pool back at once, where falling back in steps takes a quarter of a minute."""
    set_limits(stack, min_threads=10, max_threads=10)
    poll(lambda: pool(customer)["threads"] == 10, reason=lambda: f"the pool does not obey its limits: {why(stack)}")
    set_limits(stack, **DEFAULTS)


def set_limits(stack: Stack, **limits: Any) -> float:
    """Publish limits, as an operator does, and return the time at which the publish was answered."""
    in_queues = {name: value for name, value in limits.items() if name == "queue_capacity"}
    if in_queues:
        stack.publish("queues", **in_queues)
    if rest := limits.keys() - in_queues.keys():
        stack.publish("thread_pools", **{name: limits[name] for name in rest})
    return time.monotonic()


def realtime(customer: Customer) -> dict[str, Any]:
    found: dict[str, Any] = customer.http.get("/api/messages/statistics/realtime").json()
    return found


def pool(customer: Customer) -> dict[str, Any]:
    """Return the figures of all pools together, as the statistics show them."""
    found: dict[str, Any] = realtime(customer)["pool"]
    return found


def reported_by_workers(stack: Stack) -> list[dict[str, Any]]:
    """Return what each running worker told last, without the way through the API."""
    pids = {str(process.pid) for name, process in stack.processes.items() if stack.is_running(name)}
    with redis.Redis.from_url(stack.environment["REDIS_URL"]) as client:
        names = list(client.scan_iter(match=f"{stack.environment['REDIS_PREFIX']}:pool:*", count=10_000))
        told = [orjson.loads(value) for value in client.mget(names) if value] if names else []
    return [figures for figures in told if figures["instance"].rpartition(":")[2] in pids]


def the_pool(stack: Stack) -> dict[str, Any]:
    """Return what the one worker told last; on a machine that stood still for a moment, what it tells next."""
    told: list[dict[str, Any]] = poll(lambda: reported_by_workers(stack), every=0.02, reason=lambda: why(stack))
    return told[0]


def steps(stack: Stack, since: float) -> list[int]:
    """Return by how many threads the pool grew and shrank, in the order of its decisions since a time."""
    with redis.Redis.from_url(stack.environment["REDIS_URL"]) as client:
        told = [orjson.loads(entry) for entry in client.lrange(f"{stack.environment['REDIS_PREFIX']}:pool-decisions", 0, -1)]
    return [decision["threads"] - decision["before"] for decision in reversed(told) if decision["at"] >= since]


def both_pools(stack: Stack) -> list[dict[str, Any]]:
    """Return what two workers told last."""
    return poll(lambda: len(told := reported_by_workers(stack)) == 2 and told, reason=lambda: why(stack))  # type: ignore[no-any-return]


def why(stack: Stack) -> str:
    """Return what the pools see and what there is."""
    return f"{reported_by_workers(stack)}\n{what_waits(stack)}\n{stack.log_tail('worker', 40)}\n{stack.log_tail('worker-aux', 20)}"


def forget_what_waits(stack: Stack) -> None:
    with redis.Redis.from_url(stack.environment["REDIS_URL"]) as client:
        client.delete(f"{stack.environment['REDIS_PREFIX']}:waiting")


def is_counted(stack: Stack) -> bool:
    """Return whether what waits was counted since it was forgotten."""
    with redis.Redis.from_url(stack.environment["REDIS_URL"]) as client:
        return bool(client.exists(f"{stack.environment['REDIS_PREFIX']}:waiting"))


def ready_tasks(stack: Stack) -> int:
    """Count the tasks that the broker has and no worker."""
    url = stack.environment["BROKER_URL"]
    with Connection(url) as connection:
        return int(connection.default_channel.queue_declare(queues.SEND, passive=True).message_count)


@pytest.mark.both_stacks
def test_the_pool_grows_under_a_backlog_and_falls_back_in_its_steps(stack: Stack, customer: Customer, gateway: Gateway) -> None:
    gateway.latency_ms = 100  # so that the backlog outlasts the growth on any machine
    set_limits(stack, queue_capacity=500, cooldown_seconds=0.5, max_threads=40)
    began = time.time()
    batch_id = customer.send_batch(2_500)
    poll(
        lambda: the_pool(stack)["threads"] == 40,
        progress=lambda: (the_pool(stack)["threads"], len(gateway.taken)),
        reason=lambda: f"did not grow: {why(stack)}",
    )
    assert pool(customer)["active_count"] <= 40
    batch = customer.finished(batch_id)
    assert batch["counts"]["sent"] == 2_500
    assert gateway.doubles() == {}
    poll(lambda: the_pool(stack)["threads"] == 10, reason=lambda: why(stack))
    poll(lambda: sum(steps(stack, began)) == 0, reason=lambda: f"there and back: {steps(stack, began)}")
    taken = steps(stack, began)
    assert (max(taken), min(taken)) == (10, -5), "in steps of the size that is configured, or of what a limit leaves of it"
    assert pool(customer)["completed_tasks"] > 0


def test_a_short_queue_that_takes_long_makes_the_pool_grow_too(stack: Stack, customer: Customer, gateway: Gateway) -> None:
    """900 of 10,000 are 9 %; but at 10 threads and 500 ms they take three quarters of a minute."""
    gateway.latency_ms = 500
    set_limits(stack, cooldown_seconds=0.5, grow_above_age_seconds=0)
    batch_id = customer.send_batch(900)
    poll(lambda: the_pool(stack)["threads"] >= 20)
    assert pool(customer)["queue_usage_percent"] < 20
    assert customer.finished(batch_id)["counts"]["sent"] == 900


def test_the_pool_does_not_grow_past_what_the_providers_cap_lets_through(stack: Stack, gateway: Gateway) -> None:
    """10 a second at 20 ms keep one thread busy: a hundred would only wait for their turns.

    A loaded machine makes a call take longer, and more threads then are of use: fifty, were it four seconds. Without the bound it would
    be a hundred soon.
    """
    customer = Customer(stack)
    customer.gateway(gateway, caps={"per_second": 10})
    for _ in range(5):  # so that it is known how long a call takes
        customer.settled(customer.send())
    batch_id = customer.send_batch(1_000)
    try:
        set_limits(stack, queue_capacity=100, cooldown_seconds=0.5)
        # Before the feeder has seen where the messages go it may take some steps.
        poll(lambda: len(gateway.taken) > 25 and the_pool(stack)["threads"] <= 50, progress=lambda: len(gateway.taken))
        then = len(gateway.taken)
        while len(gateway.taken) < then + 60:  # six seconds, and a step each half second
            assert the_pool(stack)["threads"] <= 50
        assert pool(customer)["queue_usage_percent"] > 80
    finally:
        customer.http.post(f"/api/batches/{batch_id}/cancel/")
        set_limits(stack, **DEFAULTS)


def test_what_waits_is_counted_while_a_backlog_is_fed_and_no_beat_runs(stack: Stack, gateway: Gateway) -> None:
    """Ten messages a second let a backlog stand for minutes; a feeder works for half a minute at a time."""
    customer = Customer(stack)
    customer.gateway(gateway, caps={"per_second": 10})
    batch_id = customer.send_batch(1_000)
    try:
        reach(lambda: len(gateway.taken), 20)
        stack.kill("beat")
        taken = len(gateway.taken)
        for _ in range(2):
            forget_what_waits(stack)
            poll(lambda: is_counted(stack), progress=lambda: len(gateway.taken), reason=lambda: why(stack))
        assert len(gateway.taken) - taken < 150, "within fifteen seconds, counted in messages"
    finally:
        stack.start("beat")
        customer.http.post(f"/api/batches/{batch_id}/cancel/")


def test_a_pool_that_can_not_know_what_waits_keeps_to_what_it_knew(stack: Stack, customer: Customer, gateway: Gateway) -> None:
    gateway.latency_ms = 400
    set_limits(stack, queue_capacity=200, cooldown_seconds=0.25, max_threads=20)
    batch_id = customer.send_batch(1_000)
    poll(lambda: the_pool(stack)["threads"] == 20 and the_pool(stack)["queue_usage_percent"] > 80, reason=lambda: why(stack))
    stack.kill("worker-aux")
    try:
        forget_what_waits(stack)
        # What the broker had is sent, and nothing feeds it; so nothing is busy, and a pool that took this for an empty queue would shrink.
        poll(lambda: the_pool(stack)["active_count"] == 0, progress=lambda: len(gateway.taken), reason=lambda: why(stack))
        sent = len(gateway.taken)
        assert the_pool(stack)["queue_usage_percent"] > 80
        assert the_pool(stack)["threads"] == 20
        assert not is_counted(stack)
        assert sent < 1_000
    finally:
        stack.start("worker-aux")
        customer.http.post(f"/api/batches/{batch_id}/cancel/")


def test_new_limits_act_at_once_both_ways_under_load(stack: Stack, customer: Customer, gateway: Gateway) -> None:
    def within(limits: dict[str, int]) -> bool:
        threads = the_pool(stack)["threads"]
        return bool(limits.get("min_threads", 0) <= threads <= limits.get("max_threads", 100))

    gateway.latency_ms = 300  # so 60 threads send at most 200 a second
    batch_id = customer.send_batch(2_000)
    reach(lambda: len(gateway.taken), 51)
    for wanted in ({"min_threads": 60}, {"min_threads": 5, "max_threads": 15}, {"min_threads": 50, "max_threads": 50}):
        set_limits(stack, **wanted)
        taken = len(gateway.taken)
        poll(lambda now=wanted: within(now), every=0, progress=lambda: len(gateway.taken))  # type: ignore[misc]
        assert len(gateway.taken) - taken < 600, f"three seconds at most, counted in messages: {wanted}"
    poll(lambda: pool(customer)["threads"] == 50, reason="the statistics show it too")
    assert customer.finished(batch_id)["counts"]["sent"] == 2_000, "a change cut a send off"
    assert gateway.doubles() == {}


def test_promotion_drill_of_the_pool(stack: Stack, customer: Customer, gateway: Gateway) -> None:
    """10–100 becomes 30–200 under load: until then never above 100, from then on above it at once, and never below 30 after."""
    gateway.latency_ms = 400  # so 100 threads send at most 250 a second
    set_limits(stack, queue_capacity=200, cooldown_seconds=0.25, min_threads=10, max_threads=100)
    batch_id = customer.send_batch(6_000)
    poll(lambda: the_pool(stack)["threads"] == 100)
    then = len(gateway.taken)
    while len(gateway.taken) < then + 300:
        assert the_pool(stack)["threads"] == 100
    set_limits(stack, min_threads=30, max_threads=200)
    then = len(gateway.taken)
    poll(lambda: the_pool(stack)["threads"] > 100, every=0, progress=lambda: len(gateway.taken))
    assert len(gateway.taken) - then < 750, "three seconds at most, counted in messages"
    figures = the_pool(stack)
    assert (figures["min_threads"], figures["max_threads"]) == (30, 200)
    customer.http.post(f"/api/batches/{batch_id}/cancel/")
    poll(lambda: the_pool(stack)["threads"] <= 40, reason=lambda: why(stack))
    for _ in range(100):
        assert the_pool(stack)["threads"] >= 30
    assert gateway.doubles() == {}


def test_each_thread_has_one_task_and_what_is_not_yet_needed_stays_in_the_broker(
    stack: Stack, customer: Customer, gateway: Gateway
) -> None:
    """Urgent messages are a task each; the provider keeps all that it is asked for, so no task is acknowledged meanwhile."""
    if not stack.environment["BROKER_URL"].startswith("amqp"):
        pytest.skip("counts what RabbitMQ has handed out")
    waits = 60
    gateway.hold()
    set_limits(stack, grow_above_age_seconds=0, grow_above_drain_seconds=0)
    poll(lambda: the_pool(stack)["threads"] == 10)
    for _ in range(waits):
        customer.send(priority=10)
    poll(lambda: ready_tasks(stack) == waits - 10)
    set_limits(stack, min_threads=25)
    poll(lambda: ready_tasks(stack) == waits - 25, reason="never a task more than threads, and no thread without one")
    assert not customer.rows(status="sent"), "so the difference was handed out and not given back"
    gateway.release()
    customer.all_settled()


def test_a_hundred_threads_share_a_few_database_connections(stack: Stack, gateway: Gateway) -> None:
    if not stack.environment["DATABASE_URL"].startswith("postgres"):
        pytest.skip("SQLite has no connections to count")
    customer = Customer(stack)
    customer.gateway(gateway)
    pool_size = 8
    stack.environment |= {"PGAPPNAME": "hundred threads", "DATABASE_POOL_SIZE": str(pool_size)}
    try:
        stack.start("worker", label="hundred")
        both_pools(stack)
        set_limits(stack, min_threads=100)
        batch_id = customer.send_batch(3_000)
        most = 0
        with psycopg.connect(stack.environment["DATABASE_URL"], autocommit=True) as database:
            count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'hundred threads'"
            while customer.batch(batch_id)["status"] == "running":
                row = database.execute(count).fetchone()
                assert row
                most = max(most, row[0])
        assert all(told["threads"] == 100 for told in both_pools(stack))
        assert 0 < most <= pool_size
    finally:
        del stack.environment["PGAPPNAME"], stack.environment["DATABASE_POOL_SIZE"]
        set_limits(stack, **DEFAULTS)
        stack.end("hundred")
        del stack.processes["hundred"]


def test_two_workers_on_one_queue_share_the_work_and_double_nothing(stack: Stack, customer: Customer, gateway: Gateway) -> None:
    """Limits are those of a process: two have twice the threads, and the statistics add them up."""
    stack.start("worker", label="worker-2")
    try:
        both_pools(stack)
        before = {told["instance"]: told["completed_tasks"] for told in both_pools(stack)}
        set_limits(stack, min_threads=20, max_threads=20)
        poll(lambda: pool(customer)["threads"] == 40)
        batch = customer.finished(customer.send_batch(4_000))
        done = [told["completed_tasks"] - before[told["instance"]] for told in both_pools(stack)]
        assert batch["counts"]["sent"] == len(gateway.taken) == 4_000
        assert gateway.doubles() == {}
        assert min(done) > 0.1 * sum(done), "both do a share"
    finally:
        stack.end("worker-2")
        del stack.processes["worker-2"]
