"""What a visitor is shown: what belongs to identities that their session has proved, and to no other of the same customer.

A customer may be known under an address that a visitor only typed. What is addressed to it is another person's until it is proved. A
session has proved the identity that it writes as (its token is the proof), the address that its link was sent to, and, if the host site has
signed who the visitor is, all identities of the customer that something proved.
"""

from collections.abc import Collection
from uuid import UUID

from django.db.models import Q, QuerySet

from routing.customers.values import ERASED
from routing.models import Conversation, Identity, PortalSession, Ticket, TicketKind
from routing.tickets import addressee

#: Of a visitor: more are not looked through.
MOST = 500


def proved_identities(session: PortalSession) -> "QuerySet[Identity]":
    """Return the identities that a session has proved."""
    rows = Q(pk__in=[pk for pk in (session.identity_id, session.proved_id) if pk])
    if session.identity.verified_at is not None:
        rows |= Q(customer_id=session.identity.customer_id, verified_at__isnull=False)
    return Identity.objects.filter(rows, tenant_id=session.tenant_id).exclude(value__startswith=ERASED)


def conversations(session: PortalSession) -> "QuerySet[Conversation]":
    """Return the conversations that are shown to a session, at whichever entrance they are."""
    own = list(proved_identities(session).values_list("pk", flat=True))
    return Conversation.objects.filter(identity__in=own, tenant_id=session.tenant_id, parent=None)


def tickets(session: PortalSession) -> "QuerySet[Ticket]":
    """Return the tickets that are shown to a session; work between groups is no customer's.

    One with a conversation is of the identity that wrote there. One without is of the customer as they were known when it was opened: it
    is shown to a session that has proved all of these identities.
    """
    talks = list(conversations(session).order_by("-pk").values_list("pk", flat=True)[:MOST])
    requests = Ticket.objects.filter(tenant_id=session.tenant_id, type__kind=TicketKind.REQUEST)
    loose = requests.filter(customer_id=session.identity.customer_id, conversation=None).order_by("-pk").values_list("pk", flat=True)
    shown = _proved(session, list(loose[:MOST]))
    return requests.filter(Q(conversation__in=talks) | Q(pk__in=shown)).select_related("type")


def _proved(session: PortalSession, ticket_ids: Collection[UUID]) -> list[UUID]:
    """Return those of a customer's tickets without a conversation that are addressed only to what a session has proved."""
    if not ticket_ids:
        return []
    proved = {str(pk) for pk in proved_identities(session).values_list("pk", flat=True)}
    kept, is_signed = addressee.kept_of(ticket_ids), session.identity.verified_at is not None
    # Of one that was opened for no identity, only the site's signature says whose it is.
    now = addressee.known_identities(session.identity.customer_id) if is_signed else []
    return [pk for pk in ticket_ids if (needed := kept.get(pk) or now) and proved.issuperset(needed)]
