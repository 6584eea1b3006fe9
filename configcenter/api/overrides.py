"""A tenant's override of a module: `/api/config/modules/{name}/override/…`, with the verbs of the installation's value."""

from typing import Any

import orjson
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.base import readable_or
from configcenter import hot
from configcenter.api import module_shapes
from configcenter.api.modules import (
    RELEASE,
    ItemView,
    ModuleDiff,
    ModuleDraft,
    ModulePublish,
    ModuleReleases,
    ModuleRollback,
    ModuleValidate,
    draft_of,
)
from configcenter.api.rollout import ModuleGray, ModuleGrayAbandon, ModuleGrayPromote
from configcenter.models import ConfigItem
from configcenter.scopes import CONFIG_PUBLISH, CONFIG_READ
from configcenter.services import items, releases
from configcenter.services.validation import merged


def override_of(item: ConfigItem, name: str) -> dict[str, Any]:
    """Return a tenant's override of a module."""
    handle = hot.module(name)
    base = orjson.loads(items.effective(items.look_at_module_item(name)))
    own = orjson.loads(items.effective(item))
    whole = merged(handle, base, own).model_dump(mode="json")
    return {
        "name": name,
        "version": item.current.number if item.current else 0,
        "md5": item.current.md5 if item.current else "",
        "own": own,
        # No more of it than a tenant may change: the rest is the operator's business.
        "effective": {field: value for field, value in whole.items() if field in handle.per_tenant},
        "draft": draft_of(item),
        "gray": module_shapes.gray_of(item),
    }


class OverrideItem(ItemView):
    """`/api/config/modules/{name}/override/`."""

    scopes = {"GET": CONFIG_READ, "DELETE": CONFIG_PUBLISH}
    is_override = True

    @extend_schema(summary="Your tenant's override of a module", responses=module_shapes.OverrideOut)
    def get(self, request: Request, name: str) -> Response:
        return Response(override_of(self.item(), name))

    @extend_schema(summary="Remove your tenant's override", responses={200: RELEASE})
    def delete(self, request: Request, name: str) -> Response:
        return self.released(releases.remove(item=self.item(), comment="", by=self.by))


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


@extend_schema_view(put=extend_schema(responses={200: readable_or(module_shapes.OverrideOut, "name")}))
class OverrideGray(ModuleGray):
    """`…/override/gray/`."""

    is_override = True

    def standing(self, name: str) -> dict[str, Any]:
        """Return the state of the override after the change."""
        return override_of(self.item(), name)


class OverrideGrayPromote(ModuleGrayPromote):
    """`…/override/gray/promote/`."""

    is_override = True


class OverrideGrayAbandon(ModuleGrayAbandon):
    """`…/override/gray/abandon/`."""

    is_override = True
