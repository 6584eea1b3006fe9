"""What the views of tickets share."""

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.utils.translation import gettext as _
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.base import TenantView, readable_or
from accounts.api.idempotency import IDEMPOTENCY_KEY, REPLAYED
from accounts.staff.lists import as_uuid
from messaging.intake import repeats
from messaging.intake.repeats import Repeatable
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
#: What the API reference says of addresses that open a ticket once for a key.
ONCE = [IDEMPOTENCY_KEY, REPLAYED]


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

    def answer_once(self, request: Request, make: Callable[[], Ticket]) -> Response:
        """Open a ticket and show it, or that which a request with the same `Idempotency-Key` has opened, as it is by now.

        Raises:
            KeyReused: the key was used for another request.
        """
        return self.once(
            request,
            make=lambda: make().pk,
            show=lambda pk: self.answer(get_object_or_404(self.get_queryset(), pk=pk), status=201),
        )

    def once(self, request: Request, *, make: Callable[[], UUID], show: Callable[[UUID], Response]) -> Response:
        """Make something and show it, or what a request with the same `Idempotency-Key` has made.

        Raises:
            KeyReused: the key was used for another request.
        """
        asked = request._request  # its body is read before DRF parses it
        key = asked.headers.get("Idempotency-Key")
        repeatable = None if key is None else Repeatable.of(key, path=asked.path, body=asked.body)
        caller, now = self.caller, timezone.now()
        pk, is_known = repeats.make_once(make, tenant_id=caller.tenant_id, is_sandbox=caller.is_sandbox, repeatable=repeatable, now=now)
        answer = show(pk)
        if is_known:
            answer["Idempotent-Replayed"] = "true"
        return answer

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
        return lists.agent_named(self.tenant_id, name, field=field) if name is not None else None

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
