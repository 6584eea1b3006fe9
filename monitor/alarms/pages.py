"""The pages of the alarms: what is wrong now and what was before, and one alarm."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.services import rights
from accounts.services.audit import Actor
from accounts.staff import actors
from monitor.alarms import operate, plot, runbook, selectors, titles
from monitor.alarms.configuration import alarms
from monitor.alarms.rules import Severity, title_of
from monitor.alarms.silences import pages as silences
from monitor.alarms.states import ACTIVE, AlarmState, Phase
from monitor.models import Alarm
from posthaste.lib.problems import Problem
from posthaste.ui.chips import address, carried, chip
from posthaste.ui.export import as_csv
from posthaste.ui.pages import at, page, problem_text, staff_page
from posthaste.ui.paginator import page_of

__all__ = ["all_alarms", "one_alarm", "silences"]
MAX_OPEN = 200  # of an outage with many series; the rest is found by searching
MAX_EXPORTED = 10_000
READ_WRITE = ("GET", "HEAD", "POST")
#: How long a page offers to silence one alarm, in minutes.
DURATIONS = (
    (30, gettext_lazy("30 minutes")),
    (120, gettext_lazy("2 hours")),
    (480, gettext_lazy("8 hours")),
    (1_440, gettext_lazy("1 day")),
)


@at("alarms/", name="alarms")
@staff_page(allowed=rights.may_view, refusal=rights.REFUSAL)
def all_alarms(request: HttpRequest) -> HttpResponse:
    """List the open alarms by urgency, and behind them those that are over, by pages."""
    now = timezone.now()
    state, severity = request.GET.get("state", ""), request.GET.get("severity", "")
    query = request.GET.get("q", "").replace("\0", "")[:100].strip()
    rows = _filtered(state, severity, query)
    if "csv" in request.GET:
        return as_csv(name="alarms", heads=_heads(), rows=_cells(rows))  # type: ignore[return-value]
    past, newer, older = page_of(rows.filter(phase=Phase.RESOLVED), request, order=["pk"], is_descending=True)
    current = [] if newer else list(selectors.by_urgency(rows.exclude(phase=Phase.RESOLVED))[: MAX_OPEN + 1])
    return page(
        request,
        "monitor/alarms.html",
        title=_("Alarms"),
        purpose=_("What needs attention now, and what did before."),
        rows=_rows([*current[:MAX_OPEN], *past]),
        is_capped=len(current) > MAX_OPEN,
        newer=newer,
        older=older,
        chips=[
            chip(request, "state", title=_("State"), choices=_states()),
            chip(request, "severity", title=_("Severity"), choices=Severity.choices),
        ],
        carried=carried(request, but="q"),
        query=query,
        search_help=_("Alarm or series"),
        is_narrowed=bool(state or severity or query),
        csv_url=address(request, csv="1") if current or past else "",
        silences=[
            {"row": one, "names": [titles.of_rule(name) for name in one.rules]}
            for one in selectors.silences(now=now)
            if one.starts_at <= now
        ][:5],
        has_receivers=any(receiver.is_enabled for receiver in alarms.value.receivers),
        now=now,
    )


def _filtered(state: str, severity: str, query: str) -> "QuerySet[Alarm]":
    rows = selectors.all_alarms()
    if state in AlarmState.values:
        rows = rows.filter(state=state)
    if severity in Severity.values:
        rows = rows.filter(severity=severity)
    if not query:
        return rows
    return rows.filter(Q(rule__icontains=query) | Q(rule__in=titles.named_like(query)) | Q(series__icontains=query))


def _states() -> list[tuple[str, str]]:
    """Return the states, each with how many alarms are in it now."""
    counts = selectors.count_by_state()
    return [(one.value, f"{one.label} ({counts[one.value]})" if counts.get(one.value) else str(one.label)) for one in AlarmState]


def _rows(found: Sequence[Alarm]) -> list[dict[str, Any]]:
    names = actors.names_of({alarm.acknowledged_by for alarm in found} - {""}, tenant_ids=None)
    rules = alarms.value.rules_by_name
    return [
        {
            "alarm": alarm,
            "name": titles.of_alarm(alarm.rule, alarm.series),
            "inhibited_by": titles.of_rule(alarm.inhibited_by),
            "title": selectors.sentence_of(alarm, rules.get(alarm.rule)) or (title_of(alarm.metric) if alarm.metric else ""),
            "acknowledged_by": actors.shown(alarm.acknowledged_by, names) if alarm.acknowledged_by else "",
        }
        for alarm in found
    ]


def _heads() -> list[str]:
    names = (_("Alarm"), _("Series"), _("Metric"), _("Severity"), _("State"), _("Condition"), _("Value"))
    return [*names, _("Began"), _("Raised"), _("Resolved"), _("Acknowledged by")]


def _cells(rows: "QuerySet[Alarm]") -> Iterator[list[Any]]:
    for one in rows.order_by("-pk")[:MAX_EXPORTED].iterator(chunk_size=500):
        what = [
            titles.of_rule(one.rule),
            one.series,
            one.metric,
            one.get_severity_display(),
            one.get_state_display(),
            one.condition,
            one.value,
        ]
        yield [*what, one.started_at, one.fired_at, one.resolved_at, one.acknowledged_by]


@at("alarms/<uuid:pk>/", name="alarm")
@staff_page(allowed=rights.may_view, to_change=rights.may_edit, methods=READ_WRITE, refusal=rights.REFUSAL)
def one_alarm(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show one alarm with its metric and its notices, and act on it."""
    alarm = selectors.all_alarms().filter(pk=pk).first()
    if alarm is None:
        raise Http404
    now = timezone.now()
    if request.method == "POST":
        return _act(request, alarm, now)
    rule, history, releases = selectors.rule_of(alarm), selectors.history_of(alarm, now=now), selectors.releases_before(alarm)
    names = actors.names_of({alarm.acknowledged_by, *(one["author"] for one in releases)} - {""}, tenant_ids=None)
    drawn = plot.draw(
        history.samples,
        selectors.span_of(alarm, now=now),
        rule,
        fired_at=alarm.fired_at,
        resolved_at=alarm.resolved_at,
        releases=[(one["at"], f"{_(one['title'])} v{one['number']}") for one in releases],
    )
    return page(
        request,
        "monitor/alarm.html",
        title=titles.of_alarm(alarm.rule, alarm.series),
        purpose=title_of(alarm.metric) if alarm.metric else "",
        alarm=alarm,
        inhibited_by=titles.of_rule(alarm.inhibited_by),
        sentence=selectors.sentence_of(alarm, rule),
        runbook=runbook.path(alarm.rule),
        rule=rule,
        plot=drawn if history.samples else None,
        is_known=history.is_known,
        releases=[one | {"title": _(one["title"]), "author": actors.shown(one["author"], names)} for one in releases],
        acknowledged_by=actors.shown(alarm.acknowledged_by, names) if alarm.acknowledged_by else "",
        notices=selectors.notices_of(alarm),
        is_active=alarm.phase in ACTIVE,
        durations=DURATIONS,
        may_change=rights.may_edit(request.user),
        now=now,
    )


def _act(request: HttpRequest, alarm: Alarm, now: datetime) -> HttpResponse:
    by, comment = Actor.of_request(request), request.POST.get("comment", "")
    try:
        match request.POST.get("action"):
            case "acknowledge":
                operate.acknowledge(alarm=alarm, comment=comment, by=by, now=now)
                messages.success(request, _("Acknowledged. No other receiver is notified."))
            case "reopen":
                operate.reopen(alarm=alarm, by=by)
                messages.success(request, _("The acknowledgement was taken back."))
            case "silence":
                minutes = request.POST.get("minutes", "")
                if minutes not in {str(number) for number, _label in DURATIONS}:
                    raise Http404
                until = now + timedelta(minutes=int(minutes))
                operate.create_silence(
                    rules=[alarm.rule], series=alarm.series, starts_at=now, ends_at=until, comment=comment, by=by, now=now
                )
                messages.success(request, _("Silenced. What is still active then is told at the end."))
            case _:
                raise Http404
    except Problem as problem:
        messages.error(request, problem_text(problem))
    return HttpResponseRedirect(reverse("alarm", args=[alarm.pk]))
