"""Sending again what did not arrive in a range of time or of events.

Each delivery of the log that is chosen is sent again in one request, as `deliveries.replay` does. A delivery is chosen by what came of
its last attempt, and what has arrived since is left out, so a call that is repeated goes on where the one before it ended.
"""

import time
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from accounts.services import audit
from accounts.services.audit import Actor
from messaging.actions import Action
from messaging.models import DeliveryKind, DeliveryStatus, WebhookDelivery, WebhookEndpoint
from messaging.webhooks import deliveries, positions
from posthaste.lib.outgoing_calls import outgoing_calls
from posthaste.lib.problems import Invalid

NOT_ARRIVED = (DeliveryStatus.FAILED, DeliveryStatus.GIVEN_UP)
MAX_REQUESTS = 100  # in one call: it is answered when all are sent
MAX_EVENTS = 1_000
MAX_SECONDS = 20.0
ROWS_A_PAGE = 200


class Range(NamedTuple):
    """Which deliveries: those that were made from `since` to before `until`, or that carried events from `first` to `last`."""

    since: datetime | None = None
    until: datetime | None = None
    first: int | None = None
    last: int | None = None

    def check(self) -> None:
        """Refuse what is no range.

        Raises:
            Invalid: neither or both are given, or its end comes before its beginning.
        """
        if (self.since is None) == (self.first is None):
            raise Invalid.field("since", _("Give either since or from_event."))
        if self.since is not None:
            if self.last is not None:
                raise Invalid.field("until_event", _("Give either since or from_event."))
            if self.until is not None and self.until <= self.since:
                raise Invalid.field("until", _("Must be after since."))
        elif self.until is not None:
            raise Invalid.field("until", _("Give either since or from_event."))
        elif self.first is not None and self.last is not None and self.last < self.first:
            raise Invalid.field("until_event", _("Must not be before from_event."))

    def of(self, rows: "QuerySet[WebhookDelivery]") -> "QuerySet[WebhookDelivery]":
        """Return the entries of the range."""
        bounds = {"at__gte": self.since, "at__lt": self.until, "until_position__gte": self.first, "from_position__lte": self.last}
        return rows.filter(**{name: bound for name, bound in bounds.items() if bound is not None})


@dataclass(slots=True)
class Replayed:
    """The new entries of the log, and whether the range is through."""

    entries: list[WebhookDelivery] = field(default_factory=list)
    is_whole: bool = True

    @property
    def requests(self) -> int:
        """The number of requests that were sent."""
        return len(self.entries)

    @property
    def delivered(self) -> int:
        """The number of requests that arrived."""
        return sum(entry.status == DeliveryStatus.DELIVERED for entry in self.entries)

    @property
    def events(self) -> int:
        """The number of events that arrived."""
        return sum(entry.events for entry in self.entries if entry.status == DeliveryStatus.DELIVERED)


def replay_range(
    *, endpoint: WebhookEndpoint, chosen: Range, by: Actor, now: datetime, statuses: Collection[str] = NOT_ARRIVED
) -> Replayed:
    """Send the deliveries of a range once more, oldest first, and return the new entries of the log.

    It ends at the first request that fails, and at MAX_REQUESTS, MAX_EVENTS and MAX_SECONDS; then `is_whole` is false. The endpoint's
    cursor stays where it is. The request that the sender is repeating at the moment is left to it.

    Raises:
        Invalid: the range is none.
        NotFound: the endpoint was deleted during a call.
        TooMany: as many calls as a process may wait for are in progress.
    """
    chosen.check()
    made, until = Replayed(), time.monotonic() + MAX_SECONDS
    number = 0
    noted = None
    with outgoing_calls.place(endpoint.tenant_id), ExitStack() as noting:
        for delivery, carried in _choose(endpoint, chosen, statuses, until):
            if delivery is None:
                made.is_whole = False
                break
            found = deliveries.stored_at(endpoint, carried)
            if not found:
                continue  # not kept any more, or not for this endpoint any more
            number += len(found)
            if len(made.entries) >= MAX_REQUESTS or (made.entries and number > MAX_EVENTS) or time.monotonic() > until:
                made.is_whole = False
                break
            if noted is None:
                noted = noting.enter_context(_noted(endpoint, by, carried))
            made.entries.append(deliveries.send_again(endpoint, found, now, replayed_from=delivery))
            if made.entries[-1].status != DeliveryStatus.DELIVERED:
                made.is_whole = False
                break
        if noted is not None:
            audit.complete(noted, detail=_detail(made))
    return made


