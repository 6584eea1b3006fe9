"""What the hub of the desks asks the database and Redis: a few statements for all desks of the process."""

import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from accounts.selectors import get_staff
from accounts.services.open_connections import Grant, StaffGrant
from accounts.services.open_connections import still_valid as _still_valid
from posthaste.lib.ids import first_id_at
from posthaste.lib.problems import NotFound
from routing.assignment import attendance
from routing.configuration import assignment
from routing.desk import telling, viewing
from routing.desk.seats import NotAnAgent, Seat, seat_of
from routing.models import Agent, Conversation, Notice

#: How long a seat is taken for what it was.
SEAT_SECONDS = 15.0
#: Notices are committed this much later than their ids were made, at most.
FRESH = timedelta(seconds=30)


class Desk(Protocol):
    """One open desk. None of its methods waits."""

    seat: Seat
    grant: StaffGrant
    viewer: viewing.Viewer
    watched: UUID | None
    seated_at: float

    def changed(self, conversation_ids: Iterable[UUID], *, is_all: bool = False) -> None:
        """Tell which conversations to read again."""

    def counted(self, counts: dict[str, int]) -> None:
        """Tell the numbers in the views."""

    def noticed(self, notices: Sequence[Notice]) -> None:
        """Tell of notices, unless they were told."""

    def viewed_by(self, conversation_id: UUID, names: list[str]) -> None:
        """Tell who else looks at the conversation."""

    def tell(self, frame: dict[str, Any]) -> None:
        """Send a frame; it may be lost."""

    def seat_anew(self, seat: Seat) -> None:
        """Take what the seat is now."""

    def end(self) -> None:
        """Close: the session holds no more."""


def places_of(conversation_ids: Collection[UUID]) -> dict[int, dict[UUID, tuple[UUID | None, UUID | None]]]:
    """Return agent and group of conversations, by tenant; of one about another, that other one has changed."""
    rows = Conversation.objects.filter(pk__in=conversation_ids).order_by()
    found: dict[int, dict[UUID, tuple[UUID | None, UUID | None]]] = defaultdict(dict)
    fields = ("tenant_id", "pk", "agent_id", "group_id", "parent_id", "parent__agent_id", "parent__group_id")
    for tenant_id, pk, agent_id, group_id, parent_id, parents_agent, parents_group in rows.values_list(*fields):
        if parent_id is not None:
            found[tenant_id][parent_id] = (parents_agent, parents_group)
        found[tenant_id][pk] = (parents_agent, parents_group) if parent_id else (agent_id, group_id)
    return found


def fresh_notices(agent_ids: Collection[UUID | None], *, now: datetime) -> dict[UUID, list[Notice]]:
    """Return what agents were told of a moment ago and have not read, oldest first."""
    found: dict[UUID, list[Notice]] = defaultdict(list)
    wanted = [pk for pk in agent_ids if pk is not None]
    for notice in telling.unread(wanted).filter(pk__gte=first_id_at(now - FRESH)).order_by("pk") if wanted else ():
        found[notice.agent_id].append(notice)
    return found


def still_valid(grants: Collection[Grant], *, now: datetime) -> set[Grant]:
    """Return the sessions that still hold."""
    return _still_valid(grants, now=now)


def to_seat_anew(desks: Iterable[Desk]) -> list[Desk]:
    """Return the desks whose seat was read some time ago."""
    clock = time.monotonic()
    return [desk for desk in desks if clock - desk.seated_at >= SEAT_SECONDS]


def seat_again(seat: Seat) -> Seat | None:
    """Return what a seat is now; None: there is none any more."""
    user = get_staff(seat.user.pk)
    try:
        return seat_of(user, tenant_id=seat.tenant_id) if user else None
    except NotAnAgent:
        return None


def show_presence(agents: Collection[tuple[UUID | None, int]], *, now: datetime) -> None:
    """Show that the agents are there, where that was not shown lately."""
    seen = dict(Agent.objects.filter(pk__in=[pk for pk, _tenant in agents if pk]).values_list("pk", "seen_at"))
    for agent_id, tenant_id in agents:
        if agent_id is None or agent_id not in seen:
            continue
        at, often = seen[agent_id], timedelta(seconds=assignment.of(tenant_id).presence_grace_seconds / 3)
        if at is None or at + often <= now:
            try:
                attendance.beat(agent_id=agent_id, tenant_id=tenant_id, sign=attendance.Sign.DESK, now=now)
            except NotFound:
                continue  # deleted at this moment


def show_views(shown: Collection[tuple[viewing.Viewer, UUID | None]], *, at: float) -> None:
    """Show which conversations are looked at."""
    by_viewer: dict[viewing.Viewer, set[UUID]] = defaultdict(set)
    for viewer, conversation_id in shown:
        if conversation_id is not None:
            by_viewer[viewer].add(conversation_id)
    for viewer, conversation_ids in by_viewer.items():
        viewing.look(viewer, conversation_ids, at=at)
