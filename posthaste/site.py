"""The admin site: our name, our rail, an overview in figures, and a login that can't be hammered."""

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.contrib.admin import AdminSite
from django.contrib.admin.forms import AdminAuthenticationForm
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, path, reverse
from django.utils import timezone
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _

from accounts.models import Tenant
from accounts.services.sign_in import too_many_attempts
from accounts.staff.tenant_admin import own_tenants, signed_in
from accounts.tenancy import owned_by
from configcenter.services import rights
from messaging import selectors, statistics
from messaging.channels.sandbox import outbox
from messaging.models import Batch, BatchStatus, Channel, Status
from posthaste import env
from posthaste.lib import redis

FIGURES_SECONDS = 5.0  # so long are the day's figures kept, however many look on

#: The rail: (heading, [(address, icon, word, permission)]). A question mark begins what the list is narrowed to; a permission is
#: Django's name of one, or a function that tells it of a user.
RAIL: list[tuple[Any, list[tuple[str, str, Any, str | Callable[[object], bool]]]]] = [
    (
        gettext_lazy("Operate"),
        [
            ("admin:index", "overview", gettext_lazy("Overview"), ""),
            ("admin:messaging_message_changelist", "messages", gettext_lazy("Messages"), "messaging.view_message"),
            ("admin:messaging_message_changelist?state=dead", "dead", gettext_lazy("Dead letters"), "messaging.view_message"),
            ("admin:messaging_batch_changelist", "batches", gettext_lazy("Batches"), "messaging.view_batch"),
            ("admin:messaging_receiptentry_changelist", "delivered", gettext_lazy("Receipts"), "messaging.view_receiptentry"),
            ("admin:messaging_suppression_changelist", "suppressed", gettext_lazy("Suppression list"), "messaging.view_suppression"),
            ("admin:outbox", "outbox", gettext_lazy("Sandbox outbox"), "messaging.view_message"),
        ],
    ),
    (
        gettext_lazy("Configure"),
        [
            ("admin:messaging_template_changelist", "templates", gettext_lazy("Templates"), "messaging.view_template"),
            ("admin:messaging_provider_changelist", "providers", gettext_lazy("Providers"), "messaging.view_provider"),
            ("config:overview", "config", gettext_lazy("Configuration"), rights.may_view),
            (
                "admin:django_celery_beat_periodictask_changelist",
                "jobs",
                gettext_lazy("Scheduled jobs"),
                "django_celery_beat.view_periodictask",
            ),
        ],
    ),
    (
        gettext_lazy("Access"),
        [
            ("admin:accounts_apikey_changelist", "key", gettext_lazy("API keys"), "accounts.view_apikey"),
            ("admin:accounts_member_changelist", "members", gettext_lazy("Members"), "accounts.view_member"),
            ("admin:accounts_tenant_changelist", "tenants", gettext_lazy("Tenants"), "accounts.view_tenant"),
            ("admin:accounts_user_changelist", "user", gettext_lazy("Users"), "accounts.view_user"),
            ("admin:accounts_auditentry_changelist", "audit", gettext_lazy("Audit trail"), "accounts.view_auditentry"),
        ],
    ),
]
ON_PHONE = ("overview", "messages", "dead", "batches")  # what the bar at the bottom shows; the rest is behind "More"


def rail(request: HttpRequest) -> list[dict[str, Any]]:
    """Return the rail as far as the reader may go, with the place they are at."""
    user = request.user
    groups = []
    for heading, entries in RAIL:
        shown = []
        for target, picture, word, permission in entries:
            if not (permission(user) if callable(permission) else not permission or user.has_perm(permission)):
                continue
            name, _mark, query = target.partition("?")
            try:
                place = reverse(name)
            except NoReverseMatch:  # an app that is not installed
                continue
            here = request.path == place if name in ("admin:index", "admin:outbox") else request.path.startswith(place)
            if "periodictask" in name:  # crontabs and intervals are pages of theirs
                here = request.path.startswith(place.removesuffix("periodictask/"))
            if "message_changelist" in name:
                here = here and (request.GET.get("state") == "dead") == (query == "state=dead")
            url = f"{place}?{query}" if query else place
            shown.append({"url": url, "icon": picture, "word": word, "here": here, "on_phone": picture in ON_PHONE})
        if shown:
            groups.append({"heading": heading, "entries": shown})
    return groups


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
            groups = rail(request)
            bar = [entry for group in groups for entry in group["entries"] if entry["on_phone"]]
            context |= {"rail": groups, "bar": bar}
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
