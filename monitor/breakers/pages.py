"""The page of the breakers, beside those of the configuration: it lies here because it asks the app that sends."""

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.services import audit
from configcenter.console.access import author_of, page, staff_page
from messaging.admin.labels import breaker_reason
from messaging.models import Channel, Provider
from messaging.providers import breaker_states, breakers
from posthaste.lib import redis

HOLDS = {"open", "closed", "automatic"}
EVENTS = {
    "opened": gettext_lazy("Opened"),
    "half_open": gettext_lazy("Half-open"),
    "closed": gettext_lazy("Closed"),
    "forced_open": gettext_lazy("Held open"),
    "forced_closed": gettext_lazy("Held closed"),
    "released": gettext_lazy("Let go"),
}
MOST_MINUTES = 7 * 24 * 60


def _all() -> list[dict[str, Any]]:
    """Every breaker: those that are open first."""
    rows = breaker_states.of_providers(Provider.objects.select_related("tenant").defer("config", "receipt_secret").order_by("name"))
    tenants = dict(Provider.objects.values_list("pk", "tenant__name"))
    rows += breaker_states.of_hosts()
    for row in rows:
        row["text"] = breaker_reason(row)
        row["channel_name"] = Channel(row["channel"]).label
        row["tenant"] = tenants.get(row["provider_id"], "")
    ranks = {"open": 0, "half_open": 1, "closed": 2}
    return sorted(rows, key=lambda row: (ranks.get(row["state"], 3), not row["forced"], row["kind"], row["title"]))


@staff_page(to_change="publish", methods=("GET", "HEAD", "POST"))
def all_breakers(request: HttpRequest) -> HttpResponse:
    """List the breakers of providers and webhook hosts, and hold one by hand or let it go."""
    rows, away = [], False
    try:
        rows = _all()
        if request.method == "POST":
            return _hold(request, {row["name"] for row in rows})
    except redis.Unavailable:
        away = True
        if request.method == "POST":
            messages.error(request, _("Nothing was changed: Redis is away. Try again."))
    return page(
        request,
        "breakers",
        title=_("Breakers"),
        purpose=_("Providers and webhook hosts that are slow or failing are left alone for a while. All workers share what they see."),
        tab="breakers",
        rows=rows,
        away=away,
        now=timezone.now(),
    )


def _hold(request: HttpRequest, known: set[str]) -> HttpResponse:
    name, to, minutes = (request.POST.get(field, "").strip() for field in ("name", "to", "minutes"))
    if name not in known or to not in HOLDS:
        raise Http404
    seconds = 60 * min(int(minutes), MOST_MINUTES) if minutes.isdecimal() and len(minutes) < 6 else 0
    who = author_of(request)
    if breakers.force(name=name, to=to, seconds=seconds, by=who["author"]):
        detail = {"state": to, "seconds": seconds}
        provider = Provider.objects.filter(pk=name.removeprefix(breakers.PROVIDER)).first() if name.startswith(breakers.PROVIDER) else None
        owner = provider.tenant_id if provider else None
        audit.record(actor=who["author"], action="breaker.force", target=name, tenant_id=owner, detail=detail, ip=who["ip"])
        messages.success(request, _("All workers know within half a second."))
    return HttpResponseRedirect(reverse("config-breaker", args=[name]))


@staff_page()
def one_breaker(request: HttpRequest, name: str) -> HttpResponse:
    """Show one breaker with its history."""
    row, history, away = None, [], False
    try:
        row = next((row for row in _all() if row["name"] == name), None)
        history = breaker_states.history(name)
    except redis.Unavailable:
        away = True
    if row is None and not away:
        raise Http404
    for event in history:
        event["word"] = EVENTS.get(event["event"], event["event"])
        event["text"] = "" if event["reason"] == "forced" else breaker_reason(event | {"forced": "", "state": event["event"]})
    return page(
        request,
        "breaker",
        title=row["title"] if row else _("Breaker"),
        purpose=_("Its state, why, and what happened to it."),
        tab="breakers",
        row=row,
        history=history,
        away=away,
        now=timezone.now(),
    )
