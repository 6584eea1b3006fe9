"""Take a merge back: what it moved goes where it came from, or nothing does."""

from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.services import audit
from accounts.services.audit import Actor
from posthaste.lib.problems import Conflict, NotFound
from routing import event_types, events
from routing.actions import Action
from routing.customers.deriving import apply_rules
from routing.customers.finding import lock_customers
from routing.models import Conversation, Customer, CustomerAttribute, CustomerMerge, Identity, SafeLink, Ticket

State = CustomerMerge.State


class NotUndoable(Conflict):
    """Something that the merge moved is not where it put it. The detail says what, and what to undo first."""

    code = "merge_not_undoable"
    title = gettext_lazy("This merge can't be undone")


@transaction.atomic
def undo(*, merge_id: UUID, tenant_id: int, by: Actor, now: datetime) -> CustomerMerge:
    """Split two customers that were merged.

    Conversations that identities of the merge began since go along: a conversation belongs to the customer of the identity that wrote.

    Raises:
        NotUndoable: with the reason; nothing was changed.
        NotFound: there is no such merge.
    """
    found = CustomerMerge.objects.filter(pk=merge_id, tenant_id=tenant_id).first()
    if found is None:
        raise NotFound
    rows = lock_customers([found.kept_id, found.merged_id], tenant_id=tenant_id)
    if not CustomerMerge.objects.filter(pk=merge_id, state=State.DONE).update(state=State.UNDONE, decided_by=str(by)[:150], decided_at=now):
        raise NotUndoable(_("It is not a merge that was done, or it was undone already."))
    found.refresh_from_db()
    kept, merged = rows[found.kept_id], rows[found.merged_id]
    _must_be_as_left(found, kept, merged)
    _move_back(found, kept, merged)
    for customer in (kept, merged):
        apply_rules(customer.pk, tenant_id=tenant_id, now=now)
    detail = {"merge": str(merge_id), "merged": str(merged.pk)}
    audit.record(by=by, action=Action.CUSTOMER_MERGE_UNDO, target=kept.pk, tenant_id=tenant_id, detail=detail)
    events.customer(event_types.CUSTOMER_UNMERGED, kept.pk, tenant_id=tenant_id, now=now, merged=str(merged.pk), merge=str(merge_id))
    return found


def _must_be_as_left(merge: CustomerMerge, kept: Customer, merged: Customer) -> None:
    if kept.erased_at is not None or merged.erased_at is not None:
        raise NotUndoable(_("The customer was erased since."))
    if kept.merged_into_id is not None:
        raise NotUndoable(_("The customer that was kept was merged into another one since. Undo that merge first."))
    if merged.merged_into_id != kept.pk:
        raise NotUndoable(_("It is not a merge that was done, or it was undone already."))
    wanted = set(merge.moved.get("identities", []))
    still = Identity.objects.filter(pk__in=wanted, customer=kept).count()
    if still < len(wanted):
        raise NotUndoable(
            _("{n} of the identities that it moved were removed or moved since.").format(n=len(wanted) - still), missing=len(wanted) - still
        )


def _move_back(merge: CustomerMerge, kept: Customer, merged: Customer) -> None:
    moved = merge.moved
    identities = moved.get("identities", [])
    Identity.objects.filter(pk__in=identities).update(customer=merged)
    Conversation.objects.filter(customer=kept, identity_id__in=identities).update(customer=merged)
    SafeLink.objects.filter(customer=kept, pk__in=moved.get("links", [])).update(customer=merged)
    Ticket.objects.filter(customer=kept, pk__in=moved.get("tickets", [])).update(customer=merged)
    # A ticket of a conversation goes where the conversation is.
    Ticket.objects.filter(customer=kept, conversation__customer=merged).update(customer=merged)
    # One that was removed since stays removed; one that the merged customer was given again since counts.
    held = {(row.name, row.source) for row in CustomerAttribute.objects.filter(customer=merged)}
    for row in CustomerAttribute.objects.filter(customer=kept, pk__in=moved.get("attributes", [])):
        if (row.name, row.source) not in held:
            CustomerAttribute.objects.filter(pk=row.pk).update(customer=merged)
    emptied = [name for name in moved.get("filled", []) if getattr(kept, name) == getattr(merged, name)]
    for name in emptied:
        setattr(kept, name, "")
    kept.save(update_fields=emptied)
    merged.merged_into = None
    merged.save(update_fields=["merged_into"])
