"""The faults: each is given the storm it strikes in, and leaves everything running again."""

import json
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import psycopg
from kombu.connection import Connection

from tests.chaos.storm import Storm, wait
from tests.integration.customer import empty_queue, number, what_waits
from tests.integration.waiting import poll, reach
from tests.peers.slow_clients import SlowClients
from tests.services import RabbitMQ

Fault = Callable[[Storm], None]
OUTAGE_SECONDS = 1.5
CLOCK_JUMP_SECONDS = 300
SLOW_CLIENTS = 80
KNOWN_SECONDS = 4.0  # after this every web process has noticed an outage of the database: its connection time-out is three


# --- processes -----------------------------------------------------------------------------------------------


def kill(name: str) -> Fault:
    """At a random moment."""

    def fault(storm: Storm) -> None:
        storm.installation.stack.kill(name)
        storm.installation.stack.start(name)
        if name == "web":
            storm.installation.serves()

    return fault


def end_in_order(name: str) -> Fault:
    """SIGTERM, as in a deployment."""

    def fault(storm: Storm) -> None:
        storm.installation.end_in_order(name)
        storm.installation.stack.start(name)
        if name == "web":
            storm.installation.serves()

    return fault


def not_asked(storm: Storm) -> str:
    """Return what may be the reason that nothing reaches the provider."""
    stack = storm.installation.stack
    return f"the recorder was not asked\n{what_waits(stack)}\n{stack.log_tail('worker')}\n{stack.log_tail('worker-aux')}"


def kill_worker_while_it_sends(storm: Storm) -> None:
    """Kill the worker after the recorder was asked and before it answers."""
    before = len(storm.recorder.lines())
    storm.recorder.script(delay_ms=1500, times=3)
    reach(lambda: len(storm.recorder.lines()), before + 1, every=0.005, reason=lambda: not_asked(storm))
    kill("worker")(storm)


def kill_inside(name: str, change: str) -> Fault:
    """Kills a process while the database is at one of its changes.

    A trigger holds the change up until the process is dead. Then, in one case of two, the server goes on and commits for a
    client that is no more; in the other one the change dies as well.
    """

    def fault(storm: Storm) -> None:
        at = storm.installation
        held = "SELECT {} FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND wait_event = 'advisory'"
        with psycopg.connect(at.services["postgresql"].url, autocommit=True) as connection:
            surely(connection, HOLD.format(change=change))
            try:
                connection.execute("SELECT pg_advisory_lock(42)")
                poll(
                    lambda: at.sql(held.format("pid")),
                    progress=lambda: len(storm.recorder.lines()),
                    cap_seconds=240,
                    every=0.01,
                    reason=f"{name} did not come to its {change}",
                )
                at.stack.kill(name)
                if random.random() < 0.5:
                    at.sql(held.format("pg_terminate_backend(pid)"))
            finally:
                connection.execute("SELECT pg_advisory_unlock_all()")
                surely(connection, "DROP TRIGGER chaos ON messaging_message")
        at.stack.start(name)
        if name == "web":
            at.serves()

    return fault


def surely(connection: "psycopg.Connection[object]", statement: str) -> None:
    """Change the table's definition; under load that may end in a deadlock, and is tried again."""
    for _ in range(20):
        with suppress(psycopg.errors.DeadlockDetected):
            connection.execute(statement)
            return
    raise AssertionError("the table's definition could not be changed")


HOLD = """
CREATE OR REPLACE FUNCTION chaos() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN PERFORM pg_advisory_xact_lock_shared(42); RETURN NEW; END $$;
CREATE OR REPLACE TRIGGER chaos BEFORE {change} EXECUTE FUNCTION chaos();
"""
ACCEPT = "INSERT ON messaging_message FOR EACH ROW"
FEED = "UPDATE ON messaging_message FOR EACH ROW WHEN (OLD.status = 'pending' AND NEW.status = 'queued')"
CLAIM = "UPDATE ON messaging_message FOR EACH ROW WHEN (NEW.status = 'sending' AND OLD.status = 'queued')"
WRITE_RESULTS = "UPDATE ON messaging_message FOR EACH ROW WHEN (OLD.status = 'sending' AND NEW.status <> 'sending')"


def freeze_worker(storm: Storm) -> None:
    """Stop a worker for longer than its lease and resume it: what it writes late must not undo what others did."""
    at = storm.installation
    at.stack.kill("worker", signal.SIGSTOP)
    at.stack.start("worker", label="worker-2")
    wait(7)  # the lease is five seconds here
    at.stack.kill("worker", signal.SIGCONT)
    at.end_extra("worker-2")


