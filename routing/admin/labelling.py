"""Two pages that work with many utterances: the queue of suggestions, and the import of a file."""

from collections import defaultdict
from collections.abc import Collection
from typing import Any
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.db.models import Count
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from accounts.selectors import Tenant, active_tenants
from accounts.services.audit import Actor
from accounts.staff.lists import as_uuid
from accounts.staff.tenant_admin import TenantAdmin, own_tenants
from posthaste.lib.problems import Conflict, Invalid
from posthaste.ui.pages import problem_text
from posthaste.ui.templatetags.interface import percent, thousands
from routing.admin.wording import title_of
from routing.intents import csv_import, reading, utterances
from routing.intents.editing import OUT_OF_SCOPE
from routing.models import Intent, Utterance, UtteranceState

LATER, REJECT = "", "-"  # no intent can have these names
AT_ONCE = 20
MAX_FILE = 5 * 1024 * 1024


def name_choices(tenant_ids: Collection[int]) -> list[tuple[str, Any]]:
    """Return the names of intents that a bulk action may choose; the service takes only those of each text's own tenant."""
    names = Intent.objects.filter(tenant_id__in=tenant_ids).order_by("name").values_list("name", flat=True).distinct()[:1_000]
    return [("", gettext_lazy("Intent …")), *((name, name) for name in names), (OUT_OF_SCOPE, gettext_lazy("Out of scope"))]


def _chosen_tenant(pages: TenantAdmin, request: HttpRequest) -> tuple[Tenant, list[Tenant]]:
    """Return the tenant that a page is about, and all that the reader may change.

    Raises:
        PermissionDenied: there is none.
    """
    tenants = list(active_tenants(own_tenants(request, at_least=pages.least)))
    if not tenants:
        raise PermissionDenied
    wanted = request.POST.get("tenant") or request.GET.get("tenant") or ""
    if wanted:
        found = next((tenant for tenant in tenants if str(tenant.pk) == wanted), None)
        if found is None:
            raise PermissionDenied
        return found, tenants
    waiting = Utterance.objects.filter(tenant__in=tenants, state=UtteranceState.SUGGESTED).order_by()
    most = waiting.values_list("tenant_id").annotate(n=Count("pk")).order_by("-n").values_list("tenant_id", flat=True).first()
    return next((tenant for tenant in tenants if tenant.pk == most), tenants[0]), tenants


def label_page(pages: TenantAdmin, request: HttpRequest) -> HttpResponse:
    """Show the next suggestions of a tenant with a choice each, and store what was chosen."""
    tenant, tenants = _chosen_tenant(pages, request)
    if request.method == "POST":
        number = _store(request, tenant)
        told = ngettext("{n} text labelled.", "{n} texts labelled.", number).format(n=thousands(number))
        pages.message_user(request, told)
        return HttpResponseRedirect(f"{reverse('admin:routing_utterance_label')}?tenant={tenant.pk}")
    waiting = reading.suggestions([tenant.pk])
    intents = list(Intent.objects.filter(tenant=tenant))
    titles = {intent.name: title_of(intent) for intent in intents} | {OUT_OF_SCOPE: _("Out of scope")}
    rows = [
        {
            "utterance": row,
            "source": row.get_source_display(),
            "guess": titles.get(row.guess, row.guess),
            "sure": percent(None if row.confidence is None else round(100 * row.confidence)),
            "chosen": row.intent.name if row.intent and row.source == "correction" else LATER,
        }
        for row in waiting[:AT_ONCE]
    ]
    return pages.page(
        request,
        "label",
        title=_("Texts to label"),
        purpose=_("Corrections by agents, and texts that the model was unsure of. It learns from them once they are accepted."),
        list_title=_("Utterances"),
        rows=rows,
        number=waiting.count(),
        choices=[(intent.name, title_of(intent)) for intent in intents],
        out_of_scope=OUT_OF_SCOPE,
        reject=REJECT,
        tenant=tenant,
        tenants=tenants,
    )


def _store(request: HttpRequest, tenant: Tenant) -> int:
    by, number = Actor.of_request(request), 0
    chosen: dict[str, list[UUID]] = defaultdict(list)
    for name, value in request.POST.items():
        identifier = as_uuid(name.removeprefix("label-")) if name.startswith("label-") else None
        if identifier is not None and value != LATER:
            chosen[str(value)].append(identifier)
    intents = {intent.name: intent for intent in Intent.objects.filter(tenant=tenant)}
    for label, ids in sorted(chosen.items()):
        if label == REJECT:
            number += utterances.reject_utterances(tenant_id=tenant.pk, ids=ids, by=by)
        elif label == OUT_OF_SCOPE or label in intents:
            number += utterances.label_utterances(tenant_id=tenant.pk, ids=ids, intent=intents.get(label), by=by)
    return number


def import_page(pages: TenantAdmin, request: HttpRequest) -> HttpResponse:
    """Check a file and show the report; import it when that was confirmed."""
    tenant, tenants = _chosen_tenant(pages, request)
    context: dict[str, Any] = {"tenant": tenant, "tenants": tenants, "status": 200}
    if request.method == "POST":
        answer = _imported(pages, request, tenant, context)
        if answer is not None:
            return answer
    return pages.page(
        request,
        "import",
        title=_("Import utterances"),
        purpose=_(
            "A CSV file with the columns text and category, and if you like language and part. Nothing is stored before you confirm."
        ),
        list_title=_("Utterances"),
        **context,
    )


def _imported(pages: TenantAdmin, request: HttpRequest, tenant: Tenant, context: dict[str, Any]) -> HttpResponse | None:
    creates = bool(request.POST.get("create_intents"))
    uploaded = request.FILES.get("file")
    content = uploaded.read(MAX_FILE + 1) if uploaded is not None else request.POST.get("data", "").encode()
    try:
        if len(content) > MAX_FILE:
            raise Invalid.field("file", _("The file is too large: at most {n} MB.").format(n=MAX_FILE // 1024 // 1024))
        report = csv_import.check_file(tenant_id=tenant.pk, content=content, create_intents=creates)
        if request.POST.get("apply"):
            added = csv_import.import_file(tenant_id=tenant.pk, report=report, by=Actor.of_request(request), now=timezone.now())
            pages.message_user(request, ngettext("{n} utterance added.", "{n} utterances added.", added).format(n=thousands(added)))
            return HttpResponseRedirect(reverse("admin:routing_utterance_changelist"))
    except (Conflict, Invalid) as problem:
        context |= {"problems": _by_line(problem), "status": 422}
    else:
        text = content.decode("utf-8-sig", errors="replace")
        context |= {"report": report, "data": text, "create_intents": creates, "findings": report.findings[: csv_import.MAX_FINDINGS]}
    return None


def _by_line(problem: Conflict | Invalid) -> list[str]:
    """Return what is wrong with a file, by the lines that a spreadsheet counts."""
    found = []
    for error in problem.errors[: csv_import.MAX_FINDINGS]:
        place, _blank, number = str(error["field"]).partition(" ")
        line = _("Line {n}: ").format(n=number) if place == "line" and number else ""
        found.append(f"{line}{error['message']}")
    return found or [problem_text(problem)]
