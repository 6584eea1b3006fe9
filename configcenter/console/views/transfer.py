"""Export into a file, and import of one: first what it would do, then doing it."""

import base64
import binascii
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.services import rights
from accounts.services.audit import Actor
from configcenter import hot
from configcenter.console.access import page, staff_page
from configcenter.console.views.items import of_people
from configcenter.models import MODULES, ConfigItem
from configcenter.services import transfer as files
from posthaste.lib.problems import Problem
from posthaste.ui.pages import problem_text

MAX_BYTES = 8 << 20
MAX_ERRORS = 20


@staff_page(allowed=rights.may_view, to_change=rights.may_publish, methods=("GET", "HEAD", "POST"))
def transfer(request: HttpRequest) -> HttpResponse:
    """Offer an export, and return what importing a file would do before it does it."""
    policy, report, data, problem, status = request.POST.get("policy", "abort"), None, b"", "", 200
    if request.method == "POST":
        data = _posted(request)
        is_trial = "apply" not in request.POST
        try:
            report = files.import_(
                data=data, policy=policy, dry_run=is_trial, comment=request.POST.get("comment", ""), by=Actor.of_request(request)
            )
        except Problem as refusal:
            problem, status = problem_text(refusal), refusal.status
            if refusal.errors:
                problem = f"{refusal.detail} " + " ".join(f"{e['field']}: {e['message']}" for e in refusal.errors[:MAX_ERRORS])
        if report is not None and not is_trial:
            number = report.count("created") + report.count("updated")
            messages.success(request, _("Imported items: {n}").format(n=number))
            return HttpResponseRedirect(reverse("config:transfer"))
    return page(
        request,
        "transfer",
        status=status,
        title=_("Export and import"),
        purpose=_("Move the configuration to another installation, or keep it under version control."),
        tab="transfer",
        modules=[{"name": handle.name, "title": _(handle.title)} for handle in hot.modules()],
        namespaces=list(of_people()),
        policy=policy,
        policies=[
            ("abort", _("Stop: import nothing")),
            ("skip", _("Skip: keep what is here")),
            ("overwrite", _("Overwrite: take what is in the file")),
        ],
        report=_told(report) if report is not None else None,
        data=base64.b64encode(data).decode() if report is not None else "",
        problem=problem,
    )


def _posted(request: HttpRequest) -> bytes:
    """Return the uploaded file, or the one that the page kept from the dry run."""
    file: Any = request.FILES.get("file")
    if file is not None:
        return bytes(file.read(MAX_BYTES)) if file.size <= MAX_BYTES else b""
    try:
        return base64.b64decode(request.POST.get("data", ""), validate=True)
    except binascii.Error:
        return b""


def _told(report: files.ImportReport) -> dict[str, Any]:
    words = {
        "created": (_("new"), "delivered"),
        "updated": (_("updated"), "queued"),
        "unchanged": (_("unchanged"), "cancelled"),
        "skipped": (_("skipped"), "cancelled"),
        "invalid": (_("not valid"), "failed"),
        "conflict": (_("differs here"), "unknown"),
    }
    rows = [
        {
            "item": entry.item,
            "word": words[entry.outcome][0],
            "tone": words[entry.outcome][1],
            "version": entry.version,
            "errors": entry.errors,
        }
        for entry in report.items
    ]
    blocked = report.count("invalid") + report.count("conflict")
    return {"rows": rows, "changes": report.count("created") + report.count("updated"), "blocked": blocked}


@staff_page(allowed=rights.may_view)
def export(request: HttpRequest) -> HttpResponse:
    """Return the chosen modules and namespaces as a file."""
    rows = ConfigItem.objects.select_related("namespace__tenant", "current", "override_of").exclude(current=None)
    in_modules = {"namespace__slug": MODULES, "namespace__tenant": None}
    names = set(request.GET.getlist("module"))
    spaces = [int(text) for text in request.GET.getlist("namespace") if text.isdecimal() and len(text) < 18]
    chosen = list(rows.filter(**in_modules, data_id__in=names)) + list(
        rows.filter(namespace__in=of_people()).filter(namespace_id__in=spaces)
    )
    response = HttpResponse(files.export(items=chosen), content_type="application/json")
    response["Content-Disposition"] = f'attachment; filename="posthaste-configuration-{timezone.now():%Y%m%d-%H%M}.json"'
    return response
