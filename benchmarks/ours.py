"""Our side: the product as it runs in production, and what a measurement asks of it."""

import json
import signal
import sys
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Self

import psycopg
import redis

from benchmarks.load import Load, drive
from benchmarks.rig import cpu_seconds, new_database, purge, resident_bytes
from benchmarks.waiting import TookTooLong, wait
from tests.integration.customer import Customer
from tests.integration.stack import Stack
from tests.services import RabbitMQ, Redis, Services

PREFIX = "bench"
SETTINGS = {"LOG_LEVEL": "warning", "LOG_FORMAT": "json"}
STILL_SECONDS = 0.05
STANDS_INSIDE = """SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
AND state = 'idle in transaction' AND state_change < clock_timestamp() - interval '40 ms'"""
# All three layers are asked, as in production, and are so wide that no measurement meets them.
WIDE_RULES = [
    {"name": "accept", "resource": "accept", "origin": "tenant", "per_second": 1_000_000, "at_once": 100_000, "in_window": 100_000_000}
]
QUEUES = {"queue_capacity", "max_backlog"}  # fields of that module; the others are those of the pool
BACKGROUND = ("worker", "worker-aux", "beat")
TEXT = '{"channel": "sms", "recipient": "+86138{n}", "body": "Your parcel is on its way."}'
TEXT_BATCH = '{"channel": "sms", "body": "Your parcel is on its way.", "recipients": [{rows}]}'
TEXT_ROW = '{"recipient": "+86138{n}"}'
MAIL_BATCH = '{"channel": "email", "subject": "Your order", "body": "It is on its way.", "recipients": [{rows}]}'
MAIL_ROW = '{"recipient": "u{n}@example.com"}'
BATCH_ROWS = 10_000
SECOND_WORKER = "worker-2"


