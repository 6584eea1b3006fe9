"""Pages for everybody: the API reference, its error codes, and the runbook."""

import re
from functools import cache

import markdown
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.safestring import mark_safe
from django.views.decorators.http import require_safe
from markdown.extensions import Extension
from markdown.extensions.toc import TocExtension

from monitor.alarms.runbook import FILE, slug
from posthaste.lib import problems

#: A link to a file beside the runbook, which is served nowhere: its words remain.
OUTWARD = re.compile(r'<a href="(?!#|https?:)[^"]*">(.*?)</a>', re.DOTALL)


def every_problem(base: type[problems.Problem] = problems.Problem) -> list[type[problems.Problem]]:
    """List the kinds of errors, also those that apps define, by status."""
    found = {base.code: base}
    for kind in base.__subclasses__():
        found |= {below.code: below for below in every_problem(kind)}
    return sorted(found.values(), key=lambda kind: (kind.status, kind.code))


@require_safe
def reference(request: HttpRequest) -> HttpResponse:
    """Show the API reference (Swagger UI, from our own server)."""
    return render(request, "monitor/reference.html")


@require_safe
def errors(request: HttpRequest) -> HttpResponse:
    """Explain every error code of the API."""
    return render(request, "monitor/errors.html", {"problems": every_problem()})


@require_safe
def runbook(request: HttpRequest) -> HttpResponse:
    """Show what to do about each alarm: docs/runbook.md."""
    return render(request, "monitor/runbook.html", {"text": mark_safe(as_html())})  # a file of ours  # noqa: S308


@cache
def as_html() -> str:
    """Return the runbook as HTML, with an anchor at each heading."""
    extensions: list[str | Extension] = ["tables", "fenced_code", "sane_lists", TocExtension(slugify=lambda value, separator: slug(value))]
    text = markdown.markdown(FILE.read_text(encoding="utf-8"), extensions=extensions)
    # What may have to be scrolled sideways can be reached with the keyboard.
    return OUTWARD.sub(r"\1", text).replace("<pre>", '<pre tabindex="0">')
