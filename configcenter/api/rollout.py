"""Gray releases, instances, and configuration as a file: `/api/config/`."""

from typing import Any

import orjson
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.base import TenantView, readable_or
from accounts.selectors import get_tenant
from accounts.services.audit import Actor
from accounts.services.rights import must_operate
from configcenter import selectors
from configcenter.api import module_shapes
from configcenter.api.modules import RELEASE, ItemView, module_of, text_of
from configcenter.models import ConfigItem
from configcenter.scopes import CONFIG_PUBLISH, CONFIG_READ
from configcenter.services import releases, transfer
from posthaste.lib import redis
from posthaste.lib.problems import Unavailable


class ModuleGray(ItemView):
    """`…/gray/`."""

    scopes = {"POST": CONFIG_PUBLISH, "PUT": CONFIG_PUBLISH}

    @extend_schema(
        summary="Start a gray release",
        description="The draft, or `content`, on the instances with one of `labels` and on `percent` of the others.",
        request=module_shapes.GrayIn,
        responses={201: RELEASE},
    )
    def post(self, request: Request, name: str) -> Response:
        values = self.validated(module_shapes.GrayIn)
        content = text_of(values.pop("content"))
        release = releases.start_gray(item=self.item(), content=content, **values, by=self.by)
        return self.released(release, status=201)

    @extend_schema(
        summary="Widen or narrow a gray release",
        description="Who takes part by percentage stays in when it rises.",
        request=module_shapes.SpreadIn,
        responses={200: readable_or(module_shapes.ModuleOut, "name")},
    )
    def put(self, request: Request, name: str) -> Response:
        releases.widen_gray(item=self.item(), **self.validated(module_shapes.SpreadIn), by=self.by)
        return Response(self.readable(self.standing(name), scope=CONFIG_READ, always=("name",)))

    def standing(self, name: str) -> dict[str, Any]:
        """Return the state of the module after the change."""
        return module_of(selectors.module_state(name))


class ModuleGrayPromote(ItemView):
    """`…/gray/promote/`."""

    scopes = {"POST": CONFIG_PUBLISH}

    @extend_schema(
        summary="Promote a gray release to all instances",
        request=module_shapes.CommentIn,
        responses={201: RELEASE},
    )
    def post(self, request: Request, **at: str) -> Response:
        release = releases.promote_gray(item=self.item(), **self.validated(module_shapes.CommentIn), by=self.by)
        return self.released(release, status=201)


class ModuleGrayAbandon(ItemView):
    """`…/gray/abandon/`."""

    scopes = {"POST": CONFIG_PUBLISH}

    @extend_schema(
        summary="Take a gray release back from all instances",
        request=module_shapes.CommentIn,
        responses={201: RELEASE},
    )
    def post(self, request: Request, **at: str) -> Response:
        release = releases.abandon_gray(item=self.item(), **self.validated(module_shapes.CommentIn), by=self.by)
        return self.released(release, status=201)


class InstanceCollection(TenantView):
    """`/api/config/instances/`."""

    scopes = {"GET": CONFIG_READ}
    queryset = ConfigItem.objects.none()
    serializer_class = module_shapes.InstanceOut
    filter_backends = ()

    @extend_schema(summary="Which processes run which versions", responses=module_shapes.InstanceOut(many=True))
    def get(self, request: Request) -> Response:
        must_operate(self.caller)
        try:
            return Response(selectors.reported_instances())
        except redis.Unavailable:
            raise Unavailable from None


class Export(TenantView):
    """`/api/config/export/`."""

    scopes = {"GET": CONFIG_READ}

    @extend_schema(
        summary="What is in force, as one document",
        description="Everything for a key that operates the installation; otherwise what is the tenant's own. "
        "Drafts and history are not in it.",
        responses=OpenApiTypes.OBJECT,
    )
    def get(self, request: Request) -> Response:
        rows = selectors.everything(None if self.caller.is_operator else self.tenant_id)
        return Response(orjson.loads(transfer.export(items=rows.order_by("pk"))))


class Import(TenantView):
    """`/api/config/import/`."""

    scopes = {"POST": CONFIG_PUBLISH}

    @extend_schema(
        summary="Publish what an exported document says",
        description="All of it or nothing. `dry_run` only tells what would happen.",
        request=module_shapes.DocumentIn,
        responses=module_shapes.ImportOut,
    )
    def post(self, request: Request) -> Response:
        values: dict[str, Any] = self.validated(module_shapes.DocumentIn)
        document = orjson.dumps(values.pop("document"))
        only = None if self.caller.is_operator else get_tenant(self.tenant_id)
        report = transfer.import_(data=document, by=Actor.of_request(request), only_tenant=only, **values)
        return Response(module_shapes.ImportOut(report).data)
