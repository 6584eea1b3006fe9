"""Read groups, agents, assignments; every list is of one tenant."""

from collections.abc import Iterable
from uuid import UUID

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from accounts.tenancy import owned_by
from posthaste.lib.problems import Invalid
from routing.configuration import assignment
from routing.models import Agent, Assignment, Conversation, SkillGroup


def groups(tenant_id: int) -> "QuerySet[SkillGroup]":
    """Return the tenant's skill groups."""
    return owned_by(SkillGroup.objects.select_related("overflow_to"), tenant_id)


def group_named(tenant_id: int, name: str, *, field: str = "group") -> SkillGroup:
    """Return the tenant's group of a short name.

    Raises:
        Invalid: there is none.
    """
    found = groups(tenant_id).filter(name=name).first()
    if found is None:
        raise Invalid.field(field, _("There is no such group."), "does_not_exist")
    return found


def agents(tenant_id: int) -> "QuerySet[Agent]":
    """Return the tenant's agents with their skills."""
    return owned_by(Agent.objects.select_related("user").prefetch_related("skills__group"), tenant_id)


def agent_named(tenant_id: int, name: str, *, field: str = "agent") -> Agent:
    """Return the tenant's agent of an id or a user name.

    Raises:
        Invalid: there is none.
    """
    own = agents(tenant_id)
    try:
        found = own.filter(pk=UUID(name)).first()
    except ValueError:
        found = own.filter(user__username=name).first()
    if found is None:
        raise Invalid.field(field, _("There is no such agent."), "does_not_exist")
    return found


def active_agent_named(tenant_id: int, name: str) -> Agent:
    """Return the tenant's agent of an id or a user name, who does something now.

    Raises:
        Invalid: there is none, or the agent is switched off.
    """
    found = agent_named(tenant_id, name)
    if not found.is_active:
        raise Invalid.field("agent", _("The agent is switched off."), "unknown")
    return found


def agent_of_user(tenant_id: int, user_id: int) -> Agent | None:
    """Return the agent that a member of staff is in a tenant, if they are one."""
    return owned_by(Agent.objects.all(), tenant_id).filter(user_id=user_id, is_active=True).first()


def conversations(tenant_id: int) -> "QuerySet[Conversation]":
    """Return the tenant's conversations with who has them."""
    return owned_by(Conversation.objects.select_related("agent", "group"), tenant_id)


def assignments(tenant_id: int) -> "QuerySet[Assignment]":
    """Return the tenant's assignments with their agents."""
    return owned_by(Assignment.objects.select_related("agent"), tenant_id)


def unknown_groups(tenant_ids: Iterable[int]) -> set[str]:
    """Return the short names of groups that rules of these tenants lead to, and that their tenant does not have.

    Tenants without any group have no desk, so nothing is wrong there.
    """
    known: dict[int, set[str]] = {}
    for tenant_id, name in SkillGroup.objects.filter(tenant_id__in=tenant_ids).values_list("tenant_id", "name"):
        known.setdefault(tenant_id, set()).add(name)
    unknown: set[str] = set()
    for tenant_id, names in known.items():
        module = assignment.of(tenant_id)
        led_to = {rule.skill_group for rule in module.rules if rule.is_enabled} | {route.skill_group for route in module.routes}
        unknown |= led_to - names
    return unknown
