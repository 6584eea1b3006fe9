"""From one subscription to all desks of this process.

A notice only says which conversations have changed. Twice a second the hub tells each desk of those it sees, or saw before; the pages read
what they lack. The numbers in the views are counted once a second for a tenant at most, and only while it has desks. Every few
seconds the hub looks by itself: at what a lost notice would have told, at rights, groups and presence. Nothing runs without desks.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any
from uuid import UUID

import orjson
import redis.asyncio
import structlog
from django.utils import timezone

from posthaste.lib import fanout
from routing.conversations import notices
from routing.desk import counts, viewing
from routing.desk.seats import Seat
from routing.sockets import desk_looks as looks
from routing.sockets.desk_looks import Desk
from routing.sockets.hub import in_thread

log = structlog.get_logger(__name__)
TURN_SECONDS = 0.5
COUNT_SECONDS = 1.0
ACCESS_SECONDS = 1.0
LOOK_SECONDS = 3.0
#: Places of conversations that are remembered, to tell those who saw one where it was.
MAX_PLACES = 20_000
Place = tuple[UUID | None, UUID | None]


class DeskHub(fanout.Hub):
    """The desks of this process, and the tasks that serve them while there are any."""

    def __init__(self) -> None:
        super().__init__()
        self._desks: set[Desk] = set()
        self._changed: set[UUID] = set()
        self._told = False
        self._viewed: set[UUID] = set()
        self._places: OrderedDict[UUID, Place] = OrderedDict()
        #: Tenants whose numbers are to be told, and what was counted last and when.
        self._uncounted: set[int] = set()
        self._tallies: dict[int, list[counts.Alike]] = {}
        self._counted_at: dict[int, float] = {}

    @property
    def is_used(self) -> bool:
        return bool(self._desks)

    def channel(self) -> str:
        return notices.channel()

    def subscribed(self) -> None:
        for desk in self._desks:
            desk.changed((), is_all=True)

    def add(self, desk: Desk) -> None:
        """Serve a desk from now on."""
        self._desks.add(desk)
        self._uncounted.add(desk.seat.tenant_id)
        self._told = True
        self.start()

    def remove(self, desk: Desk) -> None:
        """Serve a desk no more."""
        self._desks.discard(desk)

    def number_of(self, session_key: str) -> int:
        """Return how many desks of this process a session has."""
        return sum(desk.grant.session_key == session_key for desk in self._desks)

    def is_watched(self, conversation_id: UUID, viewer_id: str) -> bool:
        """Return whether a desk of this process shows a conversation to someone."""
        return any(desk.watched == conversation_id and desk.viewer.id == viewer_id for desk in self._desks)

    async def hear(self, client: "redis.asyncio.Redis", data: bytes) -> None:
        try:
            notice = orjson.loads(data)
            self._changed |= {UUID(conversation) for conversation, _identity, _tenant in notice.get("changed", ())}
            self._told = self._told or bool(notice.get("agents"))
            if "viewing" in notice:
                self._viewed.add(UUID(notice["viewing"]))
            if "typing" in notice:
                self._tell_typing(UUID(notice["conversation"]), notice)
        except (orjson.JSONDecodeError, KeyError, ValueError, TypeError, AttributeError):
            log.warning("a notice was not understood")

    def _tell_typing(self, conversation_id: UUID, notice: dict[str, Any]) -> None:
        frame = {"type": "typing", "conversation": str(conversation_id), "name": notice.get("name", ""), "author": notice["typing"]}
        for desk in self._desks:
            if desk.watched == conversation_id and notice.get("agent", "") != desk.viewer.id:
                desk.tell(frame)

    async def take_turns(self) -> None:
        """Tell what has changed, and look now and then whether a notice was lost or a right."""
        looked = checked = 0.0
        while self.is_used:
            await asyncio.sleep(TURN_SECONDS)
            clock = time.monotonic()
            try:
                await self.tell_changes()
                if clock - checked >= ACCESS_SECONDS:
                    checked = clock
                    await self.check()
                if clock - looked >= LOOK_SECONDS:
                    looked = clock
                    await self.look()
                await self._tell_numbers()
            except Exception as error:  # noqa: BLE001 - whatever is wrong with the database, the next turn tries again
                log.warning("desks not served", error=str(error))

    async def tell_changes(self) -> None:
        """Tell each desk which of the conversations that have changed it sees, or saw."""
        changed, self._changed = self._changed, set()
        if changed:
            found = await in_thread(looks.places_of, changed)
            for tenant_id, moved in found.items():
                self._uncounted.add(tenant_id)
                before = {pk: self._places.get(pk) for pk in moved}
                for desk in self._of(tenant_id):
                    desk.changed(pk for pk, place in moved.items() if self._is_told(desk.seat, before[pk], place))
                for pk, place in moved.items():
                    self._places[pk] = place
                    self._places.move_to_end(pk)
            while len(self._places) > MAX_PLACES:
                self._places.popitem(last=False)
        if self._told:
            self._told = False
            await self._tell_notices()
        viewed, self._viewed = self._viewed, set()
        await self._tell_viewers(viewed)

    @staticmethod
    def _is_told(seat: Seat, before: Place | None, now: Place) -> bool:
        """Return whether a conversation concerns a seat: where it is now, or was; one whose place was not known may concern all."""
        return before is None or any(counts.sees(seat, agent_id=agent, group_id=group) for agent, group in (before, now))

    async def _tell_numbers(self) -> None:
        clock = time.monotonic()
        due = {tenant for tenant in self._uncounted if clock - self._counted_at.get(tenant, 0.0) >= COUNT_SECONDS}
        for tenant_id in due:
            self._uncounted.discard(tenant_id)
            if any(self._of(tenant_id)):
                await self._count(tenant_id)
                for desk in self._of(tenant_id):
                    desk.counted(counts.counts_of(self._tallies[tenant_id], desk.seat))

    async def _count(self, tenant_id: int) -> bool:
        """Count the conversations of a tenant, and return whether anything differs from the last time."""
        found = await in_thread(counts.tally, tenant_id, now=timezone.now())
        before = self._tallies.get(tenant_id)
        self._tallies[tenant_id], self._counted_at[tenant_id] = found, time.monotonic()
        return before is not None and set(before) != set(found)

    async def _tell_notices(self) -> None:
        agents = {desk.seat.agent_id for desk in self._desks} - {None}
        for agent_id, found in (await in_thread(looks.fresh_notices, agents, now=timezone.now())).items():
            for desk in self._desks:
                if desk.seat.agent_id == agent_id:
                    desk.noticed(found)

    async def _tell_viewers(self, conversation_ids: Iterable[UUID]) -> None:
        for pk in conversation_ids:
            watching = [desk for desk in self._desks if desk.watched == pk]
            if watching:
                found = await in_thread(viewing.viewers, pk, at=time.time())
                for desk in watching:
                    desk.viewed_by(pk, [viewer.name for viewer in found if viewer.id != desk.viewer.id])

    async def check(self) -> None:
        """End the desks whose session holds no more."""
        asked = {desk.grant for desk in self._desks}
        valid = await in_thread(looks.still_valid, asked, now=timezone.now())
        for desk in list(self._desks):
            if desk.grant in asked and desk.grant not in valid:
                desk.end()

    async def look(self) -> None:
        """Find what notices did not tell, show that agents are there, and read anew what their seats are."""
        now = timezone.now()
        tenants = {desk.seat.tenant_id for desk in self._desks}
        for tenant_id in tenants:
            if time.monotonic() - self._counted_at.get(tenant_id, 0.0) < COUNT_SECONDS:
                continue  # counted just now, as something was told
            was_told = tenant_id in self._uncounted
            if await self._count(tenant_id) and not was_told and not self._changed:
                for desk in self._of(tenant_id):
                    desk.changed((), is_all=True)
                    desk.counted(counts.counts_of(self._tallies[tenant_id], desk.seat))
        for gone in set(self._tallies) - tenants:
            self._tallies.pop(gone)
            self._counted_at.pop(gone, None)
        await self._tell_notices()
        for desk in looks.to_seat_anew(self._desks):
            seat = await in_thread(looks.seat_again, desk.seat)
            if seat is None:
                desk.end()
            else:
                desk.seat_anew(seat)
        await in_thread(looks.show_presence, {(desk.seat.agent_id, desk.seat.tenant_id) for desk in self._desks}, now=now)
        await in_thread(looks.show_views, [(desk.viewer, desk.watched) for desk in self._desks if desk.watched], at=time.time())
        await self._tell_viewers({desk.watched for desk in self._desks if desk.watched})

    def _of(self, tenant_id: int) -> Iterable[Desk]:
        return (desk for desk in list(self._desks) if desk.seat.tenant_id == tenant_id)


hub = DeskHub()
