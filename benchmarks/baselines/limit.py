"""The limit: the same rows written and updated, the same broker messages moved, by bare psycopg and amqp, with no checks at all.

Steps and chunk sizes are ours: COPY by 10,000, `queued` by 2,000 with one confirmed message per 100 ids, claim by 100,
result by 100. The table is a copy of ours with all its indexes.
"""

import itertools
import time
import uuid
from datetime import UTC, datetime

import amqp
import psycopg

QUEUE = "limit.send"
COLUMNS = (
    "id, tenant_id, channel, recipient, priority, status, is_sandbox, variables, subject, body, reference, metadata, created_at, due_at, "
    "attempts, provider_message_id, error_code, error_detail"
)
CLAIM = (
    "UPDATE limit_message SET status = 'sending', claim = %s, claimed_at = now(), lease_until = now() + interval '30 s', "
    "attempts = attempts + 1 WHERE status = 'queued' AND id = ANY(%s) RETURNING *"
)
FINISH = (
    "UPDATE limit_message AS m SET status = 'sent', sent_at = now(), finished_at = now(), latency_ms = 5, provider_message_id = v.name, "
    "lease_until = NULL, claim = NULL FROM unnest(%s::uuid[], %s::text[]) AS v(ref, name) WHERE m.id = v.ref AND m.claim = %s"
)
QUEUED = "UPDATE limit_message SET status = 'queued', queued_at = now() WHERE id = ANY(%s) AND status = 'pending'"
_serial = itertools.count(time.time_ns() // 1_000_000)


def new_ids(count: int) -> list[uuid.UUID]:
    """Return ids that sort by age, as UUIDv7 do."""
    return [uuid.UUID(int=next(_serial) << 80 | uuid.uuid4().int & ((1 << 80) - 1)) for _ in range(count)]


def prepare(connection: psycopg.Connection) -> None:
    """Make the empty table."""
    connection.execute("DROP TABLE IF EXISTS limit_message")
    connection.execute("CREATE TABLE limit_message (LIKE messaging_message INCLUDING ALL)")


def accept(connection: psycopg.Connection, ids: list[uuid.UUID]) -> None:
    """Write rows with one COPY."""
    now = datetime.now(UTC)
    with connection.transaction(), connection.cursor().copy(f"COPY limit_message ({COLUMNS}) FROM STDIN") as copy:
        for n, id_ in enumerate(ids):
            text = "Your parcel is on its way."
            copy.write_row((id_, 1, "sms", f"+86138{n:08}", 5, "pending", False, "{}", "", text, "", "{}", now, now, 0, "", "", ""))


def feed(connection: psycopg.Connection, channel: amqp.Channel, ids: list[uuid.UUID]) -> None:
    """Mark rows as queued and publish them by the hundred."""
    for start in range(0, len(ids), 2_000):
        part = ids[start : start + 2_000]
        connection.execute(QUEUED, [part])
        for first in range(0, len(part), 100):
            body = b"".join(id_.bytes for id_ in part[first : first + 100])
            channel.basic_publish_confirm(amqp.Message(body, delivery_mode=2), routing_key=QUEUE)


def deliver(connection: psycopg.Connection, channel: amqp.Channel) -> int:
    """Take one message off the queue and bring its rows to their end."""
    message = channel.basic_get(QUEUE)
    if message is None:
        return 0
    body = bytes(message.body)
    ids = [uuid.UUID(bytes=body[at : at + 16]) for at in range(0, len(body), 16)]
    claim = uuid.uuid4()
    connection.execute(CLAIM, [claim, ids]).fetchall()
    connection.execute(FINISH, [ids, [id_.hex for id_ in ids], claim])
    channel.basic_ack(message.delivery_tag)
    return len(ids)


def run(database_url: str, broker: str, count: int) -> dict[str, float]:
    """Move `count` messages through and give messages a second, in all and for each step."""
    with (
        psycopg.connect(database_url, autocommit=True) as connection,
        amqp.Connection(broker, "guest", "guest", confirm_publish=True) as link,
    ):
        prepare(connection)
        channel = link.channel()
        channel.queue_declare(QUEUE, durable=True, auto_delete=False)
        channel.queue_purge(QUEUE)
        all_ids = [new_ids(min(10_000, count)) for _ in range(max(1, count // 10_000))]
        number = sum(map(len, all_ids))
        clocks = [time.perf_counter()]
        for ids in all_ids:
            accept(connection, ids)
        clocks.append(time.perf_counter())
        for ids in all_ids:
            feed(connection, channel, ids)
        clocks.append(time.perf_counter())
        while deliver(connection, channel):
            pass
        clocks.append(time.perf_counter())
        connection.execute("DROP TABLE limit_message")
        channel.queue_delete(QUEUE)
    steps = dict(zip(("accept", "feed", "deliver"), (after - before for before, after in itertools.pairwise(clocks)), strict=True))
    return {"per_second": number / (clocks[-1] - clocks[0]), **{name: number / took for name, took in steps.items()}}
