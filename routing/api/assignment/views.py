"""Skill groups, agents, their presence, and the queue."""

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.base import TenantView, readable_or
from accounts.selectors import staff_of
from accounts.services.audit import Actor
from posthaste.lib.pagination import CursorPages
from posthaste.lib.problems import Invalid
from routing.api.assignment import shapes
from routing.api.assignment.filters import AgentFilter
from routing.assignment import attendance, figures, lists, presence, staff
from routing.models import Agent, Presence, SkillGroup
from routing.scopes import AGENTS_READ, AGENTS_WRITE

#: What the answer to a change shows to keys that may not read agents.
TOLD = ("id", "name")


class GroupView(TenantView):
    """Base: the tenant's skill groups."""

    queryset = SkillGroup.objects.none()
    serializer_class = shapes.GroupOut
    read_scope, always_told = AGENTS_READ, TOLD

    def get_queryset(self) -> "QuerySet[SkillGroup]":
        return lists.groups(self.tenant_id)

    def named(self, name: str | None, field: str) -> SkillGroup | None:
        """Return the group of a short name in a body.

        Raises:
            Invalid: there is none.
        """
        return lists.group_named(self.tenant_id, name, field=field) if name is not None else None


class GroupCollection(ListModelMixin, GroupView):
    """`/api/skill-groups/`."""

    scopes = {"GET": AGENTS_READ, "POST": AGENTS_WRITE}
    pagination_class = CursorPages

    @extend_schema(summary="List skill groups", description="Newest first.")
    def get(self, request: Request) -> Response:
        return self.list(request)

    @extend_schema(summary="Add a skill group", request=shapes.GroupIn, responses={201: readable_or(shapes.GroupOut, *TOLD)})
    def post(self, request: Request) -> Response:
        values = self.validated(shapes.GroupIn)
        values["overflow_to"] = self.named(values.get("overflow_to"), "overflow_to")
        group = SkillGroup(tenant_id=self.tenant_id, **values)
        staff.create_group(group=group, by=Actor.of_request(request), now=timezone.now())
        return self.written(group, status=201)


class GroupItem(RetrieveModelMixin, GroupView):
    """`/api/skill-groups/{id}/`."""

    scopes = {"GET": AGENTS_READ, "PATCH": AGENTS_WRITE, "DELETE": AGENTS_WRITE}

    @extend_schema(summary="One skill group")
    def get(self, request: Request, id: str) -> Response:
        return self.retrieve(request)

    @extend_schema(summary="Change a skill group", request=shapes.GroupIn, responses={200: readable_or(shapes.GroupOut, *TOLD)})
    def patch(self, request: Request, id: str) -> Response:
        group: SkillGroup = self.get_object()
        values = self.validated(shapes.GroupIn, partial=True)
        if "overflow_to" in values:
            values["overflow_to"] = self.named(values["overflow_to"], "overflow_to")
        for name, value in values.items():
            setattr(group, name, value)
        if values:
            staff.change_group(group=group, fields=values, by=Actor.of_request(request), now=timezone.now())
        return self.written(group)

    @extend_schema(summary="Delete a skill group", description="409 while conversations wait for it.", request=None, responses={204: None})
    def delete(self, request: Request, id: str) -> Response:
        staff.delete_group(group=self.get_object(), by=Actor.of_request(request))
        return Response(status=204)


class AgentView(TenantView):
    """Base: the tenant's agents."""

    queryset = Agent.objects.none()
    serializer_class = shapes.AgentOut
    read_scope, always_told = AGENTS_READ, TOLD

    def get_queryset(self) -> "QuerySet[Agent]":
        return lists.agents(self.tenant_id)

    def get_serializer_context(self) -> dict[str, Any]:
        return {**super().get_serializer_context(), "now": timezone.now()}

    def skills_of(self, values: dict[str, Any]) -> dict[UUID, int] | None:
        """Take the skills out of a body, by the ids of their groups; None: they are not in it.

        Raises:
            Invalid: naming a group that does not exist, or stands there twice.
        """
        if "skills" not in values:
            return None
        known = dict(lists.groups(self.tenant_id).values_list("name", "pk"))
        skills: dict[UUID, int] = {}
        for index, skill in enumerate(values.pop("skills")):
            group_id = known.get(skill["group"])
            if group_id is None:
                raise Invalid.field(f"skills[{index}].group", _("There is no such group."), "does_not_exist")
            if group_id in skills:
                raise Invalid.field(f"skills[{index}].group", _("This group is listed twice."), "unique")
            skills[group_id] = skill["level"]
        return skills


