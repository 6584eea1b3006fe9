"""The pages of the breakers: what is left alone at the moment, why, and holding a breaker open or closed by hand."""

from itertools import groupby
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.services import rights
from accounts.services.audit import Actor
from accounts.staff import actors
from messaging.providers import breaker_states, breakers
from messaging.providers.breaker_labels import event_label, holders, reason_text
from posthaste.lib import redis
from posthaste.ui.pages import at, page, staff_page

HOLDS = {"open", "closed", "automatic"}
MAX_MINUTES = 7 * 24 * 60
FEW = 2  # events that are not worth folding


@at("config/breakers/", name="config-breakers")
@staff_page(allowed=rights.may_view, to_change=rights.may_publish, methods=("GET", "HEAD", "POST"), refusal=rights.REFUSAL)
def all_breakers(request: HttpRequest) -> HttpResponse:
    """List the breakers of providers and webhook hosts, and hold one by hand or let it go."""
    rows, away = [], False
    try:
        rows = breaker_states.of_installation()
        if request.method == "POST":
            return _hold(request, rows)
    except redis.Unavailable:
        away = True
        if request.method == "POST":
            messages.error(request, _("Redis is unavailable, so nothing was changed. Try again."))
    names = holders(rows, tenant_ids=None)
    for row in rows:
        row["text"] = reason_text(row, names)
    return page(
        request,
        "monitor/breakers.html",
        title=_("Breakers"),
        purpose=_("Calls to slow or failing providers and webhook hosts stop for a while. All workers share this state."),
        rows=rows,
        away=away,
        now=timezone.now(),
    )


def _hold(request: HttpRequest, rows: list[dict[str, Any]]) -> HttpResponse:
    name, to, minutes = (request.POST.get(field, "").strip() for field in ("name", "to", "minutes"))
    row = next((row for row in rows if row["name"] == name), None)
    if row is None or to not in HOLDS:
        raise Http404
    seconds = 60 * min(int(minutes), MAX_MINUTES) if minutes.isdecimal() and len(minutes) < 6 else 0
    if breakers.force(name=name, to=to, seconds=seconds, by=Actor.of_request(request)):
        messages.success(request, _("All workers apply this within half a second."))
    return HttpResponseRedirect(reverse("config-breaker", args=[name]))


def _folded(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Fold trials that failed one after the other into the newest of them, with their number and the time of the first."""
    rows = []
    for _what, group in groupby(history, key=lambda event: (event["reason"], event["text"], event["by"], event["configuration_version"])):
        events = list(group)
        opened = [event for event in events if event["event"] == events[0]["event"]]
        if events[0]["reason"] == "forced" or len(events) <= FEW:
            rows += events
        else:
            rows.append(events[0] | {"times": len(opened), "first_at": opened[-1]["at"]})
    return rows


@at("config/breakers/<str:name>/", name="config-breaker")
@staff_page(allowed=rights.may_view, refusal=rights.REFUSAL)
def one_breaker(request: HttpRequest, name: str) -> HttpResponse:
    """Show one breaker with its history."""
    row, history, away = None, [], False
    try:
        row = next((row for row in breaker_states.of_installation() if row["name"] == name), None)
        history = breaker_states.history(name)
    except redis.Unavailable:
        away = True
    if row is None and not away:
        raise Http404
    if row:
        row["text"] = reason_text(row, holders([row], tenant_ids=None))
    for event in history:
        event["word"] = event_label(event["event"])
        event["text"] = "" if event["reason"] == "forced" else reason_text(event | {"forced": "", "state": event["event"]})
    history = _folded(history)
    return page(
        request,
        "monitor/breaker.html",
        title=row["title"] if row else _("Breaker"),
        purpose=_("Its state, the reason, and its history."),
        may_hold=rights.may_publish(request.user),
        row=row,
        names=actors.names_of({event["by"] for event in history} - {""}, tenant_ids=None),
        history=history,
        away=away,
        now=timezone.now(),
    )