def _choose(
    endpoint: WebhookEndpoint, chosen: Range, statuses: Collection[str], give_up_at: float
) -> Iterator[tuple[WebhookDelivery | None, list[int]]]:
    """Return the deliveries to be sent again and what of each, every event once, oldest first; None at the end if the time is up.

    What lies after the endpoint's cursor is left to the sender, which goes on with it.
    """
    log = WebhookDelivery.objects.filter(endpoint=endpoint, from_position__gt=0).exclude(kind=DeliveryKind.TEST).order_by("pk")
    rows = chosen.of(log.filter(status__in=statuses))
    rows = rows.filter(from_position__lte=endpoint.cursor)
    sent: set[int] = set()
    page = list(rows[:ROWS_A_PAGE])
    while page:
        later = log.filter(pk__gt=page[0].pk)
        ids = {row.webhook_id for row in page}
        last_attempts = dict(later.filter(webhook_id__in=ids).values_list("webhook_id", "pk"))
        arrived = [] if DeliveryStatus.DELIVERED in statuses else _arrived(later, page)
        for row in page:
            if last_attempts.get(row.webhook_id, row.pk) > row.pk:
                continue
            done = sent.union(*[other.positions for other in arrived if other.came_after(row)])
            left = [position for position in positions.decode(row.positions) if position <= endpoint.cursor and position not in done]
            if left:
                sent.update(left)
                yield row, left
        page = list(rows.filter(pk__gt=page[-1].pk)[:ROWS_A_PAGE])
        if page and time.monotonic() > give_up_at:
            yield None, []
            return


@dataclass(frozen=True, slots=True)
class _Arrival:
    """A delivery that arrived."""

    pk: Any
    first: int
    last: int
    text: str

    def came_after(self, row: WebhookDelivery) -> bool:
        """Return whether it may have carried events of an entry, and later."""
        return bool(self.pk > row.pk) and self.first <= row.until_position and self.last >= row.from_position

    @property
    def positions(self) -> list[int]:
        """Where its events are."""
        return positions.decode(self.text)


def _arrived(later: "QuerySet[WebhookDelivery]", page: list[WebhookDelivery]) -> list[_Arrival]:
    """Return what was delivered of the positions of a page, afterwards."""
    first, last = min(row.from_position for row in page), max(row.until_position for row in page)
    rows = later.filter(status=DeliveryStatus.DELIVERED, until_position__gte=first, from_position__lte=last)
    return [_Arrival(*row) for row in rows.values_list("pk", "from_position", "until_position", "positions")]


def _noted(endpoint: WebhookEndpoint, by: Actor, carried: list[int]) -> AbstractContextManager[Any]:
    """Note a replay before its first request leaves, as the requests of a process that dies have been sent all the same."""
    return audit.recorded_first(
        by=by,
        action=Action.WEBHOOK_REPLAY,
        target=endpoint.pk,
        tenant_id=endpoint.tenant_id,
        detail={"from_position": carried[0], "until_position": carried[-1]},
    )


def _detail(made: Replayed) -> dict[str, Any]:
    return {
        "from_position": min(entry.from_position for entry in made.entries),
        "until_position": max(entry.until_position for entry in made.entries),
        "requests": len(made.entries),
        "events": made.events,
        "status": str(made.entries[-1].status),
    }
