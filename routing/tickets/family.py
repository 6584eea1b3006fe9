"""A ticket and those that were merged into it. Nothing moves in a merge: what belongs to one of them is read for all."""

from uuid import UUID

from routing.models import Ticket

MAX_DEPTH = 20  # merges of merges


def family_ids(ticket: Ticket) -> list[UUID]:
    """Return the ids of a ticket and of all that were merged into it, or into those."""
    found, newest = [ticket.pk], [ticket.pk]
    for _step in range(MAX_DEPTH):
        newest = list(Ticket.objects.filter(merged_into__in=newest).order_by("pk").values_list("pk", flat=True))
        if not newest:
            break
        found += newest
    return found


def root_of(ticket: Ticket) -> Ticket:
    """Return the ticket that goes on in the stead of a merged one, or the ticket itself."""
    found = ticket
    for _step in range(MAX_DEPTH):
        if found.merged_into is None:
            break
        found = found.merged_into
    return found
