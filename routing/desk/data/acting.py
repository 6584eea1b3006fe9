"""What an agent does with one conversation: each action reads its body and calls one service."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _

from posthaste.lib.problems import Conflict, Forbidden, NotFound
from routing.desk import opening, rows
from routing.desk.counts import sees
from routing.desk.data import deciding, talking
from routing.desk.data.requests import Action, answer, call_of, desk_view
from routing.desk.seats import Seat
from routing.models import Conversation

ACTIONS: dict[str, Action] = {**talking.ACTIONS, **deciding.ACTIONS}
#: What those may do, too, who were only mentioned in a conversation.
FOR_READERS = {"note", "draft"}
#: What can be done with a conversation about another one.
OF_SIDES = {"reply", "note", "draft", "read", "close", "reopen"}


@desk_view("POST")
def act(request: HttpRequest, seat: Seat, pk: UUID, action: str) -> HttpResponse:
    """Do one thing with a conversation, and return its row as it is then."""
    perform = ACTIONS.get(action)
    if perform is None:
        raise NotFound(_("There is no such action."))
    conversation = opening.readable_conversation(pk, seat)
    check(action, conversation, seat)
    made = perform(call_of(request), seat, conversation)
    shown = rows.rows_of([pk], seat, now=timezone.now())
    return answer({"row": shown[0] if shown else None, **made})


def check(action: str, conversation: Conversation, seat: Seat) -> None:
    """Check that a seat may do something with a conversation that it may open.

    Raises:
        Conflict: it is about another one, where that makes no sense.
        Forbidden: it was only mentioned there.
    """
    if conversation.parent_id is not None and action not in OF_SIDES:
        raise Conflict(_("Not in a conversation with others: do it in the one that it is about."))
    about = conversation.parent or conversation
    if action not in FOR_READERS and not sees(seat, agent_id=about.agent_id, group_id=about.group_id):
        raise Forbidden(_("The conversation is in a group that is not yours. Ask for a transfer."))
