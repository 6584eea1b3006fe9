"""How many conversations are in each view of the inbox: one grouped query for a tenant, from which the counts of each agent follow."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import BooleanField, Case, Count, Q, Sum, Value, When

from routing.desk.inbox import UNASSIGNED, late
from routing.desk.seats import Seat
from routing.models import OPEN_STATUSES, Conversation, ConversationStatus


@dataclass(frozen=True, slots=True)
class Alike:
    """Open conversations that are in the same views for each agent."""

    status: str
    agent_id: UUID | None
    group_id: UUID | None
    is_snoozed: bool
    is_answered: bool
    is_late: bool
    number: int
    #: Changes whenever a line or a read mark is added to one of them.
    marks: int


def tally(tenant_id: int, *, now: datetime) -> list[Alike]:
    """Count the open conversations of a tenant by what puts them into a view."""
    rows = Conversation.objects.filter(tenant_id=tenant_id, parent=None, status__in=OPEN_STATUSES).order_by()
    rows = rows.annotate(
        is_snoozed=_whether(Q(snoozed_until__gt=now)), is_answered=_whether(Q(unanswered_since=None)), is_late=_whether(late(tenant_id))
    )
    grouped = rows.values_list("status", "agent_id", "group_id", "is_snoozed", "is_answered", "is_late")
    counted = grouped.annotate(number=Count("pk"), marks=Sum("last_seq") + Sum("agent_read_seq"))
    return [Alike(*row) for row in counted]


def _whether(condition: Q) -> Case:
    return Case(When(condition, then=Value(True)), default=Value(False), output_field=BooleanField())


def counts_of(alike: Iterable[Alike], seat: Seat) -> dict[str, int]:
    """Return the number of conversations in each view that has open ones, for a seat."""
    found = dict.fromkeys(("mine", "team", "unassigned", "waiting", "breaching", "snoozed"), 0)
    for one in alike:
        if not sees(seat, agent_id=one.agent_id, group_id=one.group_id):
            continue
        is_held, is_mine = one.status == ConversationStatus.ASSIGNED, seat.agent is not None and one.agent_id == seat.agent_id
        found["snoozed"] += one.number * one.is_snoozed
        found["breaching"] += one.number * one.is_late
        found["unassigned"] += one.number * (one.status in UNASSIGNED)
        if not one.is_snoozed:
            found["mine"] += one.number * (is_held and is_mine)
            found["waiting"] += one.number * (is_held and one.is_answered)
            found["team"] += one.number * (not seat.group_ids or one.group_id in seat.group_ids)
    return found


def sees(seat: Seat, *, agent_id: UUID | None, group_id: UUID | None) -> bool:
    """Return whether a seat sees a conversation in its inbox; see `Seat.visible`."""
    return seat.sees_all or agent_id == seat.agent_id or group_id in seat.group_ids or (group_id is None and agent_id is None)
