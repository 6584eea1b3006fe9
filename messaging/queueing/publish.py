"""Handing work to the broker. Only ids travel: the rows are the truth, so a lost or doubled task loses or doubles nothing."""

import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import NamedTuple
from uuid import UUID

import structlog
from celery import current_app
from kombu.exceptions import OperationalError

from messaging.providers.cache import provider_cache
from posthaste import env
from posthaste.lib import logs, redis
from posthaste.lib.process_state import on_reset
from posthaste.lib.queues import URGENT, broker_priority

log = structlog.get_logger(__name__)

#: What may go wrong while publishing: the broker is away, or its connection breaks.
BROKER_ERRORS = (OperationalError, ConnectionError, TimeoutError, OSError, redis.Unavailable)
CONFIRM_SECONDS = 3.0  # a broker that is out of memory or disk space takes nothing and says nothing
PROBE_SECONDS = 2.0  # after a failure, how often a background thread asks whether it is back


class BrokerAway(Exception):
    """The broker did not take the task."""


class Chunk(NamedTuple):
    """Messages that travel in one task: one tenant, one channel, one priority."""

    tenant_id: int
    channel: str
    priority: int
    ids: list[UUID]


class Route(NamedTuple):
    """What decides which messages travel together."""

    tenant_id: int
    channel: str
    priority: int


class BrokerWatch:
    """Whether the broker takes tasks, as far as this process knows.

    Each call to a broker that hangs costs several seconds. So after a failure no caller tries it, accepted messages wait for the feeder,
    and one thread asks until the broker answers again.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.is_up = True

    def forget(self) -> None:
        """Take the broker for up, as a process that has just started."""
        self.is_up = True

    def failed(self) -> bool:
        """Note a failure and return whether it is the first one."""
        with self._lock:
            was_up, self.is_up = self.is_up, False
        if was_up:
            threading.Thread(target=self._probe, name="broker-probe", daemon=True).start()
        return was_up

    def _probe(self) -> None:
        pause = threading.Event()
        while not self.is_up:
            pause.wait(PROBE_SECONDS)
            # Whatever it says while it starts (no such virtual host yet, login refused), this thread must ask again: no other does.
            with suppress(Exception), current_app.connection_for_write() as connection:
                connection.ensure_connection(max_retries=0, timeout=CONFIRM_SECONDS)
                self.is_up = True


watch = BrokerWatch()
on_reset(watch.forget)


def broker_is_up() -> bool:
    """Return whether the broker took the last task, or has answered again since."""
    return watch.is_up


def chunks(routed: Iterable[tuple[Route, UUID]]) -> Iterator[Chunk]:
    """Group messages into tasks, most urgent first; priorities 9 and 10 travel alone."""
    groups: dict[Route, list[UUID]] = defaultdict(list)
    for route, identifier in routed:
        groups[route].append(identifier)
    for route in sorted(groups, key=lambda r: -r.priority):
        size = 1 if route.priority >= URGENT else provider_cache.chunk_size(route.tenant_id, route.channel)
        ids = groups[route]
        for start in range(0, len(ids), size):
            yield Chunk(*route, ids[start : start + size])


def _not_after_a_silence(error: Exception, _pause: float) -> None:
    """Prevent Celery's second attempt after the broker was silent for CONFIRM_SECONDS.

    Another attempt would take as long to connect, and once more to be confirmed. A broken connection is worth a second attempt.
    """
    if isinstance(error, TimeoutError):
        raise error


def send_task(name: str, *args: object, priority: int | None = None, expires: float | None = None, countdown: float | None = None) -> None:
    """Publish one task and return when the broker has it.

    Raises:
        BrokerAway: it has not.
    """
    try:
        current_app.send_task(
            name,
            args=args,
            expires=expires,
            countdown=countdown,
            # What Celery would print of the arguments, cut from a hundred ids and sent along unread.
            argsrepr="",
            kwargsrepr="",
            retry_policy={"errback": _not_after_a_silence},
            **({"confirm_timeout": CONFIRM_SECONDS} if env.load().is_rabbitmq else {}),
            **({} if priority is None else {"priority": broker_priority(priority)}),
        )
    except BROKER_ERRORS as error:
        if watch.failed():
            log.warning("broker away", error=str(error)[:200])
        raise BrokerAway(str(error)) from error


def publish(chunk: Chunk) -> None:
    """Publish one delivery task.

    Raises:
        BrokerAway: the broker did not take it.
    """
    with logs.about(chunk.ids):
        send_task("messaging.deliver", [identifier.hex for identifier in chunk.ids], priority=chunk.priority)


def publish_all(routed: Iterable[tuple[Route, UUID]]) -> list[UUID]:
    """Publish messages in tasks and return those that the broker did not take; after a failure it is not asked again."""
    lost: list[UUID] = []
    for chunk in chunks(routed):
        try:
            if lost:
                raise BrokerAway
            publish(chunk)
        except BrokerAway:
            lost += chunk.ids
    return lost


def kick_feeder() -> None:
    """Ask for a round of feeding now instead of at the next second. Losing the kick does no harm."""
    try:
        if redis.client().set(redis.key("kick"), 1, nx=True, px=200):
            pipeline = redis.client().pipeline(transaction=False)
            pipeline.lpush(redis.key("kicks"), 1)  # one that feeds already, and rests between two looks
            pipeline.ltrim(redis.key("kicks"), 0, 0)
            pipeline.pexpire(redis.key("kicks"), 1000)
            pipeline.execute()
            if broker_is_up():
                send_task("messaging.feed", expires=3.0)
    except (BrokerAway, redis.Unavailable):
        pass


def wait_for_kick(seconds: float) -> None:
    """Wait for `seconds`, or until the feeder is kicked."""
    try:
        redis.client().blpop([redis.key("kicks")], timeout=seconds)
    except redis.Unavailable:
        time.sleep(seconds)
