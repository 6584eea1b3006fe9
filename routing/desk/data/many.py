"""One thing done with many conversations, and what a merge of them would do."""

from typing import Any
from uuid import UUID

import msgspec
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _

from posthaste.lib.problems import Invalid, Problem
from routing.conversations.masking import mask_identity
from routing.desk import bulk, merging, rows
from routing.desk.data import acting, deciding, talking
from routing.desk.data.requests import Call, answer, call_of, desk_view, ids_in
from routing.desk.seats import Seat
from routing.models import Conversation


class IntentIn(msgspec.Struct, forbid_unknown_fields=True):
    """What the customers really want; which line says so differs, so the first one of each does."""

    intent: str


#: What can be done with many at once; each takes its parameters from the same body.
MANY: dict[str, Any] = {
    "claim": deciding.Nothing,
    "transfer": deciding.TransferIn,
    "release": deciding.Nothing,
    "resolve": deciding.Nothing,
    "reopen": deciding.Nothing,
    "close": deciding.Nothing,
    "spam": deciding.Nothing,
    "snooze": deciding.SnoozeIn,
    "tags": deciding.TagsIn,
    "priority": deciding.PriorityIn,
    "intent": IntentIn,
    "merge": deciding.MergeIn,
    "unmerge": deciding.Nothing,
    "note": talking.NoteIn,
}


class BulkIn(msgspec.Struct, forbid_unknown_fields=True):
    """An action, the conversations, and the parameters of the action."""

    action: str
    ids: list[UUID]
    parameters: dict[str, Any] = {}


@desk_view("POST")
def many(request: HttpRequest, seat: Seat) -> HttpResponse:
    """Do one thing with many conversations, and say for each what came of it."""
    call = call_of(request)
    body = call.read(BulkIn)
    if body.action not in MANY:
        raise Invalid.field("action", _("Must be one of {values}.").format(values=", ".join(MANY)))
    if not body.ids or len(body.ids) > bulk.MAX_IDS:
        raise Invalid.field("ids", _("Between {least} and {most}.").format(least=1, most=bulk.MAX_IDS))
    alone = Call(by=call.by, raw=msgspec.json.encode(body.parameters))
    alone.read(MANY[body.action])  # what is wrong for all is told once

    def perform(conversation: Conversation) -> None:
        acting.check(body.action, conversation, seat)
        acting.ACTIONS[body.action](alone, seat, conversation)

    outcome = bulk.each(body.ids, seat, perform)
    refused = [{"id": str(pk), **problem.as_dict(), "detail": said_of(problem)} for pk, problem in outcome.refused]
    return answer({"done": [str(pk) for pk in outcome.done], "refused": refused})


def said_of(problem: Any) -> str:
    """Return what a problem says, in one line."""
    parts = [str(problem.detail), *(str(error["message"]) for error in problem.errors)]
    return " ".join(part for part in parts if part) or str(problem.title)


@desk_view("GET", "HEAD")
def merge_plan(request: HttpRequest, seat: Seat) -> HttpResponse:
    """Return what a merge of the conversations would do: which one goes on, where its replies go, and which ones can't be merged."""
    wanted = ids_in(request.GET.get("ids", ""), most=rows.MAX_ROWS)
    readable = Conversation.objects.filter(rows.readable(seat), tenant_id=seat.tenant_id, pk__in=wanted)
    found = list(readable.select_related("customer", "entrance", "group", "agent", "identity", "parent"))
    plan = merging.plan(found, why_not=lambda conversation: _why_not(conversation, seat))
    into, *merged = rows.shapes_of([plan.kept, *plan.merged], seat, now=timezone.now())
    identity = plan.kept.identity
    return answer(
        {
            "into": into,
            "replies_to": mask_identity(identity.kind, identity.value),
            "merged": merged,
            "refused": [{"id": str(each.pk), "subject": each.subject, "detail": reason} for each, reason in plan.refused],
        }
    )


def _why_not(conversation: Conversation, seat: Seat) -> str:
    try:
        acting.check("merge", conversation, seat)
    except Problem as problem:
        return said_of(problem)
    return ""
