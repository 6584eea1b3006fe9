"""What the life of a row costs the database: by fill factor, without each index, and with others in its place.

    python -m benchmarks.update_cost [--stored N] [--rows N] [--rounds N] [--only WORD]

A row is written as the product writes it: COPY by 10,000 as `pending`, `queued` by 2,000, `sending` and `sent` by 100. Every way is
measured on a copy of the migrated table that already holds `--stored` rows, several rounds in turn; the median counts. CPU is that of the
one server process that does it and WAL is what it logs, so other work on the machine disturbs little. What was chosen by these
figures is said where it is chosen: `messaging.models.message` and `messaging.storage.partitions`.
"""

import argparse
import itertools
import os
import random
import re
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from statistics import median

import psycopg

from benchmarks.baselines.limit import CLAIM, COLUMNS, FINISH, QUEUED
from benchmarks.measure.growth import ID
from benchmarks.rig import DurablePostgreSQL, new_database
from posthaste.env import ROOT
from tests.services import Services

TABLE = "messaging_message"
FILL_FACTORS = (100, 90, 80, 70, 50)
STEPS = ("accept", "feed", "claim", "result")
#: Indexes that were tried in the place of one of ours.
ALTERNATIVES = {
    "message_batch": ["(batch_id, status)", "(batch_id)", "(batch_id, id) INCLUDE (status)"],
    "message_recipient": ["(tenant_id, recipient)", "(recipient)", "USING hash (recipient)"],
    "message_receipt": ["(provider_id, provider_message_id)", "(provider_message_id)", "USING hash (provider_message_id)"],
    "message_tenant": ["(tenant_id, id DESC)", "(tenant_id, id)"],
}
STATEMENTS = {name: sql.replace("limit_message", "life") for name, sql in {"feed": QUEUED, "claim": CLAIM, "result": FINISH}.items()}
FILL = f"""
INSERT INTO life (id, tenant_id, batch_id, channel, recipient, priority, status, is_sandbox, variables, subject, body, reference, metadata,
    created_at, due_at, queued_at, claimed_at, sent_at, finished_at, latency_ms, attempts, provider_message_id, error_code, error_detail)
SELECT {ID.format(ms="(%(now)s - %(stored)s + n)", n="n")}, 1, md5((n / 10000)::text)::uuid, 'sms',
    '+86' || (10000000000 * random())::bigint, 5, 'sent', false, '{{}}', '', 'Your parcel is on its way.', '', '{{}}', now(), now(), now(),
    now(), now(), now(), 5, 1,
    md5(random()::text), '', ''
FROM generate_series(1, %(stored)s) AS n
"""
_serial = itertools.count(time.time_ns() // 1_000_000)


@dataclass
class Way:
    """One way to lay out the table."""

    name: str
    indexes: dict[str, str]
    fill_factor: int = 100
    cpu_ms: dict[str, list[float]] = field(default_factory=lambda: {step: [] for step in STEPS})
    wal_kb: list[float] = field(default_factory=list)
    hot: list[float] = field(default_factory=list)
    sizes: tuple[int, int] = (0, 0)

    def line(self) -> str:
        """Return the figures a thousand rows as a line of the table."""
        steps = [median(self.cpu_ms[step]) for step in STEPS]
        figures = " ".join(f"{value:7.1f}" for value in (*steps, sum(steps), median(self.wal_kb)))
        heap, indexes = (size / 1024 / 1024 for size in self.sizes)
        return f"{self.name:<66} {figures} {median(self.hot):6.0%} {heap:6.0f} {indexes:7.0f}"


def cpu_ms(pid: int) -> float:
    """Return the CPU time of a process in milliseconds; finer than /proc/PID/stat (Linux, sched-stats)."""
    with open(f"/proc/{pid}/schedstat") as file:
        return int(file.read().split()[0]) / 1e6


def present_indexes(connection: psycopg.Connection) -> dict[str, str]:
    """Return the definitions of the migrated table's indexes, from the method on."""
    rows = connection.execute("SELECT indexname, indexdef FROM pg_indexes WHERE tablename = %s", [TABLE]).fetchall()
    return {name: re.sub(r"^.*? (USING .*)$", r"\1", definition) for name, definition in rows if name.startswith("message_")}


def ways(present: dict[str, str], only: str) -> list[Way]:
    """List what is to be measured."""
    found = [Way(f"fill factor {factor}", present, factor) for factor in FILL_FACTORS]
    found += [Way(f"without {name}", {k: v for k, v in present.items() if k != name}) for name in sorted(present)]
    found.append(Way("without any but the primary key", {}))
    for name, others in ALTERNATIVES.items():
        where = present[name].partition(" WHERE ")[2] if name in present else ""
        found += [Way(f"{name}: {other}", {**present, name: f"{other} WHERE {where}" if where else other}) for other in others]
    return [way for way in found if only in way.name]


def fill(connection: psycopg.Connection, way: Way, stored: int) -> None:
    """Make the table with the rows that were there before."""
    connection.execute("DROP TABLE IF EXISTS life")
    connection.execute(f"CREATE TABLE life (LIKE {TABLE} INCLUDING DEFAULTS INCLUDING CONSTRAINTS) WITH (fillfactor = {way.fill_factor})")
    connection.execute("ALTER TABLE life SET (autovacuum_enabled = false)")
    connection.execute(FILL, {"now": time.time_ns() // 1_000_000, "stored": stored})
    connection.execute("ALTER TABLE life ADD PRIMARY KEY (id)")
    for name, definition in way.indexes.items():
        connection.execute(f"CREATE INDEX life_{name} ON life {definition}")
    connection.execute("VACUUM ANALYZE life")
    connection.execute("CHECKPOINT")


def live(connection: psycopg.Connection, rows: int) -> dict[str, float]:
    """Take rows through their life and return the server's CPU milliseconds of each step."""
    pid = connection.info.backend_pid
    spent = dict.fromkeys(STEPS, 0.0)

    def step(name: str, began: float) -> float:
        now = cpu_ms(pid)
        spent[name] += now - began
        return now

    for _ in range(rows // 10_000):
        batch = uuid.uuid4()
        ids = [uuid.UUID(int=next(_serial) << 80 | 7 << 76 | 2 << 62 | random.getrandbits(62)) for _ in range(10_000)]
        now = datetime.now(UTC)
        clock = cpu_ms(pid)
        with connection.transaction(), connection.cursor().copy(f"COPY life ({COLUMNS}, batch_id) FROM STDIN") as copy:
            for id_ in ids:
                recipient, text = f"+86{random.randrange(10**10)}", "Your parcel is on its way."
                copy.write_row((id_, 1, "sms", recipient, 5, "pending", False, "{}", "", text, "", "{}", now, now, 0, "", "", "", batch))
        clock = step("accept", clock)
        for start in range(0, len(ids), 2_000):
            connection.execute(STATEMENTS["feed"], [ids[start : start + 2_000]])
        clock = step("feed", clock)
        for start in range(0, len(ids), 100):
            part, claim = ids[start : start + 100], uuid.uuid4()
            connection.execute(STATEMENTS["claim"], [claim, part]).fetchall()
            clock = step("claim", clock)
            connection.execute(STATEMENTS["result"], [part, [uuid.uuid4().hex for _ in part], claim])
            clock = step("result", clock)
    return spent


def measure(connection: psycopg.Connection, way: Way, *, stored: int, rows: int) -> None:
    """Add one round's figures to a way."""
    fill(connection, way, stored)
    before = connection.execute("SELECT pg_current_wal_insert_lsn()").fetchone()
    spent = live(connection, rows)
    thousands = rows / 1_000
    for step, value in spent.items():
        way.cpu_ms[step].append(value / thousands)
    [wal] = connection.execute("SELECT pg_current_wal_insert_lsn() - %s", before).fetchone() or [0]
    way.wal_kb.append(float(wal) / 1024 / thousands)
    # What a session has counted is told to others after half a second at the latest, or when asked.
    connection.execute("SELECT pg_stat_force_next_flush()")
    [share] = connection.execute("SELECT n_tup_hot_upd::float / n_tup_upd FROM pg_stat_user_tables WHERE relname = 'life'").fetchone() or [
        0
    ]
    way.hot.append(share)
    way.sizes = connection.execute("SELECT pg_table_size('life'), pg_indexes_size('life')").fetchone() or (0, 0)


def main() -> int:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description="Measures what the life of a message's row costs the database.")
    parser.add_argument("--stored", type=int, default=300_000, help="rows in the table before")
    parser.add_argument("--rows", type=int, default=30_000, help="rows taken through their life, a multiple of 10,000")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="only what has this in its name")
    options = parser.parse_args()
    with Services((DurablePostgreSQL,)) as services:
        url = new_database(services, "update_cost")
        command = [sys.executable, "manage.py", "migrate", "-v0"]
        subprocess.run(command, cwd=ROOT, env={**os.environ, "DATABASE_URL": url}, check=True)
        with psycopg.connect(url, autocommit=True) as connection:
            wanted = ways(present_indexes(connection), options.only)
            for _ in range(options.rounds):
                for way in wanted:
                    measure(connection, way, stored=options.stored, rows=options.rows)
    print(f"A thousand rows, {options.stored:,} stored before: CPU ms of the server by step, WAL in kB; sizes at the end in MB")
    print(f"{'':<66} {' '.join(f'{name:>7}' for name in (*STEPS, 'sum', 'WAL'))} {'HOT':>6} {'table':>6} {'indexes':>7}")
    for way in wanted:
        print(way.line())
    return 0


if __name__ == "__main__":
    sys.exit(main())
