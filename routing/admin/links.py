"""Safe links in the admin: what they are good for, how often they were used, and taking one back."""

from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from accounts.services.audit import Actor
from accounts.staff.lists import Rows
from accounts.staff.tenant_admin import ReadOnly
from posthaste.lib.problems import Conflict
from posthaste.ui.pages import problem_text
from posthaste.ui.templatetags.interface import NOTHING, ago, badge, thousands, two_lines
from routing.actions import Action
from routing.admin.wording import actors_in_words, called
from routing.links import listing, making, using
from routing.links.standard import host_of
from routing.links.using import Outcome
from routing.models import LinkPurpose, SafeLink

LATEST = 100  # clicks on the page of a link


@admin.register(SafeLink)
class SafeLinkAdmin(ReadOnly):
    """Addresses that were given to customers."""

    purpose = gettext_lazy("Addresses that were given to customers: each has a purpose, an end, and a log of who opened it.")
    empty_text = gettext_lazy("Links appear here when a system makes them with POST /api/links/, or the service desk does.")
    list_display = ["purpose_shown", "state", "customer_shown", "used", "tenant", "expires", "made"]
    list_display_links = ["purpose_shown"]
    figure_columns = ("used",)
    audit_actions = (Action.LINK_CREATE, Action.LINK_REVOKE)
    list_filter = ["purpose"]
    list_select_related = ["tenant", "customer"]
    ordering = ["-id"]
    sortable_by = ("tenant",)
    actions = None

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[Rows]:
        return Rows

    def prepare(self, request: HttpRequest, rows: list[SafeLink]) -> None:
        """Look up who made the links on the page."""
        names = actors_in_words(request, (row.created_by for row in rows))
        for row in rows:
            row.by_shown = names.get(row.created_by, "")  # type: ignore[attr-defined]

    def get_urls(self) -> Any:
        own = [path("<uuid:pk>/revoke/", self.admin_site.admin_view(require_POST(self.revoke)), name=self.url_name("revoke"))]
        return own + super().get_urls()

    @admin.display(description=gettext_lazy("purpose"))
    def purpose_shown(self, row: SafeLink) -> SafeString:
        return two_lines(LinkPurpose(row.purpose).label, host_of(row.target) or NOTHING)

    @admin.display(description=gettext_lazy("state"))
    def state(self, row: SafeLink) -> SafeString:
        return badge(using.state(row, now=timezone.now()) or Outcome.USABLE)

    @admin.display(description=gettext_lazy("customer"))
    def customer_shown(self, row: SafeLink) -> str:
        return called(row.customer) if row.customer else NOTHING

    @admin.display(description=gettext_lazy("used"))
    def used(self, row: SafeLink) -> str:
        return f"{thousands(row.uses)} / {thousands(row.max_uses)}" if row.max_uses else thousands(row.uses)

    @admin.display(description=gettext_lazy("expires"))
    def expires(self, row: SafeLink) -> SafeString:
        return ago(row.expires_at)

    @admin.display(description=gettext_lazy("created"))
    def made(self, row: SafeLink) -> SafeString:
        return two_lines(ago(row.created_at), getattr(row, "by_shown", row.created_by) or NOTHING)

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        link: SafeLink = self.own(request, unquote(object_id))
        state = using.state(link, now=timezone.now()) or Outcome.USABLE
        return self.page(
            request,
            "detail",
            link,
            purpose=_("What the link is for, until when it works, and when it was opened."),
            title=LinkPurpose(link.purpose).label,
            heading=LinkPurpose(link.purpose).label,
            state=state,
            customer=called(link.customer) if link.customer else "",
            created_by=actors_in_words(request, [link.created_by]).get(link.created_by, ""),
            clicks=list(listing.clicks(link)[:LATEST]),
            may_revoke=state != Outcome.REVOKED and self.has_operate_permission(request, link),
        )

    def revoke(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Make a link stop working."""
        link = self.own(request, str(pk), change=True)
        try:
            making.revoke(link=link, by=Actor.of_request(request), now=timezone.now())
        except Conflict as problem:
            self.message_user(request, problem_text(problem), messages.WARNING)
        else:
            self.message_user(request, _("Revoked. The link no longer works."), messages.SUCCESS)
        return self.back(request, link)
