"""The admin's pages of conversations and of what came in: looked at, never edited; a failed arrival is tried again."""

import re
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from accounts.services.audit import Actor
from accounts.staff.lists import Rows, as_uuid
from accounts.staff.tenant_admin import OwnedFilter, ReadOnly, own_rows
from posthaste.lib.problems import Conflict
from posthaste.ui.confirmation import MAX_AT_ONCE, confirm
from posthaste.ui.templatetags.interface import NOTHING, ago, badge, language_name, percent, short_id, two_lines
from routing.admin.wording import intent_titles, names_in
from routing.assignment.explain import why
from routing.conversations import arrivals, selectors
from routing.conversations.masking import mask_identity
from routing.desk.texts import priority_word
from routing.entrances.wecom_kf.quota import quota
from routing.models import Arrival, ArrivalState, Conversation, ConversationStatus, IdentityKind, Line

#: Lines that the page of a conversation shows: the newest ones.
SHOWN_LINES = 200
#: How an unexpected error is stored: its class, then what it said.
EXCEPTION = re.compile(r"[A-Z]\w*: ")
#: What an empty list offers: nothing comes in without an entrance.
ENTRANCES = (gettext_lazy("Entrances"), "admin:routing_entrance_changelist")


@admin.register(Conversation)
class ConversationAdmin(ReadOnly):
    """What customers and agents write to each other."""

    purpose = gettext_lazy("What customers wrote, through every entrance, who answers them, and why.")
    empty_text = gettext_lazy("Conversations appear here when customers write through an entrance.")
    first_step = ENTRANCES
    rows_word = gettext_lazy("conversations")
    list_display = [
        "customer_shown",
        "status_badge",
        "identity_shown",
        "intent_shown",
        "handled_by",
        "waits",
        "entrance",
        "tenant",
        "began",
    ]
    list_display_links = ["customer_shown", "began"]
    has_panel = True
    list_filter = ["status", ("entrance", OwnedFilter), ("group", OwnedFilter), ("agent", OwnedFilter)]
    list_select_related = ["tenant", "customer", "identity", "entrance", "group", "agent"]
    search_fields = ["id"]  # turns the search on; get_search_results does it
    search_help_text = gettext_lazy("Exact conversation or customer ID.")
    ordering = ["-id"]
    sortable_by = ["began"]

    def may_take_first_step(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("routing.view_entrance"))

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[Rows]:
        return Rows

    def prepare(self, request: HttpRequest, rows: list[Conversation]) -> None:
        """Look up the titles of the intents on the page."""
        titles = intent_titles({row.tenant_id for row in rows})
        for row in rows:
            row.intent_title = titles[row.tenant_id].get(row.intent, row.intent)  # type: ignore[attr-defined]

    def get_search_results(self, request: HttpRequest, queryset: "QuerySet[Conversation]", search_term: str) -> Any:
        term = search_term.strip()
        if not term:
            return queryset, False
        identifier = as_uuid(term)
        return (queryset.filter(pk=identifier) | queryset.filter(customer=identifier) if identifier else queryset.none()), False

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        conversation: Conversation = self.own(request, unquote(object_id))
        first = max(0, conversation.last_seq - SHOWN_LINES)
        titles = intent_titles([conversation.tenant_id])[conversation.tenant_id]
        lines = selectors.lines_after(conversation.pk, seq=first, limit=SHOWN_LINES)
        for line in lines:
            found = str(line.recognition.get("intent") or "")
            line.intent_title = titles.get(found, found)  # type: ignore[attr-defined]
            line.score_shown = percent(round(100 * line.data["score"])) if "faq" in line.data else ""  # type: ignore[attr-defined]
        spans = list(selectors.assignments(conversation.pk))
        names = names_in(request, spans)
        allowed = quota(conversation)
        return self.page(
            request,
            "detail",
            conversation,
            title=conversation.subject or conversation.customer.name or _("Without a name"),
            heading=conversation.subject or conversation.customer.name or _("Without a name"),
            intent_title=titles.get(conversation.intent, conversation.intent),
            identity=mask_identity(conversation.identity.kind, conversation.identity.value),
            priority=priority_word(conversation.priority),
            lines=lines,
            earlier=first,
            spans=[(span, why(span, names=names[span.tenant_id])) for span in spans],
            quota=allowed,
            replies_left=allowed.left_at(timezone.now()) if allowed else None,
        )

    # --- columns ---------------------------------------------------------------------------------------------

    @admin.display(description=gettext_lazy("status"), ordering="status")
    def status_badge(self, row: Conversation) -> SafeString:
        return badge(ConversationStatus(row.status))

    @admin.display(description=gettext_lazy("customer"))
    def customer_shown(self, row: Conversation) -> SafeString:
        return format_html('<span class="first">{}</span>', row.customer.name or _("Without a name"))

    @admin.display(description=gettext_lazy("identity"))
    def identity_shown(self, row: Conversation) -> SafeString:
        return two_lines(mask_identity(row.identity.kind, row.identity.value), str(row.identity.get_kind_display()))

    @admin.display(description=gettext_lazy("intent"))
    def intent_shown(self, row: Conversation) -> SafeString | str:
        if not row.intent:
            return NOTHING
        sure = f"{row.confidence:.0%}" if row.confidence is not None else ""
        return two_lines(getattr(row, "intent_title", row.intent), " · ".join(part for part in (language_name(row.language), sure) if part))

    @admin.display(description=gettext_lazy("agent"))
    def handled_by(self, row: Conversation) -> SafeString | str:
        if row.agent is None and row.group is None:
            return NOTHING
        return two_lines(str(row.agent) if row.agent else NOTHING, str(row.group) if row.group else "")

    @admin.display(description=gettext_lazy("unanswered since"))
    def waits(self, row: Conversation) -> SafeString | str:
        return ago(row.unanswered_since) if row.unanswered_since else NOTHING

    @admin.display(description=gettext_lazy("began"), ordering="id")
    def began(self, row: Conversation) -> SafeString:
        return ago(row.created_at)


