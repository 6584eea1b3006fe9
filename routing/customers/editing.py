"""Customers and their identities, added and changed by people and systems."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from accounts.services import audit
from accounts.services.audit import Actor
from posthaste.lib.problems import Conflict, Invalid, NotFound
from routing.actions import Action
from routing.customers import claims, values
from routing.customers.finding import lock_changeable, lock_customers, owners
from routing.models import Conversation, Customer, Identity

EDITABLE = ("name", "language", "note")
MAX_IDENTITIES = 100


@dataclass(frozen=True, slots=True)
class NewIdentity:
    """An identity to add; verified if the caller has proved that it is the customer's."""

    kind: str
    value: str
    name: str = ""
    verified: bool = False


@transaction.atomic
def create(*, tenant_id: int, fields: Mapping[str, Any], identities: list[NewIdentity], by: Actor, now: datetime) -> Customer:
    """Store a new customer with its identities.

    Raises:
        Invalid: an identity is wrong, or another customer has it; nothing was stored.
    """
    customer = Customer.objects.create(
        tenant_id=tenant_id, created_at=now, last_seen_at=now, **{name: fields.get(name, "") for name in EDITABLE}
    )
    audit.record(by=by, action=Action.CUSTOMER_CREATE, target=customer.pk, tenant_id=tenant_id, detail={"identities": len(identities)})
    for index, identity in enumerate(identities):
        _store(customer, identity, field=f"identities[{index}].value", by=by, now=now)
    return customer


@transaction.atomic
def change_fields(*, customer_id: UUID, tenant_id: int, fields: Mapping[str, str], by: Actor) -> Customer:
    """Change name, language or note of a customer.

    Raises:
        NotFound: there is no such customer.
        Conflict: it was merged or erased.
    """
    customer = lock_changeable(customer_id, tenant_id=tenant_id)
    changed = [name for name in EDITABLE if name in fields and getattr(customer, name) != fields[name]]
    for name in changed:
        setattr(customer, name, fields[name])
    if changed:
        customer.save(update_fields=changed)
        audit.record(by=by, action=Action.CUSTOMER_CHANGE, target=customer_id, tenant_id=tenant_id, detail={"fields": changed})
    return customer


@transaction.atomic
def add_identity(*, customer_id: UUID, tenant_id: int, identity: NewIdentity, by: Actor, now: datetime) -> Identity:
    """Add an identity to a customer. One that is verified, and that another customer only said was theirs, goes from there to this one.

    A customer who is known under nothing else keeps it: the two are merged, if they are one person.

    Raises:
        Invalid: its value is wrong.
        Conflict: another customer has it, with that customer's id; or the customer was merged or erased.
        NotFound: there is no such customer.
    """
    if identity.verified:  # both, in the one order of all that lock several
        lock_customers([customer_id, *owners(identity.value, tenant_ids=[tenant_id], kind=identity.kind)], tenant_id=tenant_id)
    customer = lock_changeable(customer_id, tenant_id=tenant_id)
    if Identity.objects.filter(customer=customer).count() >= MAX_IDENTITIES:
        raise Conflict(_("A customer has at most {n} identities.").format(n=MAX_IDENTITIES))
    row = _store(customer, identity, field="value", by=by, now=now)
    detail = {"identity_added": str(row.pk), "kind": row.kind, "verified": identity.verified}
    audit.record(by=by, action=Action.CUSTOMER_CHANGE, target=customer_id, tenant_id=tenant_id, detail=detail)
    return row


@transaction.atomic
def remove_identity(*, customer_id: UUID, tenant_id: int, identity_id: UUID, by: Actor) -> None:
    """Remove an identity that no conversation needs.

    Raises:
        Conflict: it wrote conversations, whose replies go to it.
        NotFound: the customer has no such identity.
    """
    lock_changeable(customer_id, tenant_id=tenant_id)
    row = Identity.objects.filter(pk=identity_id, customer_id=customer_id).first()
    if row is None:
        raise NotFound
    if Conversation.objects.filter(identity=row).exists():
        raise Conflict(_("It wrote conversations, and replies go to it. Erase the customer, or undo the merge that brought it."))
    detail = {"identity_removed": str(row.pk), "kind": row.kind}
    row.delete()
    audit.record(by=by, action=Action.CUSTOMER_CHANGE, target=customer_id, tenant_id=tenant_id, detail=detail)


def _store(customer: Customer, identity: NewIdentity, *, field: str, by: Actor, now: datetime) -> Identity:
    try:
        value = values.normalise(identity.kind, identity.value)
    except ValueError as error:
        raise Invalid.field(field, str(error)) from None
    same = Identity.objects.filter(tenant_id=customer.tenant_id, kind=identity.kind, value=value)
    verified_at = now if identity.verified else None
    try:
        with transaction.atomic():
            return Identity.objects.create(
                tenant_id=customer.tenant_id,
                customer=customer,
                kind=identity.kind,
                value=value,
                name=identity.name[:200],
                verified_at=verified_at,
                created_at=now,
                last_seen_at=now,
            )
    except IntegrityError:
        row = same.get()
    if row.customer_id != customer.pk and verified_at and row.verified_at is None:
        lock_customers([row.customer_id], tenant_id=customer.tenant_id)  # held already, or the other is new, which no one waits for
        row = same.get()
        # Who is known under nothing else may be a customer who wrote from there: a person decides whether the two are one.
        if row.verified_at is None and claims.knows_others(Customer(pk=row.customer_id), [row]):
            claims.give(row, to=customer, by=by, now=now)
    if row.customer_id != customer.pk:
        said = _("Another customer has this identity. Merge the two customers, or remove it there first.")
        raise Conflict(said, customer=str(row.customer_id)) from None
    if verified_at and row.verified_at is None:
        same.update(verified_at=verified_at)
        row.verified_at = verified_at
    return row
