"""The page that imports days of a business calendar from a file."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.services.audit import Actor
from accounts.staff.tenant_admin import TenantAdmin
from posthaste.lib.problems import Conflict, Invalid
from posthaste.ui.pages import problem_text
from routing.admin.calendar_forms import FileForm
from routing.calendars import day_files, file_importing
from routing.calendars.file_importing import DayFile
from routing.models import BusinessCalendar

MAX_SHOWN = 50
MAX_DIGITS = 9


def file_page(pages: TenantAdmin, request: HttpRequest, calendar: BusinessCalendar) -> HttpResponse:
    """Check a file and show what it changes in a calendar; import it when that was confirmed."""
    form = FileForm(request.POST if request.method == "POST" else None)
    context: dict[str, Any] = {"status": 200}
    if request.method == "POST":
        answer = _imported(pages, request, calendar, form, context)
        if answer is not None:
            return answer
    purpose = _(
        "A CSV file with the columns date, name, kind (holiday or working) and hours, or an ICS file with all-day events. Nothing is "
        "stored before you confirm, and nothing of a file with an error."
    )
    return pages.page(request, "import_file", calendar, title=_("Import days from a file"), purpose=purpose, form=form, **context)


def _imported(
    pages: TenantAdmin, request: HttpRequest, calendar: BusinessCalendar, form: FileForm, context: dict[str, Any]
) -> HttpResponse | None:
    if not form.is_valid():
        context["status"] = 422
        return None
    uploaded = request.FILES.get("file")
    content = uploaded.read(day_files.MAX_BYTES + 1) if uploaded is not None else request.POST.get("data", "").encode()
    now = timezone.now()
    try:
        file = DayFile(content, **form.wanted())
        if request.POST.get("apply"):
            by, version = Actor.of_request(request), request.POST.get("version", "")
            seen = int(version) if version.isascii() and version.isdigit() and len(version) <= MAX_DIGITS else 0
            try:
                number = file_importing.import_file(calendar=calendar, file=file, version=seen, by=by, now=now).number
            except Conflict as problem:  # the new preview follows
                context |= {"wrong": problem_text(problem), "status": problem.status}
                calendar.refresh_from_db()
            else:
                pages.message_user(request, ngettext("{n} day changed.", "{n} days changed.", number).format(n=number), messages.SUCCESS)
                return pages.back(request, calendar)
        changes = file_importing.preview(calendar=calendar, file=file, now=now)
    except Invalid as problem:
        context |= {"problems": _by_line(problem), "status": problem.status}
    else:
        context |= {"changes": changes, "data": day_files.text_of(content), "version": calendar.version}
    return None


def _by_line(problem: Invalid) -> list[str]:
    """Return what is wrong with a file, by its lines."""
    found = []
    for error in problem.errors[:MAX_SHOWN]:
        place, _blank, number = str(error["field"]).partition(" ")
        line = _("Line {n}: ").format(n=number) if place == "line" and number else ""
        found.append(f"{line}{error['message']}")
    if len(problem.errors) > MAX_SHOWN:
        found.append(_("And {n} more.").format(n=len(problem.errors) - MAX_SHOWN))
    return found or [problem_text(problem)]
