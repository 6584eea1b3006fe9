"""Which arrivals a worker takes: the oldest first, those of one sender by one worker at a time and in their order.

Claims are made one after the other, under a short lock, so that two workers never hold arrivals of the same sender. A claim is a lease
with a token; what a worker writes counts only while the token is still its own. An arrival that ended badly before (its worker died, or
it raised) is taken alone, so that one which kills its worker takes no other along.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Case, Exists, F, OuterRef, Q, QuerySet, UUIDField, Value, When
from django.utils.translation import gettext_noop

from messaging.storage.store import database_time
from posthaste.lib.ids import new_id
from routing.models import Arrival, ArrivalState

LEASE = timedelta(seconds=30)
BATCH = 50
#: A worker that dies with an arrival in its hands counts too; more are allowed than errors, as it may have died of something else.
MAX_ATTEMPTS, MAX_ERRORS = 6, 3
BACK_OFF = (timedelta(seconds=2), timedelta(seconds=10))
#: How long an arrival waits for a system that is away, until each further try counts as an error; and until the next one.
AWAY_FOR, AWAY_REST = timedelta(hours=1), timedelta(seconds=15)
#: Of PostgreSQL's advisory locks.
LOCK = 0x61727276
ENDED: dict[str, Any] = {"state": ArrivalState.DONE, "body": {}, "error": "", "lease_token": None, "lease_until": None}
DIED = gettext_noop("The worker ended each time while this was processed.")


@dataclass(frozen=True, slots=True)
class Claim:
    """What a worker holds for now."""

    token: UUID
    arrivals: Sequence[Arrival]


def waiting(now: datetime) -> "QuerySet[Arrival]":
    """Return what may be claimed, oldest first: pending, not leased, and no other of the same sender leased or resting."""
    held = Q(lease_until__gt=now)
    other = Arrival.objects.filter(held, entrance=OuterRef("entrance"), sender=OuterRef("sender"), state=ArrivalState.PENDING)
    free = Arrival.objects.filter(Q(lease_until=None) | Q(lease_until__lte=now), state=ArrivalState.PENDING)
    return free.filter(~Exists(other)).order_by("pk")


def claim() -> Claim:
    """Take the oldest arrivals that no worker holds, for `LEASE`.

    On PostgreSQL its clock counts: a worker whose clock is slow would hold leases that have run out from the start.
    """
    token = new_id()
    with transaction.atomic():
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        now = database_time()
        found = list(waiting(now)[:BATCH])
        taken = _together(found, _not_held(found, now))
        rows = Arrival.objects.filter(pk__in=[arrival.pk for arrival in taken])
        rows.update(lease_token=token, lease_until=now + LEASE, attempts=F("attempts") + 1)
    for arrival in taken:
        arrival.attempts += 1
    return Claim(token, taken)


def _not_held(found: Sequence[Arrival], now: datetime) -> set[UUID]:
    """Return, and lock, what no transaction works on: one whose lease ran out may still be at it, or its host is gone and it never ends.

    To wait for it would be to hold up the arrivals of all.
    """
    free = Arrival.objects.filter(
        Q(lease_until=None) | Q(lease_until__lte=now), pk__in=[one.pk for one in found], state=ArrivalState.PENDING
    )
    return set(free.select_for_update(skip_locked=True, no_key=True).values_list("pk", flat=True)) if found else set()


def _together(found: Sequence[Arrival], free: Collection[UUID]) -> list[Arrival]:
    """Return those that one worker takes: the first alone if it ended badly before, else all behind which none is left."""
    taken: list[Arrival] = []
    behind: set[tuple[UUID, str]] = set()  # senders with one that stays behind, so that all their later ones do
    for arrival in found:
        sender = (arrival.entrance_id, arrival.sender)
        if sender in behind or arrival.pk not in free:
            behind.add(sender)
        elif not arrival.attempts:
            taken.append(arrival)
        elif not taken:
            return [arrival]
        else:
            behind.add(sender)
    return taken


def renew(*, token: UUID) -> None:
    """Prolong a claim, as far as no other worker has it by now."""
    own = Arrival.objects.filter(lease_token=token, state=ArrivalState.PENDING)
    own.update(lease_until=database_time() + LEASE)


def finish(arrival: Arrival, *, token: UUID, line_id: UUID | None, now: datetime) -> bool:
    """Note that an arrival is done, in the transaction that does it; False: another worker has it by now.

    Its content is in the line by then, and is kept only there.
    """
    own = Arrival.objects.filter(pk=arrival.pk, lease_token=token, state=ArrivalState.PENDING)
    return bool(own.update(line_id=line_id, finished_at=now, **ENDED))


def finish_all(lines: Mapping[UUID, UUID], *, token: UUID, now: datetime) -> bool:
    """Note that arrivals are done, as `finish` does, given the lines by the arrivals; False: another worker has one of them by now."""
    own = Arrival.objects.filter(pk__in=list(lines), lease_token=token, state=ArrivalState.PENDING)
    line_id = Case(*(When(pk=pk, then=Value(line, UUIDField())) for pk, line in lines.items()))
    return own.update(line_id=line_id, finished_at=now, **ENDED) == len(lines)


def fail(arrival: Arrival, *, token: UUID, error: str, now: datetime) -> None:
    """Let an arrival that raised rest and be tried again, or give it up after `MAX_ERRORS`; later ones of its sender wait meanwhile."""
    own = Arrival.objects.filter(pk=arrival.pk, lease_token=token, state=ArrivalState.PENDING)
    if arrival.attempts >= MAX_ERRORS:
        own.update(state=ArrivalState.FAILED, error=error[:500], lease_token=None, lease_until=None, finished_at=now)
    else:
        own.update(error=error[:500], lease_token=None, lease_until=now + BACK_OFF[min(arrival.attempts, len(BACK_OFF)) - 1])


def postpone(arrival: Arrival, *, token: UUID, error: str, now: datetime) -> bool:
    """Let an arrival rest, uncounted, as a system is away; False: it has been away for too long, or another worker has the arrival."""
    own = Arrival.objects.filter(pk=arrival.pk, lease_token=token, state=ArrivalState.PENDING)
    rest = {"lease_token": None, "lease_until": now + AWAY_REST, "attempts": F("attempts") - 1}
    return arrival.received_at + AWAY_FOR > now and bool(own.update(error=error[:500], **rest))


def release(arrivals: Sequence[Arrival], *, token: UUID, rest: timedelta | None = None) -> None:
    """Give back what was not begun, as if it had not been taken; `rest`: no one takes it before."""
    own = Arrival.objects.filter(pk__in=[arrival.pk for arrival in arrivals], lease_token=token, state=ArrivalState.PENDING)
    own.update(lease_token=None, lease_until=database_time() + rest if rest else None, attempts=F("attempts") - 1)


def give_up_killers(*, now: datetime) -> int:
    """Give up the arrivals whose workers died again and again, and return how many."""
    dead = Arrival.objects.filter(state=ArrivalState.PENDING, attempts__gte=MAX_ATTEMPTS, lease_until__lt=now)
    return dead.update(state=ArrivalState.FAILED, error=DIED, lease_token=None, lease_until=None, finished_at=now)
