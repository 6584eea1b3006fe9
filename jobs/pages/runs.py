"""The page of a run: its state, what became of it, and its log while it is written; and stopping it."""

from collections.abc import Iterator
from typing import cast
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse, StreamingHttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.services import rights
from accounts.services.audit import Actor
from accounts.staff import actors
from jobs import registry, selectors
from jobs.labels import duration, reason_text, title_of
from jobs.models import OPEN_STATES, JobRun
from jobs.pages.one_job import run_row
from jobs.services import run_log, schedule
from posthaste.lib.problems import Conflict
from posthaste.ui import badges
from posthaste.ui.pages import at, page, problem_text, staff_page
from posthaste.ui.templatetags.interface import milliseconds


def _run_or_404(run_id: UUID) -> JobRun:
    try:
        return selectors.get_run(run_id)
    except JobRun.DoesNotExist:
        raise Http404 from None


@at("jobs/runs/<uuid:run_id>/", name="job-run")
@staff_page(allowed=rights.may_view, to_change=rights.may_publish, methods=("GET", "HEAD", "POST"), refusal=rights.REFUSAL)
def one_run(request: HttpRequest, run_id: UUID) -> HttpResponse:
    """Show a run with the end of its log, and stop it."""
    run = _run_or_404(run_id)
    if request.method == "POST":
        try:
            schedule.stop_run(run=run, by=Actor.of_request(request), now=timezone.now())
            messages.success(request, _("The run is being stopped."))
        except Conflict as problem:
            messages.error(request, problem_text(problem))
        return HttpResponseRedirect(reverse("job-run", args=[run.pk]))
    found = registry.find(run.task)
    asked = request.GET.get("from", "")
    if asked.isdecimal() and len(asked) < 12:
        log = run_log.read(run.pk, start=int(asked), size=run.log_size)
    else:
        log = run_log.last_page(run.pk, size=run.log_size)
    return page(
        request,
        "jobs/run.html",
        title=title_of(run.job),
        purpose=_("One run of the job, with its log."),
        run=run,
        asked_by=actors.shown(run.asked_by, actors.names_of({run.asked_by}, tenant_ids=None)) if run.asked_by else "",
        shown=run_row(run),
        reason=reason_text(run.error),
        is_open=run.state in OPEN_STATES,
        is_at_end=log.end >= run.log_size,
        followers=selectors.followers(run),
        parent=JobRun.objects.select_related("job").filter(pk=run.parent_id).first() if run.parent_id else None,
        log=log,
        earlier=max(0, log.start - run_log.PIECE),
        timeout=duration(run.timeout_seconds) if run.timeout_seconds else "",
        may_stop=rights.may_publish(request.user),
        is_stopping=run.stop_asked_at is not None,
        has_process=found.stoppable if found else False,
    )


@at("jobs/runs/<uuid:run_id>/log/", name="job-run-log")
@staff_page(allowed=rights.may_view, refusal=rights.REFUSAL)
def log_part(request: HttpRequest, run_id: UUID) -> HttpResponse:
    """Return what was added to a log since a position, as JSON, with the state of the run; `?raw=1` returns the whole log as text."""
    run = _run_or_404(run_id)
    if request.GET.get("raw"):
        response = StreamingHttpResponse(_whole(run), content_type="text/plain; charset=utf-8")
        response["Content-Disposition"] = f'attachment; filename="run-{run.pk}.log"'
        return cast(HttpResponse, response)
    text = request.GET.get("from", "0")
    start = int(text) if text.isdecimal() and len(text) < 12 else 0
    log = run_log.read(run.pk, start=start, size=run.log_size)
    look = badges.shown(run.state, "job_run")
    return JsonResponse(
        {
            "text": log.text,
            "end": log.end,
            "more": log.end < run.log_size,
            "open": run.state in OPEN_STATES,
            "state": {"code": run.state, "tone": look.tone, "icon": look.icon, "label": look.label},
            "took": milliseconds(run_row(run)["took_ms"]),
            "reason": reason_text(run.error),
        }
    )


def _whole(run: JobRun) -> Iterator[str]:
    start = 0
    while (part := run_log.read(run.pk, start=start, size=run.log_size, limit=8 * run_log.PIECE)).text:
        yield part.text
        start = part.end
