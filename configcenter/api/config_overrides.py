"""What a tenant has of its own in a module: `/api/config/modules/{name}/override/…`, with the verbs of the installation's value."""

import orjson
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from configcenter import hot
from configcenter.api import config_shapes as shapes
from configcenter.api.config_views import (
    ItemView,
    ModuleDiff,
    ModuleDraft,
    ModulePublish,
    ModuleReleases,
    ModuleRollback,
    ModuleValidate,
    draft_of,
)
from configcenter.services import config_items, releases
from configcenter.services.api_keys import CONFIG_PUBLISH, CONFIG_READ
from configcenter.services.validation import merged


class OverrideItem(ItemView):
    """`/api/config/modules/{name}/override/`."""

    scopes = {"GET": CONFIG_READ, "DELETE": CONFIG_PUBLISH}
    is_override = True

    @extend_schema(summary="What your tenant has of its own in a module", responses=shapes.OverrideOut)
    def get(self, request: Request, name: str) -> Response:
        item = self.item()
        handle = hot.module(name)
        base = orjson.loads(config_items.effective(config_items.module_item(name)))
        own = orjson.loads(config_items.effective(item))
        visible = {field: value for field, value in base.items() if field in handle.per_tenant}
        whole = merged(handle, base, own).model_dump(mode="json")
        return Response(
            {
                "name": name,
                "version": item.current.number if item.current else 0,
                "md5": item.current.md5 if item.current else "",
                "own": own,
                # No more of it than a tenant may change: the rest is the operator's business.
                "effective": {field: whole[field] for field in visible},
                "draft": draft_of(item),
            }
        )

    @extend_schema(summary="Give up what your tenant has of its own", responses=shapes.ReleaseOut)
    def delete(self, request: Request, name: str) -> Response:
        return Response(shapes.ReleaseOut(releases.remove(item=self.item(), comment="", **self.by())).data)


class OverrideDraft(ModuleDraft):
    """`…/override/draft/`."""

    is_override = True


class OverrideValidate(ModuleValidate):
    """`…/override/validate/`."""

    is_override = True


class OverridePublish(ModulePublish):
    """`…/override/publish/`."""

    is_override = True


class OverrideRollback(ModuleRollback):
    """`…/override/rollback/`."""

    is_override = True


class OverrideReleases(ModuleReleases):
    """`…/override/releases/`."""

    is_override = True


class OverrideDiff(ModuleDiff):
    """`…/override/diff/`."""

    is_override = True
