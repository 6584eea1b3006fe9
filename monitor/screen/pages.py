"""The big screen at /monitor/, and what it asks for beside the live figures: the past, and the alarms."""

import time
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.staff.tenant_choice import chosen_tenant
from messaging.statistics.history import RANGES, history
from monitor.screen import ticker
from monitor.screen.texts import texts
from posthaste import env
from posthaste.ui.pages import at, staff_page

HISTORY_SECONDS = 5.0  # so long the past is kept, however many look on
#: The range that is pushed and not asked for.
LIVE = "15m"
REFUSAL = gettext_lazy("An owner of a tenant can add you under Members.")

_kept: dict[tuple[str, int | None], tuple[float, dict[str, Any]]] = {}


def may_look(user: Any) -> bool:
    """Return whether a user may see the figures of any tenant."""
    return bool(user.has_perm("messaging.view_message"))


@at("monitor/", name="monitor")
@staff_page(allowed=may_look, refusal=REFUSAL)
def screen(request: HttpRequest) -> HttpResponse:
    """Show the big screen; its figures come over the WebSocket."""
    tenant_id, tenants = chosen_tenant(request)
    settings = env.load()
    return TemplateResponse(
        request,
        "monitor/screen.html",
        {
            "title": _("Big screen"),
            "tenants": tenants,
            "tenant_id": tenant_id,
            "ranges": _ranges(),
            "charts": _charts(),
            "texts": texts(),
            # Behind a reverse proxy /ws/ is at the same origin; without one it has its own port.
            "ws_port": "" if settings.trusted_proxies else settings.ws_port,
        },
    )


def _ranges() -> list[tuple[str, str]]:
    """Return the ranges, the live one first."""
    labels = {LIVE: _("15 min"), "1h": _("1 h"), "24h": _("24 h"), "7d": _("7 d")}
    return [(name, labels[name]) for name in RANGES]


def _charts() -> list[dict[str, str]]:
    """Return the name, title and unit of each chart."""
    return [
        {"name": "throughput", "title": _("Throughput by state"), "unit": _("messages per second")},
        {"name": "channels", "title": _("Sent by channel"), "unit": _("messages per second")},
        {"name": "queue", "title": _("Queue and pool"), "unit": _("messages waiting, and threads")},
        {"name": "latency", "title": _("Latency and success rate"), "unit": _("from due to accepted by the provider")},
    ]


@at("monitor/figures/", name="monitor-figures")
@staff_page(allowed=may_look, refusal=REFUSAL)
def figures(request: HttpRequest) -> HttpResponse:
    """Return the points of a range, for the charts."""
    name = request.GET.get("range", LIVE)
    if name not in RANGES:
        return JsonResponse({"detail": _("Choose one of these ranges: %s.") % ", ".join(RANGES)}, status=400)
    tenant_id = chosen_tenant(request)[0]
    made_at, found = _kept.get((name, tenant_id), (float("-inf"), {}))
    if time.monotonic() - made_at > HISTORY_SECONDS:
        found = history(name=name, tenant_id=tenant_id, now=timezone.now())
        _kept[name, tenant_id] = (time.monotonic(), found)
    return JsonResponse(found)


@at("monitor/ticker/", name="monitor-ticker")
@staff_page(allowed=may_look, refusal=REFUSAL)
def alarms(request: HttpRequest) -> HttpResponse:
    """Return the alarms that are firing, in the reader's language."""
    return JsonResponse({"alarms": ticker.firing(request.user)})
