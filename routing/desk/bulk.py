"""One thing done with many conversations: each on its own, so that one that can't be done stops no other."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.utils.translation import gettext as _

from posthaste.lib.problems import Problem
from routing.desk import rows
from routing.desk.seats import Seat
from routing.models import Conversation

MAX_IDS = 500


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was done, and what was not and why."""

    done: list[UUID]
    refused: list[tuple[UUID, Problem]]


def each(ids: Sequence[UUID], seat: Seat, perform: Callable[[Conversation], object]) -> Outcome:
    """Do something with each conversation that the seat may open, each in a transaction of its own."""
    found = Conversation.objects.filter(rows.readable(seat), tenant_id=seat.tenant_id, pk__in=list(ids))
    conversations = {row.pk: row for row in found.select_related("parent")}
    outcome = Outcome(done=[], refused=[])
    for pk in dict.fromkeys(ids):
        conversation = conversations.get(pk)
        try:
            if conversation is None:
                raise Problem(_("There is no such conversation, or it is in a group that is not yours."))
            perform(conversation)
        except Problem as problem:
            outcome.refused.append((pk, problem))
        else:
            outcome.done.append(pk)
    return outcome
