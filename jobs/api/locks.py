"""The locks that the processes hold, and releasing one by force."""

from typing import Any

from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.base import Body, TenantView
from accounts.scopes import ADMIN
from accounts.selectors import no_tenants
from accounts.services.audit import Actor
from accounts.services.rights import must_operate
from jobs.services import lock_control
from posthaste.lib import redis
from posthaste.lib.problems import Unavailable


class LockOut(serializers.Serializer[Any]):
    """One lock that is held."""

    name = serializers.CharField(help_text="What is locked.")
    owner = serializers.CharField(help_text="Host, process, thread and task of the holder.")
    fencing_token = serializers.IntegerField(help_text="Rises with every holder; writers show it to the database.")
    age_seconds = serializers.FloatField(help_text="For how long it has been held.")
    lease_seconds = serializers.FloatField(help_text="What is left of the lease, unless it is renewed.")
    count = serializers.IntegerField(help_text="How often its holder has taken it (re-entrant locks).")
    waiters = serializers.IntegerField(help_text="How many stand in line.")


class LockRef(Body):
    """Which lock."""

    name = serializers.CharField(max_length=100, help_text="As the list names it.")


class LockView(TenantView):
    """Base: locks belong to the installation, so the caller's tenant must operate it."""

    queryset = no_tenants()
    serializer_class = LockOut
    pagination_class = None
    filter_backends = ()


class LockCollection(LockView):
    """`/api/locks/`."""

    scopes = {"GET": ADMIN}

    @extend_schema(summary="List the locks that are held", responses=LockOut(many=True))
    def get(self, request: Request) -> Response:
        must_operate(self.caller)
        try:
            found = lock_control.held_locks()
        except redis.Unavailable:
            raise Unavailable(_("Redis is unavailable. Try again when /health/ready reports that it is back.")) from None
        return Response(LockOut(found, many=True).data)


class LockRelease(LockView):
    """`/api/locks/release/`."""

    scopes = {"POST": ADMIN}

    @extend_schema(
        summary="Release a lock by force",
        description="Frees the lock for the next one. The holder is notified within a second, and its later writes are refused.",
        request=LockRef,
        responses=LockOut,
    )
    def post(self, request: Request) -> Response:
        must_operate(self.caller)
        name = self.validated(LockRef)["name"]
        try:
            freed = lock_control.force_release(name=name, by=Actor.of_request(request))
        except redis.Unavailable:
            raise Unavailable(_("Redis is unavailable. Try again when /health/ready reports that it is back.")) from None
        return Response(LockOut(freed).data)
