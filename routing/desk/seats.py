"""Who sits at the desk, and what they may see.

Operators and owners of a tenant see all its conversations. Other members see it as agents only: what they hold, what is in their groups,
and what no rule has given to a group yet. A conversation elsewhere can be read by an agent who was mentioned in it.
"""

from dataclasses import dataclass
from uuid import UUID

from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from accounts.roles import Role
from accounts.selectors import User
from accounts.tenancy import tenants_of
from posthaste.lib.problems import Forbidden
from routing.models import Agent, AgentSkill


class NotAnAgent(Forbidden):
    """You are not an agent of this tenant. An operator can make you one: see Agents in the admin."""

    code = "not_an_agent"
    title = _("You are not an agent here")


@dataclass(frozen=True, slots=True)
class Seat:
    """A member of staff at the desk of one tenant."""

    user: User
    tenant_id: int
    #: None: an operator who only supervises.
    agent: Agent | None
    group_ids: frozenset[UUID]
    sees_all: bool

    @property
    def agent_id(self) -> UUID | None:
        """The id of the agent, if it is one."""
        return self.agent.pk if self.agent else None

    @property
    def visible(self) -> Q:
        """The condition for conversations that this seat sees in its inbox."""
        if self.sees_all:
            return Q()
        return Q(agent_id=self.agent_id) | Q(group_id__in=self.group_ids) | Q(group=None, agent=None)

    def as_agent(self) -> Agent:
        """Return the agent.

        Raises:
            NotAnAgent: the user only supervises.
        """
        if self.agent is None:
            raise NotAnAgent(_("Only agents do this. Add yourself to the agents first."))
        return self.agent


def seat_of(user: User, *, tenant_id: int | None = None) -> Seat:
    """Return the seat of a member of staff: in the tenant that was asked for, or where they are an agent, or the first one.

    Raises:
        NotAnAgent: there is none.
    """
    own = tenants_of(user)
    if tenant_id is not None:
        own = [tenant_id] if tenant_id in own else []
    agents = {agent.tenant_id: agent for agent in Agent.objects.filter(user=user, is_active=True, tenant_id__in=own).order_by("-pk")}
    chosen = next((pk for pk in own if pk in agents), own[0] if own else None)
    agent = agents.get(chosen or 0)
    sees_all = chosen is not None and (user.is_superuser or chosen in tenants_of(user, at_least=Role.OPERATOR))
    if chosen is None or (agent is None and not sees_all):
        raise NotAnAgent(_("Ask an operator to add you to the agents."))
    groups = AgentSkill.objects.filter(agent=agent).values_list("group_id", flat=True) if agent else []
    return Seat(user=user, tenant_id=chosen, agent=agent, group_ids=frozenset(groups), sees_all=sees_all)
