"""Ratings in the admin: what customers said, and what was asked and not answered."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.staff.tenant_admin import ReadOnly
from posthaste.ui.templatetags.interface import NOTHING, ago
from routing.admin.wording import conversation_link
from routing.models import Satisfaction
from routing.satisfaction.links import words_of_scores

#: Up to this score a customer was not content.
BAD = 2


class AnsweredFilter(admin.SimpleListFilter):
    """Answered, or only asked for."""

    title = gettext_lazy("answered")
    parameter_name = "answered"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", _("Answered")), ("no", _("Not answered"))]

    def queryset(self, request: HttpRequest, queryset: "QuerySet[Satisfaction]") -> "QuerySet[Satisfaction]":
        return queryset.filter(score__isnull=self.value() == "no") if self.value() in ("yes", "no") else queryset


@admin.register(Satisfaction)
class SatisfactionAdmin(ReadOnly):
    """What customers say of how they were answered."""

    purpose = gettext_lazy("What customers say of how they were answered: asked each time a conversation is resolved.")
    empty_text = gettext_lazy("Ratings appear here when a conversation is resolved at an entrance that asks for one.")
    first_step = (gettext_lazy("Entrances"), "admin:routing_entrance_changelist")
    rows_word = gettext_lazy("ratings")
    list_display = ["asked", "score_shown", "comment_begins", "agent_name", "group_name", "conversation_shown", "tenant"]
    list_display_links = ["asked"]
    has_panel = True
    list_filter = [AnsweredFilter, "score", "group"]
    list_select_related = ["tenant", "agent", "group", "conversation__customer"]
    search_fields = ["agent__name"]
    search_help_text = gettext_lazy("Name of the agent.")
    ordering = ["-id"]
    sortable_by = ()
    fields = ("score_shown", "comment_shown", "agent_name", "group_name", "conversation_shown", "asked", "answered", "tenant")
    readonly_fields = fields

    def may_take_first_step(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("routing.view_entrance"))

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        rating: Satisfaction = self.own(request, unquote(object_id))
        title = self.score_in_words(rating)
        return super().change_view(request, object_id, form_url, {"heading": title, "title": title, **(extra_context or {})})

    @admin.display(description=gettext_lazy("asked"), ordering="id")
    def asked(self, row: Satisfaction) -> SafeString:
        return ago(row.asked_at)

    @admin.display(description=gettext_lazy("answered"))
    def answered(self, row: Satisfaction) -> SafeString:
        return ago(row.answered_at)

    @admin.display(description=gettext_lazy("score"))
    def score_shown(self, row: Satisfaction) -> SafeString | str:
        said = self.score_in_words(row)
        is_bad = row.score is not None and row.score <= BAD
        return format_html('<span class="tone-text tone-failed">{}</span>', said) if is_bad else said

    def score_in_words(self, row: Satisfaction) -> str:
        """Return the score with its meaning, or that none was given."""
        if row.score is None:
            return _("Not answered")
        return _("{score} of 5 · {meaning}").format(score=row.score, meaning=dict(words_of_scores())[row.score])

    @admin.display(description=gettext_lazy("comment"))
    def comment_begins(self, row: Satisfaction) -> str:
        return (row.comment if len(row.comment) <= 80 else f"{row.comment[:80]}…") or NOTHING

    @admin.display(description=gettext_lazy("comment"))
    def comment_shown(self, row: Satisfaction) -> str:
        return row.comment or NOTHING

    @admin.display(description=gettext_lazy("agent"))
    def agent_name(self, row: Satisfaction) -> str:
        return row.agent.name if row.agent else NOTHING

    @admin.display(description=gettext_lazy("skill group"))
    def group_name(self, row: Satisfaction) -> str:
        return str(row.group) if row.group else NOTHING

    @admin.display(description=gettext_lazy("conversation"))
    def conversation_shown(self, row: Satisfaction) -> SafeString:
        return conversation_link(row.conversation)