@admin.register(Arrival)
class ArrivalAdmin(ReadOnly):
    """What came in through entrances."""

    purpose = gettext_lazy("What came in through entrances, stored before its sender was answered, and what became of it.")
    empty_text = gettext_lazy("Arrivals appear here when customers write through an entrance.")
    first_step = ENTRANCES
    rows_word = gettext_lazy("arrivals")
    list_display = ["state_badge", "sender_masked", "entrance", "error_shown", "attempts", "tenant", "received"]
    list_display_links = ["state_badge", "received"]
    figure_columns = ("attempts",)
    list_filter = ["state", ("entrance", OwnedFilter)]
    list_select_related = ["tenant", "entrance"]
    search_fields = ["id"]  # turns the search on; get_search_results does it
    search_help_text = gettext_lazy("Exact arrival ID or external ID.")
    ordering = ["-id"]
    sortable_by = ["received"]
    fields = [
        "state_badge",
        "tenant",
        "entrance",
        "external_id",
        "sender_masked",
        "attempts",
        "error_shown",
        "line_shown",
        "received",
        "finished",
    ]
    actions = ["retry"]
    change_form_template = "admin/routing/arrival/form.html"

    def may_take_first_step(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("routing.view_entrance"))

    def get_search_results(self, request: HttpRequest, queryset: "QuerySet[Arrival]", search_term: str) -> Any:
        term = search_term.strip()
        if not term:
            return queryset, False
        identifier = as_uuid(term)
        found = queryset.filter(external_id=term)
        return (found | queryset.filter(pk=identifier) if identifier else found), False

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        arrival: Arrival = self.own(request, unquote(object_id))
        names = {
            "heading": short_id(arrival.pk),
            "may_retry": arrival.state == ArrivalState.FAILED and self.has_operate_permission(request, arrival),
        }
        return super().change_view(request, object_id, form_url, {**names, **(extra_context or {})})

    @admin.action(description=gettext_lazy("Process again"), permissions=["operate"])
    def retry(self, request: HttpRequest, queryset: "QuerySet[Arrival]") -> HttpResponse | None:
        failed = own_rows(request, queryset, at_least=self.least).filter(state=ArrivalState.FAILED)
        rows = list(failed.order_by("id")[:MAX_AT_ONCE])

        def perform() -> None:
            number = sum(self._was_retried(request, row) for row in rows)
            self.message_user(
                request, ngettext("{n} arrival is processed again.", "{n} arrivals are processed again.", number).format(n=number)
            )

        if not rows:
            self.message_user(request, _("None of the selected arrivals has failed."), messages.WARNING)
            return None
        return confirm(
            self,
            request,
            queryset,
            action="retry",
            question=_("Process these arrivals again?"),
            button=_("Process again"),
            ids=[row.pk for row in rows],
            left_out=max(0, queryset.count() - len(rows)),
            consequence=_("They become lines behind what the same senders have written since."),
            perform=perform,
            is_harmless=True,
        )

    @staticmethod
    def _was_retried(request: HttpRequest, row: Arrival) -> bool:
        try:
            arrivals.retry(arrival=row, by=Actor.of_request(request))
        except Conflict:
            return False  # another person was faster
        return True

    # --- columns ---------------------------------------------------------------------------------------------

    @admin.display(description=gettext_lazy("state"), ordering="state")
    def state_badge(self, row: Arrival) -> SafeString:
        return badge(ArrivalState(row.state))

    @admin.display(description=gettext_lazy("sender"))
    def sender_masked(self, row: Arrival) -> SafeString:
        kind, _colon, value = row.sender.partition(":")
        named = IdentityKind(kind).label if kind in IdentityKind.values else kind
        return two_lines(mask_identity(kind, value), named)

    @admin.display(description=gettext_lazy("error"))
    def error_shown(self, row: Arrival) -> SafeString | str:
        if EXCEPTION.match(row.error):  # what a developer looks for is the second line
            return two_lines(_("It could not be processed"), row.error)
        return _(row.error) if row.error else NOTHING

    @admin.display(description=gettext_lazy("line"))
    def line_shown(self, row: Arrival) -> SafeString | str:
        line = Line.objects.filter(pk=row.line_id).only("conversation_id", "seq").first() if row.line_id else None
        if line is None:
            return NOTHING
        address = reverse("admin:routing_conversation_change", args=[line.conversation_id])
        return format_html('<a href="{}">{}</a>', address, _("Line {n} of its conversation").format(n=line.seq))

    @admin.display(description=gettext_lazy("received"), ordering="id")
    def received(self, row: Arrival) -> SafeString:
        return ago(row.received_at)

    @admin.display(description=gettext_lazy("finished"))
    def finished(self, row: Arrival) -> SafeString | str:
        return ago(row.finished_at) if row.finished_at else NOTHING
