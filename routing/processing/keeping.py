"""Keep what was claimed while other systems are asked: a large file takes longer than a lease."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import structlog
from django.db import InterfaceError, OperationalError, connection

from routing.processing import claiming

log = structlog.get_logger(__name__)
#: Two may fail before a lease runs out.
EVERY_SECONDS = claiming.LEASE.total_seconds() / 3


@contextmanager
def kept(token: UUID) -> Iterator[None]:
    """Prolong a claim again and again until the block ends, and then once more for what follows.

    The thread that does it dies with the process, and the lease runs out. The block writes no arrivals: the thread would wait for them.
    """
    is_over = threading.Event()
    thread = threading.Thread(target=_renew_until, args=(is_over, token), name="claim", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
    claiming.renew(token=token)


def _renew_until(is_over: threading.Event, token: UUID) -> None:
    try:
        while not is_over.wait(EVERY_SECONDS):
            try:
                claiming.renew(token=token)
            except (OperationalError, InterfaceError) as error:  # the next one may come in time
                log.warning("a claim was not prolonged", error=type(error).__name__)
    finally:
        connection.close()
