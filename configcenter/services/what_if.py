"""What would a draft have done? The module's replay of recorded traffic, with everybody's values as they would be once it is published.

A draft of the installation's value is judged with each tenant's override on top, a draft of an override for its tenant alone.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from pydantic import ValidationError

from accounts.selectors import Tenant
from configcenter import hot
from configcenter.models import MODULES, ConfigItem
from configcenter.services import validation
from posthaste.lib.problems import NotFound


def replay_value(
    handle: "hot.Handle[Any]", value: hot.Module, *, since: datetime, until: datetime, tenant_id: int | None = None
) -> dict[str, Any]:
    """Replay a value of the installation over the traffic of one tenant, or of all, and return the module's report.

    What tenants have of their own stays on top of it, as after its publishing.

    Raises:
        NotFound: the module has nothing to replay.
    """
    overrides = ConfigItem.objects.filter(
        namespace__slug=MODULES, namespace__tenant=None, group=MODULES, data_id=handle.name, override_of__isnull=False
    ).exclude(current=None)
    if tenant_id is not None:
        overrides = overrides.filter(override_of_id=tenant_id)
    whole = value.model_dump(mode="json")
    by_tenant: dict[int, Any] = {}
    kept: list[str] = []
    for tenant, name, content in overrides.order_by("override_of__slug").values_list(
        "override_of_id", "override_of__slug", "current__content"
    ):
        try:
            by_tenant[tenant] = validation.merged(handle, whole, orjson.loads(content))
        except ValidationError:  # processes that follow the publish keep the value they have, see `loading`
            by_tenant[tenant] = handle.of(tenant)
            kept.append(name)
    report = _replay(handle, hot.Applied(value, by_tenant=by_tenant), since=since, until=until, tenant_id=tenant_id)
    if by_tenant:
        said = ngettext(
            "The published override of one tenant is applied on top. Its draft and gray release are ignored.",
            "The published overrides of {n} tenants are applied on top. Their drafts and gray releases are ignored.",
            len(by_tenant),
        )
        report["notes"].append(said.format(n=len(by_tenant)))
    if kept:
        said = _("These tenants' overrides would become invalid with this version, so they would keep their current values: {tenants}.")
        report["notes"].append(said.format(tenants=", ".join(kept)))
    return report


def replay_override(
    handle: "hot.Handle[Any]", item: ConfigItem, own: Mapping[str, Any], *, tenant: Tenant, since: datetime, until: datetime
) -> dict[str, Any]:
    """Replay a possible override over the traffic of its tenant and return the module's report.

    Raises:
        NotFound: the module has nothing to replay.
        pydantic.ValidationError: it is not valid together with what is in force for all.
    """
    base = validation.base_of(handle, item)
    value = validation.merged(handle, base, own)
    draft = hot.Applied(handle.model.model_validate(base), by_tenant={tenant.pk: value})
    report = _replay(handle, draft, since=since, until=until, tenant_id=tenant.pk)
    report["notes"].append(_("Only this tenant's traffic was replayed, with its own values on top of the published ones."))
    return report


def _replay(handle: "hot.Handle[Any]", draft: "hot.Applied[Any]", **span: Any) -> dict[str, Any]:
    if handle.what_if is None:
        raise NotFound(_("This module has nothing to replay."))
    report = handle.what_if(draft, **span)
    return report | {"notes": list(report.get("notes", ()))}