class Ours:
    """The running product on a database, virtual host and Redis number of its own."""

    def __init__(self, services: Services, folder: Path, **environment: str) -> None:
        broker, store = services["rabbitmq"], services["redis"]
        assert isinstance(broker, RabbitMQ)
        assert isinstance(store, Redis)
        self.services = services
        self.database_url = new_database(services, "ours")
        self.broker_url = broker.url_of("stack")
        self.redis_url = store.url_of(1)
        servers = {"DATABASE_URL": self.database_url, "BROKER_URL": self.broker_url, "REDIS_URL": self.redis_url}
        folder = folder / "ours"
        folder.mkdir()
        # The waits of production instead of the tests' short ones.
        settings = {**servers, "REDIS_PREFIX": PREFIX, **SETTINGS, **environment}
        self.stack = Stack(settings, folder, configuration={"flow_rules": {"rules": WIDE_RULES}})

    def __enter__(self) -> Self:
        self.stack.__enter__()
        self.connection = psycopg.connect(self.database_url, autocommit=True)
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(AttributeError):
            self.connection.close()
        self.stack.stop()

    # --- processes -------------------------------------------------------------------------------------------

    def _signal(self, names: tuple[str, ...] | None, number: signal.Signals) -> None:
        for name in names or tuple(self.stack.processes):
            self.stack.kill(name, number)

    def freeze(self, names: tuple[str, ...] | None = None) -> None:
        """Stop processes (default: all) from using the machine until `thaw`.

        One that was stopped inside a transaction would hold its locks all the while: it may go on to the transaction's end first.
        """
        for _ in range(100):
            self._signal(names, signal.SIGSTOP)
            time.sleep(STILL_SECONDS)
            if not self.one(STANDS_INSIDE):
                return
            self._signal(names, signal.SIGCONT)
            time.sleep(STILL_SECONDS)
        raise TookTooLong("Our processes were inside a transaction each time they were stopped.")

    def thaw(self) -> None:
        """Let all processes go on and wait until they are well."""
        self._signal(None, signal.SIGCONT)
        self.stack.wait_healthy()

    def cpu(self) -> float:
        """Return the CPU seconds of all our processes."""
        return cpu_seconds([process.pid for process in self.stack.processes.values()])

    def cpu_of_services(self) -> float:
        """Return the CPU seconds of the three servers."""
        return cpu_seconds([service.process.pid for service in self.services.by_name.values() if service.process])

    def cpu_by_name(self) -> dict[str, float]:
        """Return the CPU seconds of each of our processes and of the three servers."""
        roots = {name: process.pid for name, process in self.stack.processes.items()}
        roots |= {name: service.process.pid for name, service in self.services.by_name.items() if service.process}
        return {name: cpu_seconds([pid]) for name, pid in roots.items()}

    def resident(self) -> dict[str, int]:
        """Return the resident memory of each process, with its children, in bytes."""
        return {name: resident_bytes(process.pid) for name, process in self.stack.processes.items()}

    def second_worker(self) -> None:
        """Start another sending process and wait until its pool is there."""
        threads = self.pool_threads()
        self.stack.start("worker", SECOND_WORKER)
        log = partial(self.stack.log_tail, SECOND_WORKER)
        wait(lambda: self.pool_threads() > threads, "the second worker did not start", progress=log)

    # --- customers and messages ------------------------------------------------------------------------------

    def customer(self, channel: str = "sms", kind: str = "sandbox", config: dict[str, Any] | None = None) -> Customer:
        """Make a tenant with one provider and send some messages, so that everything is connected."""
        customer = Customer(self.stack)
        customer.provider(channel, kind, config or {})
        self.batches(customer, 200, mail=channel == "email")
        if channel == "sms":
            self.singles(customer, count=256)
        self.wait_terminal()
        self.clean()
        return customer

    def _headers(self, customer: Customer) -> dict[str, str]:
        return {"Authorization": f"Bearer {customer.http.api_key}"}

    def singles(self, customer: Customer, *, seconds: float = 0.0, count: int = 0, warm: float = 0.0, may_be_refused: bool = False) -> Load:
        """Let 64 clients hand over single texts, for some time or some number."""
        numbers = count or int((seconds + warm) * 50_000)
        headers = self._headers(customer)
        return drive(
            self.stack.port,
            "/api/messages/",
            body=TEXT,
            headers=headers,
            numbers=numbers,
            may_be_refused=may_be_refused,
            seconds=seconds,
            count=count,
            warm=warm,
        )

    def batches(self, customer: Customer, count: int, *, mail: bool = False, clients: int = 1) -> Load:
        """Hand over `count` messages in requests of up to 10,000."""
        rows = min(count, BATCH_ROWS)
        body, row = (MAIL_BATCH, MAIL_ROW) if mail else (TEXT_BATCH, TEXT_ROW)
        headers = self._headers(customer)
        return drive(
            self.stack.port,
            "/api/messages/batch",
            body=body,
            row=row,
            headers=headers,
            numbers=count,
            rows=rows,
            count=count // rows,
            clients=clients,
        )

    def wait_terminal(self) -> float:
        """Wait until no message is in progress and return the unix time at which the last one ended.

        Raises:
            TookTooLong: some still are, and nothing moves.
        """
        # In the words of the partial indexes, or each look would walk through the rows: what the measurement itself asks must
        # cost next to nothing.
        states = ("status = 'pending' AND due_at IS NOT NULL", "status = 'queued' AND queued_at IS NOT NULL", "status = 'sending'")
        waiting = " UNION ALL ".join(f"(SELECT 1 FROM messaging_message WHERE {state} LIMIT 1)" for state in states)
        wait(lambda: not self.connection.execute(waiting).fetchone(), "messages are still in progress", progress=self._heartbeat)
        # The identifier is a UUIDv7: what was accepted within the last hour.
        newest = f"{int((time.time() - 3600) * 1000):012x}" + "0" * 20
        return float(self.one(f"SELECT extract(epoch FROM max(finished_at)) FROM messaging_message WHERE id > '{newest}'"))

    def _heartbeat(self) -> int:
        """Return what grows while messages move: the changes of rows that the database has counted, which costs no look at them."""
        return int(
            self.one("SELECT coalesce(sum(n_tup_upd + n_tup_ins), 0) FROM pg_stat_user_tables WHERE relname LIKE 'messaging_message%'")
        )

    def counts(self) -> dict[str, int]:
        """Count the messages by state."""
        return dict(self.connection.execute("SELECT status, count(*) FROM messaging_message GROUP BY status").fetchall())

    def one(self, query: str) -> Any:
        """Return the first value that a query finds."""
        row = self.connection.execute(query).fetchone()
        assert row
        return row[0]

    def limits(self, **values: float) -> None:
        """Publish limits of the sending pool and of its queue and return when every process runs them."""
        for module, names in (("queues", values.keys() & QUEUES), ("thread_pools", values.keys() - QUEUES)):
            if names:
                self.stack.configure(module, **{name: values[name] for name in names})

    def clean(self) -> None:
        """Forget all messages, so that every round begins alike."""
        self.connection.execute("TRUNCATE messaging_message, messaging_batch, messaging_idempotencykey, messaging_receiptentry")
        purge(self.broker_url, "message.send")

    def pool_threads(self) -> int:
        """Return the present size of the sending pool, as the worker last told it."""
        with redis.Redis.from_url(self.redis_url) as client:
            names = list(client.scan_iter(match=f"{PREFIX}:pool:*", count=1000))
            return sum(json.loads(value)["threads"] for value in client.mget(names) if value) if names else 0


PYTHON = sys.executable
