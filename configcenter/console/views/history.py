"""What was published: looked at, compared, brought back, taken out of force."""

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext as _

from accounts.services import rights
from accounts.services.audit import Actor
from configcenter import selectors
from configcenter.console.access import page, staff_page
from configcenter.console.targets import Subject, for_subject
from configcenter.models import ConfigRelease, ReleaseAction
from configcenter.services import releases
from configcenter.services.differences import diff
from posthaste.lib.problems import Problem
from posthaste.ui.pages import problem_text

A_PAGE = 50


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() and len(text) < 10 else None


def _release(subject: Subject, number: int | None) -> ConfigRelease:
    found = subject.item.releases.filter(number=number).first() if number is not None else None
    if found is None:
        raise Http404
    return found


def _frame(subject: Subject, **context: Any) -> dict[str, Any]:
    return {"tab": "modules" if subject.handle else "items", "page": "history", "subject": subject, "item": subject.item, **context}


@staff_page(allowed=rights.may_view)
@for_subject
def history(request: HttpRequest, subject: Subject) -> HttpResponse:
    """List the releases, the newest first."""
    rows = selectors.history(subject.item)
    before = _number(request.GET.get("before"))
    found = list((rows.filter(number__lt=before) if before else rows)[: A_PAGE + 1])
    context = _frame(
        subject,
        title=subject.title,
        purpose=_("Everything that was ever published here, at least of the last thirty days."),
        releases=found[:A_PAGE],
        older=subject.url("history", before=found[A_PAGE - 1].number) if len(found) > A_PAGE else "",
    )
    return page(request, "history", **context)


@staff_page(allowed=rights.may_view)
@for_subject
def compare(request: HttpRequest, subject: Subject) -> HttpResponse:
    """Show what differs between two releases."""
    one, other = (_number(request.GET.get(side)) for side in ("from", "to"))
    if one is None or other is None or one == other:
        messages.info(request, _("Choose two different versions."))
        return HttpResponseRedirect(subject.url("history"))
    before, after = (_release(subject, number) for number in sorted((one, other)))
    context = _frame(
        subject,
        title=_("Version {a} and version {b}").format(a=before.number, b=after.number),
        both=[before, after],
        before_word=f"v{before.number}",
        after_word=f"v{after.number}",
        changes=subject.changes(before.content, after.content),
        lines=diff(before.content, after.content),
    )
    return page(request, "compare", **context)


@staff_page(allowed=rights.may_view, to_change=rights.may_publish, methods=("GET", "HEAD", "POST"))
@for_subject
def release(request: HttpRequest, subject: Subject, number: int) -> HttpResponse:
    """Show a release and what bringing it back would change; a POST brings it back."""
    found = _release(subject, number)
    error, problem, status = "", "", 200
    if request.method == "POST":
        comment = request.POST.get("comment", "").strip()
        try:
            if comment:
                made = releases.rollback(item=subject.item, to=found, comment=comment, by=Actor.of_request(request))
                said = _("Version {n} brings back version {old} and is on its way to all instances.")
                messages.success(request, said.format(n=made.number, old=found.number))
                return HttpResponseRedirect(subject.url())
            error, status = _("Say why: it stands in the history."), 422
        except Problem as refusal:
            problem, status = problem_text(refusal), refusal.status
    context = _frame(
        subject,
        title=_("Version {n}").format(n=found.number),
        release=found,
        is_current=subject.item.current_id == found.pk,
        is_gray=subject.item.gray_id == found.pk,
        can_return=found.action != ReleaseAction.REMOVE and (subject.effective != found.content or subject.item.gray_id is not None),
        changes=subject.changes(subject.effective, found.content),
        lines=diff(subject.effective, found.content),
        error=error,
        problem=problem,
    )
    return page(request, "release", status=status, **context)


@staff_page(allowed=rights.may_publish, methods=("GET", "HEAD", "POST"))
@for_subject
def remove(request: HttpRequest, subject: Subject) -> HttpResponse:
    """Take something out of force, once its name was typed."""
    name, error, problem, status = subject.item.data_id, "", "", 200
    if request.method == "POST":
        comment = request.POST.get("comment", "").strip()
        if request.POST.get("name", "").strip() != name:
            error, status = _("Type {name} to go on.").format(name=name), 422
        else:
            try:
                releases.remove(item=subject.item, comment=comment or _("Removed"), by=Actor.of_request(request))
                messages.success(request, _("{name} is out of force. Its history stays.").format(name=name))
                return HttpResponseRedirect(subject.url())
            except Problem as refusal:
                problem, status = problem_text(refusal), refusal.status
    context = _frame(subject, title=_("Take {name} out of force").format(name=subject.title), name=name, error=error, problem=problem)
    return page(request, "remove", status=status, **context)
