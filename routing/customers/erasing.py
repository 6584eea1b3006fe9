"""Erase a customer: what tells who they are and what they wrote goes; what only counts stays, and the answer says what and why."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import CharField, F, Q, Value
from django.db.models.functions import Cast, Concat
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.services import audit
from accounts.services.audit import Actor
from posthaste.lib.problems import Conflict, NotFound
from routing import event_types, events
from routing.actions import Action
from routing.customers import ticket_texts
from routing.customers.family import family_of
from routing.customers.finding import lock_customers
from routing.customers.values import ERASED
from routing.intents import utterances
from routing.models import (
    OPEN_STATUSES,
    OPEN_TICKETS,
    Arrival,
    ArrivalState,
    Attachment,
    BotTurn,
    Conversation,
    Customer,
    CustomerAttribute,
    CustomerMerge,
    Draft,
    Follow,
    Identity,
    IdentityKind,
    Line,
    Note,
    Notice,
    PortalSession,
    SafeLink,
    Satisfaction,
    Ticket,
    Welcome,
)

STEP = 500  # rows a statement: SQLite takes no more values than that at once

#: What stays, and why; shown with every answer, on the page and in the documentation.
KEPT = (
    (
        "counters",
        gettext_lazy("The customer's row and its conversations, tickets and welcome messages, without names and texts"),
        gettext_lazy("Statistics of the service desk count them."),
    ),
    (
        "suppressions",
        gettext_lazy("Entries of the suppression list"),
        gettext_lazy("They are what keeps messages from being sent to the person again."),
    ),
    (
        "messages",
        gettext_lazy("Messages that were sent, and their traces"),
        gettext_lazy("They prove what was sent, and are removed when the platform's time for messages has passed."),
    ),
    (
        "training",
        gettext_lazy("Examples that staff accepted for training, without a link to the customer"),
        gettext_lazy("Models were built from them. Delete them in the intent's list if they name the person."),
    ),
    ("audit", gettext_lazy("Who changed what, without values"), gettext_lazy("The audit trail proves that it was erased, and when.")),
)


class OpenConversations(Conflict):
    """The customer has conversations that are not over. Resolve them first, so that no agent is left with one that is gone."""

    code = "open_conversations"
    title = gettext_lazy("The customer has open conversations")


class OpenTickets(Conflict):
    """The customer has tickets that are not over. Resolve them first: no agent can work on a matter whose texts are gone."""

    code = "open_tickets"
    title = gettext_lazy("The customer has open tickets")


@dataclass(frozen=True, slots=True)
class Erased:
    """What an erasure did; of one that was done before, the counts are empty."""

    erased_at: datetime
    deleted: dict[str, int]

    @property
    def kept(self) -> list[dict[str, str]]:
        """What was kept, and why, in the reader's language."""
        return [{"what": str(what), "why": str(why)} for _code, what, why in KEPT]


@transaction.atomic
def erase(*, customer_id: UUID, tenant_id: int, by: Actor, now: datetime) -> Erased:
    """Erase a customer and all that were merged into it. Doing it again changes nothing.

    Raises:
        OpenConversations, OpenTickets: some of them are not over; nothing was changed.
        Conflict: the customer was merged into another one.
        NotFound: there is no such customer.
    """
    customer, own = _locked_family(customer_id, tenant_id)
    if customer.erased_at is not None:
        return Erased(customer.erased_at, {})
    if customer.merged_into_id is not None:
        raise Conflict(_("It was merged into another customer. Erase that one."), merged_into=str(customer.merged_into_id))
    conversations = Conversation.objects.filter(customer__in=own)
    if number := conversations.filter(status__in=OPEN_STATUSES).count():
        raise OpenConversations(_("Conversations that are not over: {n}. Resolve them first.").format(n=number), conversations=number)
    if number := Ticket.objects.filter(customer__in=own, status__in=OPEN_TICKETS).count():
        raise OpenTickets(_("Tickets that are not over: {n}. Resolve them first.").format(n=number), tickets=number)
    # First, as it locks them: a reply that is being written is erased with the rest, or comes too late.
    conversations.update(subject="", details={}, thread="")
    Satisfaction.objects.filter(conversation__customer__in=own).update(comment="")
    deleted = {
        "texts": _blank_texts(own),
        "attachments": _attachments(own),
        "suggested_examples": _examples(own),
        "attributes": CustomerAttribute.objects.filter(customer__in=own).delete()[0],
        "links": _number(SafeLink.objects.filter(customer__in=own).delete(), "routing.SafeLink"),
        **_identities(own, tenant_id),
        **ticket_texts.erase(own),
    }
    CustomerMerge.objects.filter(Q(kept__in=own) | Q(merged__in=own)).update(reason="", moved={})
    Customer.objects.filter(pk__in=own).update(name="", language="", note="", erased_at=now)
    for pk in own:
        audit.redact(target=pk, tenant_id=tenant_id, actions=[Action.CUSTOMER_CHANGE], details=["attributes"])
    audit.record(by=by, action=Action.CUSTOMER_ERASE, target=customer_id, tenant_id=tenant_id, detail=dict(deleted))
    events.customer(event_types.CUSTOMER_ERASED, customer_id, tenant_id=tenant_id, now=now)
    return Erased(now, deleted)