def second_feeder_and_beat(storm: Storm) -> None:
    at = storm.installation
    at.stack.start("worker-aux", label="worker-aux-2")
    at.stack.start("beat", label="beat-2")
    wait(3)
    at.stack.kill("beat")  # the leader, perhaps
    at.stack.kill("worker-aux")
    at.stack.start("beat")
    at.stack.start("worker-aux")
    at.end_extra("worker-aux-2")
    at.end_extra("beat-2")


def faketime_library() -> Path | None:
    """Find libfaketime, which gives a process a clock of its own."""
    return next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)


def clock_jump(storm: Storm) -> None:
    """Set one worker's clock minutes ahead or back while another's is right; then kill it with claims in progress."""
    at = storm.installation
    library = faketime_library()
    assert library
    offset = at.stack.folder / "clock-offset"
    offset.write_text("+0")
    clock = {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    with environment(at.stack.environment, clock):
        at.stack.start("worker", label="worker-clock")
    said = partial(at.stack.log_tail, "worker-clock", 50)
    poll(lambda: "ready" in said(), progress=said, reason=said)
    offset.write_text(f"{random.choice('+-')}{CLOCK_JUMP_SECONDS}")
    wait(3)
    at.stack.kill("worker")  # so that the one with the wrong clock carries everything
    wait(3)
    at.stack.kill("worker-clock")
    at.end_extra("worker-clock")
    at.stack.start("worker")


@contextmanager
def environment(of: dict[str, str], more: dict[str, str]) -> Iterator[None]:
    """Have processes started with more variables."""
    of.update(more)
    try:
        yield
    finally:
        for name in more:
            del of[name]


# --- broker ---------------------------------------------------------------------------------------------------


def broker_outage(by: str) -> Fault:
    """Accept must go on answering 202."""

    def fault(storm: Storm) -> None:
        rabbitmq = storm.installation.services["rabbitmq"]
        getattr(rabbitmq, by)()
        wait(OUTAGE_SECONDS)
        accepted = len(storm.totals.accepted)
        reach(lambda: len(storm.totals.accepted), accepted + 21, reason=lambda: f"nothing is accepted: {storm.totals.refused}")
        rabbitmq.thaw() if by == "freeze" else rabbitmq.start()

    return fault


def refuse_the_login(storm: Storm) -> None:
    """As a broker does that is being set up: it is there and refuses every login."""
    rabbitmq = storm.installation.services["rabbitmq"]
    assert isinstance(rabbitmq, RabbitMQ)
    host = storm.installation.stack.environment["BROKER_URL"].rpartition("/")[2] or "/"
    rabbitmq.control("clear_permissions", "-p", host, "guest")
    rabbitmq.control("close_all_connections", "maintenance")
    accepted = len(storm.totals.accepted)
    reach(lambda: len(storm.totals.accepted), accepted + 21, reason=lambda: f"nothing is accepted: {storm.totals.refused}")
    rabbitmq.control("set_permissions", "-p", host, "guest", ".*", ".*", ".*")


@contextmanager
def without_a_worker(storm: Storm) -> Iterator[None]:
    """Have messages wait: a worker that keeps up takes each from the queue before anything can happen to it there."""
    storm.installation.end_in_order("worker")
    try:
        yield
    finally:
        storm.installation.stack.start("worker")


def purge_queue(storm: Storm) -> None:
    """As soon as something stands in it."""
    with without_a_worker(storm):
        poll(
            lambda: empty_queue(storm.installation.stack, "message.send"),
            progress=lambda: len(storm.totals.accepted),
            reason="nothing stands in the queue",
        )


def repeat_tasks(storm: Storm) -> None:
    """Every task is in the broker six times: while its messages wait, while they are being sent, and when they are sent."""
    recent = [row["trace_id"] for row in storm.customer.http.get("/api/messages/", limit=200).json()["results"]]
    answer = storm.customer.http.post("/api/messages/", {"channel": "sms", "recipient": number(), "body": "chaos"})
    if answer.status == 202:
        recent.append(answer.json()["trace_id"])
    with Connection(storm.installation.stack.environment["BROKER_URL"]) as connection, connection.Producer() as producer:
        for n in range(6 * len(recent)):
            identifiers = random.sample(recent, random.randint(1, min(5, len(recent)))) if n % 2 else [recent[n % len(recent)]]
            producer.publish(
                json.dumps([[identifiers], {}, {}]),
                exchange="posthaste",
                routing_key="message.send",
                content_type="application/json",
                content_encoding="utf-8",
                priority=5,
                headers={"task": "messaging.deliver", "id": os.urandom(16).hex(), "lang": "py", "argsrepr": "", "kwargsrepr": ""},
            )


# --- Redis ----------------------------------------------------------------------------------------------------


def redis_outage(by: str) -> Fault:
    def fault(storm: Storm) -> None:
        redis = storm.installation.services["redis"]
        getattr(redis, by)()
        wait(OUTAGE_SECONDS)
        redis.thaw() if by == "freeze" else redis.start()

    return fault


def flush_redis(storm: Storm) -> None:
    storm.installation.redis.flushall()


def restart_redis_empty(storm: Storm) -> None:
    redis = storm.installation.services["redis"]
    redis.kill()
    for path in [*redis.folder.rglob("*.aof"), *redis.folder.rglob("*.rdb"), *redis.folder.rglob("*.manifest")]:
        path.unlink()
    redis.start()


# --- database -------------------------------------------------------------------------------------------------


def database_outage(by: str) -> Fault:
    """Clients must be told 503 with Retry-After, and at once when it is known."""

    def fault(storm: Storm) -> None:
        postgresql = storm.installation.services["postgresql"]
        slack = 3 * max(how_long(storm) for _ in range(5))  # what this machine adds, as busy as it is now
        getattr(postgresql, by)()
        try:
            known_at = time.monotonic() + KNOWN_SECONDS
            while (began := time.monotonic()) < known_at + 1:
                status, retry_after = ask_for_a_202(storm)
                took = time.monotonic() - began
                assert status == 503, f"answered {status} without a database"
                assert int(retry_after) >= 1
                assert took < (1.0 if began > known_at else KNOWN_SECONDS) + slack, (
                    f"503 took {took:.1f} s, of which {slack:.1f} s may be the machine's"
                )
                wait(0.05)
        finally:
            postgresql.start()

    return fault


def how_long(storm: Storm) -> float:
    """Return the seconds that one call takes while all is well."""
    began = time.monotonic()
    ask_for_a_202(storm)
    return time.monotonic() - began


def ask_for_a_202(storm: Storm) -> tuple[int, str]:
    """Hand over a message and return the status and Retry-After."""
    http = storm.customer.http
    answer = http.post("/api/messages/", {"channel": "sms", "recipient": number(), "body": "chaos"})
    return answer.status, answer.headers.get("Retry-After", "0")


def cut_database_connections(storm: Storm) -> None:
    others = "pid <> pg_backend_pid() AND backend_type = 'client backend'"
    storm.installation.sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}")


