"""The page that imports entries of the FAQ from a file."""

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.selectors import Tenant, active_tenants
from accounts.services.audit import Actor
from accounts.staff.tenant_admin import TenantAdmin, own_tenants
from posthaste.lib.problems import Conflict, Invalid
from posthaste.ui.pages import problem_text
from posthaste.ui.templatetags.interface import thousands
from routing.faq import csv_files

MAX_SHOWN = 50


def import_page(pages: TenantAdmin, request: HttpRequest) -> HttpResponse:
    """Check a file and show what it brings; import it when that was confirmed."""
    tenants = list(active_tenants(own_tenants(request, at_least=pages.least)))
    wanted = request.POST.get("tenant") or (str(tenants[0].pk) if tenants else "")
    tenant = next((each for each in tenants if str(each.pk) == wanted), None)
    if tenant is None:
        raise PermissionDenied
    context: dict[str, Any] = {"tenant": tenant, "tenants": tenants, "status": 200}
    if request.method == "POST":
        answer = _imported(pages, request, tenant, context)
        if answer is not None:
            return answer
    purpose = _(
        "A CSV file with the columns question and answer, and if you like slug, language, category, intent and phrasings, one per line of "
        "the cell. All entries become drafts. Nothing is stored before you confirm."
    )
    return pages.page(request, "import", title=_("Import entries"), purpose=purpose, list_title=_("FAQ entries"), **context)


def _imported(pages: TenantAdmin, request: HttpRequest, tenant: Tenant, context: dict[str, Any]) -> HttpResponse | None:
    uploaded = request.FILES.get("file")
    content = uploaded.read(csv_files.MAX_BYTES + 1) if uploaded is not None else request.POST.get("data", "").encode()
    try:
        report = csv_files.check_file(tenant_id=tenant.pk, content=content)
        if request.POST.get("apply"):
            number = csv_files.import_file(tenant_id=tenant.pk, report=report, by=Actor.of_request(request), now=timezone.now())
            pages.message_user(request, ngettext("{n} entry imported.", "{n} entries imported.", number).format(n=thousands(number)))
            return HttpResponseRedirect(reverse("admin:routing_faqentry_changelist"))
    except (Conflict, Invalid) as problem:
        context |= {"problems": _by_line(problem), "status": 422}
    else:
        context |= {"report": report, "number": len(report.new) + len(report.changed), "data": content.decode("utf-8-sig")}
    return None


def _by_line(problem: Conflict | Invalid) -> list[str]:
    """Return what is wrong with a file, by its lines."""
    found = []
    for error in problem.errors[:MAX_SHOWN]:
        place, _blank, number = str(error["field"]).partition(" ")
        line = _("Line {n}: ").format(n=number) if place == "line" and number else ""
        found.append(f"{line}{error['message']}")
    return found or [problem_text(problem)]
