"""Making and changing a job, with its next fire times while one types."""

from dataclasses import replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.urls import reverse
from django.utils import formats, timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

from accounts.services import rights
from accounts.services.audit import Actor
from jobs import registry, selectors
from jobs.labels import cron_text, title_of
from jobs.models import Plan
from jobs.pages.job_form import JobForm, in_zone, initial_of, when_of_form
from jobs.pages.one_job import plan_or_404
from jobs.registry import Job
from jobs.services import calendars, drafts, parameters, schedule
from jobs.services.timing import Schedule
from posthaste.lib.crontab import check_cron
from posthaste.lib.problems import Invalid
from posthaste.lib.zones import zone
from posthaste.ui.pages import at, page, staff_page


@at("jobs/new/", name="job-new")
@staff_page(allowed=rights.may_publish, methods=("GET", "HEAD", "POST"), refusal=rights.REFUSAL)
def new_job(request: HttpRequest) -> HttpResponse:
    """Choose what a new job runs, then say when."""
    task = request.GET.get("task", "")
    if not task:
        return page(
            request,
            "jobs/choose.html",
            title=_("New job"),
            purpose=_("Choose what the job runs. Its schedule and parameters come next."),
            choices=registry.jobs(),
        )
    found = registry.find(task)
    if found is None:
        raise Http404
    return _edit(request, found, None)


@at("jobs/<int:job_id>/edit/", name="job-edit")
@staff_page(allowed=rights.may_publish, methods=("GET", "HEAD", "POST"), refusal=rights.REFUSAL)
def edit_job(request: HttpRequest, job_id: int) -> HttpResponse:
    """Change a job."""
    plan = plan_or_404(job_id)
    found = registry.find(plan.job.task)
    if found is None:
        raise Http404
    return _edit(request, found, plan)


def _edit(request: HttpRequest, found: Job, plan: Plan | None) -> HttpResponse:
    draft = drafts.draft_of(plan) if plan else drafts.draft_for(found.name)
    form = JobForm(request.POST or None, job=found, own_id=plan.pk if plan else None, initial=initial_of(draft))
    errors: dict[str, str] = {}
    if request.method == "POST" and form.is_valid():
        try:
            stored = _store(request, form, found, plan)
        except Invalid as problem:
            for error in problem.errors:
                name, message = str(error.get("field", "")), str(error["message"])
                if name.startswith("parameters.") or name in {each.name for each in parameters.fields(found)} - set(form.fields):
                    errors[name.removeprefix("parameters.")] = message
                else:
                    form.add_problem(name, message)
        else:
            messages.success(request, _("Saved."))
            return HttpResponseRedirect(reverse("job", args=[stored]))
    fields = [
        (each, request.POST.get(f"parameters.{each.name}", "") if request.method == "POST" else each.value, errors.get(each.name, ""))
        for each in parameters.fields(found, draft.parameters)
    ]
    return page(
        request,
        "jobs/edit.html",
        status=422 if request.method == "POST" else 200,
        title=_("Edit {name}").format(name=title_of(plan.job)) if plan else _("New job"),
        purpose=found.purpose,
        form=form,
        job_title=title_of(plan.job) if plan else "",
        job=found,
        plan=plan,
        fields=fields,
        has_errors=bool(form.errors or errors),
    )


def _store(request: HttpRequest, form: JobForm, found: Job, plan: Plan | None) -> int:
    draft = form.draft(parameters.of_form(found, request.POST, prefix="parameters."))
    by, now = Actor.of_request(request), timezone.now()
    if plan is None:
        return int(schedule.create_job(draft=draft, by=by, now=now).pk)
    schedule.change_job(row=plan.job, draft=draft, by=by, now=now)
    return int(plan.pk)


@at("jobs/preview/", name="job-preview")
@staff_page(allowed=rights.may_view, refusal=rights.REFUSAL)
def preview(request: HttpRequest) -> HttpResponse:
    """Return the next fire times of a schedule that is being typed, as JSON."""
    asked: dict[str, Any] = {name: request.GET.get(name, "") for name in ("kind", "cron", "unit", "time_zone", "calendar")}
    number, moment = request.GET.get("number", ""), request.GET.get("at", "")
    asked["number"] = int(number) if number.isdecimal() and 0 < len(number) < 9 else None
    asked["at"] = _typed(moment)
    found = zone(asked["time_zone"])
    if found is None:
        return JsonResponse({"error": _("There is no time zone of this name."), "times": [], "words": ""})
    if not calendars.is_known(asked["calendar"]):
        return JsonResponse({"error": _("There is no calendar of this name."), "times": [], "words": ""})
    when = when_of_form(asked, asked["time_zone"])
    now = timezone.now()
    anchor = now
    if (job_id := request.GET.get("job", "")).isdecimal() and len(job_id) < 10:
        plan = selectors.plan_rows().filter(pk=int(job_id)).first()
        anchor = plan.anchor if plan else now
    try:
        if when.every is None and when.at is None:
            check_cron(when.cron)
        elif when.every is not None and not drafts.MIN_INTERVAL <= when.every <= registry.MAX_INTERVAL:
            raise ValueError
        planned = Schedule(cron=when.cron, every=when.every, at=when.at, zone=asked["time_zone"], calendar=asked["calendar"], anchor=anchor)
        starts_at, ends_at = (in_zone(_typed(request.GET.get(name, "")), asked["time_zone"]) for name in ("starts_at", "ends_at"))
        times = replace(planned, starts_at=starts_at, ends_at=ends_at).upcoming(now)
    except (ValueError, OverflowError):
        return JsonResponse({"error": _("This schedule is not complete."), "times": [], "words": ""})
    if not times:
        return JsonResponse({"error": _("This schedule never comes round."), "times": [], "words": ""})
    return JsonResponse(
        {"error": "", "times": [_written(each, found) for each in times], "words": cron_text(when.cron) if when.cron else ""}
    )


def _typed(text: str) -> datetime | None:
    try:
        return parse_datetime(text) if text else None
    except ValueError:
        return None


def _written(moment: Any, place: ZoneInfo) -> str:
    local = moment.astimezone(place)
    return f"{formats.date_format(local, 'D')} {formats.date_format(local, 'SHORT_DATE_FORMAT')} {local:%H:%M:%S} {local.tzname()}"