def _locked_family(customer_id: UUID, tenant_id: int) -> tuple[Customer, list[UUID]]:
    """Return a customer and the ids of all that were merged into it, locked together in the one order of locks."""
    found = Customer.objects.filter(pk=customer_id, tenant_id=tenant_id).first()
    if found is None:
        raise NotFound
    own = [row.pk for row in family_of(found)]
    rows = lock_customers(own, tenant_id=tenant_id)
    if {row.pk for row in family_of(rows[customer_id])} != set(own):
        raise Conflict(_("It was merged, or a merge was undone, at this moment. Try again."))
    return rows[customer_id], own


def _number(answer: tuple[int, dict[str, int]], model: str) -> int:
    return answer[1].get(model, 0)


def _steps(ids: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (ids[start : start + STEP] for start in range(0, len(ids), STEP))


def _blank_texts(own: list[UUID]) -> int:
    """Empty the lines, and what came in as it came with its files, and return the number of lines."""
    lines = Line.objects.filter(conversation__customer__in=own)
    places = list(Conversation.objects.filter(customer__in=own).order_by().values_list("entrance_id", flat=True).distinct())
    arrivals = Arrival.objects.filter(entrance__in=places).exclude(state=ArrivalState.PENDING)
    for ids in _steps(list(lines.order_by().values_list("pk", flat=True))):
        arrivals.filter(line_id__in=ids).update(body={}, sender="", error="")
    senders = [form for row in Identity.objects.filter(customer__in=own) for form in (row.value, f"{row.kind}:{row.value}")]
    for ids in _steps(senders):
        failed = arrivals.filter(sender__in=ids, line_id=None).values_list("pk", flat=True)
        for unread in _steps([f"arrival:{pk.hex}" for pk in failed]):
            Attachment.objects.filter(line=None, owner__in=unread).delete()
        arrivals.filter(sender__in=ids).update(body={}, sender="", error="")
    # What the bot understood, and what it told the agents, repeats the customer's words.
    BotTurn.objects.filter(conversation__customer__in=own).update(data={})
    Note.objects.filter(conversation__customer__in=own, written_by="system:bot").delete()
    # What agents have begun to write, and what they were told, which quotes notes.
    Draft.objects.filter(conversation__customer__in=own).delete()
    Notice.objects.filter(Q(conversation__customer__in=own) | Q(ticket__customer__in=own)).delete()
    return lines.update(text="", data={}, recognition={}, client_id="")


def _attachments(own: list[UUID]) -> int:
    """Delete files of the conversations, and those that were uploaded and never sent."""
    number: int = Attachment.objects.filter(conversation__customer__in=own).delete()[0]
    for ids in _steps([f"identity:{pk.hex}" for pk in Identity.objects.filter(customer__in=own).values_list("pk", flat=True)]):
        number += Attachment.objects.filter(line=None, owner__in=ids).delete()[0]
    return number


def _identities(own: list[UUID], tenant_id: int) -> dict[str, int]:
    """Delete the identities, and empty those that conversations still need, which the database keeps for them."""
    rows = Identity.objects.filter(customer__in=own)
    number = rows.count()
    # What was sent is still counted; to which customer it went is not known any more.
    for ids in _steps(list(rows.filter(kind=IdentityKind.WECOM).values_list("value", flat=True))):
        Welcome.objects.filter(entrance__tenant=tenant_id, external_user_id__in=ids).update(external_user_id="")
    PortalSession.objects.filter(Q(identity__in=rows) | Q(proved__in=rows)).delete()
    Follow.objects.filter(identity__in=rows).delete()
    rows.filter(conversations=None).delete()
    rows.update(value=Concat(Value(ERASED), Cast(F("pk"), CharField())), name="", verified_at=None)
    return {"identities": number}


def _examples(own: list[UUID]) -> int:
    """Delete the suggestions for training that were made of the customer's lines, and return their number."""
    lines = Line.objects.filter(conversation__customer__in=own).order_by().values_list("pk", flat=True)
    return utterances.forget_lines(list(lines))
