"""Merges that a person decides about: two customers who may be one."""

from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from accounts.services import audit
from accounts.services.audit import Actor
from posthaste.lib.problems import Conflict, NotFound
from routing.actions import Action
from routing.customers.merging import between
from routing.models import Customer, CustomerMerge

State = CustomerMerge.State


def is_decided(first: UUID, second: UUID) -> bool:
    """Return whether a person has said that two customers are not one: a suggestion dismissed, or a merge undone."""
    return between(first, second).filter(state__in=[State.DISMISSED, State.UNDONE]).exists()


def suggest(first: Customer, second: Customer, *, reason: str, now: datetime) -> CustomerMerge | None:
    """Suggest to merge two customers, the younger into the older, unless that was suggested or decided before.

    Both are locked by the caller.
    """
    if first.pk == second.pk or between(first.pk, second.pk).exclude(state=State.DONE).exists():
        return None
    kept, merged = sorted((first, second), key=lambda row: row.pk)
    return CustomerMerge.objects.create(
        tenant_id=kept.tenant_id, kept=kept, merged=merged, state=State.SUGGESTED, reason=reason[:200], created_at=now
    )


@transaction.atomic
def dismiss(*, merge_id: UUID, tenant_id: int, by: Actor, now: datetime) -> CustomerMerge:
    """Say that two customers are not one; it is not suggested again, and they never merge automatically.

    Raises:
        NotFound: there is no such suggestion.
        Conflict: it was decided already.
    """
    rows = CustomerMerge.objects.filter(pk=merge_id, tenant_id=tenant_id)
    if not rows.filter(state=State.SUGGESTED).update(state=State.DISMISSED, decided_by=str(by)[:150], decided_at=now):
        if not rows.exists():
            raise NotFound
        raise Conflict(_("This suggestion was decided already."))
    found = rows.get()
    detail = {"merge": str(merge_id), "merged": str(found.merged_id)}
    audit.record(by=by, action=Action.CUSTOMER_MERGE_DISMISS, target=found.kept_id, tenant_id=tenant_id, detail=detail)
    return found
