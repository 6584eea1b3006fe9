"""Whether the services that Posthaste depends on answer, and which of its processes live.

Written by hand: django-health-check's broker check speaks to RabbitMQ through a second client library and knows nothing of
the Redis transport, while a load balancer should learn about the very connections that messages take.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooSlow
from typing import Any

import structlog
from celery import current_app
from django.db import connection

from posthaste.lib import heartbeat, redis
from posthaste.lib.flow.limiter import limiter

log = structlog.get_logger(__name__)
DEADLINE_SECONDS = 3.0
_threads = ThreadPoolExecutor(max_workers=6, thread_name_prefix="health")


def _database() -> None:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    finally:
        connection.close()


def _redis() -> None:
    redis.client().ping()


def _broker() -> None:
    with current_app.connection_for_write() as broker:
        broker.ensure_connection(max_retries=0, timeout=2)


CHECKS: dict[str, Callable[[], None]] = {"database": _database, "redis": _redis, "broker": _broker}


def report() -> tuple[bool, dict[str, Any]]:
    """Ask every part, wait at most three seconds, and return whether all is well, with the details."""
    futures = {name: _threads.submit(check) for name, check in CHECKS.items()}
    checks: dict[str, str] = {}
    for name, future in futures.items():
        try:
            future.result(timeout=DEADLINE_SECONDS)
            checks[name] = "ok"
        except TooSlow:
            checks[name] = "no answer within 3 seconds"
        except Exception as error:  # noqa: BLE001 - whatever it is, the part is away; the details are for the log only
            log.warning("health check failed", check=name, error=str(error)[:200])
            checks[name] = "away"
    processes: dict[str, int] = {}
    if checks["redis"] == "ok":
        processes = heartbeat.alive()
    limits = "shared" if checks["redis"] == "ok" and not limiter.is_local else "local: each process keeps to its share of every limit"
    well = all(state == "ok" for state in checks.values())
    return well, {"status": "ok" if well else "unavailable", "checks": checks, "limits": limits, "processes": processes}