def fill_the_disk(storm: Storm) -> None:
    """Statements fail with "No space left on device"; perhaps the server gives up altogether and has to be started again."""
    postgresql = storm.installation.services["postgresql"]
    ballast = postgresql.folder / "ballast"
    with suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1 << 20))
    full = "No space left on device"
    try:
        before = postgresql.log.read_text(errors="replace").count(full)
        poll(
            lambda: postgresql.log.read_text(errors="replace").count(full) > before,
            every=0.1,
            reason="the full disk was not noticed",
        )
        wait(OUTAGE_SECONDS)
    finally:
        ballast.unlink()
        if postgresql.process is None or postgresql.process.poll() is not None:
            postgresql.start()


# --- provider -------------------------------------------------------------------------------------------------


def provider(**answer: object) -> Fault:
    def fault(storm: Storm) -> None:
        before = len(storm.recorder.lines())
        storm.recorder.script(times=5, **answer)
        reach(lambda: len(storm.recorder.lines()), before + 5, reason=lambda: not_asked(storm))

    return fault


# --- receivers of webhooks ------------------------------------------------------------------------------------


def listener_outage(storm: Storm) -> None:
    """Kill the receiver while it is told of events, and start it again: what it missed is repeated."""
    storm.listener.kill()
    wait(OUTAGE_SECONDS)
    storm.listener.start()


def listener_hangs(storm: Storm) -> None:
    """Let the receiver take events and never answer, so that their outcome is unknown."""
    before = len(storm.listener.lines())
    storm.listener.script(action="hang", times=1)  # three strikes are three in a row: the pauses stay below the patience
    reach(lambda: len(storm.listener.lines()), before + 1, reason=lambda: not_told(storm))


def kill_aux_while_it_tells(storm: Storm) -> None:
    """Kill the worker after the receiver has taken events and before it answers."""
    before = len(storm.listener.lines())
    storm.listener.script(delay_ms=1500, times=3)
    reach(lambda: len(storm.listener.lines()), before + 1, every=0.005, reason=lambda: not_told(storm))
    kill("worker-aux")(storm)


