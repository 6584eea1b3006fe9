"""The list of jobs: what runs when, how it went last, and enabling or disabling several at once."""

from typing import Any, cast

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.services import rights
from accounts.services.audit import Actor
from jobs import selectors
from jobs.labels import title_of, when_text
from jobs.selectors import JobRow
from jobs.services import schedule
from posthaste.lib.problems import Problem
from posthaste.ui.chips import address, carried, chip
from posthaste.ui.export import as_csv
from posthaste.ui.pages import at, page, problem_text, staff_page


@at("jobs/", name="jobs")
@staff_page(allowed=rights.may_view, to_change=rights.may_publish, methods=("GET", "HEAD", "POST"), refusal=rights.REFUSAL)
def jobs(request: HttpRequest) -> HttpResponse:
    """List the jobs, and enable or disable the selected ones."""
    if request.method == "POST":
        return _switch(request)
    now = timezone.now()
    rows = selectors.job_rows(selectors.plan_rows(), now=now)
    total = len(rows)
    counts = {
        "enabled": sum(row.plan.job.enabled for row in rows),
        "disabled": sum(not row.plan.job.enabled for row in rows),
        "failing": sum(row.failing for row in rows),
    }
    query, show = request.GET.get("q", "").strip(), request.GET.get("show", "")
    if show == "failing":
        rows = [row for row in rows if row.failing]
    elif show in ("enabled", "disabled"):
        rows = [row for row in rows if row.plan.job.enabled is (show == "enabled")]
    if query:
        rows = [
            row for row in rows if query.lower() in f"{row.plan.job.name} {row.plan.job.task} {row.job.title if row.job else ''}".lower()
        ]
    if "csv" in request.GET:
        return _as_csv(rows)
    return page(
        request,
        "jobs/jobs.html",
        title=_("Jobs"),
        purpose=_("What runs on a schedule, when it runs next, and how it went."),
        rows=[(row, title_of(row.plan.job), when_text(row.when)) for row in rows],
        chips=[chip(request, "show", title=_("Show"), choices=[(code, f"{label} ({counts[code]})") for code, label in _shows()])],
        carried=carried(request, but="q"),
        query=query,
        search_help=_("Name or task"),
        csv_url=address(request, csv="1") if rows else "",
        total=total,
        may_change=rights.may_publish(request.user),
        now=now,
    )


def _shows() -> list[tuple[str, str]]:
    return [("enabled", _("Enabled")), ("disabled", _("Disabled")), ("failing", _("Failing"))]


def _as_csv(rows: list[JobRow]) -> HttpResponse:
    heads = [
        _("Job"), _("Title"), _("Task"), _("Enabled"), _("Schedule"), _("Crontab"), _("Time zone"), _("Next run"), _("Last run"),
        _("State"), _("Runs"), _("Failed"),
    ]  # fmt: skip
    return cast(HttpResponse, as_csv(name="jobs", heads=heads, rows=map(_cells, rows)))


def _cells(row: JobRow) -> list[Any]:
    job, last, counted = row.plan.job, row.last, row.counted
    return [
        job.name, row.job.title if row.job else "", job.task, _("yes") if job.enabled else _("no"), when_text(row.when), row.when.cron,
        row.plan.time_zone, row.next_at, counted.last_at if counted else last.nominal_at if last else None,
        last.get_state_display() if last else "", counted.runs if counted else None, counted.failures if counted else None,
    ]  # fmt: skip


def _switch(request: HttpRequest) -> HttpResponse:
    ids = [int(text) for text in request.POST.getlist("job") if text.isdecimal() and len(text) < 10]
    by, now = Actor.of_request(request), timezone.now()
    if request.POST.get("to") == "enabled":
        try:
            number = schedule.enable_jobs(ids=ids, by=by, now=now)
        except Problem as problem:
            messages.error(request, problem_text(problem))
            return HttpResponseRedirect(request.get_full_path())
        messages.success(request, ngettext("{n} job is enabled.", "{n} jobs are enabled.", number).format(n=number))
    else:
        number = schedule.disable_jobs(ids=ids, by=by, now=now)
        messages.success(request, ngettext("{n} job is disabled.", "{n} jobs are disabled.", number).format(n=number))
    return HttpResponseRedirect(request.get_full_path())
