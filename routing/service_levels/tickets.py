"""The clocks of tickets. Who changes a ticket calls these functions in the transaction of the change, with its row locked.

Resolution: from its opening until it is resolved; if it is reopened, it goes on where it stood. First response: of a ticket that a customer
opened by a form or a system, until an agent answers; where it came out of a conversation, that has the clocks of responses. Next response:
from each later text that nothing is open for. All of these stand still while the ticket waits for the customer or is on hold.

Due day: see `timeline.due_by_day`. It stands still for nothing. Another day ends the clock and starts one that can warn again.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from routing.customers import attributes
from routing.models import OPEN_TICKETS, Clock, ClockMetric, ClockState, Ticket, TicketStatus, TicketType
from routing.service_levels.levels import Levels, levels_of
from routing.service_levels.running import OPEN, RESPONSES, begun, go_on, hold, settle_late, stop, store

WAITING = (TicketStatus.WAITING, TicketStatus.ON_HOLD)
DONE = (TicketStatus.RESOLVED, TicketStatus.CLOSED)
#: Fields of a ticket whose change concerns its clocks.
FIELDS = frozenset({"priority", "type", "due_on"})


def ticket_opened(ticket: Ticket, now: datetime) -> None:
    """Start the clocks of a new ticket."""
    levels = levels_of(ticket.tenant_id)
    facts = _facts(ticket, levels, now=now)
    metrics = [ClockMetric.RESOLUTION]
    if ticket.conversation_id is None and ticket.customer_id is not None:
        metrics.append(ClockMetric.FIRST_RESPONSE)
    made = [begun(levels, metric, facts, ticket_id=ticket.pk, pause=_pause(ticket), now=now) for metric in metrics]
    store([clock for clock in [*made, _due_day(ticket, levels, now=now)] if clock], [])


def ticket_moved(ticket: Ticket, before: str, now: datetime) -> None:
    """Have the clocks of a ticket follow its status; `before` is the one it had."""
    if ticket.status in OPEN_TICKETS:
        _reopen(ticket, now=now) if before not in OPEN_TICKETS else _follow(ticket, {}, now=now)
        return
    clocks = _open(ticket)
    is_done = ticket.status in DONE
    stop([each for each in clocks if each.metric not in RESPONSES], is_met=is_done, now=now)
    stop([each for each in clocks if each.metric in RESPONSES], is_met=False, now=now)


def ticket_changed(ticket: Ticket, fields: Collection[str], now: datetime) -> None:
    """Have the clocks of an open ticket follow its priority, type and due day."""
    if ticket.status not in OPEN_TICKETS or not FIELDS & set(fields):
        return
    levels = levels_of(ticket.tenant_id)
    _follow(ticket, {"priority": ticket.priority, "type": _type_name(ticket)}, now=now)
    if "due_on" in fields:
        wanted = ticket.due_on.isoformat() if ticket.due_on else None
        old = [each for each in _open(ticket) if each.metric == ClockMetric.DUE_DAY]
        if [each.facts.get("due_on") for each in old] != ([wanted] if wanted else []):
            stop(old, is_met=False, now=now)
            store([clock for clock in [_due_day(ticket, levels, now=now)] if clock], [])


def ticket_answered(tickets: Ticket | Sequence[Ticket], now: datetime) -> None:
    """Stop the clocks of responses, as an agent has answered."""
    rows = Clock.objects.filter(ticket__in=_all(tickets), state__in=OPEN, metric__in=RESPONSES)
    stop(list(rows), is_met=True, now=now)


def customer_asked(tickets: Ticket | Sequence[Ticket], now: datetime) -> None:
    """Start the clocks of the next response of open tickets that have none of a response; not where a conversation has them."""
    own = [each for each in _all(tickets) if each.conversation_id is None and each.status in OPEN_TICKETS]
    answered = set(Clock.objects.filter(ticket__in=own, state__in=OPEN, metric__in=RESPONSES).values_list("ticket", flat=True))
    made = []
    for ticket in own:
        if ticket.pk not in answered:
            levels = levels_of(ticket.tenant_id)
            facts = _facts(ticket, levels, now=now)
            made.append(begun(levels, ClockMetric.NEXT_RESPONSE, facts, ticket_id=ticket.pk, pause=_pause(ticket), now=now))
    store([clock for clock in made if clock], [])


def _reopen(ticket: Ticket, *, now: datetime) -> None:
    levels = levels_of(ticket.tenant_id)
    last = Clock.objects.filter(ticket=ticket, metric=ClockMetric.RESOLUTION).order_by("-pk").first()
    made, changed = [], []
    if last is None or last.state == ClockState.CANCELLED:
        made.append(begun(levels, ClockMetric.RESOLUTION, _facts(ticket, levels, now=now), ticket_id=ticket.pk, now=now))
    elif last.state not in OPEN:
        go_on(last, now=now)
        hold(last, _pause(ticket), now=now)
        changed = [last] if levels.calculate(last) else []
    store([clock for clock in [*made, _due_day(ticket, levels, now=now)] if clock], changed)


def _follow(ticket: Ticket, facts: dict[str, Any], *, now: datetime) -> None:
    levels, pause = levels_of(ticket.tenant_id), _pause(ticket)
    held, changed = [], []
    for clock in _open(ticket):
        if clock.metric == ClockMetric.DUE_DAY:
            continue
        if is_held := hold(clock, pause, now=now):
            held.append(clock)
        if is_held or facts.items() - clock.facts.items():
            clock.facts = {**clock.facts, **facts}
            changed.append(clock)
    settle_late(held, now=now)
    kept = [clock for clock in changed if levels.calculate(clock)]
    store([], kept)
    stop([clock for clock in changed if clock not in kept], is_met=False, now=now)


def _due_day(ticket: Ticket, levels: Levels, *, now: datetime) -> Clock | None:
    if ticket.due_on is None:
        return None
    facts = {"due_on": ticket.due_on.isoformat(), "priority": ticket.priority, "type": _type_name(ticket)}
    return begun(levels, ClockMetric.DUE_DAY, facts, ticket_id=ticket.pk, now=now)


def _facts(ticket: Ticket, levels: Levels, *, now: datetime) -> dict[str, Any]:
    level = ""
    if ticket.customer_id is not None and levels.uses_levels():
        level = str(attributes.current([ticket.customer_id], now=now)[ticket.customer_id].get("level") or "")
    return {"priority": ticket.priority, "level": level, "type": _type_name(ticket)}


def _type_name(ticket: Ticket) -> str:
    return TicketType.objects.values_list("name", flat=True).get(pk=ticket.type_id)


def _pause(ticket: Ticket) -> tuple[datetime | None] | None:
    """Return until when the clocks stand still: None: they run; without end while it waits, is on hold, or with a bot."""
    return (None,) if ticket.status in (*WAITING, TicketStatus.BOT) else None


def _open(ticket: Ticket) -> list[Clock]:
    return list(Clock.objects.filter(ticket=ticket, state__in=OPEN).order_by("pk"))


def _all(tickets: Ticket | Sequence[Ticket]) -> Sequence[Ticket]:
    return [tickets] if isinstance(tickets, Ticket) else tickets
