"""The overview: whether all is well, or what is not and where to act; then the day's figures, and what is under way."""

import time
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.services import rights
from accounts.staff.tenant_admin import own_tenants
from accounts.staff.tenant_choice import chosen_tenant
from messaging import selectors, statistics
from messaging.labels import batch_badge
from posthaste import env
from posthaste.ui import attention, pages
from posthaste.ui.attention import Reader

FIGURES_SECONDS = 5.0  # so long the day's figures are kept, however many look on
MAX_BATCHES = 5
#: Success rates below these look bad, in per cent; the same everywhere.
AMBER_BELOW, RED_BELOW = 99.0, 95.0

#: The day's figures by tenant, with the time at which they were made.
_kept_figures: dict[int | None, tuple[float, dict[str, Any]]] = {}


@pages.in_admin("", name="index")
def overview(request: HttpRequest) -> HttpResponse:
    """Show whether all is well, and how today is going."""
    tenant_id, tenants = chosen_tenant(request)
    may_look = request.user.has_perm("messaging.view_message")
    batches = selectors.open_batches(tenant_id, limit=MAX_BATCHES) if may_look else []
    now = timezone.now()
    for batch in batches:
        batch.state_html = batch_badge(batch, now=now)  # type: ignore[attr-defined]
    settings = env.load()
    return pages.page(
        request,
        "monitor/overview.html",
        title=admin.site.index_title,
        subtitle=None,
        state=_state(request, tenant_id),
        # A stranger sees no check: silence would read as "all is well".
        is_checked=may_look or rights.may_view(request.user),
        now=now,
        day=_day(tenant_id) if may_look else None,
        batches=batches,
        tenants=tenants,
        tenant_id=tenant_id,
        # Behind a reverse proxy /ws/ is at the same origin; without one it has its own port.
        ws_port="" if settings.trusted_proxies else settings.ws_port,
        purpose=_("What is happening now, and what needs attention."),
    )


@pages.in_admin("figures/", name="figures")
def figures(request: HttpRequest) -> HttpResponse:
    """Return the day's figures again, for a page that stays open."""
    if not request.user.has_perm("messaging.view_message"):
        return JsonResponse({}, status=403)
    return JsonResponse(_day(chosen_tenant(request)[0]))


def _state(request: HttpRequest, tenant_id: int | None) -> attention.State:
    """Return what needs attention, of the tenant that the page is about or of all that the reader may see."""
    everything = tenant_id is None
    tenants = own_tenants(request) if everything else [tenant_id] if tenant_id else []
    return attention.ask(Reader(user=request.user, tenant_ids=tenants, is_everything=everything, now=timezone.now()))


def tone_of_rate(rate: float | None) -> str:
    """Return how a success rate looks: `red`, `amber`, or nothing where it is good or not known."""
    if rate is None or rate >= AMBER_BELOW:
        return ""
    return "red" if rate < RED_BELOW else "amber"


def _day(tenant_id: int | None) -> dict[str, Any]:
    """Return today's figures and yesterday's, at most `FIGURES_SECONDS` old."""
    made_at, kept = _kept_figures.get(tenant_id, (0.0, {}))
    if not kept or time.monotonic() - made_at > FIGURES_SECONDS:
        both = statistics.overview(tenant_id=tenant_id, now=timezone.now())
        kept = {
            "as_of": both["as_of"],
            "scheduled": both["scheduled"],
            "today": _shown(both["today"]),
            "yesterday": _shown(both["yesterday"]),
        }
        _kept_figures[tenant_id] = (time.monotonic(), kept)
    return kept


def _shown(span: dict[str, Any]) -> dict[str, Any]:
    """Return what the overview shows of a day."""
    states = span["by_state"]
    return {
        "accepted": span["total"],
        "sent": sum(states[state] for state in statistics.GOOD),
        "failed": sum(states[state] for state in statistics.BAD),
        "in_progress": span["in_progress"],
        "success_rate": span["success_rate"],
        "tone": tone_of_rate(span["success_rate"]),
        "p95_ms": span["latency_ms"]["p95"],
        "by_state": states,
    }
