"""Customers in the admin: their identities, what is known about them, and how that is edited."""

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from accounts.services.audit import Actor
from accounts.staff.lists import as_uuid
from accounts.staff.tenant_admin import own_tenants
from posthaste.ui.templatetags.interface import NOTHING, ago, language_name, thousands, two_lines
from routing.actions import Action
from routing.admin.customer_actions import CustomerActions
from routing.admin.customer_forms import AttributeForm, CustomerForm, IdentityForm, named, shown
from routing.admin.outcomes import tried
from routing.admin.wording import actors_in_words, called
from routing.customers import attributes, editing, finding, names, suppressed
from routing.customers.attribute_values import LEVEL, VIP, by_precedence, combined, in_force
from routing.customers.editing import NewIdentity
from routing.customers.values import masked
from routing.models import AttributeSource, Conversation, Customer, CustomerAttribute, CustomerMerge, Identity, IdentityKind

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
class CustomerAdmin(CustomerActions):
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
        posts = (("edit", self.edit), ("identity", self.identity), ("attribute", self.attribute))
        return [
            *(path(f"<uuid:pk>/{verb}/", view(require_POST(page)), name=self.url_name(verb)) for verb, page in posts),
            path(
                "<uuid:pk>/identity/<uuid:identity>/remove/",
                view(require_POST(self.remove_identity)),
                name=self.url_name("remove_identity"),
            ),
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
        return queryset.filter(Q(pk__in=known) | names.has_part(term)), False

    # --- columns ---------------------------------------------------------------------------------------------

    @admin.display(description=gettext_lazy("customer"))
    def customer(self, row: Customer) -> SafeString:
        return two_lines(row.name or _("Without a name"), language_name(row.language))

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
        return tried(self, request, customer, lambda: editing.change_fields(fields=form.cleaned_data, **given), _("Saved."))

    def identity(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Add an identity."""
        customer = self.own(request, str(pk), change=True)
        form = IdentityForm(request.POST)
        if not form.is_valid():
            return self._detail(request, customer, status=422, identity_form=form)
        given: Any = {"customer_id": pk, "tenant_id": customer.tenant_id, "by": Actor.of_request(request), "now": timezone.now()}
        identity = NewIdentity(**form.cleaned_data)
        return tried(self, request, customer, lambda: editing.add_identity(identity=identity, **given), _("The identity was added."))

    def remove_identity(self, request: HttpRequest, pk: UUID, identity: UUID) -> HttpResponse:
        """Remove an identity that no conversation needs."""
        customer = self.own(request, str(pk), change=True)
        given: Any = {"customer_id": pk, "tenant_id": customer.tenant_id, "by": Actor.of_request(request)}
        return tried(
            self, request, customer, lambda: editing.remove_identity(identity_id=identity, **given), _("The identity was removed.")
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
        return tried(
            self,
            request,
            customer,
            lambda: attributes.change(values=values, source=AttributeSource.STAFF, valid_until=until, **given),
            _("Saved."),
        )


def _kind(row: Identity) -> str:
    return str(IdentityKind(row.kind).label)
