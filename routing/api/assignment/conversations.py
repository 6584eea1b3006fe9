"""Who has a conversation: claim, transfer, release, and why."""

from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.base import TenantView
from accounts.services.audit import Actor
from posthaste.lib.problems import Invalid
from routing.api.assignment import shapes
from routing.assignment import holding, lists
from routing.models import Conversation
from routing.scopes import CONVERSATIONS_READ, CONVERSATIONS_WRITE


class HeldView(TenantView):
    """Base: the tenant's conversations."""

    queryset = Conversation.objects.none()
    serializer_class = shapes.HeldOut

    def get_queryset(self) -> "QuerySet[Conversation]":
        return lists.conversations(self.tenant_id)


class Claim(HeldView):
    """`/api/conversations/{id}/claim/`."""

    scopes = {"POST": CONVERSATIONS_WRITE}

    @extend_schema(
        summary="Claim a conversation",
        description="Gives a waiting conversation to an agent. 409 `taken` names in `owner` the agent who has it; 409 `agent_full`: "
        "no room. Claiming it again changes nothing.",
        request=shapes.ClaimIn,
        responses=shapes.HeldOut,
    )
    def post(self, request: Request, id: str) -> Response:
        conversation, values = self.get_object(), self.validated(shapes.ClaimIn)
        agent = lists.agent_named(self.tenant_id, values["agent"])
        row = holding.claim(conversation=conversation, agent=agent, by=Actor.of_request(request), now=timezone.now())
        return Response(shapes.HeldOut(row).data)


class Transfer(HeldView):
    """`/api/conversations/{id}/transfer/`."""

    scopes = {"POST": CONVERSATIONS_WRITE}

    @extend_schema(
        summary="Transfer a conversation",
        description="To an agent, or to the queue of a group.",
        request=shapes.TransferIn,
        responses=shapes.HeldOut,
    )
    def post(self, request: Request, id: str) -> Response:
        conversation, values = self.get_object(), self.validated(shapes.TransferIn)
        if ("agent" in values) == ("group" in values):
            raise Invalid.field("agent", _("Set either agent or group."), "required")
        agent = lists.agent_named(self.tenant_id, values["agent"]) if "agent" in values else None
        group = lists.group_named(self.tenant_id, values["group"]) if "group" in values else None
        row = holding.transfer(
            conversation=conversation,
            agent=agent,
            group=group,
            expected_owner=values.get("expected_owner"),
            by=Actor.of_request(request),
            now=timezone.now(),
        )
        return Response(shapes.HeldOut(row).data)


class Release(HeldView):
    """`/api/conversations/{id}/release/`."""

    scopes = {"POST": CONVERSATIONS_WRITE}

    @extend_schema(
        summary="Release a conversation",
        description="Puts it back into the queue of its group. The agent who had it gets it back only if no one else is there.",
        request=None,
        responses=shapes.HeldOut,
    )
    def post(self, request: Request, id: str) -> Response:
        row = holding.release(conversation=self.get_object(), by=Actor.of_request(request), now=timezone.now())
        return Response(shapes.HeldOut(row).data)


class Assignments(HeldView):
    """`/api/conversations/{id}/assignments/`."""

    scopes = {"GET": CONVERSATIONS_READ}
    serializer_class = shapes.AssignmentOut  # type: ignore[assignment]

    @extend_schema(
        summary="Who had a conversation, and why",
        description="Newest first, at most 200.",
        responses=shapes.AssignmentOut(many=True),
    )
    def get(self, request: Request, id: str) -> Response:
        spans = lists.assignments(self.tenant_id).filter(conversation=self.get_object()).order_by("-pk")[:200]
        return Response(shapes.AssignmentOut(spans, many=True).data)
