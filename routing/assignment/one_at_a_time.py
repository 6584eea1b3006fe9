"""Have the choices of a tenant made one after the other, so that each sees what the one before has given away."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection

from posthaste.lib.door import Door

#: The first of the two numbers of PostgreSQL's advisory lock; the second is the tenant.
NAMESPACE = 0x61737367


def wait_for_turn(tenant_id: int) -> None:
    """Wait until no other transaction chooses for the tenant, and keep the turn until this one ends.

    SQLite has one writer at a time, and a process that dies loses the turn with its connection.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [NAMESPACE, tenant_id])


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
