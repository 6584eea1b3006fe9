"""Whose an identity is that one customer only said was theirs, once another proves it.

A visitor of the portal may type any address. That ties it to their customer, so that agents can answer there, and it proves nothing. The
first who proves it has it from then on, with what was talked about under it; who had only said so keeps what they wrote themselves.
"""

from collections.abc import Collection
from datetime import datetime

from accounts.services import audit
from accounts.services.audit import Actor
from routing.actions import Action
from routing.customers.values import ERASED
from routing.models import Conversation, Customer, Identity, SafeLink, Ticket, TicketLink, TicketLinkKind


def knows_others(customer: Customer, identities: Collection[Identity]) -> bool:
    """Return whether a customer is known under other identities than these, and so may be another person than who proves these."""
    others = Identity.objects.filter(customer=customer).exclude(pk__in=[row.pk for row in identities])
    return others.exclude(value__startswith=ERASED).exists()


def give(identity: Identity, *, to: Customer, by: Actor, now: datetime) -> None:
    """Give an identity that nothing proved to the customer who proves it, with its conversations, their tickets and work orders.

    Both customers are locked by the caller. Tickets without a conversation stay: they are of the customer, not of an address.
    """
    before = identity.customer_id
    conversations = list(Conversation.objects.filter(identity=identity, customer=before).values_list("pk", flat=True))
    # Conversations before tickets, as all who change both do.
    Conversation.objects.filter(pk__in=conversations).update(customer=to)
    moved = Ticket.objects.filter(conversation__in=conversations)
    moved.filter(customer=before).update(customer=to)
    # Work orders have no conversation; what is in them is of the same matter.
    work = TicketLink.objects.filter(kind=TicketLinkKind.WORK_ORDER, other__in=moved).values("ticket")
    Ticket.objects.filter(pk__in=work, customer=before).update(customer=to)
    SafeLink.objects.filter(customer=before, data__identity=str(identity.pk)).update(customer=to)
    Identity.objects.filter(pk=identity.pk).update(customer=to, verified_at=now)
    identity.customer, identity.verified_at = to, now
    lost = {"identity_moved": str(identity.pk), "kind": identity.kind, "to": str(to.pk)}
    won = {"identity_added": str(identity.pk), "kind": identity.kind, "verified": True, "from": str(before)}
    audit.record(by=by, action=Action.CUSTOMER_CHANGE, target=before, tenant_id=to.tenant_id, detail=lost)
    audit.record(by=by, action=Action.CUSTOMER_CHANGE, target=to.pk, tenant_id=to.tenant_id, detail=won)
