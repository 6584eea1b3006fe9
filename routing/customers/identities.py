"""Find or make the identity, and the customer, that a text came from.

The customers of all names of a sender are locked before anything is decided, so that a merge and a text that comes in at the same time see
each other. Names that are verified in the same request belong to one person: two customers that they lead to merge, unless their verified
identities contradict each other or a person has said that they are two. A name that was only said before goes to who proves it. Everything
else is only suggested.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction

from accounts.services.audit import Actor
from routing.contract import SenderName
from routing.customers import claims, merging, suggestions
from routing.customers.finding import lock_customers
from routing.customers.values import as_stored, has_form, shown_name
from routing.models import Customer, Identity

SYSTEM = Actor.system("identities")
#: How old `last_seen_at` may be before it is written again: a chat brings many lines a minute.
SEEN_EVERY = timedelta(seconds=60)
MAX_ATTEMPTS = 20

Key = tuple[str, str]


@transaction.atomic
def resolve(sender: SenderName, *, tenant_id: int, also: Sequence[SenderName] = (), language: str = "", now: datetime) -> Identity:
    """Return the identity that wrote, with its customer; both are made when it is new. `also` are other names of the same sender.

    The customer stays locked until the caller's transaction ends, so what is written about it meets no merge half-way.
    """
    names, language = _by_key([sender, *also]), shown_name(language, max_length=16)
    for _attempt in range(MAX_ATTEMPTS):
        # What an attempt locked is let go with its savepoint: holding it while others are locked would break the order of locks.
        savepoint = transaction.savepoint()
        locked = _lock_all(names, tenant_id, language, now)
        if locked is not None:
            transaction.savepoint_commit(savepoint)
            break
        transaction.savepoint_rollback(savepoint)
    else:
        raise RuntimeError("identities moved each time they were read")
    found, customers = locked
    own = next(iter(names))
    owner = _join(names, found, customers, own, now)
    identity = found[own]
    identity.customer = owner
    _note(names, found, owner, language, now)
    return identity


class Moved(Exception):
    """Identities moved, or were added, between two looks at them."""


def resolve_all(senders: Sequence[tuple[SenderName, str]], *, tenant_id: int, now: datetime) -> list[tuple[Identity, bool]]:
    """Return the identity of each sender, with its customer, and whether it is new; a few statements for all, in the caller's transaction.

    A sender is a name and a language, and has no other names, so nothing is merged or suggested. Customers stay locked as after `resolve`.

    Raises:
        Moved: others changed some of them meanwhile, or two senders are one. The caller rolls back, and resolves each alone.
    """
    by_key = {key: (named, shown_name(language, max_length=16)) for name, language in senders for key, named in _by_key([name]).items()}
    if len(by_key) < len(senders):
        raise Moved
    names = {key: name for key, (name, _language) in by_key.items()}
    known = _find(names, tenant_id)
    customers = lock_customers({row.customer_id for row in known.values()}, tenant_id=tenant_id) if known else {}
    found = _find(names, tenant_id) if known else {}
    if found.keys() != known.keys() or {row.customer_id for row in found.values()} - customers.keys():
        raise Moved
    for key, row in found.items():
        row.customer = customers[row.customer_id]
        _note({key: names[key]}, {key: row}, row.customer, by_key[key][1], now)
    new = sorted(names.keys() - found.keys())
    owners = [Customer(tenant_id=tenant_id, name=names[key].name, language=by_key[key][1], created_at=now, last_seen_at=now) for key in new]
    Customer.objects.bulk_create(owners)
    rows = [_identity(key, names[key], owner, now) for key, owner in zip(new, owners, strict=True)]
    if rows and not _added(rows):
        raise Moved
    made = dict(zip(new, rows, strict=True))
    return [(made[key], True) if key in made else (found[key], False) for key in by_key]


Locked = tuple[dict[Key, Identity], dict[UUID, Customer]]


def _lock_all(names: Mapping[Key, SenderName], tenant_id: int, language: str, now: datetime) -> Locked | None:
    """Return the identities of all names, made where they are new, and their customers, locked; None if others moved or made some."""
    wanted = {row.customer_id for row in _find(names, tenant_id).values()}
    customers = lock_customers(wanted, tenant_id=tenant_id)
    found = _find(names, tenant_id)
    if {row.customer_id for row in found.values()} - customers.keys():
        return None
    own = next(iter(names))
    owner = customers[found[own].customer_id] if own in found else _proven_owner(names, found, customers)
    if owner is None:
        name = names[own].name
        owner = Customer.objects.create(tenant_id=tenant_id, name=name, language=language, created_at=now, last_seen_at=now)
    made = _add_missing(names, found, owner, now)
    return None if made is None else ({**found, **made}, {**customers, owner.pk: owner})


def _by_key(names: Sequence[SenderName]) -> dict[Key, SenderName]:
    """Return the names by kind and stored value, the sender's first; of one that comes twice the verified counts.

    The sender's own is kept whatever it looks like, so that no text is lost. Others without a right form are left out: one like an empty
    phone number is shared by people who have nothing to do with each other.
    """
    known: dict[Key, SenderName] = {}
    for place, name in enumerate(names):
        if place and not has_form(name.kind, name.value):
            continue
        name = replace(name, name=shown_name(name.name))
        key = (name.kind, as_stored(name.kind, name.value))
        if key not in known or (name.verified and not known[key].verified):
            known[key] = name
    return known


def _find(names: Mapping[Key, SenderName], tenant_id: int) -> dict[Key, Identity]:
    rows = Identity.objects.filter(
        tenant_id=tenant_id, kind__in={kind for kind, _value in names}, value__in={value for _kind, value in names}
    )
    return {key: row for row in rows.order_by() if (key := (row.kind, row.value)) in names}


def _proven_owner(names: Mapping[Key, SenderName], found: Mapping[Key, Identity], customers: Mapping[UUID, Customer]) -> Customer | None:
    """Return the customer that a new sender is by another name, verified now and before."""
    own = next(iter(names))
    for key, name in names.items():
        row = found.get(key)
        if row is None or not name.verified or row.verified_at is None:
            continue
        verified = set(Identity.objects.filter(customer=row.customer_id).exclude(verified_at=None).values_list("kind", flat=True))
        if names[own].verified and own[0] in verified - merging.MANY_EACH:
            return None  # a second verified identity of the kind: another person, says `_join`
        return customers[row.customer_id]
    return None


def _add_missing(
    names: Mapping[Key, SenderName], found: Mapping[Key, Identity], owner: Customer, now: datetime
) -> dict[Key, Identity] | None:
    """Add the names that are new to the owner; None if another request added one of them first."""
    rows = [_identity(key, names[key], owner, now) for key in sorted(names.keys() - found.keys())]
    if rows and not _added(rows):
        return None
    return {(row.kind, row.value): row for row in rows}


def _identity(key: Key, name: SenderName, owner: Customer, now: datetime) -> Identity:
    """Return a new identity, not stored yet."""
    verified_at = now if name.verified else None
    kind, value = key
    return Identity(
        tenant_id=owner.tenant_id,
        customer=owner,
        kind=kind,
        value=value,
        name=name.name,
        verified_at=verified_at,
        created_at=now,
        last_seen_at=now,
    )


def _added(rows: Sequence[Identity]) -> bool:
    """Store identities; False: another request added one of them first."""
    # In one order and one statement: another request that adds the same names waits here, and adds none.
    Identity.objects.bulk_create(rows, ignore_conflicts=True)
    return Identity.objects.filter(pk__in=[row.pk for row in rows]).count() == len(rows)


def _join(
    names: Mapping[Key, SenderName], found: dict[Key, Identity], customers: Mapping[UUID, Customer], own: Key, now: datetime
) -> Customer:
    """Merge, or suggest to merge, the customers that the names lead to, and return the sender's."""
    owner = customers[found[own].customer_id]
    for key, row in found.items():
        other = customers[row.customer_id]
        if other.pk == owner.pk or other.pk == found[own].customer_id:
            continue
        proven, decided = names[own].verified and names[key].verified, suggestions.is_decided(owner.pk, other.pk)
        if proven and row.verified_at is None and (decided or claims.knows_others(other, _proved_now(names, found))):
            suggestions.suggest(owner, other, reason=f"shared:{key[0]}", now=now)
            claims.give(row, to=owner, by=SYSTEM, now=now)
            continue
        if not proven or decided:
            suggestions.suggest(owner, other, reason=f"shared:{key[0]}", now=now)
            continue
        kept, merged = sorted((owner, other), key=lambda customer: customer.pk)
        try:
            with transaction.atomic():
                merging.merge(
                    kept_id=kept.pk, merged_id=merged.pk, tenant_id=owner.tenant_id, by=SYSTEM, now=now, reason=f"verified:{key[0]}"
                )
        except merging.ConflictingIdentities:
            suggestions.suggest(owner, other, reason=f"conflict:{key[0]}", now=now)
            continue
        owner = kept
        for moved in found.values():
            if moved.customer_id == merged.pk:
                moved.customer_id = kept.pk
    return owner


