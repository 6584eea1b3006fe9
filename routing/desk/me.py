"""What a page of the desk has to know first: who sits here, and the names to choose from."""

from datetime import datetime
from typing import Any

from django.urls import reverse

from accounts.selectors import tenants
from accounts.tenancy import tenants_of
from routing.assignment import presence
from routing.configuration import assignment
from routing.desk.seats import Seat
from routing.intents.titles import intent_titles
from routing.models import Agent, Entrance, EntranceKind, Notice, SkillGroup, Tag

MAX_TAGS = 500
Shape = dict[str, Any]


def shape_of(seat: Seat, *, now: datetime) -> Shape:
    """Return who sits at the desk, and what it offers: colleagues, groups, intents, tags."""
    agents = list(Agent.objects.filter(tenant_id=seat.tenant_id, is_active=True).order_by("name"))
    default = assignment.of(seat.tenant_id).default_capacity
    titles = intent_titles([seat.tenant_id])[seat.tenant_id]
    entrances = Entrance.objects.filter(tenant_id=seat.tenant_id).order_by("name").only("pk", "name", "kind", "is_enabled")
    groups = SkillGroup.objects.filter(tenant_id=seat.tenant_id).order_by("title").values_list("pk", "name", "title")
    by_id = {tenant.pk: tenant.name for tenant in tenants().filter(pk__in=tenants_of(seat.user))}
    return {
        "agent": agent_shape(seat.agent, default, now) if seat.agent else None,
        "user": {"name": seat.user.get_full_name() or seat.user.get_username()},
        "tenant": {"id": seat.tenant_id, "name": by_id.get(seat.tenant_id, "")},
        "tenants": [{"id": pk, "name": name} for pk, name in by_id.items()],
        "sees_all": seat.sees_all,
        "groups": [{"id": str(pk), "name": name, "title": title, "mine": pk in seat.group_ids} for pk, name, title in groups],
        "agents": [agent_shape(agent, default, now) for agent in agents],
        "intents": [{"name": name, "title": title} for name, title in sorted(titles.items(), key=lambda pair: pair[1])],
        "tags": list(Tag.objects.filter(tenant_id=seat.tenant_id).order_by("name").values_list("name", flat=True)[:MAX_TAGS]),
        "languages": ["en", "zh"],
        "entrances": [{"id": str(each.pk), "name": each.name, "kind": each.kind} for each in entrances],
        "features": {
            "side": any(each.kind == EntranceKind.EMAIL and each.is_enabled for each in entrances),
            "supervise": seat.sees_all,
            "ticket": reverse("desk-ticket-new"),
        },
        "unread_notices": Notice.objects.filter(agent=seat.agent, read_at=None).count() if seat.agent else 0,
        "at": now.isoformat(),
    }


def agent_shape(agent: Agent, default_capacity: int, now: datetime) -> Shape:
    """Return an agent as colleagues see one."""
    return {
        "id": str(agent.pk),
        "name": agent.name,
        "presence": str(presence.state(agent, now=now)),
        "load": agent.load,
        "capacity": agent.capacity or default_capacity,
    }
