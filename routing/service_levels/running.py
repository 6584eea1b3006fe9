"""Start, stop and hold clocks, in the transaction of what they follow from, which has locked their conversation or ticket."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from posthaste.lib.ids import new_id
from routing.models import Clock, ClockMetric, ClockState, SignalKind
from routing.service_levels import telling, timeline
from routing.service_levels.levels import Levels

OPEN = (ClockState.RUNNING, ClockState.PAUSED)
RESPONSES = (ClockMetric.FIRST_RESPONSE, ClockMetric.NEXT_RESPONSE)
#: What changes while a clock runs. Not what was told, which is `telling`'s.
CHANGED = [
    "state", "facts", "calendar", "config_version", "config_revision", "basis", "target_minutes", "pauses", "warn_at", "due_at", "ended_at",
]  # fmt: skip
Facts = Mapping[str, Any]


def begun(
    levels: Levels,
    metric: ClockMetric,
    facts: Facts,
    *,
    conversation_id: UUID | None = None,
    ticket_id: UUID | None = None,
    pause: tuple[datetime | None] | None = None,
    now: datetime,
) -> Clock | None:
    """Return a clock that is not stored yet; None: nothing is promised. `pause` holds until when it stands still from its start on."""
    clock = Clock(
        id=new_id(),
        tenant_id=levels.tenant_id,
        conversation_id=conversation_id,
        ticket_id=ticket_id,
        metric=metric,
        facts=dict(facts),
        started_at=now,
        target_minutes=0,
    )
    hold(clock, pause, now=now)
    return clock if levels.calculate(clock) else None


def store(made: Sequence[Clock], changed: Sequence[Clock]) -> None:
    """Write new and changed clocks: one statement each. A clock of the same measure that another transaction started stays."""
    if made:
        Clock.objects.bulk_create(made, ignore_conflicts=True)
    if changed:
        Clock.objects.bulk_update(changed, CHANGED)


def hold(clock: Clock, pause: tuple[datetime | None] | None, *, now: datetime) -> bool:
    """Have a clock stand still from now on, until a moment or for now without end, or run; return whether that is a change."""
    pauses = timeline.read(clock.pauses)
    last = pauses[-1] if pauses and (pauses[-1][1] is None or pauses[-1][1] > now) else None
    if (last is None and pause is None) or (last is not None and pause is not None and last[1] == pause[0]):
        return False
    held = timeline.without_pause(pauses, now=now) if pause is None else timeline.after_pause(pauses, until=pause[0], now=now)
    clock.pauses = timeline.stored(held)
    # A pause with an end needs no one to end it: the clock runs, and what it is due by lies after the pause.
    clock.state = ClockState.PAUSED if pause is not None and pause[0] is None else ClockState.RUNNING
    return True


def go_on(clock: Clock, *, now: datetime) -> None:
    """Have a clock that has ended run again. The time in between counts as a pause."""
    ended_at = clock.ended_at or now
    clock.pauses = timeline.stored([*timeline.without_pause(timeline.read(clock.pauses), now=ended_at), (ended_at, now)])
    clock.state, clock.ended_at = ClockState.RUNNING, None


def settle_late(clocks: Iterable[Clock], *, now: datetime) -> None:
    """Tell of the breach of clocks that are late and that no sweep has seen yet, before they stop or stand still."""
    late = [each for each in clocks if is_late(each, now=now) and each.breached_at is None]
    telling.tell(late, SignalKind.BREACH, now=now)


def is_late(clock: Clock, *, now: datetime) -> bool:
    """Return whether the due time of a clock has passed."""
    return clock.due_at is not None and clock.due_at < now


def stop(clocks: Collection[Clock], *, is_met: bool, now: datetime) -> None:
    """Stop open clocks. Those that are late are missed. The others are met, or cancelled if what they measure isn't needed any more."""
    settle_late(clocks, now=now)
    by_state: dict[ClockState, list[UUID]] = {}
    for clock in clocks:
        ended = ClockState.MISSED if clock.breached_at else ClockState.MET if is_met else ClockState.CANCELLED
        by_state.setdefault(ended, []).append(clock.pk)
    for state, ids in by_state.items():
        Clock.objects.filter(pk__in=ids, state__in=OPEN).update(state=state, ended_at=now)
