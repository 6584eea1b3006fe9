"""`POST /api/config/modules/{name}/what-if/` and `…/override/what-if/`: rules not published yet, over recorded traffic."""

from datetime import datetime, timedelta
from typing import Any

import orjson
from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from pydantic import ValidationError
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.base import Body, TenantView
from accounts.scopes import SandboxSafe
from accounts.selectors import get_tenant
from configcenter import hot
from configcenter.scopes import CONFIG_READ
from configcenter.services import items, validation, what_if
from posthaste.lib.dates import within_range
from posthaste.lib.problems import MORE, Invalid, NotFound

MAX_SPAN = timedelta(days=7)
#: Callers compute "seven days ago" in whole seconds before they call, so by now it is a little more.
TOLERANCE = timedelta(minutes=1)


class WhatIfIn(Body):
    """What to replay over which span."""

    value = serializers.DictField(required=False, help_text="The module's content, as it would be published. Left out: what is in force.")
    since = serializers.DateTimeField(required=False, validators=[within_range], help_text="Left out: an hour before `until`.")
    until = serializers.DateTimeField(required=False, validators=[within_range], help_text="Left out: now.")


def _within_value(path: str) -> str:
    return f"value{path}" if path.startswith("[") else f"value.{path}".rstrip(".")


def _of_the_value(entry: dict[str, Any]) -> dict[str, Any]:
    return entry if entry["code"] == MORE else entry | {"field": _within_value(entry["field"]), "code": "invalid"}


def checked(handle: "hot.Handle[Any]", content: Any) -> Any:
    """Turn content into the module's value.

    Raises:
        Invalid: naming each wrong field.
    """
    try:
        validation.check_text(orjson.dumps(content).decode())  # no longer than what can be published
        return handle.model.model_validate(content)
    except Invalid as invalid:
        raise Invalid(errors=[entry | {"field": "value"} for entry in invalid.errors]) from None
    except ValidationError as error:
        raise Invalid(errors=[_of_the_value(entry) for entry in validation.explain(error)]) from None


def module_with_replay(name: str) -> "hot.Handle[Any]":
    """Return a module that can be replayed.

    Raises:
        NotFound: there is no such module, or it has nothing to replay.
    """
    try:
        handle = hot.module(name)
    except KeyError:
        raise NotFound from None
    if handle.what_if is None:
        raise NotFound(_("This module has nothing to replay."))
    return handle


def span_of(values: dict[str, Any]) -> dict[str, datetime]:
    """Return the span that was asked for, at most seven days of it.

    Raises:
        Invalid: it is none, or too long.
    """
    until = values.get("until") or timezone.now()
    since = values.get("since") or until - timedelta(hours=1)
    if since >= until:
        raise Invalid.field("since", _("Must be before until."))
    if until - since > MAX_SPAN + TOLERANCE:
        raise Invalid.field("since", _("At most {n} days.").format(n=MAX_SPAN.days))
    return {"since": since, "until": until}


class WhatIf(TenantView):
    """`/api/config/modules/{name}/what-if/`."""

    scopes = {"POST": CONFIG_READ}
    sandbox_safe = {"POST": SandboxSafe.READS}

    @extend_schema(
        summary="What would it have done?",
        description=(
            "Replays a draft over the traffic recorded between `since` and `until` (at most 7 days) and tells how much would have been "
            "limited, deferred, suppressed or moved; what tenants override stays on top of it, as after its publishing. An operating "
            "tenant sees all traffic, others their own. `notes` say what the replay can't know. Nothing is changed."
        ),
        request=WhatIfIn,
        responses=OpenApiTypes.OBJECT,
    )
    def post(self, request: Request, name: str) -> Response:
        handle = module_with_replay(name)
        values = self.validated(WhatIfIn)
        value = checked(handle, values["value"]) if "value" in values else handle.value
        tenant_id = None if get_tenant(self.tenant_id).is_operator else self.tenant_id
        return Response(what_if.replay_value(handle, value, tenant_id=tenant_id, **span_of(values)))


class OverrideWhatIf(TenantView):
    """`/api/config/modules/{name}/override/what-if/`."""

    scopes = {"POST": CONFIG_READ}
    sandbox_safe = {"POST": SandboxSafe.READS}

    @extend_schema(
        summary="What would your own values have done?",
        description=(
            "Replays what your tenant might have of its own in a module, on top of what is released for all, over your tenant's traffic. "
            "`value` holds the overridden fields alone; left out: those in force. Nothing is changed."
        ),
        request=WhatIfIn,
        responses=OpenApiTypes.OBJECT,
    )
    def post(self, request: Request, name: str) -> Response:
        handle, tenant = module_with_replay(name), get_tenant(self.tenant_id)
        item = items.look_at_module_item(name, tenant=tenant)
        values = self.validated(WhatIfIn)
        content = orjson.dumps(values["value"]).decode() if "value" in values else items.effective(item)
        try:
            validation.validate(item, content)
        except Invalid as invalid:
            raise Invalid(errors=[{**entry, "field": f"value.{entry['field']}".rstrip(".")} for entry in invalid.errors]) from None
        own = validation.parse(handle, content)
        return Response(what_if.replay_override(handle, item, own, tenant=tenant, **span_of(values)))
