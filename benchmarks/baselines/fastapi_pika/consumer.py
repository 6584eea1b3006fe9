"""The consumer of baseline (b): one connection, a pool of threads, one message a job; the provider takes it at once."""

import functools
import os
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

from benchmarks.baselines.fastapi_pika.app import QUEUE, Message, Session, connect

THREADS = int(os.environ.get("THREADS", "16"))


def send(message_id: uuid.UUID) -> None:
    """Send one message."""
    with Session() as session:
        row = session.get_one(Message, message_id)
        row.status, row.attempts = "sending", row.attempts + 1
        session.commit()
        row.status, row.sent_at = "sent", datetime.now(UTC)
        session.commit()


def main() -> None:
    """Consume until it is ended."""
    connection = connect()
    channel = connection.channel()
    channel.basic_qos(prefetch_count=2 * THREADS)
    pool = ThreadPoolExecutor(THREADS)

    def work(tag: int, body: bytes) -> None:
        send(uuid.UUID(bytes=body))
        connection.add_callback_threadsafe(functools.partial(channel.basic_ack, tag))

    def take(_channel: Any, method: Any, _properties: Any, body: bytes) -> None:
        pool.submit(work, method.delivery_tag, body)

    channel.basic_consume(QUEUE, take)
    channel.start_consuming()


if __name__ == "__main__":
    main()
