"""Who leads a desk, and which desk a page is about: a tenant of the reader's, and one of its groups if the address names one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.urls import Resolver404, resolve, reverse
from django.utils.translation import gettext_lazy

from accounts.roles import Role
from accounts.selectors import Tenant, active_tenants
from accounts.staff.tenant_admin import own_tenants
from routing.models import Agent, Conversation, SkillGroup

REFUSAL = gettext_lazy("Only operators and owners of a tenant lead its desk. An owner can change your role under Members.")


@dataclass(frozen=True, slots=True)
class Led:
    """The desk that a page is about, and what the reader may choose from."""

    tenant: Tenant
    tenants: list[Tenant]
    group: SkillGroup | None
    groups: list[SkillGroup]


def may_lead(user: Any) -> bool:
    """Return whether a user leads the desk of some tenant: an operator, or above."""
    return bool(user.has_perm("routing.change_conversation"))


def led(request: HttpRequest, given: Mapping[str, str] | None = None) -> Led | None:
    """Return what `tenant` and `group` of the address ask for; by default a tenant that has agents, and all groups. None: no tenant.

    What is not the reader's to lead is as if it was not asked for.
    """
    asked = request.GET if given is None else given
    tenants = list(active_tenants(own_tenants(request, at_least=Role.OPERATOR)).order_by("name"))
    if not tenants:
        return None
    chosen = next((one for one in tenants if str(one.pk) == asked.get("tenant", "")), None)
    if chosen is None and len(tenants) > 1:
        staffed = set(Agent.objects.filter(tenant__in=tenants).order_by().values_list("tenant_id", flat=True).distinct())
        chosen = next((one for one in tenants if one.pk in staffed), None)
    tenant = chosen or tenants[0]
    groups = list(SkillGroup.objects.filter(tenant=tenant).order_by("title"))
    return Led(tenant, tenants, next((group for group in groups if group.name == asked.get("group", "")), None), groups)


def address_of(conversation: Conversation) -> str:
    """Return where a conversation can be read: at the desk, or in the admin where there is no desk."""
    at_desk = f"/desk/c/{conversation.pk}/"
    try:
        resolve(at_desk)
    except Resolver404:
        return reverse("admin:routing_conversation_change", args=[conversation.pk])
    return at_desk
