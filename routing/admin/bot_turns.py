"""What the bot did, in the admin: looked at, never edited."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.staff.tenant_admin import ReadOnly
from posthaste.ui.templatetags.interface import NOTHING, ago, badge, facts, percent, two_lines
from routing.admin.wording import conversation_link
from routing.bot.wording import reason_in_words
from routing.models import BotAction, BotTurn, FaqEntry


@admin.register(BotTurn)
class BotTurnAdmin(ReadOnly):
    """What the bot did about customers' texts, and why."""

    purpose = gettext_lazy("What the bot did about each text of a customer, with which entry, how sure it was, and whether it helped.")
    empty_text = gettext_lazy("Turns appear here when the bot is switched on, in the module Bot and FAQ, and customers write.")
    first_step = (gettext_lazy("FAQ entries"), "admin:routing_faqentry_changelist")
    rows_word = gettext_lazy("turns")
    list_display = ["made", "action_badge", "reason_shown", "entry_shown", "score_shown", "opinion", "conversation_shown", "tenant"]
    list_display_links = ["made"]
    figure_columns = ("score_shown",)
    has_panel = True
    list_filter = ["action", "was_helpful"]
    list_select_related = ["tenant", "entry", "conversation__customer"]
    search_fields = ["entry__question", "entry__slug"]
    search_help_text = gettext_lazy("Part of the entry's question, or its address.")
    ordering = ["-id"]
    sortable_by = ()
    fields = (
        "action_badge",
        "reason_shown",
        "entry_shown",
        "score_shown",
        "offered",
        "collected",
        "opinion",
        "conversation_shown",
        "made",
        "tenant",
    )
    readonly_fields = fields

    def may_take_first_step(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("routing.view_faqentry"))

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        turn: BotTurn = self.own(request, unquote(object_id))
        heading = str(turn.get_action_display())
        return super().change_view(request, object_id, form_url, {"heading": heading, "title": heading, **(extra_context or {})})

    @admin.display(description=gettext_lazy("time"), ordering="id")
    def made(self, row: BotTurn) -> SafeString:
        return ago(row.at)

    @admin.display(description=gettext_lazy("action"))
    def action_badge(self, row: BotTurn) -> SafeString:
        return badge(BotAction(row.action))

    @admin.display(description=gettext_lazy("reason"))
    def reason_shown(self, row: BotTurn) -> str:
        return reason_in_words(row.reason) or NOTHING

    @admin.display(description=gettext_lazy("entry"))
    def entry_shown(self, row: BotTurn) -> SafeString | str:
        if row.entry is None:
            return NOTHING
        address = reverse("admin:routing_faqentry_change", args=[row.entry_id])
        return two_lines(_linked(address, row.entry), row.entry.slug)

    @admin.display(description=gettext_lazy("score"))
    def score_shown(self, row: BotTurn) -> str:
        return percent(None if row.score is None else round(100 * row.score))

    @admin.display(description=gettext_lazy("helpful"))
    def opinion(self, row: BotTurn) -> str:
        return NOTHING if row.was_helpful is None else _("Yes") if row.was_helpful else _("No")

    @admin.display(description=gettext_lazy("offered"))
    def offered(self, row: BotTurn) -> SafeString | str:
        found = row.data.get("offered", ())
        lines = ((each["question"], percent(round(100 * each["score"]))) for each in found)
        return format_html_join(SafeString("<br>"), '<span lang="und">{}</span> · {}', lines) if found else NOTHING

    @admin.display(description=gettext_lazy("details told"))
    def collected(self, row: BotTurn) -> SafeString | str:
        found = row.data.get("collected", {})
        return facts(found) if found else NOTHING

    @admin.display(description=gettext_lazy("conversation"))
    def conversation_shown(self, row: BotTurn) -> SafeString:
        return conversation_link(row.conversation)


def _linked(address: str, entry: FaqEntry) -> SafeString:
    return format_html('<a href="{}" lang="{}">{}</a>', address, entry.language, Truncator(entry.question).chars(80))
