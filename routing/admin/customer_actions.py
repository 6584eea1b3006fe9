"""What staff do with a whole customer: merge another into it, give out everything about it, erase it."""

import json
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from accounts.services.audit import Actor
from accounts.staff.lists import as_uuid
from accounts.staff.tenant_admin import ReadOnly
from posthaste.lib.problems import Problem
from posthaste.ui.confirmation import MAX_WITHOUT_NUMBER
from posthaste.ui.pages import problem_text
from posthaste.ui.templatetags.interface import thousands
from routing.admin.customer_forms import plan_in_words
from routing.admin.outcomes import tried
from routing.admin.wording import called
from routing.customers import erasing, exporting, finding, merging
from routing.customers.erasing import KEPT
from routing.models import Customer, Line


class CustomerActions(ReadOnly):
    """The pages of these actions, for the admin of customers."""

    def get_urls(self) -> Any:
        view = self.admin_site.admin_view
        return [
            path("<uuid:pk>/merge/", view(self.merge), name=self.url_name("merge")),
            path("<uuid:pk>/export_data/", view(require_POST(self.export_data)), name=self.url_name("export_data")),
            path("<uuid:pk>/erase/", view(self.erase), name=self.url_name("erase")),
            *super().get_urls(),
        ]

    def merge(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Show what merging another customer into this one would do, and do it when that was confirmed."""
        customer = self.own(request, str(pk), change=True)
        other = self._other(request, request.POST.get("other") or request.GET.get("other", ""), customer)
        purpose = _("Identities, conversations, links and attributes move to the customer that is kept.")
        context: dict[str, Any] = {"purpose": purpose, "title": _("Merge customers"), "heading": _("Merge customers"), "term": ""}
        context["original_name"] = called(customer)
        if other is None:
            term = request.GET.get("other", "").strip()
            context |= {"term": term, "error": _("No other customer has this ID, phone number or e-mail address.") if term else ""}
            return self.page(request, "merge", customer, **context)
        try:
            plan = merging.plan(kept=customer, merged=other)
        except Problem as problem:
            return self.page(request, "merge", customer, **context, error=problem_text(problem))
        wants_number = plan.size > MAX_WITHOUT_NUMBER
        context |= {"plan": plan, **plan_in_words(plan), "other": other, "other_name": called(other), "wants_number": wants_number}
        if request.method == "POST":
            if wants_number and request.POST.get("number", "").replace(",", "").strip() != str(plan.size):
                return self.page(request, "merge", customer, **context, error=_("Type {number} to continue.").format(number=plan.size))
            given: Any = {"tenant_id": customer.tenant_id, "by": Actor.of_request(request), "now": timezone.now()}
            done = _("Merged. It can be undone on this page.")
            return tried(self, request, customer, lambda: merging.merge(kept_id=customer.pk, merged_id=other.pk, **given), done)
        return self.page(request, "merge", customer, **context)

    def _other(self, request: HttpRequest, term: str, customer: Customer) -> Customer | None:
        """Return the customer of the same tenant that an ID or an identity means."""
        term = term.strip()
        rows = finding.every_customer(customer.tenant_id)
        if identifier := as_uuid(term):
            return rows.filter(pk=identifier).first()
        known = finding.owners(term, tenant_ids=[customer.tenant_id]) if term else []
        return rows.filter(pk__in=known).exclude(pk=customer.pk).first() if term else None

    def export_data(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Give out everything about a customer as a file."""
        customer = self.own(request, str(pk), change=True)
        found = exporting.export(customer_id=pk, tenant_id=customer.tenant_id, by=Actor.of_request(request), now=timezone.now())
        text = json.dumps(found, default=_plain, ensure_ascii=False, indent=2)
        answer = HttpResponse(text, content_type="application/json")
        answer["Content-Disposition"] = f'attachment; filename="customer-{pk}.json"'
        answer["Cache-Control"] = "no-store"
        return answer

    def erase(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Say what erasing would delete and keep, and do it when that was confirmed with the number of texts."""
        customer = self.own(request, str(pk), change=True)
        number = Line.objects.filter(conversation__customer=customer).count()
        heading = _("Erase {name}?").format(name=called(customer))
        kept = [(what, why) for _code, what, why in KEPT]
        purpose = _(
            "Name, identities, attributes, links, attachments and all texts are deleted, also of customers that were merged into this one. "
            "It can't be undone."
        )
        context: dict[str, Any] = {"purpose": purpose, "title": heading, "heading": heading, "number": number, "kept": kept}
        if request.method != "POST":
            return self.page(request, "erase", customer, **context)
        if request.POST.get("number", "").replace(",", "").strip() != str(number):
            return self.page(request, "erase", customer, **context, error=_("Type {number} to continue.").format(number=number))
        given: Any = {"customer_id": pk, "tenant_id": customer.tenant_id, "by": Actor.of_request(request), "now": timezone.now()}
        said = ngettext("Erased, with {n} text.", "Erased, with {n} texts.", number).format(n=thousands(number))
        return tried(self, request, customer, lambda: erasing.erase(**given), said)


def _plain(value: Any) -> str:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
