"""From the draft to what is in force: look at the difference, give a reason, publish to all or to some."""

from collections import Counter
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.utils.translation import gettext as _

from accounts.services import rights
from accounts.services.audit import Actor
from configcenter import selectors
from configcenter.console import live
from configcenter.console.access import names_in, page, target_page
from configcenter.console.changes import title_at, values_of
from configcenter.console.targets import Target, for_target
from configcenter.services import releases
from configcenter.services.doubts import doubts_of
from posthaste.lib.line_differences import diff
from posthaste.lib.problems import Conflict, Invalid, Problem
from posthaste.ui.pages import problem_text


@target_page(allowed=rights.may_view, to_change=rights.may_publish, methods=("GET", "HEAD", "POST"))
@for_target
def publish(request: HttpRequest, target: Target) -> HttpResponse:
    """Show what publishing the draft changes, and publish it."""
    item = target.item
    if request.method != "POST":
        if item.draft is None:
            messages.info(request, _("There is no draft to publish."))
            return HttpResponseRedirect(target.url())
        return _show(request, target)
    to_some = request.POST.get("reach") == "some"
    typed = {
        "comment": request.POST.get("comment", "").strip(),
        "reach": "some" if to_some else "all",
        "labels": request.POST.get("labels", ""),
        "percent": request.POST.get("percent", "").strip(),
    }
    if not typed["comment"]:
        return _show(request, target, typed=typed, errors={"comment": _("Give a reason. It is kept in the history.")}, status=422)
    text = request.POST.get("based_on", "")
    based_on = int(text) if text.isdecimal() and len(text) < 10 else -1
    say: dict[str, Any] = {"comment": typed["comment"], "based_on": based_on, "by": Actor.of_request(request)}
    try:
        if to_some:
            release = releases.start_gray(item=item, content=None, **spread_of(request), **say)
        else:
            release = releases.publish(item=item, **say)
    except Invalid as invalid:
        errors = {str(error["field"]): str(error["message"]) for error in invalid.errors}
        own = {name: said for name, said in errors.items() if name in ("labels", "percent")}
        if own:
            return _show(request, target, typed=typed, errors=own, status=422)
        return _show(request, target, typed=typed, problem=problem_text(invalid), status=422)
    except Conflict as conflict:
        item.refresh_from_db()
        if item.draft is None:
            messages.error(request, str(conflict.detail or conflict.title))
            return HttpResponseRedirect(target.url())
        return _show(request, target, typed=typed, problem=str(conflict.detail), status=409)
    said = (
        _("Version {n} is rolling out to some instances.") if to_some else _("Version {n} is published and rolling out to all instances.")
    )
    messages.success(request, said.format(n=release.number))
    return HttpResponseRedirect(target.url())


def spread_of(request: HttpRequest) -> dict[str, Any]:
    """Read which instances a gray release is for.

    Raises:
        Invalid: the percentage is not a number.
    """
    percent = request.POST.get("percent", "").strip() or "0"
    if not percent.isdecimal() or len(percent) > 3:
        raise Invalid.field("percent", _("A number from 0 to 100."))
    return {"labels": request.POST.get("labels", "").replace(",", " ").split(), "percent": int(percent)}


def _show(
    request: HttpRequest,
    target: Target,
    *,
    typed: dict[str, str] | None = None,
    errors: dict[str, str] | None = None,
    problem: str = "",
    status: int = 200,
) -> HttpResponse:
    item, draft = target.item, target.item.draft or ""
    running = selectors.live_instances() if target.handle else None
    return page(
        request,
        "publish",
        status=status,
        title=_("Publish {name}").format(name=target.title),
        purpose=_("What this draft changes. It takes effect when you publish it."),
        tab="modules" if target.handle else "items",
        page="publish",
        target=target,
        item=item,
        names=names_in([item]),
        changes=target.changes(target.effective, draft),
        lines=[] if item.is_encrypted else diff(target.effective, draft),
        typed=typed or {"reach": "all", "percent": "10"},
        errors=errors or {},
        problem=problem,
        doubts=_doubts(target, draft),
        running=running or [],
        labels=sorted({label for instance in running or [] for label in instance.labels}),
    )


def _doubts(target: Target, draft: str) -> list[dict[str, Any]]:
    """Return what names nothing in a draft, each with its field in the words of the page."""
    if target.handle is None:
        return []
    model, values = target.handle.model, values_of(draft)
    return [each | {"where": title_at(model, values, each["field"]) if each["field"] else ""} for each in doubts_of(target.item, draft)]


@target_page(allowed=rights.may_view)
@for_target
def reach_json(request: HttpRequest, target: Target) -> HttpResponse:
    """Return which live instances a gray release would be for, while its form is being filled in."""
    running = selectors.live_instances() or []
    labels, percent = request.GET.get("labels", "").replace(",", " ").split(), request.GET.get("percent", "0")
    wanted = min(int(percent), 100) if percent.isdecimal() and len(percent) < 4 else 0
    found = live.reached(target.item, running, labels=labels, percent=wanted)
    said = _("{n} of {total} instances would take part") if len(running) != 1 else _("{n} of one instance would take part")
    kinds = ", ".join(f"{kind} × {number}" for kind, number in sorted(Counter(instance.kind for instance in found).items()))
    return JsonResponse({"text": said.format(n=len(found), total=len(running)), "kinds": kinds})


@target_page(allowed=rights.may_publish, methods=("POST",))
@for_target
def gray(request: HttpRequest, target: Target) -> HttpResponse:
    """Widen, promote or abandon a gray release."""
    verb, comment = request.POST.get("verb", ""), request.POST.get("comment", "").strip()
    by = Actor.of_request(request)
    try:
        if verb == "widen":
            releases.widen_gray(item=target.item, **spread_of(request), by=by)
            messages.success(request, _("The scope of the gray release was changed."))
        elif verb == "promote":
            done = releases.promote_gray(item=target.item, comment=comment or _("Promoted"), by=by)
            messages.success(request, _("Version {n} is rolling out to all instances.").format(n=done.number))
        elif verb == "abandon":
            releases.abandon_gray(item=target.item, comment=comment or _("Abandoned"), by=by)
            messages.success(request, _("The gray release was stopped. Its instances return to the version that all others run."))
    except Problem as problem:
        messages.error(request, problem_text(problem))
    return HttpResponseRedirect(target.url())
