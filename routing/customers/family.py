"""A customer together with those that were merged into it: what is known about one person."""

from routing.models import Customer

MAX_DEPTH = 100


def family_of(customer: Customer) -> list[Customer]:
    """Return a customer and, however many merges deep, all that were merged into it."""
    found = {customer.pk: customer}
    last = [customer.pk]
    for _depth in range(MAX_DEPTH):
        rows = [row for row in Customer.objects.filter(merged_into__in=last) if row.pk not in found]
        if not rows:
            break
        found |= {row.pk: row for row in rows}
        last = [row.pk for row in rows]
    return list(found.values())
