"""Saved filters: views of the inbox under a name, of one agent or of all."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from accounts.services import audit
from accounts.services.audit import Actor
from posthaste.lib.blank import is_blank
from posthaste.lib.control_characters import find_control
from posthaste.lib.ids import new_id
from posthaste.lib.problems import Conflict, Forbidden, Invalid, NotFound
from routing.actions import Action
from routing.desk.inbox import parse
from routing.desk.seats import Seat
from routing.models import SavedFilter

MAX_NAME = 60
MAX_FILTERS = 50


def filters_of(seat: Seat) -> list[SavedFilter]:
    """Return the filters of a seat: its own and those of all."""
    return list(SavedFilter.objects.filter(Q(agent=None) | Q(agent=seat.agent), tenant_id=seat.tenant_id).order_by("place", "name", "pk"))


@transaction.atomic
def create_filter(*, seat: Seat, name: str, query: Mapping[str, Any], for_all: bool, by: Actor, now: datetime) -> SavedFilter:
    """Save a filter.

    Raises:
        Invalid: the name or a parameter is wrong.
        Forbidden, NotAnAgent: only operators save filters for all, only agents their own.
        Conflict: there are too many.
    """
    name = " ".join(name.split())
    if is_blank(name) or len(name) > MAX_NAME or find_control(name):
        raise Invalid.field("name", _("Must have 1 to {n} characters.").format(n=MAX_NAME))
    asked = parse(query).as_dict()
    if for_all and not seat.sees_all:
        raise Forbidden(_("Only operators save filters for all."))
    owner = None if for_all else seat.as_agent()
    same = SavedFilter.objects.filter(tenant_id=seat.tenant_id, agent=owner)
    if same.count() >= MAX_FILTERS:
        raise Conflict(_("At most {n} saved filters. Delete one first.").format(n=MAX_FILTERS))
    if same.filter(name=name).exists():
        raise Invalid.field("name", _("There is already a filter with this name."), "unique")
    row = SavedFilter.objects.create(
        id=new_id(), tenant_id=seat.tenant_id, agent=owner, name=name, query=asked, place=same.count(), created_at=now
    )
    audit.record(by=by, action=Action.FILTER_CREATE, target=name, tenant_id=seat.tenant_id, detail={"id": str(row.pk), "for_all": for_all})
    return row


@transaction.atomic
def delete_filter(*, seat: Seat, pk: UUID, by: Actor) -> None:
    """Delete a filter: one's own, or, as an operator, one of all.

    Raises:
        NotFound: there is none.
        Forbidden: it is one of all.
    """
    row = next((each for each in filters_of(seat) if each.pk == pk), None)
    if row is None:
        raise NotFound
    if row.agent_id is None and not seat.sees_all:
        raise Forbidden(_("Only operators delete filters of all."))
    row.delete()
    audit.record(by=by, action=Action.FILTER_DELETE, target=row.name, tenant_id=seat.tenant_id, detail={"id": str(pk)})


def shape_of(row: SavedFilter) -> dict[str, Any]:
    """Return a filter as JSON has it."""
    return {"id": str(row.pk), "name": row.name, "query": row.query, "for_all": row.agent_id is None}
