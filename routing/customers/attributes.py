"""What is known about customers: attributes with a source and a validity.

Each source has a value of its own. Where they differ, people count more than systems, and systems more than visitors and rules; tags of all
sources are added up. What was known before is in the audit trail.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from django.db import transaction
from django.utils.translation import gettext as _

from accounts.services import audit
from accounts.services.audit import Actor
from posthaste.lib.problems import Invalid
from routing.actions import Action
from routing.customers.attribute_values import Values, combined, fault, in_force, tidied
from routing.customers.deriving import apply_rules
from routing.customers.finding import lock_changeable, lock_customer
from routing.models import AttributeSource, Customer, CustomerAttribute

log = structlog.get_logger(__name__)
MAX_ATTRIBUTES = 200  # rows of one customer


def current(customer_ids: Iterable[UUID], *, now: datetime) -> dict[UUID, Values]:
    """Return the attributes in force of each customer, by name, such as {"level": "gold", "tags": ["b2b"], "vip": True}; one query."""
    rows: dict[UUID, list[CustomerAttribute]] = {identifier: [] for identifier in customer_ids}
    for row in CustomerAttribute.objects.filter(in_force(now), customer_id__in=list(rows)).order_by():
        rows[row.customer_id].append(row)
    return {identifier: combined(own) for identifier, own in rows.items()}


def record(
    customer_id: UUID,
    values: Mapping[str, Any],
    *,
    source: AttributeSource,
    set_by: str = "",
    valid_until: datetime | None = None,
    now: datetime,
) -> None:
    """Keep what a source says of a customer, in the caller's transaction; None removes an attribute.

    A value that no attribute can have is left out, and noted in the log by its name: a text that brings one must not be lost.
    """
    right = {name: value for name, value in values.items() if not fault(name, value)}
    for name in values.keys() - right.keys():
        log.warning("attribute_left_out", customer=str(customer_id), attribute=str(name)[:40], source=str(source))
    _write(customer_id, right, source, Actor.system(set_by or str(source)), valid_until, now)


@transaction.atomic
def change(
    *,
    customer_id: UUID,
    tenant_id: int,
    values: Mapping[str, Any],
    source: AttributeSource,
    by: Actor,
    now: datetime,
    valid_until: datetime | None = None,
) -> Values:
    """Set attributes of a customer, or remove those that are None, and return what is in force then.

    Raises:
        Invalid: naming each wrong one; nothing was changed.
        NotFound: there is no such customer.
        Conflict: it was merged or erased.
    """
    errors = [
        {"field": f"values.{name}", "code": "invalid", "message": wrong} for name, value in values.items() if (wrong := fault(name, value))
    ]
    if valid_until is not None and valid_until <= now:
        errors.append({"field": "valid_until", "code": "past", "message": _("Must be in the future.")})
    lock_changeable(customer_id, tenant_id=tenant_id)
    if not errors and CustomerAttribute.objects.filter(customer_id=customer_id).count() + len(values) > MAX_ATTRIBUTES:
        said = _("A customer has at most {n} attributes.").format(n=MAX_ATTRIBUTES)
        errors.append({"field": "values", "code": "too_many", "message": said})
    if errors:
        raise Invalid(errors=errors)
    _write(customer_id, dict(values), source, by, valid_until, now)
    return current([customer_id], now=now)[customer_id]


def _write(customer_id: UUID, values: Values, source: AttributeSource, by: Actor, valid_until: datetime | None, now: datetime) -> None:
    """Store what differs, write down what it was before, and derive what follows from it."""
    rows = CustomerAttribute.objects.filter(customer_id=customer_id, source=source, name__in=list(values))
    there = {row.name: row for row in rows} if values else {}
    wanted = {name: None if value is None else tidied(name, value) for name, value in values.items()}
    changed = {name: value for name, value in wanted.items() if _differs(there.get(name), value, valid_until)}
    if not changed:
        return
    tenant_id = Customer.objects.values_list("tenant_id", flat=True).get(pk=customer_id)
    lock_customer(customer_id, tenant_id=tenant_id)
    for name, value in changed.items():
        if value is None:
            rows.filter(name=name).delete()
            continue
        kept = {"value": value, "valid_until": valid_until, "set_by": str(by)[:150], "set_at": now, "tenant_id": tenant_id}
        CustomerAttribute.objects.update_or_create(customer_id=customer_id, name=name, source=source, defaults=kept)
    before = {name: row.value for name, row in there.items()}
    detail: dict[str, Any] = {"attributes": {name: [before.get(name), value] for name, value in changed.items()}, "source": str(source)}
    if valid_until is not None:
        detail["valid_until"] = valid_until.isoformat()
    audit.record(by=by, action=Action.CUSTOMER_CHANGE, target=customer_id, tenant_id=tenant_id, detail=detail)
    apply_rules(customer_id, tenant_id=tenant_id, now=now)


def _differs(row: CustomerAttribute | None, value: Any, valid_until: datetime | None) -> bool:
    if row is None or value is None:
        return (row is None) != (value is None)
    return row.value != value or isinstance(row.value, bool) != isinstance(value, bool) or row.valid_until != valid_until
