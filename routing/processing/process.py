"""Process what has arrived: the task `routing.process`.

Outside of transactions the texts are recognized and files fetched. Then the plain ones are written together in one transaction, and the
arrivals of each other sender in one of their own, each in a savepoint. If what is written together fails, each is written alone, so that
one holds up no other. An arrival and what it became are committed together, and only under the lease's token.

What if the process dies: before a commit nothing of it is written, and the leases run out; after it, all is. The sweep
(`routing.sweep_arrivals`) finds leases that ran out and arrivals whose kick was lost.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.db import InterfaceError, OperationalError, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from jobs.registry import Blocking, job
from messaging.storage.store import database_time
from posthaste.lib import queues
from posthaste.lib.door import Door
from routing.assignment.assigning import assign_waiting
from routing.conversations import arrivals, selectors
from routing.entrances.places import places
from routing.entrances.registry import SystemAway
from routing.models import Arrival
from routing.processing import claiming, keeping, preparing, together
from routing.processing.claiming import Claim
from routing.processing.ready import Beaten, Ready
from routing.processing.taking_in import new_line_id, take_in

log = structlog.get_logger(__name__)
#: A task ends after so many batches, and another one goes on: a broker takes a task that is never acknowledged for lost.
MAX_BATCHES = 20
#: An arrival that has waited longer than this was not kicked for, or its worker is gone.
OVERDUE = timedelta(seconds=3)
#: For so long what has to be fetched is out of the way of other arrivals, where no more threads may wait for that.
ASIDE = timedelta(seconds=2)


#: In one process, more threads at a time would take smaller batches, and wait for each other all the same.
_door = Door()


def process_arrivals() -> int:
    """Process what waits, batch after batch, and return how many arrivals were done."""
    done = 0
    for _batch in range(MAX_BATCHES):
        with _door.enter() as is_mine:
            if not is_mine:  # the thread that waits takes what is left
                return done
            arrivals.kick_taken()  # not before: while one waits, what arrives needs no other task
            claim = claiming.claim()
            quick, slow = _apart(claim.arrivals)
            try:
                done += _process(Claim(claim.token, quick))
            except BaseException:  # nothing of these was begun: the next worker need not wait until the lease runs out
                with suppress(OperationalError, InterfaceError):
                    claiming.release(slow, token=claim.token)
                raise
        with places.place_if_free(None) as has_place:  # a system that answers slowly holds up no other
            if has_place:
                done += _process(Claim(claim.token, slow), is_slow=True)
            else:
                claiming.release(slow, token=claim.token, rest=ASIDE)
        if not claim.arrivals:
            return done
    if done:  # else all of it rests, or waits for others who are being asked: the sweep takes it
        arrivals.kick()
    return done


def _apart(claimed: Sequence[Arrival]) -> tuple[list[Arrival], list[Arrival]]:
    """Return the arrivals that are whole, and those of senders whose system may be asked for more, such as for a file."""
    asking = {(one.entrance_id, one.sender) for one in claimed if one.body.get("kind", "text") != "text" or one.body.get("files")}
    quick = [one for one in claimed if (one.entrance_id, one.sender) not in asking]
    return quick, [one for one in claimed if (one.entrance_id, one.sender) in asking]


def _process(claim: Claim, *, is_slow: bool = False) -> int:
    """Write what was claimed, and return how many were done. What is slow is kept while other systems are asked."""
    if not claim.arrivals:
        return 0
    done, tenants = 0, set()
    with keeping.kept(claim.token) if is_slow else nullcontext():
        prepared = preparing.prepare(claim.arrivals)
    now = timezone.now()
    for arrival, error in prepared.broken:
        _put_off(arrival, error, claim.token)
    if prepared.left:
        claiming.release(prepared.left, token=claim.token)
    by_sender: dict[tuple[UUID, str], list[Ready]] = defaultdict(list)
    failed_senders = {(arrival.entrance_id, arrival.sender) for arrival, _error in prepared.broken}
    for one in prepared.ready:
        by_sender[one.arrival.entrance_id, one.arrival.sender].append(one)
    try:
        for sender in failed_senders & by_sender.keys():
            claiming.release([one.arrival for one in by_sender.pop(sender)], token=claim.token)
        for one in _write_together(list(by_sender.values()), claim.token, now=now):
            del by_sender[one.arrival.entrance_id, one.arrival.sender]
            tenants.add(one.arrival.tenant_id)
            done += 1
        for own in by_sender.values():
            if written := _write_sender(own, claim.token, now=now):
                tenants.add(own[0].arrival.tenant_id)
                done += written
    except (OperationalError, InterfaceError):
        with suppress(OperationalError, InterfaceError):
            claiming.release(claim.arrivals, token=claim.token)  # those that are done stay done
        raise
    for tenant_id in tenants:
        _assign(tenant_id, now=timezone.now())
    return done


def _put_off(arrival: Arrival, error: Exception, token: UUID) -> None:
    """Have an arrival that could not be prepared tried again. That a system is away is no fault of the arrival's."""
    said, now = _described(error), database_time()
    if not isinstance(error, SystemAway) or not claiming.postpone(arrival, token=token, error=said, now=now):
        claiming.fail(arrival, token=token, error=said, now=now)


