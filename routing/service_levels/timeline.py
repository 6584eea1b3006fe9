"""When a clock warns and when it is due: a pure function of its start, its pauses, its target and the opening times.

Pauses and the target are measured on the same calendar, so a pause outside opening times changes nothing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from routing.calendars.opening import OpeningTimes

#: From and until; None: it goes on.
Pause = tuple[datetime, datetime | None]


@dataclass(frozen=True, slots=True)
class Due:
    """When a clock warns, and when it is due. None: never, as it stands still before, or its calendar never opens again."""

    warn_at: datetime | None
    due_at: datetime | None


def due(opening: OpeningTimes, *, started_at: datetime, target_seconds: float, warn_percent: int, pauses: Sequence[Pause] = ()) -> Due:
    """Return when so many seconds of opening time, outside of pauses, have passed since the start, and when the share to warn at has."""
    return Due(
        _reached(opening, started_at, target_seconds * warn_percent / 100, pauses), _reached(opening, started_at, target_seconds, pauses)
    )


def due_by_day(opening: OpeningTimes, day: date, *, now: datetime) -> Due:
    """Return when to warn of, and when to tell, that something is due on a day: never at midnight, nor at night.

    What is late from the start, such as a ticket that is opened after hours for the same day, is told at the next opening.
    """
    due_at = opening.end_of_day(day)
    if due_at is None:
        return Due(None, None)
    warn_at = opening.start_of_day(day)
    if due_at <= now:
        return Due(None, opening.next_opening(now))
    return Due(warn_at if warn_at and warn_at > now else None, due_at)


def used_seconds(opening: OpeningTimes, *, started_at: datetime, until: datetime, pauses: Sequence[Pause] = ()) -> float:
    """Return how much time a clock has used until a moment."""
    return sum(opening.business_seconds_between(start, min(end or until, until)) for start, end in _running(started_at, pauses))


def _reached(opening: OpeningTimes, started_at: datetime, seconds: float, pauses: Sequence[Pause]) -> datetime | None:
    for start, end in _running(started_at, pauses):
        reached = opening.add_business_seconds(start, seconds)
        if end is None or (reached is not None and reached <= end):
            return reached
        seconds -= opening.business_seconds_between(start, end)
    return None


def _running(started_at: datetime, pauses: Sequence[Pause]) -> Iterator[tuple[datetime, datetime | None]]:
    """Yield the spans in which a clock runs; the last one goes on unless the clock stands still."""
    at = started_at
    for start, end in sorted(pauses, key=lambda pause: pause[0]):
        if start > at:
            yield at, start
        if end is None:
            return
        at = max(at, end)
    yield at, None


def after_pause(pauses: Sequence[Pause], *, until: datetime | None, now: datetime) -> list[Pause]:
    """Return the pauses with one from now on, until a moment or without end; what lay after now before is replaced."""
    kept = without_pause(pauses, now=now)
    return kept if until is not None and until <= now else [*kept, (now, until)]


def without_pause(pauses: Sequence[Pause], *, now: datetime) -> list[Pause]:
    """Return the pauses with none from now on."""
    return [(start, now if end is None or end > now else end) for start, end in pauses if start < now]


def stored(pauses: Sequence[Pause]) -> list[list[str | None]]:
    """Return pauses as a clock keeps them."""
    return [[start.isoformat(), end.isoformat() if end else None] for start, end in pauses]


def read(stored_pauses: Sequence[Sequence[str | None]]) -> list[Pause]:
    """Return the pauses that a clock keeps."""
    return [(datetime.fromisoformat(str(start)), datetime.fromisoformat(end) if end else None) for start, end in stored_pauses]
