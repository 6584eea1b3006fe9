"""Customers in the admin: their identities, what is known about them, and what can be done with them."""

import json
from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_POST

from accounts.services.audit import Actor
from accounts.staff.lists import as_uuid
from accounts.staff.tenant_admin import ReadOnly, own_tenants
from posthaste.lib.problems import Problem
from posthaste.ui.confirmation import MAX_WITHOUT_NUMBER
from posthaste.ui.pages import problem_text
from posthaste.ui.templatetags.interface import NOTHING, ago, thousands, two_lines
from routing.actions import Action
from routing.admin.customer_forms import AttributeForm, CustomerForm, IdentityForm, named, plan_in_words, shown
from routing.admin.wording import actors_in_words, called
from routing.customers import attributes, editing, erasing, exporting, finding, merging, suppressed
from routing.customers.attribute_values import LEVEL, VIP, by_precedence, combined, in_force
from routing.customers.editing import NewIdentity
from routing.customers.erasing import KEPT
from routing.customers.values import masked
from routing.models import AttributeSource, Conversation, Customer, CustomerAttribute, CustomerMerge, Identity, IdentityKind, Line

LATEST = 20  # conversations on the page of a customer
IDENTITIES_IN_LIST = 3


class CustomerStateFilter(admin.SimpleListFilter):
    """Those who are there, unless one asks for others."""

    title = gettext_lazy("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("merged", gettext_lazy("Merged into another")), ("erased", gettext_lazy("Erased"))]

    def queryset(self, request: HttpRequest, queryset: "QuerySet[Customer]") -> "QuerySet[Customer]":
        match self.value():
            case "merged":
                return queryset.exclude(merged_into=None)
            case "erased":
                return queryset.exclude(erased_at=None)
        return queryset.filter(merged_into=None, erased_at=None)


@admin.register(Customer)
class CustomerAdmin(ReadOnly):
    """The people who write, and how they are known."""

    purpose = gettext_lazy("Everyone who writes, whichever way they come, with the identities they are known by.")
    empty_text = gettext_lazy("Customers appear here when they write, or when a system adds them with POST /api/customers/.")
    list_display = ["customer", "identities_masked", "level", "open_now", "tenant", "seen"]
    list_display_links = ["customer"]
    figure_columns = ("open_now",)
    audit_actions = tuple(action for action in Action if action.startswith("customer."))
    list_filter = [CustomerStateFilter]
    list_select_related = ["tenant"]
    search_fields = ["name"]  # turns the search on; get_search_results does it
    search_help_text = gettext_lazy("A part of the name, or the whole phone number, e-mail address or ID.")
    ordering = ["-id"]
    sortable_by = ("tenant",)
    actions = None

    def get_urls(self) -> Any:
        view = self.admin_site.admin_view
        posts = (("edit", self.edit), ("identity", self.identity), ("attribute", self.attribute), ("export_data", self.export_data))
        return [
            *(path(f"<uuid:pk>/{verb}/", view(require_POST(page)), name=self.url_name(verb)) for verb, page in posts),
            path(
                "<uuid:pk>/identity/<uuid:identity>/remove/",
                view(require_POST(self.remove_identity)),
                name=self.url_name("remove_identity"),
            ),
            path("<uuid:pk>/merge/", view(self.merge), name=self.url_name("merge")),
            path("<uuid:pk>/erase/", view(self.erase), name=self.url_name("erase")),
            *super().get_urls(),
        ]

    def get_queryset(self, request: HttpRequest) -> "QuerySet[Customer]":
        rows: QuerySet[Customer] = super().get_queryset(request)
        listing = request.resolver_match is not None and request.resolver_match.url_name == self.url_name("changelist")
        return finding.with_counts(rows).prefetch_related("identities", "attributes") if listing else rows

    def get_search_results(self, request: HttpRequest, queryset: "QuerySet[Customer]", search_term: str) -> Any:
        term = search_term.strip()
        if not term:
            return queryset, False
        if identifier := as_uuid(term):
            return queryset.filter(pk=identifier), False
        known = finding.owners(term, tenant_ids=own_tenants(request))
        return queryset.filter(Q(pk__in=known) | Q(name__icontains=term)), False

    # --- columns ---------------------------------------------------------------------------------------------

    @admin.display(description=gettext_lazy("customer"))
    def customer(self, row: Customer) -> SafeString:
        return two_lines(row.name or _("Without a name"), row.language)

    @admin.display(description=gettext_lazy("identities"))
    def identities_masked(self, row: Customer) -> SafeString | str:
        rows = list(row.identities.all())
        shown = format_html_join("", "<div>{} {}</div>", ((_kind(one), masked(one.kind, one.value)) for one in rows[:IDENTITIES_IN_LIST]))
        more = len(rows) - IDENTITIES_IN_LIST
        return (format_html("{}<div>+{}</div>", shown, more) if more > 0 else shown) or NOTHING

    @admin.display(description=gettext_lazy("level"))
    def level(self, row: Customer) -> str:
        now = timezone.now()
        known = combined(one for one in row.attributes.all() if one.valid_until is None or one.valid_until > now)
        return " · ".join(part for part in (str(known.get(LEVEL, "")), "VIP" if known.get(VIP) else "") if part) or NOTHING

    @admin.display(description=gettext_lazy("open"))
    def open_now(self, row: Customer) -> str:
        return thousands(row.open_conversations)  # type: ignore[attr-defined]

    @admin.display(description=gettext_lazy("Last seen"))
    def seen(self, row: Customer) -> SafeString:
        return ago(row.last_seen_at)

    # --- pages -----------------------------------------------------------------------------------------------

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        customer: Customer = self.own(request, unquote(object_id))
        return self._detail(request, customer)

    def _detail(self, request: HttpRequest, customer: Customer, status: int = 200, **forms: Any) -> HttpResponse:
        now = timezone.now()
        rows = CustomerAttribute.objects.filter(customer=customer)
        sources = sorted(rows, key=by_precedence)
        people = actors_in_words(request, (row.set_by for row in sources))
        for row in sources:
            row.by_shown = people.get(row.set_by, "")  # type: ignore[attr-defined]
            row.named, row.shown = named(row.name), shown(row.value)  # type: ignore[attr-defined]
        identities = list(Identity.objects.filter(customer=customer))
        conversations = Conversation.objects.filter(customer=customer)
        merges = CustomerMerge.objects.filter(Q(kept=customer) | Q(merged=customer)).select_related("kept", "merged")
        found = list(merges.order_by("-pk")[:LATEST])
        for merge in found:
            merge.named = f"{called(merge.kept)} ← {called(merge.merged)}"  # type: ignore[attr-defined]
        is_there = customer.merged_into_id is None and customer.erased_at is None
        heading = customer.name or (_("Erased customer") if customer.erased_at else _("Without a name"))
        context = {
            "purpose": _("How this person is known, what is known about them, and what they wrote."),
            "title": heading,
            "heading": heading,
            "identities": identities,
            "in_force": [(named(name), shown(value)) for name, value in sorted(combined(rows.filter(in_force(now))).items())],
            "sources": sources,
            "suppressions": suppressed.entries(identities, tenant_id=customer.tenant_id, now=now),
            "conversations": list(conversations.select_related("entrance", "identity").order_by("-pk")[:LATEST]),
            "number_of_conversations": conversations.count(),
            "merges": found,
            "merged_into_name": called(customer.merged_into) if customer.merged_into else "",
            "may_operate": is_there and self.has_operate_permission(request, customer),
            "form": CustomerForm(initial={name: getattr(customer, name) for name in editing.EDITABLE}),
            "identity_form": IdentityForm(),
            "attribute_form": AttributeForm(),
        }
        return self.page(request, "detail", customer, status=status, **{**context, **forms})

    def edit(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Change name, language and note."""
        customer = self.own(request, str(pk), change=True)
        form = CustomerForm(request.POST)
        if not form.is_valid():
            return self._detail(request, customer, status=422, form=form)
        given = {"customer_id": pk, "tenant_id": customer.tenant_id, "by": Actor.of_request(request)}
        return self._tried(request, customer, lambda: editing.change_fields(fields=form.cleaned_data, **given), _("Saved."))

    def identity(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Add an identity."""
        customer = self.own(request, str(pk), change=True)
        form = IdentityForm(request.POST)
        if not form.is_valid():
            return self._detail(request, customer, status=422, identity_form=form)
        given: Any = {"customer_id": pk, "tenant_id": customer.tenant_id, "by": Actor.of_request(request), "now": timezone.now()}
        identity = NewIdentity(**form.cleaned_data)
        return self._tried(request, customer, lambda: editing.add_identity(identity=identity, **given), _("The identity was added."))

    def remove_identity(self, request: HttpRequest, pk: UUID, identity: UUID) -> HttpResponse:
        """Remove an identity that no conversation needs."""
        customer = self.own(request, str(pk), change=True)
        given: Any = {"customer_id": pk, "tenant_id": customer.tenant_id, "by": Actor.of_request(request)}
        return self._tried(
            request, customer, lambda: editing.remove_identity(identity_id=identity, **given), _("The identity was removed.")
        )

    def attribute(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Set an attribute as staff say it, or remove what they said."""
        customer = self.own(request, str(pk), change=True)
        form = AttributeForm(request.POST)
        if not form.is_valid():
            return self._detail(request, customer, status=422, attribute_form=form)
        values = {form.cleaned_data["name"]: form.cleaned_data["value"]}
        given: Any = {"customer_id": pk, "tenant_id": customer.tenant_id, "by": Actor.of_request(request), "now": timezone.now()}
        until = form.cleaned_data["valid_until"]
        return self._tried(
            request,
            customer,
            lambda: attributes.change(values=values, source=AttributeSource.STAFF, valid_until=until, **given),
            _("Saved."),
        )

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
            return self._tried(request, customer, lambda: merging.merge(kept_id=customer.pk, merged_id=other.pk, **given), done)
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
        return self._tried(request, customer, lambda: erasing.erase(**given), said)

    def _tried(self, request: HttpRequest, customer: Customer, act: Any, done: str) -> HttpResponse:
        """Do it, say what came of it, and lead back to the customer's page."""
        try:
            act()
        except Problem as problem:
            errors = "; ".join(str(error.get("message", "")) for error in problem.errors)
            self.message_user(request, errors or problem_text(problem), messages.ERROR)
        else:
            self.message_user(request, done, messages.SUCCESS)
        return self.back(request, customer)


def _kind(row: Identity) -> str:
    return str(IdentityKind(row.kind).label)


def _plain(value: Any) -> str:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
