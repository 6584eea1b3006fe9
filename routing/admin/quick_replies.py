"""Quick replies in the admin: written here, used at the desk."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.services.audit import Actor
from accounts.staff.tenant_admin import OwnedFilter
from posthaste.ui.templatetags.interface import NOTHING, ago, language_name, two_lines
from routing.actions import Action
from routing.admin.outcomes import DeletedByService
from routing.admin.short_names import PrepopulatesNames, ShortNamed
from routing.desk import quick_replies
from routing.models import QuickReply

SHOWN = 80


class QuickReplyForm(ShortNamed):
    """A quick reply."""

    short_name, usual = "shortcut", "reply"
    checked_by_service = ("tenant", "group", "shortcut", "language")

    class Meta:
        model = QuickReply
        fields = ["tenant", "shortcut", "title", "text", "language", "group"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "text" in self.fields:
            known = ", ".join(f"{{{{ {name}.{part} }}}}" for name, parts in quick_replies.VARIABLES.items() for part in parts)
            self.fields["text"].help_text = _("May use {variables}. What is not known is empty.").format(variables=known)
            self.fields["text"].widget = forms.Textarea(attrs={"rows": 6, "class": "vLargeTextField"})
        group: Any = self.fields.get("group")
        if group is not None:
            group.empty_label = _("All agents")
            if not self.instance._state.adding:
                group.queryset = group.queryset.filter(tenant_id=self.instance.tenant_id)

    def check_row(self) -> None:
        quick_replies.check_quick_reply(self.instance)


@admin.register(QuickReply)
class QuickReplyAdmin(PrepopulatesNames, DeletedByService):
    """Texts that agents send often."""

    purpose = gettext_lazy("Texts that agents send often. At the desk they type a slash and the shortcut.")
    empty_text = gettext_lazy("Quick replies save agents from typing the same answer again.")
    first_step = (gettext_lazy("Add a quick reply"), "admin:routing_quickreply_add")
    rows_word = gettext_lazy("quick replies")
    form = QuickReplyForm
    fields = ["tenant", "title", "shortcut", "text", "language", "group"]
    prepopulated = {"shortcut": ["title"]}
    audit_actions = (Action.QUICK_REPLY_CREATE, Action.QUICK_REPLY_CHANGE, Action.QUICK_REPLY_DELETE)
    list_display = ["named", "begins", "for_language", "for_group", "uses", "tenant", "changed"]
    list_display_links = ["named"]
    figure_columns = ("uses",)
    list_filter = [("group", OwnedFilter), "language"]
    list_select_related = ["tenant", "group"]
    search_fields = ["shortcut", "title", "text"]
    search_help_text = gettext_lazy("Shortcut, name or text.")
    ordering = ["shortcut"]
    sortable_by = ["named", "uses"]

    def audit_targets(self, obj: QuickReply) -> list[str]:
        return [obj.shortcut]

    def save_model(self, request: HttpRequest, obj: QuickReply, form: Any, change: bool) -> None:
        by, now = Actor.of_request(request), timezone.now()
        if change:
            quick_replies.change_quick_reply(row=obj, fields=form.changed_data, by=by, now=now)
        else:
            quick_replies.create_quick_reply(row=obj, by=by, now=now)

    def delete_model(self, request: HttpRequest, obj: QuickReply) -> None:
        quick_replies.delete_quick_reply(row=obj, by=Actor.of_request(request))

    # --- columns ---------------------------------------------------------------------------------------------

    @admin.display(description=gettext_lazy("quick reply"), ordering="shortcut")
    def named(self, row: QuickReply) -> SafeString:
        return two_lines(row.title, f"/{row.shortcut}")

    @admin.display(description=gettext_lazy("text"))
    def begins(self, row: QuickReply) -> str:
        text = " ".join(row.text.split())
        return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"

    @admin.display(description=gettext_lazy("language"), ordering="language")
    def for_language(self, row: QuickReply) -> str:
        return language_name(row.language) if row.language else _("All")

    @admin.display(description=gettext_lazy("skill group"))
    def for_group(self, row: QuickReply) -> str:
        return str(row.group) if row.group else _("All agents")

    @admin.display(description=gettext_lazy("changed"), ordering="changed_at")
    def changed(self, row: QuickReply) -> SafeString | str:
        return ago(row.changed_at) if row.changed_at else NOTHING
