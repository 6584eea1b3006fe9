"""Tell of warnings and breaches: each once for a clock, in the transaction that notes it.

A `ClockSignal` is unique for its clock and kind. Who inserts it also writes the notices; another process that looks at the same moment
inserts nothing, and tells nothing. If the process dies before the commit, nothing is noted, and the next sweep tells.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django.db.models import F, Value
from django.db.models.functions import Coalesce

from posthaste.lib.hooks import Hook
from posthaste.lib.ids import new_id
from routing.conversations import notices
from routing.models import Clock, ClockSignal, Conversation, Notice, NoticeKind, SignalKind, Ticket

NOTICES = {SignalKind.WARNING: NoticeKind.WARNING, SignalKind.BREACH: NoticeKind.BREACH}
#: New signals, in their transaction; each has its clock loaded.
on_told: Hook[Sequence[ClockSignal], datetime] = Hook()


def tell(clocks: Sequence[Clock], kind: SignalKind, *, now: datetime) -> list[ClockSignal]:
    """Note that clocks warn or are breached, tell their agents, and return what is new. Joins the caller's transaction.

    The caller has locked the conversations and tickets. A breach takes the place of a warning that was not told yet.
    """
    if not clocks:
        return []
    wanted = [ClockSignal(id=new_id(), clock=clock, kind=kind, due_at=clock.due_at or now, at=now) for clock in clocks]
    ClockSignal.objects.bulk_create(wanted, ignore_conflicts=True)
    stored = set(ClockSignal.objects.filter(pk__in=[each.pk for each in wanted]).values_list("pk", flat=True))
    rows = Clock.objects.filter(pk__in=[clock.pk for clock in clocks])
    if kind == SignalKind.BREACH:
        rows.filter(breached_at=None).update(breached_at=now, warned_at=Coalesce(F("warned_at"), Value(now)))
        for clock in clocks:
            clock.breached_at = clock.breached_at or now
    else:
        rows.filter(warned_at=None).update(warned_at=now)
    signals = [each for each in wanted if each.pk in stored]
    _notify(signals, now=now)
    if signals:
        on_told.tell(signals, now)
    return signals


def _notify(signals: Sequence[ClockSignal], *, now: datetime) -> None:
    """Write what agents are told at their desk. Where no agent has it yet, the alarm and the lists show it."""
    clocks = [signal.clock for signal in signals]
    conversations = Conversation.objects.filter(pk__in={clock.conversation_id for clock in clocks if clock.conversation_id})
    tickets = Ticket.objects.filter(pk__in={clock.ticket_id for clock in clocks if clock.ticket_id})
    agents: dict[UUID | None, UUID | None] = {}
    for row in conversations.only("agent_id", "identity_id", "tenant_id"):
        agents[row.pk] = row.agent_id
        notices.changed_after_commit(row)
    agents |= dict(tickets.values_list("pk", "agent_id"))
    made = [
        Notice(
            id=new_id(),
            agent_id=holder,
            kind=NOTICES[SignalKind(signal.kind)],
            conversation_id=signal.clock.conversation_id,
            ticket_id=signal.clock.ticket_id,
            about=signal.clock_id.hex,
            data={"metric": signal.clock.metric, "due_at": signal.due_at.isoformat()},
            at=now,
        )
        for signal in signals
        if (holder := agents.get(signal.clock.conversation_id or signal.clock.ticket_id))
    ]
    Notice.objects.bulk_create(made, ignore_conflicts=True)
    notices.told_after_commit({each.agent_id for each in made})
