"""Make one customer of two: first the plan, which says what will happen, then the merge.

Both customers are locked in the order of their ids. Identities, conversations, links and attributes move to the customer that is kept; the
other keeps its row, and what the kept one has already: an attribute of the same name and source. `routing.customers.undoing` takes it back.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import models, transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.services import audit
from accounts.services.audit import Actor
from posthaste.lib.problems import Conflict
from routing import event_types, events
from routing.actions import Action
from routing.customers.deriving import apply_rules
from routing.customers.finding import lock_customers
from routing.models import (
    OPEN_STATUSES,
    AttributeSource,
    Conversation,
    Customer,
    CustomerAttribute,
    CustomerMerge,
    Identity,
    IdentityKind,
    SafeLink,
    Ticket,
)

#: Fields of the kept customer that are filled from the other where they are empty.
FILLED = ("name", "language", "note")
#: Kinds of which one person may well have several: a browser gets a new id wherever its cookie is new.
MANY_EACH = frozenset({IdentityKind.PORTAL})


class SameCustomer(Conflict):
    """Name two different customers. None is merged with itself."""

    code = "same_customer"
    title = gettext_lazy("A customer is not merged with itself")


class ConflictingIdentities(Conflict):
    """Both customers have a verified identity of the same kind, so they are two persons. Remove the one that is wrong first."""

    code = "conflicting_identities"
    title = gettext_lazy("Their verified identities contradict each other")


class NotMergeable(Conflict):
    """One of the customers was merged or erased already. Look at the customer that was kept."""

    code = "not_mergeable"
    title = gettext_lazy("These customers can't be merged")


@dataclass(frozen=True, slots=True)
class Plan:
    """What a merge would do."""

    kept: Customer
    merged: Customer
    identities: list[Identity]
    conversations: int
    #: Entrances at which both have a conversation that is not over; both stay open, each with the identity that wrote.
    open_at_both: list[str]
    attributes: list[CustomerAttribute]
    #: What stays with the merged one: the attribute and the value that is kept.
    differing: list[tuple[CustomerAttribute, Any]]
    #: Kinds of which both have a verified identity. Not empty: they are never merged.
    conflicts: list[str]
    filled: list[str]

    @property
    def size(self) -> int:
        """How many rows move."""
        return len(self.identities) + self.conversations + len(self.attributes)


def plan(*, kept: Customer, merged: Customer) -> Plan:
    """Say what a merge would do; nothing is changed.

    Raises:
        SameCustomer, NotMergeable: it is not possible whatever they have.
    """
    _must_be_two(kept, merged)
    identities = list(Identity.objects.filter(customer__in=[kept, merged]))
    theirs = [identity for identity in identities if identity.customer_id == merged.pk]
    own = {(row.name, row.source): row for row in CustomerAttribute.objects.filter(customer=kept)}
    attributes = list(CustomerAttribute.objects.filter(customer=merged).exclude(source=AttributeSource.RULE).order_by("name", "source"))
    places: dict[UUID, set[str]] = {kept.pk: set(), merged.pk: set()}
    still_open = Conversation.objects.filter(customer__in=[kept, merged], status__in=OPEN_STATUSES).order_by()
    for customer_id, name in still_open.values_list("customer_id", "entrance__name"):
        places[customer_id].add(name)
    return Plan(
        kept=kept,
        merged=merged,
        identities=theirs,
        conversations=Conversation.objects.filter(customer=merged).count(),
        open_at_both=sorted(places[kept.pk] & places[merged.pk]),
        attributes=[row for row in attributes if (row.name, row.source) not in own],
        differing=[(row, own[row.name, row.source].value) for row in attributes if (row.name, row.source) in own],
        conflicts=conflicting_kinds(identities, kept, merged),
        filled=[name for name in FILLED if not getattr(kept, name) and getattr(merged, name)],
    )


def conflicting_kinds(identities: Iterable[Identity], first: Customer, second: Customer) -> list[str]:
    """Return the kinds of which both customers have a verified identity: one person has one of each."""
    verified: dict[UUID, set[str]] = {first.pk: set(), second.pk: set()}
    for identity in identities:
        if identity.verified_at is not None and identity.kind not in MANY_EACH:
            verified[identity.customer_id].add(identity.kind)
    return sorted(verified[first.pk] & verified[second.pk])


@transaction.atomic
def merge(*, kept_id: UUID, merged_id: UUID, tenant_id: int, by: Actor, now: datetime, reason: str = "") -> CustomerMerge:
    """Merge a customer into another, and write down what moved.

    Raises:
        SameCustomer, NotMergeable, ConflictingIdentities: they are two, or not there any more; nothing was changed.
    """
    if kept_id == merged_id:
        raise SameCustomer
    rows = lock_customers([kept_id, merged_id], tenant_id=tenant_id)
    if len(rows) < 2:
        raise NotMergeable(_("There is no such customer."))
    found = plan(kept=rows[kept_id], merged=rows[merged_id])
    if found.conflicts:
        raise ConflictingIdentities(
            _("Both have a verified identity of the kind: {kinds}.").format(kinds=", ".join(found.conflicts)), kinds=found.conflicts
        )
    moved = _move(found)
    apply_rules(kept_id, tenant_id=tenant_id, now=now)
    row = _suggested(rows[kept_id], rows[merged_id]) or CustomerMerge(tenant_id=tenant_id, created_at=now, reason=reason[:200])
    row.kept, row.merged, row.state = rows[kept_id], rows[merged_id], CustomerMerge.State.DONE
    row.moved, row.decided_by, row.decided_at = moved, str(by)[:150], now
    row.save()
    detail = {"merge": str(row.pk), "merged": str(merged_id), **{name: len(ids) for name, ids in moved.items()}}
    audit.record(by=by, action=Action.CUSTOMER_MERGE, target=kept_id, tenant_id=tenant_id, detail=detail)
    events.customer(event_types.CUSTOMER_MERGED, kept_id, tenant_id=tenant_id, now=now, merged=str(merged_id), merge=str(row.pk))
    return row


def _move(found: Plan) -> dict[str, list[str]]:
    kept, merged = found.kept, found.merged
    conversations, links = Conversation.objects.filter(customer=merged), SafeLink.objects.filter(customer=merged)
    tickets = Ticket.objects.filter(customer=merged)
    moved = {
        "identities": [str(row.pk) for row in found.identities],
        "conversations": [str(pk) for pk in conversations.order_by().values_list("pk", flat=True)],
        "attributes": [str(row.pk) for row in found.attributes],
        "links": [str(pk) for pk in links.order_by().values_list("pk", flat=True)],
        "tickets": [str(pk) for pk in tickets.order_by().values_list("pk", flat=True)],
        "filled": found.filled,
    }
    Identity.objects.filter(customer=merged).update(customer=kept)
    conversations.update(customer=kept)
    links.update(customer=kept)
    tickets.update(customer=kept)
    CustomerAttribute.objects.filter(pk__in=[row.pk for row in found.attributes]).update(customer=kept)
    for name in found.filled:
        setattr(kept, name, getattr(merged, name))
    kept.last_seen_at = max(kept.last_seen_at, merged.last_seen_at)
    kept.save(update_fields=[*found.filled, "last_seen_at"])
    merged.merged_into = kept
    merged.save(update_fields=["merged_into"])
    return moved


def _must_be_two(kept: Customer, merged: Customer) -> None:
    if kept.pk == merged.pk:
        raise SameCustomer
    for row in (kept, merged):
        if row.merged_into_id is not None:
            raise NotMergeable(_("One of them was merged already."), customer=str(row.pk), merged_into=str(row.merged_into_id))
        if row.erased_at is not None:
            raise NotMergeable(_("One of them was erased."), customer=str(row.pk))


def _suggested(first: Customer, second: Customer) -> CustomerMerge | None:
    """Return the suggestion that this merge answers."""
    return between(first.pk, second.pk).filter(state=CustomerMerge.State.SUGGESTED).first()


def between(first: UUID, second: UUID) -> "models.QuerySet[CustomerMerge]":
    """Return what was suggested or done with two customers, whichever was to be kept."""
    pair = [first, second]
    return CustomerMerge.objects.filter(kept_id__in=pair, merged_id__in=pair)