def _proved_now(names: Mapping[Key, SenderName], found: Mapping[Key, Identity]) -> list[Identity]:
    return [row for key, row in found.items() if names[key].verified]


def _note(names: Mapping[Key, SenderName], found: Mapping[Key, Identity], owner: Customer, language: str, now: datetime) -> None:
    """Write when they were last seen, what they are called now, and which were verified."""
    for key, row in found.items():
        name = names[key]
        changes: dict[str, object] = {}
        if row.customer_id == owner.pk and name.verified and row.verified_at is None:
            changes["verified_at"] = now
        if name.name and row.name != name.name:
            changes["name"] = name.name
        if now - row.last_seen_at >= SEEN_EVERY:
            changes["last_seen_at"] = now
        if changes:
            Identity.objects.filter(pk=row.pk).update(**changes)
            for field, value in changes.items():
                setattr(row, field, value)
    fresh = {"name": next(iter(names.values())).name, "language": language}
    filled: dict[str, object] = {field: value for field, value in fresh.items() if value and not getattr(owner, field)}
    if now - owner.last_seen_at >= SEEN_EVERY:
        filled["last_seen_at"] = now
    if filled:
        Customer.objects.filter(pk=owner.pk).update(**filled)
        for field, value in filled.items():
            setattr(owner, field, value)
