"""What messages cost the database while they wait for an open breaker, and how soon they go out when it closes.

    python -m benchmarks.breaker_wait [--messages 1000] [--seconds 60]

The whole product against servers of its own. First a gateway answers 503 for so long and is well again (its breaker opens, is tried in
vain, opens again, closes); then the breaker of a gateway that is well is held open by hand for so long and let go. Counted are the rows
that PostgreSQL updated in the table of messages; those of the last ten seconds it may not have told yet.
"""

import argparse
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from benchmarks.rig import start_services
from tests.integration.customer import Customer
from tests.integration.stack import Stack
from tests.integration.waiting import poll
from tests.peers.gateway import Answer, Gateway

UPDATES = "SELECT coalesce(sum(n_tup_upd), 0) FROM pg_stat_user_tables WHERE relname LIKE 'messaging_message%'"
SETTLE_SECONDS = 11.0  # a process of the server tells what it has counted after ten idle seconds at the latest


class Table:
    """The updates of the messages' table."""

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(url, autocommit=True)

    def updates(self) -> int:
        """Count the rows that were updated so far."""
        time.sleep(SETTLE_SECONDS)
        row = self._connection.execute(UPDATES).fetchone()
        assert row
        return int(row[0])


@contextmanager
def stopwatch(what: str) -> Iterator[None]:
    """Say how long its block took."""
    began = time.monotonic()
    yield
    print(f"  {what}: {time.monotonic() - began:.1f} s", flush=True)


def state(customer: Customer, provider: dict[str, str]) -> str:
    """Return the state of a provider's breaker."""
    return str(customer.http.get(f"/api/breakers/provider:{provider['id']}/").json()["state"])


def wait(customer: Customer, table: Table, messages: int, seconds: float) -> str:
    """Hand over a batch that can't go out, count its updates for so long, and return its id."""
    before = table.updates()
    began = time.monotonic()
    batch = customer.send_batch(messages)
    time.sleep(max(0.0, seconds - SETTLE_SECONDS - (time.monotonic() - began)))
    updates = table.updates() - before
    counts = {name: number for name, number in customer.batch(batch)["counts"].items() if number}
    print(f"  {messages} messages waited {seconds:.0f} s: {updates} rows updated, {updates / messages:.1f} a message; {counts}", flush=True)
    return batch


def main() -> None:
    """Measure both ways of waiting."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=60)
    options = parser.parse_args()
    with start_services(durable=False) as services, Stack(services.environment(), services.folder) as stack, Gateway() as gateway:
        customer, table = Customer(stack), Table(services.environment()["DATABASE_URL"])
        only = customer.gateway(gateway)
        print("a gateway that answers 503", flush=True)
        gateway.script(Answer(status=503), times=1_000_000)
        first = customer.send_batch(100)
        poll(lambda: state(customer, only) == "open", every=0.1)
        batch = wait(customer, table, options.messages, options.seconds)
        gateway._script.clear()
        with stopwatch("from being well again to closed"):
            poll(lambda: state(customer, only) == "closed", quiet_seconds=120, every=0.05)
        with stopwatch("from closed to all sent"):
            customer.finished(batch)
        print(f"  the first hundred: {customer.batch(first)['counts']}", flush=True)
        print("a breaker that is held open", flush=True)
        force = f"/api/breakers/provider:{only['id']}/force/"
        customer.http.post(force, {"state": "open"})
        batch = wait(customer, table, options.messages, options.seconds)
        customer.http.post(force, {"state": "automatic"})
        with stopwatch("from being let go to closed"):
            poll(lambda: state(customer, only) == "closed", quiet_seconds=120, every=0.05)
        with stopwatch("from closed to all sent"):
            customer.finished(batch)
        print(f"  sent twice: {gateway.doubles()}", flush=True)


if __name__ == "__main__":
    main()
