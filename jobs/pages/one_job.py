"""The page of a job: when it runs next, how its runs went, and starting, enabling, resetting or deleting it."""

from typing import Any, cast

import orjson
from django.contrib import messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.services import rights
from accounts.services.audit import Actor
from jobs import registry, selectors
from jobs.labels import duration, reason_text, title_of, when_text
from jobs.models import JobRun, Plan, RunState
from jobs.services import calendars, drafts, parameters, schedule, transitions
from posthaste.lib.problems import Invalid, Problem
from posthaste.ui.chips import address, chip
from posthaste.ui.export import as_csv
from posthaste.ui.pages import at, page, problem_text, staff_page
from posthaste.ui.paginator import page_of

PAGE = 30


def plan_or_404(job_id: int) -> Plan:
    """Return a plan with its job.

    Raises:
        Http404: there is none.
    """
    try:
        return selectors.get_plan(job_id)
    except (Plan.DoesNotExist, OverflowError):
        raise Http404 from None


def run_row(run: JobRun) -> dict[str, Any]:
    """Return a run as a list shows it."""
    until = run.ended_at or (timezone.now() if run.state == RunState.RUNNING else None)
    took = round((until - run.started_at).total_seconds() * 1000) if until and run.started_at else None
    return {"run": run, "took_ms": took, "reason": reason_text(run.error)}


@at("jobs/<int:job_id>/", name="job")
@staff_page(allowed=rights.may_view, to_change=rights.may_publish, methods=("GET", "HEAD", "POST"), refusal=rights.REFUSAL)
def one_job(request: HttpRequest, job_id: int) -> HttpResponse:
    """Show a job with its history, and do what its buttons say."""
    plan = plan_or_404(job_id)
    if request.method == "POST":
        return _act(request, plan)
    now = timezone.now()
    found = registry.find(plan.job.task)
    state = request.GET.get("state", "")
    rows = selectors.runs(job_id=plan.pk, states=[state] if state in RunState.values else [])
    if "csv" in request.GET:
        return _history_as_csv(plan, rows)
    shown, newer, older = page_of(rows, request, order=["id"], is_descending=True, size=PAGE)
    row = selectors.job_rows([plan], now=now)[0]
    history = [run_row(run) for run in shown]
    longest = max((each["took_ms"] or 0 for each in history), default=0)
    return page(
        request,
        "jobs/job.html",
        title=title_of(plan.job),
        purpose=plan.job.description or (found.purpose if found else _("This installation has no job of this name, so nothing runs.")),
        plan=plan,
        job=found,
        row=row,
        when=when_text(row.when),
        when_cron=row.when.cron,
        upcoming=selectors.upcoming(plan, now=now) if plan.job.enabled and plan.keeps_runs else [],
        runs=[each | {"share": 100 * (each["took_ms"] or 0) / longest if longest else 0} for each in history],
        newer=newer,
        older=older,
        is_first=not newer,
        chips=[chip(request, "state", title=_("State"), choices=RunState.choices)],
        csv_url=address(request, csv="1") if shown else "",
        state=state,
        timeout=duration(plan.timeout_seconds),
        retry_delay=duration(plan.retry_delay_seconds),
        calendar=calendars.names().get(plan.calendar, plan.calendar) if plan.calendar else "",
        given=transitions.parameters_of_row(plan.job),
        is_declared=drafts.declared(plan.job) is not None,
        may_change=rights.may_publish(request.user),
        now=now,
    )


def _history_as_csv(plan: Plan, rows: "QuerySet[JobRun]") -> HttpResponse:
    heads = [
        _("Run"), _("Fire time"), _("State"), _("Reason"), _("Started by"), _("Attempt"), _("Shard"), _("Started"), _("Ended"),
        _("Duration in ms"), _("Worker"), _("Parameters"),
    ]  # fmt: skip
    cells = (_cells(run) for run in rows.iterator(chunk_size=500))
    return cast(HttpResponse, as_csv(name=f"runs-{plan.pk}", heads=heads, rows=cells))


def _cells(run: JobRun) -> list[Any]:
    took = run_row(run)["took_ms"] if run.ended_at else None
    given = orjson.dumps(run.parameters).decode() if run.parameters else ""
    return [
        run.pk, run.nominal_at, run.get_state_display(), reason_text(run.error), run.get_trigger_display(), run.attempt,
        f"{run.shard + 1}/{run.shards}", run.started_at, run.ended_at, took, run.worker, given,
    ]  # fmt: skip


def _act(request: HttpRequest, plan: Plan) -> HttpResponse:
    what, by, now = request.POST.get("do", ""), Actor.of_request(request), timezone.now()
    try:
        if what == "enable":
            schedule.enable_jobs(ids=[plan.pk], by=by, now=now)
            messages.success(request, _("Enabled. It runs at its next time, and not for the time it was disabled."))
        elif what == "disable":
            schedule.disable_jobs(ids=[plan.pk], by=by, now=now)
            messages.success(request, _("Disabled. A run in progress goes on."))
        elif what == "reset":
            schedule.reset_job(row=plan.job, by=by, now=now)
            messages.success(request, _("The job has its default schedule and limits again."))
        elif what == "delete":
            if request.POST.get("name", "").strip() != plan.job.name:
                messages.error(request, _("Type {name} to continue.").format(name=plan.job.name))
                return HttpResponseRedirect(reverse("job", args=[plan.pk]))
            schedule.delete_job(row=plan.job, by=by)
            messages.success(request, _("{name} was deleted with its history.").format(name=plan.job.name))
            return HttpResponseRedirect(reverse("jobs"))
        else:
            raise Http404
    except Problem as problem:
        messages.error(request, problem_text(problem))
    return HttpResponseRedirect(reverse("job", args=[plan.pk]))


@at("jobs/<int:job_id>/run/", name="job-run-once")
@staff_page(allowed=rights.may_publish, methods=("GET", "HEAD", "POST"), refusal=rights.REFUSAL)
def run_once(request: HttpRequest, job_id: int) -> HttpResponse:
    """Ask for the parameters of a run, and start it."""
    plan = plan_or_404(job_id)
    found = registry.find(plan.job.task)
    if found is None:
        raise Http404
    errors: dict[str, str] = {}
    given = transitions.parameters_of_row(plan.job)
    if request.method == "POST":
        try:
            sent = parameters.of_form(found, request.POST, prefix="parameters.")
            started = schedule.run_job(row=plan.job, given=sent, by=Actor.of_request(request), now=timezone.now())
        except Invalid as problem:
            errors = {str(error.get("field", "")): str(error["message"]) for error in problem.errors}
        else:
            return HttpResponseRedirect(reverse("job-run", args=[started[0].pk]))
    fields = [
        (each, request.POST.get(f"parameters.{each.name}", each.value), errors.get(each.name, ""))
        for each in parameters.fields(found, given)
    ]
    return page(
        request,
        "jobs/run_once.html",
        status=422 if errors else 200,
        title=_("Run {name} once").format(name=title_of(plan.job)),
        job_title=title_of(plan.job),
        purpose=_("The run starts at once, whatever the schedule says. The schedule goes on as it is."),
        plan=plan,
        job=found,
        fields=fields,
        errors=errors,
        timeout=duration(plan.timeout_seconds),
        blocking=plan.get_blocking_display(),
    )
