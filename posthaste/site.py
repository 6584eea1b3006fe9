"""The admin site: our name, our rail, an overview in figures, and a login that can't be hammered."""

import time
from datetime import datetime
from typing import Any

from django.contrib.admin import AdminSite
from django.contrib.admin.forms import AdminAuthenticationForm
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.template.response import TemplateResponse
from django.urls import path
from django.utils import timezone
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _

from accounts.models import Tenant
from accounts.services.sign_in import too_many_attempts
from accounts.staff.tenant_admin import own_tenants, signed_in
from accounts.tenancy import owned_by
from messaging import selectors, statistics
from messaging.channels.sandbox import outbox
from messaging.models import Batch, BatchStatus, Channel, Status
from posthaste import env
from posthaste.lib import redis
from posthaste.ui import navigation

FIGURES_SECONDS = 5.0  # so long are the day's figures kept, however many look on


class SignInForm(AdminAuthenticationForm):
    """Says what is wrong, not what may be."""

    error_messages = {
        **AdminAuthenticationForm.error_messages,
        "invalid_login": gettext_lazy("This name and this password do not sign in here. Both are written exactly, capitals included."),
    }


class PosthasteAdminSite(AdminSite):
    """Django's admin under our name."""

    login_form = SignInForm

    site_title = gettext_lazy("Posthaste")
    site_header = gettext_lazy("Posthaste")
    index_title = gettext_lazy("Overview")
    site_url = None
    enable_nav_sidebar = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._figures: dict[int | None, tuple[float, dict[str, Any]]] = {}

    def get_urls(self) -> Any:
        own = [
            path("figures/", self.admin_view(self.figures), name="figures"),
            path("outbox/", self.admin_view(self.outbox), name="outbox"),
        ]
        return own + super().get_urls()

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        context = super().each_context(request)
        if context["has_permission"]:
            groups = navigation.for_request(request)
            on_phone = [entry for group in groups for entry in group["entries"] if entry["on_phone"]]
            context |= {"navigation": groups, "navigation_on_phone": on_phone}
        return context | {"language": get_language() or "en"}

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if request.method == "POST" and too_many_attempts(request):
            said = {"title": _("Too many attempts to sign in"), "detail": _("Try again in a minute."), "status": 429}
            response = render(request, "error.html", said, status=429)
            response["Retry-After"] = "60"
            return response
        return super().login(request, extra_context)

    # --- overview --------------------------------------------------------------------------------------------

    def _tenant(self, request: HttpRequest) -> tuple[int | None, list[Tenant]]:
        """Whose figures are shown: the one asked for, or the first; all together for a superuser."""
        tenants = list(Tenant.objects.filter(pk__in=own_tenants(request)))
        wanted = request.GET.get("tenant", "")
        if wanted.isdecimal() and int(wanted) in {tenant.pk for tenant in tenants}:
            return int(wanted), tenants
        if signed_in(request).is_superuser:
            return None, tenants
        return (tenants[0].pk if tenants else 0), tenants

    def _day(self, tenant_id: int | None) -> dict[str, Any]:
        """Today's figures and yesterday's, at most five seconds old."""
        made_at, kept = self._figures.get(tenant_id, (0.0, {}))
        if not kept or time.monotonic() - made_at > FIGURES_SECONDS:
            both = statistics.overview(tenant_id=tenant_id, now=timezone.now())
            kept = {
                "as_of": both["as_of"],
                "scheduled": both["scheduled"],
                "today": _figures(both["today"]),
                "yesterday": _figures(both["yesterday"]),
            }
            self._figures[tenant_id] = (time.monotonic(), kept)
        return kept

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        tenant_id, tenants = self._tenant(request)
        may_look = request.user.has_perm("messaging.view_message")
        open_batches = Batch.objects.filter(status__in=[BatchStatus.RUNNING, BatchStatus.PAUSED]).order_by("-id")
        if tenant_id is not None:
            open_batches = owned_by(open_batches, tenant_id)
        batches = list(open_batches[:5]) if may_look else []
        counts = selectors.batch_counts(batches)
        for batch in batches:
            batch.books = selectors.batch_summary(batch, counts[batch.pk])  # type: ignore[attr-defined]
        settings = env.load()
        context = {
            "day": self._day(tenant_id) if may_look else None,
            "batches": batches,
            "tenants": tenants,
            "tenant_id": tenant_id,
            # Behind a reverse proxy /ws/ is at the same origin; without one it has a port of its own.
            "ws_port": "" if settings.trusted_proxies else settings.ws_port,
            "purpose": _("What goes on right now, and what needs somebody."),
        }
        return super().index(request, {**context, **(extra_context or {})})

    def figures(self, request: HttpRequest) -> HttpResponse:
        """Return the day's figures again, for a page that stays open."""
        if not request.user.has_perm("messaging.view_message"):
            return JsonResponse({}, status=403)
        return JsonResponse(self._day(self._tenant(request)[0]))

    # --- outbox ----------------------------------------------------------------------------------------------

    def outbox(self, request: HttpRequest) -> HttpResponse:
        """Show what the sandbox would have sent."""
        if not request.user.has_perm("messaging.view_message"):
            return render(request, "error.html", {"title": _("You may not do that"), "status": 403}, status=403)
        tenant_id, tenants = self._tenant(request)
        if tenant_id is None and tenants:
            tenant_id = tenants[0].pk
        entries, away = [], False
        try:
            entries = outbox.read(tenant_id=tenant_id, limit=100) if tenant_id else []
        except redis.Unavailable:
            away = True
        for entry in entries:
            entry["at"] = datetime.fromisoformat(entry["at"])
            entry["channel_name"] = Channel(entry["channel"]).label
        context = {
            **self.each_context(request),
            "title": _("Sandbox outbox"),
            "purpose": _("What the sandbox took instead of sending it: the latest 100 of at most 1,000."),
            "entries": entries,
            "away": away,
            "tenants": tenants,
            "tenant_id": tenant_id,
        }
        return TemplateResponse(request, "admin/outbox.html", context)


def _figures(span: dict[str, Any]) -> dict[str, Any]:
    """What the overview shows of a day."""
    states = span["by_state"]
    return {
        "accepted": span["total"],
        "sent": states[Status.SENT] + states[Status.DELIVERED],
        "failed": states[Status.FAILED] + states[Status.UNKNOWN],
        "in_progress": span["in_progress"],
        "success_rate": span["success_rate"],
        "p95_ms": span["latency_ms"]["p95"],
        "by_state": states,
    }
