"""Have the choices of a tenant made one after the other, so that each sees what the one before has given away."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from django.db import connection

from posthaste.lib import redis
from posthaste.lib.door import Door

#: The first of the two numbers of PostgreSQL's advisory lock; the second is the tenant.
NAMESPACE = 0x61737367
#: How long the note of a process that waits counts: it may have died. The sweep looks as often.
NOTED_MS = 1_000


def wait_for_turn(tenant_id: int) -> None:
    """Wait until no other transaction chooses for the tenant, and keep the turn until this one ends.

    SQLite has one writer at a time, and a process that dies loses the turn with its connection.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [NAMESPACE, tenant_id])


def is_covered(tenant_id: int) -> bool:
    """Return whether another process waits for its turn; if not, note that this one does.

    Who waits will see all that is committed by now, so it would give away the same. With many processes in line, what comes up meanwhile
    would wait for all of them. Without Redis each goes in line. Call `begins` once it is this one's turn.
    """
    if connection.vendor != "postgresql" or connection.in_atomic_block:  # what this transaction has written, no other sees yet
        return False
    try:
        return not redis.client().set(_note(tenant_id), 1, nx=True, px=NOTED_MS)
    except redis.Unavailable:
        return False


def begins(tenant_id: int) -> None:
    """Take the note away: from now on, another process has to wait for what is committed later."""
    if connection.vendor == "postgresql":
        with suppress(redis.Unavailable):
            redis.client().delete(_note(tenant_id))


def _note(tenant_id: int) -> str:
    return redis.key("assigning", tenant_id)


_doors: dict[int, Door] = {}
_guard = threading.Lock()


@contextmanager
def one_waiter(tenant_id: int) -> Iterator[bool]:
    """Let one thread of this process at a time choose for a tenant, and one wait; True: it is this thread's turn.

    False: another thread waits and has not begun. It will see all that is committed by now, so there is nothing left to do here. Without
    this, every thread of a busy process would wait for the database's lock with a connection of the pool in its hand.
    """
    if connection.in_atomic_block:  # what this transaction has written, no other thread sees yet
        yield True
        return
    with _guard:
        door = _doors.setdefault(tenant_id, Door())
    with door.enter() as is_mine:
        yield is_mine
