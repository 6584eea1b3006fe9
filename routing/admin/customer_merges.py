"""Merges of customers in the admin: what is suggested, and what was done."""

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from accounts.services.audit import Actor
from accounts.staff.lists import Rows
from accounts.staff.tenant_admin import ReadOnly
from posthaste.ui.templatetags.interface import NOTHING, ago, badge, two_lines
from routing.actions import Action
from routing.admin.outcomes import tried
from routing.admin.wording import actors_in_words, called
from routing.customers import suggestions, undoing
from routing.models import CustomerMerge, IdentityKind

REASONS = {
    "verified": gettext_lazy("A verified identity of both: {kind}"),
    "shared": gettext_lazy("An identity of both that nothing proves: {kind}"),
    "conflict": gettext_lazy("They share a verified identity ({kind}), and others contradict it"),
}


#: What the page of a merge is for, by its state.
PURPOSES = {
    CustomerMerge.State.SUGGESTED: gettext_lazy("Perhaps one person. Look at what a merge would do, or say that they are two."),
    CustomerMerge.State.DONE: gettext_lazy("Two customers that were made one. Undo gives each back what was theirs."),
    CustomerMerge.State.UNDONE: gettext_lazy("Two customers that were made one, and are two again."),
    CustomerMerge.State.DISMISSED: gettext_lazy("Two customers who are not one person. It is not suggested again."),
}


def reason_text(row: CustomerMerge) -> str:
    """Return why a merge was suggested or done, in the reader's language."""
    cause, _colon, kind = row.reason.partition(":")
    if cause not in REASONS or kind not in IdentityKind.values:
        return row.reason
    return str(REASONS[cause]).format(kind=IdentityKind(kind).label)


@admin.register(CustomerMerge)
class CustomerMergeAdmin(ReadOnly):
    """Two customers who are one, or may be."""

    purpose = gettext_lazy("Customers that may be one person, and those that were merged. Every merge can be undone.")
    empty_text = gettext_lazy("A suggestion appears when two customers use the same phone number, e-mail address or ID.")
    list_display = ["pair", "state_badge", "why", "tenant", "decided"]
    list_display_links = ["pair"]
    list_filter = ["state"]
    list_select_related = ["tenant", "kept", "merged"]
    audit_actions = tuple(action for action in Action if action.startswith("customer.merge"))
    ordering = ["-id"]
    sortable_by = ("tenant",)
    actions = None

    def get_urls(self) -> Any:
        view = self.admin_site.admin_view
        verbs = (("undo", self.undo), ("dismiss", self.dismiss))
        own = [path(f"<uuid:pk>/{verb}/", view(require_POST(page)), name=self.url_name(verb)) for verb, page in verbs]
        return own + super().get_urls()

    def get_queryset(self, request: HttpRequest) -> "QuerySet[CustomerMerge]":
        return super().get_queryset(request).select_related("kept", "merged")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[Rows]:
        return Rows

    def prepare(self, request: HttpRequest, rows: list[CustomerMerge]) -> None:
        """Look up who decided about the pairs on the page."""
        names = actors_in_words(request, (row.decided_by for row in rows))
        for row in rows:
            row.by_shown = names.get(row.decided_by, "")  # type: ignore[attr-defined]

    def audit_targets(self, obj: CustomerMerge) -> list[str]:
        return [str(obj.kept_id)]

    @admin.display(description=gettext_lazy("customers"))
    def pair(self, row: CustomerMerge) -> SafeString:
        return two_lines(called(row.kept), format_html("← {}", called(row.merged)))

    @admin.display(description=gettext_lazy("state"))
    def state_badge(self, row: CustomerMerge) -> SafeString:
        return badge(CustomerMerge.State(row.state))

    @admin.display(description=gettext_lazy("reason"))
    def why(self, row: CustomerMerge) -> str:
        return reason_text(row) or NOTHING

    @admin.display(description=gettext_lazy("decided"))
    def decided(self, row: CustomerMerge) -> SafeString:
        return two_lines(ago(row.decided_at or row.created_at), getattr(row, "by_shown", row.decided_by))

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        row: CustomerMerge = self.own(request, unquote(object_id))
        return self.page(
            request,
            "detail",
            row,
            purpose=PURPOSES[CustomerMerge.State(row.state)],
            title=_("Merge of customers"),
            heading=called(row.kept),
            kept=called(row.kept),
            merged=called(row.merged),
            decided_by=actors_in_words(request, [row.decided_by]).get(row.decided_by, ""),
            reason=reason_text(row) or _("By hand"),
            moved={name: len(ids) for name, ids in row.moved.items() if name != "filled"},
            may_operate=self.has_operate_permission(request, row),
            merge_url=f"{reverse('admin:routing_customer_merge', args=[row.kept_id])}?other={row.merged_id}",
        )

    def undo(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Split the two customers again."""
        row = self.own(request, str(pk), change=True)
        given: Any = {"merge_id": pk, "tenant_id": row.tenant_id, "by": Actor.of_request(request), "now": timezone.now()}
        return tried(self, request, row, lambda: undoing.undo(**given), _("Undone. The two are customers of their own again."))

    def dismiss(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Say that the two are not one."""
        row = self.own(request, str(pk), change=True)
        given: Any = {"merge_id": pk, "tenant_id": row.tenant_id, "by": Actor.of_request(request), "now": timezone.now()}
        return tried(self, request, row, lambda: suggestions.dismiss(**given), _("Dismissed. It is not suggested again."))
