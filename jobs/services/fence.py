"""The fence: a writer shows the token of its lock in the transaction it writes in, and is refused if it was overtaken.

    with transaction.atomic():
        …                       # write
        fence.check(lock)       # last: from here to the commit no newer holder can pass

A run of a job is fenced in the same way: `fence.check_run()`, or `with fence.guarded_run():` around what it writes. Its token is overtaken
when the run is stopped, times out, is taken over, or its worker is lost, so that nothing of it is written later.

One guarded UPDATE: `SET token = t WHERE name = n AND token <= t`. The row's lock makes two writers of one name take turns; should
one be stopped between this and its commit, PostgreSQL ends its session after a few seconds instead of letting all others wait.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event
from typing import Any, Protocol

from django.db import connection, transaction
from django.db.models import F

from jobs.models import Fence
from jobs.services import current
from posthaste.lib import locks, redis
from posthaste.lib.locks import LockLost

STOPPED_MS = 5_000
UPDATE = f"UPDATE {Fence._meta.db_table} SET token = %s WHERE name = %s AND token <= %s"
#: Returned for each row that was changed, so in the same round trip and only where the row is locked.
ENDS_WHEN_STOPPED = " RETURNING set_config('idle_in_transaction_session_timeout', %s, true)"


class Shown(Protocol):
    """What is fenced: an acquisition of a lock, or a run of a job."""

    @property
    def name(self) -> str: ...

    @property
    def fencing_token(self) -> int: ...

    @property
    def lost(self) -> Event: ...


class Overtaken(LockLost):
    """A later holder of the lock has written: this transaction must not be committed."""


def check(lock: Shown) -> None:
    """Show the lock's token to the database, as the last statement of the caller's transaction.

    Raises:
        Overtaken: a larger token has been shown; the transaction is to be rolled back.
    """
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError("A fence holds only in a transaction together with what it guards.")
    if _show(lock):
        return
    Fence.objects.bulk_create([Fence(name=lock.name, token=lock.fencing_token)], ignore_conflicts=True)  # the first time
    if _show(lock):
        return
    lock.lost.set()
    newest = Fence.objects.values_list("token", flat=True).get(name=lock.name)
    with suppress(redis.Unavailable):
        locks.at_least(newest)  # changes nothing, unless Redis lost its counter and its clock was put back
    raise Overtaken(lock.name)


def check_current(name: str) -> None:
    """Check the lock that the caller holds under that name; without one nothing is asked.

    Raises:
        Overtaken: as `check`.
    """
    if (lock := locks.current(name)) is not None:
        check(lock)


@contextmanager
def guarded(name: str) -> Iterator[None]:
    """Open a transaction that is committed only if the caller's lock of that name was not overtaken.

    Raises:
        Overtaken: as `check`.
    """
    with transaction.atomic():
        yield
        check_current(name)


def check_run() -> None:
    """Check the run of a job that the caller is part of; outside a recorded run nothing is asked.

    Raises:
        Overtaken: the run was stopped, timed out, or was taken over.
    """
    if (run := current.run()) is None:
        return
    if run.lost.is_set():  # known to this process, and perhaps not yet to the database
        raise Overtaken(run.name)
    check(run)


@contextmanager
def guarded_run() -> Iterator[None]:
    """Open a transaction that is committed only if the caller's run was neither stopped nor overtaken.

    Raises:
        Overtaken: as `check_run`.
    """
    with transaction.atomic():
        yield
        check_run()


def overtake(name: str) -> int:
    """Take the next token of a name, in the caller's transaction; a smaller one is refused from its commit on."""
    if not Fence.objects.filter(name=name).update(token=F("token") + 1):
        Fence.objects.bulk_create([Fence(name=name, token=0)], ignore_conflicts=True)
        Fence.objects.filter(name=name).update(token=F("token") + 1)
    return Fence.objects.values_list("token", flat=True).get(name=name)


def _show(lock: Shown) -> bool:
    values: list[Any] = [lock.fencing_token, lock.name, lock.fencing_token]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(UPDATE + ENDS_WHEN_STOPPED, [*values, str(STOPPED_MS)])
        else:
            cursor.execute(UPDATE, values)
        return bool(cursor.rowcount > 0)
