"""Who sees tickets at the desk, and who works on them: members of the tenant see, its agents and operators work."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.http import Http404, HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _

from accounts.roles import Role
from accounts.selectors import Tenant, active_tenants, as_staff
from accounts.staff.tenant_admin import own_tenants
from posthaste.lib.problems import Forbidden
from routing.models import Agent, Ticket
from routing.tickets import finding

#: The parameter that names the tenant, where a reader belongs to several.
TENANT = "tenant"


def may_see(user: Any) -> bool:
    """Return whether a member of staff sees tickets of any tenant."""
    return bool(user.has_perm("routing.view_ticket"))


def may_work(user: Any) -> bool:
    """Return whether a member of staff works on tickets of any tenant."""
    return bool(user.has_perm("routing.change_ticket")) or _agents_of(user).exists()


def _agents_of(user: Any) -> Any:
    return Agent.objects.filter(user_id=getattr(user, "pk", None) or 0, is_active=True)


@dataclass(frozen=True)
class Reader:
    """A member of staff at the desk."""

    request: HttpRequest

    @cached_property
    def tenant_ids(self) -> list[int]:
        """The tenants whose tickets are seen."""
        return own_tenants(self.request)

    @cached_property
    def agents(self) -> list[Agent]:
        """The agents that the reader is, at most one a tenant."""
        user = as_staff(self.request.user)
        return list(_agents_of(user).filter(tenant__in=self.tenant_ids).select_related("user").order_by("pk")) if user else []

    @cached_property
    def working_ids(self) -> list[int]:
        """The tenants in which the reader works on tickets."""
        operated = own_tenants(self.request, at_least=Role.OPERATOR)
        return sorted({*operated, *(agent.tenant_id for agent in self.agents)})

    @cached_property
    def tenants(self) -> list[Tenant]:
        """The tenants in which the reader may open tickets, the one of their first agent before the others."""
        first = [agent.tenant_id for agent in self.agents]
        rows = list(active_tenants(self.working_ids).order_by("name"))
        return sorted(rows, key=lambda one: (first.index(one.pk) if one.pk in first else len(first), one.name))

    def agent_in(self, tenant_id: int) -> Agent | None:
        """Return the agent that the reader is in a tenant."""
        return next((agent for agent in self.agents if agent.tenant_id == tenant_id), None)

    def may_work_on(self, ticket: Ticket) -> bool:
        """Return whether the reader works on a ticket."""
        return ticket.tenant_id in self.working_ids

    def must_work_on(self, ticket: Ticket) -> None:
        """Refuse those who only look.

        Raises:
            Forbidden: the reader is neither an agent nor an operator there.
        """
        if not self.may_work_on(ticket):
            raise Forbidden(_("Only agents and operators work on tickets. Ask an owner of the tenant for one of these roles."))

    def ticket(self, number: int) -> Ticket:
        """Return the ticket with a number: of the tenant that the address names, else of the reader's first one that has it.

        Raises:
            Http404: there is none.
        """
        rows = (
            finding.tickets(*self.tenant_ids)
            .filter(number=number)
            .select_related("type__group", "customer", "group", "agent", "conversation__entrance", "merged_into", "tenant")
        )
        if slug := self.request.GET.get(TENANT, ""):
            rows = rows.filter(tenant__slug=slug)
        first = [agent.tenant_id for agent in self.agents]
        found = sorted(rows[: len(self.tenant_ids)], key=lambda row: (row.tenant_id not in first, row.tenant_id))
        if not found:
            raise Http404
        return found[0]

    def address_of(self, ticket: Ticket) -> str:
        """Return the address of a ticket's page; it names the tenant where the reader has several."""
        address = reverse("desk-ticket", args=[ticket.number])
        return f"{address}?{TENANT}={ticket.tenant.slug}" if len(self.tenant_ids) > 1 else address
