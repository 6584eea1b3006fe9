"""The clocks of conversations.

First response: from the customer's first line until an agent writes. Next response: from each later line that nothing is open for, until
an agent writes. Resolution: from the first line until it is resolved; if it is opened again, it goes on where it stood. What a bot writes
stops nothing, and what an agent writes starts nothing.

All stand still while a bot has the conversation. The resolution stands still while it is snoozed; responses don't, as the customer waits.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Q

from routing.configuration.targets import priority_name
from routing.customers import attributes
from routing.models import Clock, ClockMetric, ClockState, Conversation, ConversationStatus
from routing.service_levels.levels import Levels, levels_of
from routing.service_levels.running import OPEN, RESPONSES, begun, go_on, hold, settle_late, stop, store

COLUMNS = (
    "pk", "tenant_id", "customer_id", "priority", "status", "snoozed_until", "unanswered_since", "first_response_at", "parent_id",
    "merged_into_id",
)  # fmt: skip
GONE = (ConversationStatus.CLOSED, ConversationStatus.SPAM)
Row = Mapping[str, Any]
Pause = tuple[datetime | None] | None


def customers_wrote(conversation_ids: Collection[UUID], *, now: datetime) -> None:
    """Start what customers' lines start, and have go on what was resolved: at most five statements for all of them."""
    _start(conversation_ids, now=now)


def reopened(conversation_id: UUID, *, now: datetime) -> None:
    """Have the resolution go on, and start the response that the customer still waits for, if they do."""
    _start([conversation_id], only_if_asked=True, now=now)


def _start(conversation_ids: Collection[UUID], *, only_if_asked: bool = False, now: datetime) -> None:
    rows = [row for row in Conversation.objects.filter(pk__in=list(conversation_ids)).values(*COLUMNS) if row["parent_id"] is None]
    clocks: dict[UUID | None, dict[str, Clock]] = defaultdict(dict)
    wanted = Q(state__in=OPEN) | Q(metric=ClockMetric.RESOLUTION)
    for clock in Clock.objects.filter(wanted, conversation__in=[row["pk"] for row in rows]).order_by("pk"):
        clocks[clock.conversation_id][clock.metric] = clock
    levels = {tenant_id: levels_of(tenant_id) for tenant_id in {row["tenant_id"] for row in rows}}
    known = _customer_levels(rows, levels, now=now)
    made, changed = [], []
    for row in rows:
        own, promised, pk = clocks[row["pk"]], levels[row["tenant_id"]], row["pk"]
        facts = {"priority": priority_name(row["priority"]), "level": known.get(row["customer_id"], "")}
        if not any(metric in own for metric in RESPONSES) and (row["unanswered_since"] is not None or not only_if_asked):
            metric = ClockMetric.FIRST_RESPONSE if row["first_response_at"] is None else ClockMetric.NEXT_RESPONSE
            made.append(begun(promised, metric, facts, conversation_id=pk, pause=_pause(row, metric, now), now=now))
        resolution = own.get(ClockMetric.RESOLUTION)
        pause = _pause(row, ClockMetric.RESOLUTION, now)
        if resolution is None or resolution.state == ClockState.CANCELLED:
            made.append(begun(promised, ClockMetric.RESOLUTION, facts, conversation_id=pk, pause=pause, now=now))
        elif _goes_on(resolution, pause, now=now) and promised.calculate(resolution):
            changed.append(resolution)
    store([clock for clock in made if clock], changed)


def agent_replied(conversation_id: UUID, *, now: datetime) -> None:
    """Stop the clocks of responses."""
    if clocks := list(Clock.objects.filter(conversation=conversation_id, state__in=OPEN, metric__in=RESPONSES)):
        stop(clocks, is_met=True, now=now)


def ended(conversation_id: UUID, *, is_done: bool = True, now: datetime) -> None:
    """Stop the clock of the resolution, which is met if the matter is done, and cancel responses, which are not needed any more."""
    clocks = list(Clock.objects.filter(conversation=conversation_id, state__in=OPEN))
    stop([each for each in clocks if each.metric == ClockMetric.RESOLUTION], is_met=is_done, now=now)
    stop([each for each in clocks if each.metric != ClockMetric.RESOLUTION], is_met=False, now=now)


def refresh(conversation_ids: Collection[UUID], *, now: datetime) -> None:
    """Have open clocks follow what conversations are by now: with a bot, snoozed, of another priority, gone. Two queries if all fit."""
    found: dict[UUID | None, list[Clock]] = defaultdict(list)
    for clock in Clock.objects.filter(conversation__in=list(conversation_ids), state__in=OPEN).order_by("pk"):
        found[clock.conversation_id].append(clock)
    rows = Conversation.objects.filter(pk__in=[pk for pk in found if pk]).values(*COLUMNS) if found else ()
    gone, late, changed = [], [], []
    for row in rows:
        for clock in found[row["pk"]]:
            if row["status"] in GONE or row["merged_into_id"] is not None:
                gone.append(clock)
                continue
            pause, priority = _pause(row, clock.metric, now), priority_name(row["priority"])
            if is_held := hold(clock, pause, now=now):
                late.append(clock)
            if is_held or clock.facts.get("priority") != priority:
                clock.facts = {**clock.facts, "priority": priority}
                changed.append(clock)
    stop(gone, is_met=False, now=now)
    _write(changed, late, now=now)


def _write(changed: Collection[Clock], held: Collection[Clock], *, now: datetime) -> None:
    """Calculate and store changed clocks; what is not promised any more is cancelled."""
    settle_late(held, now=now)
    levels = {tenant_id: levels_of(tenant_id) for tenant_id in {clock.tenant_id for clock in changed}}
    kept = [clock for clock in changed if levels[clock.tenant_id].calculate(clock)]
    store([], kept)
    if len(kept) < len(changed):
        stop([clock for clock in changed if clock not in kept], is_met=False, now=now)


def _goes_on(clock: Clock, pause: Pause, *, now: datetime) -> bool:
    if clock.state in OPEN:
        return hold(clock, pause, now=now)
    go_on(clock, now=now)
    hold(clock, pause, now=now)
    return True


def _pause(row: Row, metric: str, now: datetime) -> Pause:
    """Return until when a clock stands still as its conversation is; None: it runs."""
    if row["status"] == ConversationStatus.BOT:
        return (None,)
    snoozed = row["snoozed_until"]
    return (snoozed,) if metric == ClockMetric.RESOLUTION and snoozed is not None and snoozed > now else None


def _customer_levels(rows: Collection[Row], levels: Mapping[int, Levels], *, now: datetime) -> dict[UUID, str]:
    """Return the levels of customers whose tenants have targets for some; one query, or none."""
    asked = {row["customer_id"] for row in rows if levels[row["tenant_id"]].uses_levels()}
    found = attributes.current(asked, now=now) if asked else {}
    return {pk: str(values.get("level") or "") for pk, values in found.items()}
