"""Which release of the rules decided about a message, as its trace has it."""

from django.utils.translation import gettext as _

from configcenter import hot
from messaging.explain.sentences import Link
from tracing.traces import Trace


def decided_by(trace: Trace, reason: str, module: str, tenant_id: int | None = None) -> Link | str:
    """Return the release that gave the last reason of this kind, named as the tenant's override where the tenant has one."""
    release = _release(trace, reason)
    overrides = tenant_id is not None and tenant_id in hot.module(module).now.by_tenant
    if release is None:
        return _("version not recorded")
    if release == 0:
        return _("default rules")
    said = _("the tenant's override, version {n}") if overrides else _("version {n}")
    return Link(said.format(n=release), "release", (module, release))


def _release(trace: Trace, reason: str) -> int | None:
    for event in reversed(trace.recorded):
        if event.code == "X" and len(event.words) > 1 and event.words[1].startswith(reason):
            number = event.words[1].rpartition("@")[2]
            return int(number) if number.isascii() and number.isdecimal() else None
    return None