class AgentCollection(ListModelMixin, AgentView):
    """`/api/agents/`."""

    scopes = {"GET": AGENTS_READ, "POST": AGENTS_WRITE}
    pagination_class = CursorPages
    filterset_class = AgentFilter

    @extend_schema(summary="List agents", description="Newest first, with what each does now and how much they hold.")
    def get(self, request: Request) -> Response:
        return self.list(request)

    @extend_schema(
        summary="Add an agent",
        description="The user must be a member of your tenant. A new agent is offline until their desk, phone or you say otherwise.",
        request=shapes.AgentIn,
        responses={201: readable_or(shapes.AgentOut, *TOLD)},
    )
    def post(self, request: Request) -> Response:
        values = self.validated(shapes.AgentIn)
        user = staff_of([self.tenant_id]).filter(username=values.pop("user")).first()
        if user is None:
            raise Invalid.field("user", _("The user must be a member of the tenant."), "does_not_exist")
        skills = self.skills_of(values)
        agent = Agent(tenant_id=self.tenant_id, user=user, **values)
        staff.create_agent(agent=agent, skills=skills, by=Actor.of_request(request), now=timezone.now())
        return self.written(self.get_queryset().get(pk=agent.pk), status=201)


class AgentItem(RetrieveModelMixin, AgentView):
    """`/api/agents/{id}/`."""

    scopes = {"GET": AGENTS_READ, "PATCH": AGENTS_WRITE, "DELETE": AGENTS_WRITE}

    @extend_schema(summary="One agent")
    def get(self, request: Request, id: str) -> Response:
        return self.retrieve(request)

    @extend_schema(
        summary="Change an agent",
        description="Conversations move at once if there is more room, another skill, or the agent is no longer active.",
        request=shapes.AgentIn,
        responses={200: readable_or(shapes.AgentOut, *TOLD)},
    )
    def patch(self, request: Request, id: str) -> Response:
        agent: Agent = self.get_object()
        values = self.validated(shapes.AgentIn, partial=True)
        if "user" in values and values.pop("user") != agent.user.get_username():
            raise Invalid.field("user", _("An agent's user can't be changed. Add another agent."), "not_allowed")
        skills = self.skills_of(values)
        for name, value in values.items():
            setattr(agent, name, value)
        if values or skills is not None:
            staff.change_agent(agent=agent, fields=values, skills=skills, by=Actor.of_request(request), now=timezone.now())
        return self.written(self.get_queryset().get(pk=agent.pk))

    @extend_schema(
        summary="Delete an agent",
        description="409 if the agent has had conversations: set `is_active` to false instead.",
        request=None,
        responses={204: None},
    )
    def delete(self, request: Request, id: str) -> Response:
        staff.delete_agent(agent=self.get_object(), by=Actor.of_request(request))
        return Response(status=204)


class AgentPresence(AgentView):
    """`/api/agents/{id}/presence/`."""

    scopes = {"PUT": AGENTS_WRITE}

    @extend_schema(
        summary="Report presence",
        description="With `presence`: what the agent does from now on; conversations move at once. Without: a sign that the agent is still "
        "there. Repeat it before `present_until`.",
        request=shapes.PresenceIn,
        responses=shapes.PresenceOut,
    )
    def put(self, request: Request, id: str) -> Response:
        agent: Agent = self.get_object()
        values, now = self.validated(shapes.PresenceIn), timezone.now()
        sign = attendance.Sign(values["sign"])
        if "presence" in values:
            chosen, until = Presence(values["presence"]), values.get("break_until")
            attendance.set_presence(agent=agent, presence=chosen, break_until=until, sign=sign, by=Actor.of_request(request), now=now)
        elif values.get("break_until") is not None:
            raise Invalid.field("break_until", _("Only a break has an end."), "not_allowed")
        else:
            attendance.beat(agent_id=agent.pk, tenant_id=self.tenant_id, sign=sign, now=now)
            agent.refresh_from_db()
        shown = {"presence": presence.state(agent, now=now), "present_until": agent.present_until, "break_until": agent.break_until}
        return Response(shapes.PresenceOut(shown).data)


class Queue(TenantView):
    """`/api/queue/`."""

    scopes = {"GET": AGENTS_READ}

    @extend_schema(
        summary="The queue of each group",
        description="How many conversations wait, since when, how long the last will wait, and who could take them.",
        responses=shapes.QueuesOut,
    )
    def get(self, request: Request) -> Response:
        return Response({"results": shapes.QueueOut(figures.queues(self.tenant_id, now=timezone.now()), many=True).data})
