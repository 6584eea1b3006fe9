"""The reports: figures of some days by day, agent, group, intent or entrance, as charts, as a table, and as a file."""

from collections.abc import Sequence
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _

from posthaste.lib.problems import Problem
from posthaste.ui.chips import address, chip
from posthaste.ui.export import as_csv
from posthaste.ui.pages import at, page, problem_text, staff_page
from routing.desk.leading import REFUSAL, Led, led, may_lead
from routing.desk.reports.drawing import Bars, Series, chart, words
from routing.desk.reports.ranges import days_of
from routing.desk.reports.report import COLUMNS, By, Report, Row, report
from routing.desk.reports.table import cells, file_name, heads
from routing.desk.reports.texts import shown

#: So many agents, groups or intents are drawn; the table has all.
MOST_DRAWN = 12


@at("desk/reports/", name="desk-reports")
@staff_page(allowed=may_lead, refusal=REFUSAL)
def reports(request: HttpRequest) -> HttpResponse:
    """Show a report, or hand it out as a file."""
    desk, now = led(request), timezone.now()
    title, purpose = _("Reports"), _("What came in, how quickly it was answered, and how content customers are.")
    if desk is None:
        return page(request, "desk/reports.html", title=title, purpose=purpose, desk=None)
    by = By(request.GET["by"]) if request.GET.get("by") in By.values else By.DAY
    problem = ""
    try:
        days = days_of(request.GET, tenant_id=desk.tenant.pk, now=now)
    except Problem as wrong:  # the form is shown with what was wrong; the figures are those of the usual days
        problem, days = problem_text(wrong), days_of({}, tenant_id=desk.tenant.pk, now=now)
    found = report(desk.tenant.pk, by=by, days=days, group_id=desk.group.pk if desk.group else None)
    if "csv" in request.GET and not problem:
        return as_csv(name=file_name(found), heads=heads(by), rows=cells(found))  # type: ignore[return-value]
    return page(
        request,
        "desk/reports.html",
        title=title,
        purpose=purpose,
        desk=desk,
        tenants=desk.tenants,
        tenant_id=desk.tenant.pk,
        chips=_chips(request, desk),
        by=by,
        days=days,
        zone=days.zone.key,
        problem=problem,
        heads=[(column.title, column.form) for column in COLUMNS],
        rows=[(row.label, _shown(row)) for row in found.rows],
        total=(found.total.label, _shown(found.total)),
        is_empty=not any(_shown(found.total, empty=True)),
        charts=_charts(found),
        words=words(),
        csv_url=address(request, csv="1"),
        carried=[(name, request.GET[name]) for name in ("by", "group", "tenant") if request.GET.get(name)],
    )


def _shown(row: Row, *, empty: bool = False) -> list[str]:
    """Return the figures of a row as people read them; `empty`: only those that are something."""
    texts = [shown(value, column.form) for column, value in zip(COLUMNS, row.figures().values(), strict=True)]
    return [text for text in texts if text not in ("0", "–")] if empty else texts


def _chips(request: HttpRequest, desk: Led) -> list[Any]:
    found = [chip(request, "by", title=_("Grouped by"), choices=By.choices)]
    if desk.groups:
        found.append(chip(request, "group", title=_("Skill group"), choices=[(group.name, group.title) for group in desk.groups]))
    if len(desk.tenants) > 1:
        found.append(chip(request, "tenant", title=_("Tenant"), choices=[(str(one.pk), str(one)) for one in desk.tenants]))
    return found


def _charts(found: Report) -> list[dict[str, Any]]:
    rows = found.rows if found.by == By.DAY else found.rows[:MOST_DRAWN]
    at_ = [row.label for row in rows]
    of_rows = {column.name: [getattr(row.measures, column.name) for row in rows] for column in COLUMNS}
    titles = {column.name: str(column.title) for column in COLUMNS}
    as_bars = Bars.NONE if found.by == By.DAY else Bars.BESIDE

    def lines(*chosen: tuple[str, str, str]) -> Sequence[Series]:
        return [Series(str(title), tone, of_rows[name]) for name, title, tone in chosen]

    return [
        chart(
            "volume",
            _("Received and resolved"),
            form="count",
            at=at_,
            bars=Bars.BESIDE,
            series=lines(("received", titles["received"], "queued"), ("resolved", titles["resolved"], "delivered")),
        ),
        chart(
            "responses",
            _("First response"),
            form="seconds",
            at=at_,
            bars=as_bars,
            series=lines(("first_response_median_seconds", _("Median"), "sent"), ("first_response_p90_seconds", _("90 %"), "queued")),
        ),
        chart(
            "quality",
            _("Service levels and satisfaction"),
            form="percent",
            at=at_,
            bars=as_bars,
            series=lines(("sla_met_percent", titles["sla_met_percent"], "queued"), ("csat_percent", titles["csat_percent"], "delivered")),
        ),
    ]