def not_told(storm: Storm) -> str:
    """Return what may be the reason that no event is sent."""
    return f"the listener was told nothing\n{storm.installation.stack.log_tail('worker-aux')}"


# --- rows and clients -----------------------------------------------------------------------------------------


PLANT = """
UPDATE messaging_message SET expires_at = '10000-01-01 13:59:59+00' WHERE id IN (
    SELECT id FROM messaging_message WHERE status IN ('pending', 'queued') LIMIT 3 FOR UPDATE SKIP LOCKED) RETURNING id
"""


def plant_unreadable_rows(storm: Storm) -> None:
    """Write dates into waiting rows that the database stores and Python can't read: they are set aside, and the rest goes on."""
    with without_a_worker(storm):
        poll(lambda: storm.installation.sql(PLANT), progress=lambda: len(storm.totals.accepted), reason="nothing waits")


def slow_clients(storm: Storm) -> None:
    """Have eighty clients without a key send a byte now and then: others are accepted meanwhile."""
    with SlowClients(storm.installation.stack.base_url, SLOW_CLIENTS):
        accepted = len(storm.totals.accepted)
        reach(lambda: len(storm.totals.accepted), accepted + 61, reason=lambda: f"nothing is accepted: {storm.totals.refused}")


FAULTS: dict[str, Fault] = {
    "web killed while it accepts": kill_inside("web", ACCEPT),
    "web killed at any moment": kill("web"),
    "web ended in order (SIGTERM) under load": end_in_order("web"),
    "worker killed while it claims": kill_inside("worker", CLAIM),
    "worker killed while it sends": kill_worker_while_it_sends,
    "worker killed while it writes results": kill_inside("worker", WRITE_RESULTS),
    "worker killed at any moment": kill("worker"),
    "worker ended in order (SIGTERM) under load": end_in_order("worker"),
    "worker stopped past its lease and resumed": freeze_worker,
    "worker-aux killed while it feeds": kill_inside("worker-aux", FEED),
    "worker-aux killed at any moment": kill("worker-aux"),
    "worker-aux ended in order (SIGTERM) under load": end_in_order("worker-aux"),
    "beat killed": kill("beat"),
    "beat ended in order (SIGTERM)": end_in_order("beat"),
    "two feeders, two beats": second_feeder_and_beat,
    "a worker's clock jumps five minutes": clock_jump,
    "RabbitMQ killed and started": broker_outage("kill"),
    "RabbitMQ stopped in order and started": broker_outage("stop"),
    "RabbitMQ hangs": broker_outage("freeze"),
    "RabbitMQ lets nobody in": refuse_the_login,
    "queue purged": purge_queue,
    "the same tasks delivered many times": repeat_tasks,
    "Redis killed and started": redis_outage("kill"),
    "Redis hangs": redis_outage("freeze"),
    "Redis flushed": flush_redis,
    "Redis restarted empty": restart_redis_empty,
    "PostgreSQL restarted in order": database_outage("stop"),
    "PostgreSQL killed and started": database_outage("kill"),
    "database connections cut": cut_database_connections,
    "disk of PostgreSQL full": fill_the_disk,
    "provider hangs": provider(action="hang"),
    "provider resets the connection": provider(action="reset", taken=False),
    "provider answers 500": provider(status=500),
    "provider answers 429 with Retry-After": provider(status=429, headers={"Retry-After": "1"}),
    "provider answers garbage": provider(action="garbage", taken=False),
    "webhook receiver killed and back": listener_outage,
    "webhook receiver takes events and never answers": listener_hangs,
    "worker-aux killed while it sends webhooks": kill_aux_while_it_tells,
    "rows that can't be read": plant_unreadable_rows,
    "eighty clients that send a byte now and then": slow_clients,
}

#: One strike of each, in one storm, is what `make test` has time for. What takes longest to recover comes first.
TELLING = (
    "RabbitMQ killed and started",
    "PostgreSQL killed and started",
    "Redis restarted empty",
    "the same tasks delivered many times",
    "queue purged",
    "provider answers 429 with Retry-After",
    "provider hangs",
    "webhook receiver killed and back",
    "worker-aux killed while it sends webhooks",
    "worker-aux killed while it feeds",
    "worker killed while it claims",
    "worker killed while it sends",
    "worker killed while it writes results",
    "web ended in order (SIGTERM) under load",
    "rows that can't be read",
    "eighty clients that send a byte now and then",
)
