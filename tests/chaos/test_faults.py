"""Nothing is lost and nothing silently doubled, whatever fails.

`make chaos` strikes each fault CHAOS_STRIKES times and prints a table: fault, strikes, accepted, sent, unknown, lost, doubled.
"""

import os
import random
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.chaos.storm import Installation, Storm, wait
from tests.integration.customer import empty_queue, poll

STRIKES = int(os.environ.get("CHAOS_STRIKES", "1"))
OUTAGE_SECONDS = 1.5

Fault = Callable[[Installation], None]


def kill(name: str) -> Fault:
    def fault(at: Installation) -> None:
        at.stack.kill(name)
        at.stack.start(name)

    return fault


def end_in_order(name: str) -> Fault:
    def fault(at: Installation) -> None:
        at.stack.end(name)
        assert at.stack.processes[name].returncode == 0, at.stack.log_tail(name)
        at.stack.start(name)

    return fault


def outage(name: str, *, by: str = "kill") -> Fault:
    def fault(at: Installation) -> None:
        getattr(at.services[name], by)()
        wait(OUTAGE_SECONDS)
        at.services[name].start()

    return fault


def freeze_worker(at: Installation) -> None:
    """Stopped longer than its lease, then resumed: what it writes late must not undo what others did."""
    at.stack.kill("worker", signal.SIGSTOP)
    at.stack.start("worker", label="worker-2")
    wait(7)  # the lease is five seconds here
    at.stack.kill("worker", signal.SIGCONT)
    at.stack.end("worker-2")
    del at.stack.processes["worker-2"]


def purge_queue(at: Installation) -> None:
    empty_queue(at.stack, "message.send")


def flush_redis(at: Installation) -> None:
    import redis

    redis.Redis.from_url(at.services["redis"].url).flushall()


def cut_database_connections(at: Installation) -> None:
    others = "pid <> pg_backend_pid() AND backend_type = 'client backend'"
    with psycopg.connect(at.services["postgresql"].url, autocommit=True) as connection:
        connection.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}")  # type: ignore[arg-type]


def second_feeder_and_beat(at: Installation) -> None:
    at.stack.start("worker-aux", label="worker-aux-2")
    at.stack.start("beat", label="beat-2")
    wait(3)
    at.stack.kill("beat")  # the leader, perhaps
    at.stack.kill("worker-aux")
    at.stack.start("beat")
    at.stack.start("worker-aux")
    at.stack.end("worker-aux-2")
    at.stack.end("beat-2")
    del at.stack.processes["worker-aux-2"], at.stack.processes["beat-2"]


FAULTS: dict[str, Fault] = {
    "web killed": kill("web"),
    "worker killed": kill("worker"),
    "worker-aux killed while feeding": kill("worker-aux"),
    "beat killed": kill("beat"),
    "worker ended in order under load": end_in_order("worker"),
    "worker stopped past its lease and resumed": freeze_worker,
    "RabbitMQ killed and started": outage("rabbitmq"),
    "RabbitMQ stopped in order": outage("rabbitmq", by="stop"),
    "queue purged": purge_queue,
    "Redis killed and started": outage("redis"),
    "Redis flushed": flush_redis,
    "PostgreSQL killed and started": outage("postgresql"),
    "database connections cut": cut_database_connections,
    "two feeders, two beats": second_feeder_and_beat,
}


@pytest.fixture
def storm(installation: Installation, tmp_path: Path) -> Iterator[Storm]:
    storm = Storm(installation, tmp_path)
    yield storm
    storm.close()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", FAULTS)
def test_nothing_is_lost_or_doubled_when(storm: Storm, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    storm.strike(lambda: FAULTS[name](storm.installation), times=STRIKES)
    books = storm.close_the_books()
    with capsys.disabled():
        sys.stdout.write(f"\n{books.row(name, STRIKES)} ")
    assert books.accepted <= set(books.stored), "somebody was told 202 for a message that is not there"
    assert books.lost == set()
    assert books.doubled == set()
    assert set(books.taken) <= set(books.stored)
    assert {i for i, status in books.stored.items() if status in ("sent", "delivered")} <= set(books.taken)


@pytest.mark.timeout(300)
def test_a_provider_that_answers_anything_but_yes_is_neither_believed_nor_asked_twice_blindly(storm: Storm) -> None:
    answers: list[dict[str, Any]] = [
        {"status": 500},
        {"status": 429, "headers": {"Retry-After": "1"}},
        {"action": "hang", "taken": True},
        {"action": "reset", "taken": False},
        {"action": "garbage", "taken": False},
    ]

    def misbehave() -> None:
        answer = {**random.choice(answers), "times": 3}
        storm.customer.http.pool.request("POST", storm.recorder.url.replace("/send", "/script"), json=answer)

    storm.strike(misbehave, times=5 * STRIKES)
    books = storm.close_the_books()
    assert books.doubled == set()
    assert books.lost == set()


@pytest.mark.timeout(300)
def test_while_the_broker_is_away_messages_are_accepted_and_delivered_later(storm: Storm) -> None:
    rabbitmq = storm.installation.services["rabbitmq"]
    rabbitmq.kill()
    try:
        accepted = [storm.customer.send() for _ in range(30)]
    finally:
        rabbitmq.start()
    for message_id in accepted:
        assert storm.customer.settled(message_id, seconds=90)["status"] == "sent"


@pytest.mark.timeout(300)
def test_while_the_database_is_away_a_503_with_retry_after_comes_at_once(storm: Storm) -> None:
    storm.customer.send()
    postgresql = storm.installation.services["postgresql"]
    postgresql.kill()
    try:
        answer = storm.customer.http.pool.request(
            "POST",
            f"{storm.customer.http.base_url}/api/messages/",
            json={"channel": "sms", "recipient": "+8613812345678", "body": "x"},
            headers={"Authorization": f"Bearer {storm.customer.http.api_key}"},
            timeout=5.0,
        )
        assert answer.status == 503
        assert int(answer.headers["Retry-After"]) >= 1
    finally:
        postgresql.start()
    poll(lambda: storm.customer.http.get("/health").status == 200, seconds=60)
    storm.customer.settled(storm.customer.send(), seconds=60)
