"""What was published: looked at, compared, brought back, taken out of force."""

from typing import Any

from django.contrib import messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext as _

from accounts.services import rights
from accounts.services.audit import Actor
from accounts.staff.export import note_export
from accounts.staff.lists import MAX_EXPORTED
from configcenter import selectors
from configcenter.console.access import names_in, page, target_page
from configcenter.console.targets import Target, for_target
from configcenter.models import ConfigRelease, ReleaseAction
from configcenter.services import releases
from posthaste.lib.line_differences import diff
from posthaste.lib.problems import Problem
from posthaste.ui.chips import address
from posthaste.ui.export import as_csv
from posthaste.ui.pages import problem_text
from posthaste.ui.paginator import page_of


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() and len(text) < 10 else None


def _release(target: Target, number: int | None) -> ConfigRelease:
    found = selectors.history(target.item).filter(number=number).first() if number is not None else None
    if found is None:
        raise Http404
    return found


def _frame(target: Target, **context: Any) -> dict[str, Any]:
    return {"tab": "modules" if target.handle else "items", "page": "history", "target": target, "item": target.item, **context}


@target_page(allowed=rights.may_view)
@for_target
def history(request: HttpRequest, target: Target) -> HttpResponse:
    """List the releases, the newest first."""
    rows = selectors.history(target.item)
    if "csv" in request.GET:
        note_export(request, target=f"config.history {target.item.data_id}", filters=[])
        return _as_file(rows)
    found, newer, older = page_of(rows, request, order=["number"], is_descending=True)
    context = _frame(
        target,
        title=target.title,
        purpose=_("Everything published here, for at least the last thirty days."),
        releases=found,
        names=names_in(found),
        can_compare=len(found) > 1 and not target.item.is_encrypted,
        newer=newer,
        older=older,
        csv_url=address(request, csv="1"),
    )
    return page(request, "history", **context)


def _as_file(rows: "QuerySet[ConfigRelease]") -> HttpResponse:
    """Return the releases as CSV, without their texts."""
    heads = [_("Version"), _("What"), _("When"), _("Who"), _("Why"), _("Revision")]
    cells = ([row.number, row.get_action_display(), row.at, row.author, row.comment, row.revision] for row in rows[:MAX_EXPORTED])
    return as_csv(name="history", heads=heads, rows=cells)  # type: ignore[return-value]


@target_page(allowed=rights.may_view)
@for_target
def compare(request: HttpRequest, target: Target) -> HttpResponse:
    """Show what differs between two releases."""
    one, other = (_number(request.GET.get(side)) for side in ("from", "to"))
    if one is None or other is None or one == other:
        messages.info(request, _("Choose two different versions."))
        return HttpResponseRedirect(target.url("history"))
    if target.item.is_encrypted:
        messages.info(request, _("The texts of an encrypted item can't be compared."))
        return HttpResponseRedirect(target.url("history"))
    before, after = (_release(target, number) for number in sorted((one, other)))
    context = _frame(
        target,
        title=_("Version {a} and version {b}").format(a=before.number, b=after.number),
        both=[before, after],
        names=names_in([before, after]),
        before_word=f"v{before.number}",
        after_word=f"v{after.number}",
        changes=target.changes(before.content, after.content),
        lines=diff(before.content, after.content),
    )
    return page(request, "compare", **context)


@target_page(allowed=rights.may_view, to_change=rights.may_publish, methods=("GET", "HEAD", "POST"))
@for_target
def release(request: HttpRequest, target: Target, number: int) -> HttpResponse:
    """Show a release and what bringing it back would change; a POST brings it back."""
    found = _release(target, number)
    error, problem, status = "", "", 200
    if request.method == "POST":
        comment = request.POST.get("comment", "").strip()
        try:
            if comment:
                made = releases.rollback(item=target.item, to=found, comment=comment, by=Actor.of_request(request))
                said = _("Version {n} restores version {old} and is rolling out to all instances.")
                messages.success(request, said.format(n=made.number, old=found.number))
                return HttpResponseRedirect(target.url())
            error, status = _("Give a reason. It is kept in the history."), 422
        except Problem as refusal:
            problem, status = problem_text(refusal), refusal.status
    context = _frame(
        target,
        title=_("Version {n}").format(n=found.number),
        release=found,
        names=names_in([found]),
        is_current=target.item.current_id == found.pk,
        is_gray=target.item.gray_id == found.pk,
        can_return=found.action != ReleaseAction.REMOVE and (target.effective != found.content or target.item.gray_id is not None),
        changes=target.changes(target.effective, found.content),
        lines=[] if target.item.is_encrypted else diff(target.effective, found.content),
        text=selectors.shown_text(target.item, found.content),
        error=error,
        problem=problem,
    )
    return page(request, "release", status=status, **context)


@target_page(allowed=rights.may_publish, methods=("GET", "HEAD", "POST"))
@for_target
def remove(request: HttpRequest, target: Target) -> HttpResponse:
    """Take something out of force, once its name was typed."""
    name, error, problem, status = target.item.data_id, "", "", 200
    if request.method == "POST":
        comment = request.POST.get("comment", "").strip()
        if request.POST.get("name", "").strip() != name:
            error, status = _("Type {name} to continue.").format(name=name), 422
        else:
            try:
                releases.remove(item=target.item, comment=comment or _("Removed"), by=Actor.of_request(request))
                messages.success(request, _("{name} is no longer in force. Its history is kept.").format(name=name))
                return HttpResponseRedirect(target.url())
            except Problem as refusal:
                problem, status = problem_text(refusal), refusal.status
    context = _frame(target, title=_("Deactivate {name}").format(name=target.title), name=name, error=error, problem=problem)
    return page(request, "remove", status=status, **context)
