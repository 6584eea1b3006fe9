"""What the views of tickets share."""

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext as _
from rest_framework import serializers
from rest_framework.response import Response

from accounts.api.base import TenantView, readable_or
from accounts.staff.lists import as_uuid
from posthaste.lib.problems import Invalid
from routing.api.tickets import shapes
from routing.assignment import lists
from routing.models import Agent, SkillGroup, Ticket, TicketType
from routing.scopes import TICKETS_READ
from routing.tickets import finding

MAX_DIGITS = 9  # of a number: more are none of the database
#: What answers to changes show to keys that may not read tickets.
TOLD = ("id", "number", "status", "version")
ANSWER = readable_or(shapes.TicketWholeOut, *TOLD)


class TicketView(TenantView):
    """Base: the tenant's tickets."""

    queryset = Ticket.objects.none()
    serializer_class: type[serializers.BaseSerializer[Any]] = shapes.TicketWholeOut

    def get_queryset(self) -> "QuerySet[Ticket]":
        return finding.tickets(self.tenant_id)

    def answer(self, ticket: Ticket, *, status: int = 200) -> Response:
        """Show a changed ticket."""
        shown = shapes.TicketWholeOut(self.get_queryset().get(pk=ticket.pk)).data
        return Response(self.readable(shown, scope=TICKETS_READ, always=TOLD), status=status)

    def type_named(self, name: str) -> TicketType:
        """Return the type that a body names.

        Raises:
            Invalid: there is none.
        """
        found = finding.types(self.tenant_id).filter(name=name).first()
        if found is None:
            raise Invalid.field("type", _("There is no such type of tickets."), "does_not_exist")
        return found

    def agent_named(self, values: Mapping[str, Any], field: str = "agent") -> Agent | None:
        """Return the agent that a body names by id or user name; None: it names none.

        Raises:
            Invalid: there is no such agent.
        """
        name = values.get(field)
        if name is None:
            return None
        own, identifier = lists.agents(self.tenant_id), as_uuid(name)
        found = own.filter(pk=identifier).first() if identifier else own.filter(user__username=name).first()
        if found is None:
            raise Invalid.field(field, _("There is no such agent."), "does_not_exist")
        return found

    def group_named(self, values: Mapping[str, Any]) -> SkillGroup | None:
        """Return the group that a body names; None: it names none.

        Raises:
            Invalid: there is no such group.
        """
        name = values.get("group")
        return lists.group_named(self.tenant_id, name) if name is not None else None

    def other(self, name: str, field: str) -> Ticket:
        """Return another ticket of the tenant, by its id or its number.

        Raises:
            Invalid: there is none.
        """
        own, number = self.get_queryset(), name.removeprefix("#")
        if number.isascii() and number.isdigit() and len(number) <= MAX_DIGITS:
            found = own.filter(number=int(number)).first()
        else:
            identifier = as_uuid(name)
            found = own.filter(pk=identifier).first() if identifier else None
        if found is None:
            raise Invalid.field(field, _("There is no such ticket."), "does_not_exist")
        return found
