"""The front of a tenant's queue, as far as the agents who have room could take it."""

from collections.abc import Sequence
from uuid import UUID

from django.db.models import F, QuerySet, Window
from django.db.models.functions import RowNumber

from routing.assignment.candidates import wanted_by
from routing.assignment.choosing import Candidate, Languages
from routing.assignment.turn import turn
from routing.configuration.assignment_rules import Assignment
from routing.models import Conversation, ConversationStatus

MAX_A_ROUND = 100
#: So many more are looked at, as an agent does not get back what they gave away while others are there.
SPARE = 5


def waiting(tenant_id: int) -> "QuerySet[Conversation]":
    """Return what waits for an agent of a tenant."""
    return Conversation.objects.filter(tenant_id=tenant_id, status=ConversationStatus.QUEUED, agent=None)


def front(tenant_id: int, free: Sequence[Candidate], languages: dict[UUID | None, Languages], settings: Assignment) -> list[Conversation]:
    """Return the first conversations that wait, in their order, locked until the transaction ends.

    The first of each group and language, as many as there are places: were it the first of all, those of one group that wait long would
    keep an agent of another group idle. What another transaction works on is left out: its end causes another call, or the sweep does.
    """
    places = min(MAX_A_ROUND, sum(each.capacity - each.load for each in free)) + SPARE
    rank = Window(RowNumber(), partition_by=[F("group_id"), F("language")], order_by=[F("turn").asc(), F("pk").asc()])
    wanted = waiting(tenant_id).filter(wanted_by(free, languages)).annotate(turn=turn(settings)).annotate(rank=rank)
    # Two statements: how many wait changes faster than the database's statistics, and a plan made for few takes seconds for many.
    first = list(wanted.filter(rank__lte=places).values_list("pk", flat=True))
    rows = waiting(tenant_id).filter(pk__in=first).annotate(turn=turn(settings)).order_by("turn", "pk")
    return list(rows.select_for_update(skip_locked=True, no_key=True))
