"""Keep what rules derive in step with what is known: at each change of a customer's attributes, and each night for all."""

from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.db import InterfaceError, OperationalError, transaction
from django.db.models import Exists, OuterRef
from django.utils.translation import gettext_lazy as _

from jobs.registry import job
from posthaste.lib import queues
from routing.configuration import customers as configuration
from routing.customers.attribute_values import combined, in_force
from routing.customers.derived import derive
from routing.customers.finding import lock_customers
from routing.models import AttributeSource, Customer, CustomerAttribute

log = structlog.get_logger(__name__)
RULE = AttributeSource.RULE
CUSTOMERS_A_STEP = 200


def apply_rules(customer_id: UUID, *, tenant_id: int, now: datetime) -> bool:
    """Store what the rules derive for a customer that the caller has locked, and return whether that changed anything.

    What is derived holds as long as what it rests on.
    """
    rows = list(CustomerAttribute.objects.filter(in_force(now), customer_id=customer_id).exclude(source=RULE))
    ends: dict[str, list[datetime]] = {}
    for row in rows:
        if row.valid_until is not None:
            ends.setdefault(row.name, []).append(row.valid_until)
    wanted = {
        name: (value, min((end for known in basis for end in ends.get(known, [])), default=None))
        for name, (value, basis) in derive(configuration.of(tenant_id).attribute_rules, combined(rows)).items()
    }
    there = {row.name: (row.value, row.valid_until) for row in CustomerAttribute.objects.filter(customer_id=customer_id, source=RULE)}
    if wanted == there:
        return False
    CustomerAttribute.objects.filter(customer_id=customer_id, source=RULE).delete()
    CustomerAttribute.objects.bulk_create(
        CustomerAttribute(
            tenant_id=tenant_id, customer_id=customer_id, name=name, value=value, source=RULE, valid_until=until, set_by="rule", set_at=now
        )
        for name, (value, until) in wanted.items()
    )
    return True


@job(
    "routing.derive_attributes",
    title=_("Derive attributes of customers"),
    purpose=_("Applies the rules for attributes to all customers, as rules are changed and attributes run out."),
    cron="10 3 * * *",
    timeout=timedelta(hours=2),
    queue=queues.NOTIFICATION,
)
def derive_attributes(*, now: datetime) -> int:
    """Apply the rules to each customer with attributes, and return how many changed. An error of one does not stop the others."""
    changed, after = 0, None
    attributes = CustomerAttribute.objects.filter(customer=OuterRef("pk"))
    rows = Customer.objects.filter(Exists(attributes), merged_into=None, erased_at=None).order_by("pk")
    while step := list((rows if after is None else rows.filter(pk__gt=after)).values_list("pk", "tenant_id")[:CUSTOMERS_A_STEP]):
        changed += sum(_derived(customer_id, tenant_id, now) for customer_id, tenant_id in step)
        after = step[-1][0]
    return changed


def _derived(customer_id: UUID, tenant_id: int, now: datetime) -> bool:
    try:
        with transaction.atomic():
            return bool(lock_customers([customer_id], tenant_id=tenant_id)) and apply_rules(customer_id, tenant_id=tenant_id, now=now)
    except (OperationalError, InterfaceError):
        raise  # the database is away: the run has failed
    except Exception:
        log.exception("attributes were not derived", customer=str(customer_id), tenant=tenant_id)
        return False