def _write_together(by_sender: Sequence[Sequence[Ready]], token: UUID, *, now: datetime) -> Sequence[Ready]:
    """Write what is plain in one transaction and return it; nothing if there is only one, or if something stands in the way of one."""
    plain = together.plain(by_sender)
    if len(plain) < 2:
        return ()
    try:
        with transaction.atomic():
            together.write(plain, token, now=now)
    except Exception as error:  # noqa: BLE001 - whatever it is, each is written alone, and the one whose fault it is says so
        log.warning("arrivals are written one by one", arrivals=len(plain), error=type(error).__name__)
        return ()
    return plain


def _assign(tenant_id: int, *, now: datetime) -> None:
    try:
        assign_waiting(tenant_id=tenant_id, now=now)
    except Exception:  # the conversations wait in the queue; assignment's own sweep finds them
        log.exception("waiting conversations not assigned", tenant_id=tenant_id)


def _write_sender(own: Sequence[Ready], token: UUID, *, now: datetime) -> int:
    """Write the arrivals of one sender in their order, up to the first that raises, and return how many were done."""
    done = 0
    try:
        with transaction.atomic():
            for place, one in enumerate(own):
                if (error := _tried(lambda one=one: _write(one, token, now=now))) is not None:  # type: ignore[misc]
                    claiming.fail(one.arrival, token=token, error=_described(error), now=database_time())
                    claiming.release([later.arrival for later in own[place + 1 :]], token=token)
                    break
                done += 1
    except Beaten:
        log.warning("a lease ran out while its arrivals were processed", sender_arrivals=len(own))
        return 0
    return done


def _tried(write: Callable[[], None]) -> Exception | None:
    """Write in a savepoint, and return the error that undid it; what ends the whole transaction is raised."""
    try:
        with transaction.atomic():
            write()
    except (Beaten, OperationalError, InterfaceError):
        raise  # the database is away, or busy: the lease runs out and all are tried again
    except Exception as error:  # whatever it is, it is this arrival's, and holds up no other sender
        log.exception("an arrival could not be taken in")
        return error
    return None


def _write(one: Ready, token: UUID, *, now: datetime) -> None:
    # First the arrival: the transaction that has its row is the only one that writes its line.
    line_id = new_line_id() if one.incoming.kind == "text" else None
    if not claiming.finish(one.arrival, token=token, line_id=line_id, now=now):
        raise Beaten
    line = take_in(
        one.arrival,
        one.incoming,
        entrance=one.entrance,
        recognized=one.recognized,
        fetched=one.fetched,
        line_id=line_id or new_line_id(),
        now=now,
    )
    if line is not None and line.pk != line_id:  # the client had sent it before, under another external id
        Arrival.objects.filter(pk=one.arrival.pk).update(line_id=line.pk)


def _described(error: Exception) -> str:
    """Return what staff is told; the text of the sender is not in it."""
    return f"{type(error).__name__}: {error}"[:500]


def arrivals_are_overdue() -> bool:
    """Return whether an arrival waits longer than it should."""
    return selectors.oldest_waiting(before=timezone.now() - OVERDUE)


@job(
    "routing.sweep_arrivals",
    title=_("Find arrivals that were left behind"),
    purpose=_("Processes what customers wrote when a worker was killed or the broker lost its task, and gives up what kills workers."),
    every=timedelta(seconds=4),
    timeout=timedelta(minutes=2),
    blocking=Blocking.DISCARD,
    queue=queues.DELAYED,
    is_needed=arrivals_are_overdue,
)
def sweep_arrivals() -> None:
    """Give up what kills workers, and process what waits."""
    claiming.give_up_killers(now=database_time())
    process_arrivals()
