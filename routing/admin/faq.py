"""The FAQ in the admin: entries written, reviewed, published, with what became of them; files of entries."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import path
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy
from django.views.decorators.http import require_POST

from accounts.services.audit import Actor
from accounts.staff.lists import Rows
from posthaste.lib.problems import Problem
from posthaste.ui.pages import problem_text
from posthaste.ui.templatetags.interface import NOTHING, ago, badge, language_name, percent, thousands, two_lines
from routing.actions import Action
from routing.admin.faq_files import import_page
from routing.admin.outcomes import DeletedByService, tried
from routing.admin.wording import actors_in_words
from routing.configuration import bot
from routing.faq import editing, reading, rendering, review
from routing.faq.checks import cleaned
from routing.faq.published import copy_of, texts_of
from routing.models import FaqEntry, FaqState, Intent

#: By the verb of its address: what is done, and what is said then.
STEPS: dict[str, tuple[Callable[..., FaqEntry], Any]] = {
    "submit": (review.submit_entry, gettext_lazy("Offered for review.")),
    "return": (review.return_entry, gettext_lazy("It is a draft again.")),
    "publish": (review.publish_entry, gettext_lazy("Published.")),
    "archive": (review.archive_entry, gettext_lazy("Archived.")),
    "restore": (review.restore_entry, gettext_lazy("Restored as a draft.")),
}


class FaqForm(forms.ModelForm):  # type: ignore[type-arg]
    """An entry, its phrasings one per line."""

    phrasings = forms.CharField(
        label=gettext_lazy("other phrasings"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 6}),
        help_text=gettext_lazy("As customers ask the same, one per line. Three to six make the search much surer."),
    )

    class Meta:
        model = FaqEntry
        fields = ["tenant", "language", "question", "phrasings", "answer", "category", "intent", "is_for_bot", "slug"]
        widgets = {"answer": forms.Textarea(attrs={"rows": 12})}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "phrasings" in self.fields:
            self.initial["phrasings"] = "\n".join(self.instance.phrasings or [])
        if "slug" in self.fields:
            self.fields["slug"].required = bool(self.instance.pk and not self.instance._state.adding)

    def clean_phrasings(self) -> list[str]:
        return [line for line in self.cleaned_data["phrasings"].splitlines() if line.strip()]

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        try:
            values |= cleaned({name: values[name] for name in editing.FIELDS if name in values})
        except Problem as problem:
            for error in problem.errors:
                name = str(error["field"])
                self.add_error(name if name in self.fields else None, str(error["message"]))
        same = FaqEntry.objects.filter(tenant=values.get("tenant") or self.instance.tenant_id, slug=values.get("slug", ""))
        language = values.get("language") or self.instance.language
        if values.get("slug") and same.filter(language=language).exclude(pk=self.instance.pk).exists():
            self.add_error("slug", _("Another entry of this language has this address."))
        return values


@admin.register(FaqEntry)
class FaqEntryAdmin(DeletedByService):
    """Questions that are asked often, with their answers."""

    audit_actions = tuple(action for action in Action if action.startswith("faq."))
    purpose = gettext_lazy("Questions that are asked often, with their answers: for customers to read, and for the bot to answer with.")
    empty_text = gettext_lazy("Write the first entry, or import a file. What is published is found within seconds.")
    first_step = (gettext_lazy("Add an entry"), "admin:routing_faqentry_add")
    rows_word = gettext_lazy("entries")
    form = FaqForm
    change_form_template = "admin/routing/faqentry/form.html"
    change_list_template = "admin/routing/faqentry/list.html"
    list_display = [
        "question_shown",
        "state_badge",
        "category",
        "shown_times",
        "answered_times",
        "helpful_share",
        "deflection",
        "tenant",
        "changed",
    ]
    list_display_links = ["question_shown"]
    figure_columns = ("shown_times", "answered_times", "helpful_share", "deflection")
    exported = ("slug", "language", "category", "question", "phrasings_lines", "answer", "intent")
    list_filter = ["state", "language", "is_for_bot"]
    list_select_related = ["tenant"]
    search_fields = ["question", "answer", "slug"]
    search_help_text = gettext_lazy("Part of the question, the answer or the address.")
    ordering = ["-id"]
    sortable_by = ["changed"]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[Rows]:
        return Rows

    def prepare(self, request: HttpRequest, rows: list[FaqEntry]) -> None:
        """Look up what became of the conversations answered with the entries on the page, in one query."""
        found = reading.outcomes([row.pk for row in rows])
        for row in rows:
            row.outcome = found.get(row.pk, reading.Outcome())  # type: ignore[attr-defined]

    def get_urls(self) -> Any:
        view = self.admin_site.admin_view
        own = [
            path("import/", view(self.import_page), name=self.url_name("import")),
            path("<uuid:pk>/do/<str:verb>/", view(require_POST(self.do)), name=self.url_name("do")),
        ]
        return own + super().get_urls()

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fields = [*FaqForm.Meta.fields]
        if obj is not None and not self.has_change_permission(request, obj):
            fields[fields.index("phrasings")] = "phrasings_lines"
        return fields

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fields = [*super().get_readonly_fields(request, obj), "phrasings_lines"]
        return [*fields, "language"] if obj else fields

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        # `phrasings` is a field of the form, written one per line, that stands for a column of JSON.
        kwargs["fields"] = [name for name in FaqForm.Meta.fields if not (obj and name in ("tenant", "language"))]
        made = super().get_form(request, obj, change=change, **kwargs)
        for name in ("question", "category", "intent", "slug"):
            if name in made.base_fields:
                made.base_fields[name].widget.attrs["class"] = "vLargeTextField"
        if "answer" in made.base_fields:
            made.base_fields["answer"].help_text = _("Markdown: **bold**, [text](https://address), lists with - in front.")
        if "intent" in made.base_fields:
            made.base_fields["intent"].help_text = _("Short name of the intent that it answers. It makes the search surer.")
        return made

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whether the entry may be edited: one of the archive only after it was restored."""
        is_kept = obj is not None and obj.state == FaqState.ARCHIVED
        return super().has_change_permission(request, obj) and not is_kept

    def save_model(self, request: HttpRequest, obj: FaqEntry, form: Any, change: bool) -> None:
        by, now = Actor.of_request(request), timezone.now()
        values = {name: form.cleaned_data[name] for name in editing.FIELDS if name in form.cleaned_data}
        if change:
            made = editing.change_entry(entry=obj, changes=values, by=by, now=now)
        else:
            made = editing.create_entry(tenant_id=obj.tenant_id, values=values, by=by, now=now)
        obj.pk, obj.slug, obj.state = made.pk, made.slug, made.state

    def delete_model(self, request: HttpRequest, obj: FaqEntry) -> None:
        editing.delete_entry(entry=obj, by=Actor.of_request(request))

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        held = [str(obj) for obj in objs if obj.published]
        return [str(obj) for obj in objs], {self.opts.verbose_name_plural: len(objs)}, set(), held

    def do(self, request: HttpRequest, pk: UUID, verb: str) -> HttpResponse:
        """Take an entry one step on or back."""
        if verb not in STEPS:
            raise Http404
        entry: FaqEntry = self.own(request, str(pk))
        if not self._allowed(request, "change", entry):
            return HttpResponse(status=403)
        act, done = STEPS[verb]
        return tried(self, request, entry, lambda: act(entry=entry, by=Actor.of_request(request), now=timezone.now()), str(done))

    def import_page(self, request: HttpRequest) -> HttpResponse:
        """Check a file, show what it brings, and import it."""
        return import_page(self, request)

    def render_change_form(
        self, request: HttpRequest, context: Any, add: bool = False, change: bool = False, form_url: str = "", obj: Any = None
    ) -> HttpResponse:
        if obj is not None:
            self.prepare(request, [obj])
            newest = copy_of(obj)
            people = actors_in_words(request, [obj.written_by, obj.reviewed_by])
            context |= {
                "heading": Truncator(obj.question).chars(80),
                "preview": mark_safe(rendering.html_of(obj.answer)),  # noqa: S308 - sanitised
                "published": texts_of(obj) if obj.published and obj.published != newest else None,
                "written_by": people.get(obj.written_by, ""),
                "reviewed_by": people.get(obj.reviewed_by, ""),
                "may_act": self._allowed(request, "change", obj),
                "two_people": bot.of(obj.tenant_id).two_people,
                "helpful": self.helpful_share(obj),
                "deflected": self.deflection(obj),
                "intent_is_unknown": bool(obj.intent) and not Intent.objects.filter(tenant_id=obj.tenant_id, name=obj.intent).exists(),
            }
        return super().render_change_form(request, context, add=add, change=change, form_url=form_url, obj=obj)

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except Problem as problem:  # another one was faster
            self.message_user(request, problem_text(problem), "ERROR")
            return self.response_post_save_change(request, None)

    # --- columns ---------------------------------------------------------------------------------------------

    @admin.display(description=gettext_lazy("question"))
    def question_shown(self, row: FaqEntry) -> SafeString:
        question = format_html('<span lang="{}">{}</span>', row.language, Truncator(row.question).chars(90))
        return two_lines(question, f"{language_name(row.language)} · {row.slug}")

    @admin.display(description=gettext_lazy("state"), ordering="state")
    def state_badge(self, row: FaqEntry) -> SafeString:
        shown = badge(FaqState(row.state))
        return two_lines(shown, _("An older text is published")) if row.published and row.state != FaqState.PUBLISHED else shown

    @admin.display(description=gettext_lazy("phrasings"))
    def phrasings_lines(self, row: FaqEntry) -> str:
        return "\n".join(row.phrasings)

    @admin.display(description=gettext_lazy("shown"), ordering="shown")
    def shown_times(self, row: FaqEntry) -> str:
        return thousands(row.shown)

    @admin.display(description=pgettext_lazy("answer", "answered"), ordering="answered")
    def answered_times(self, row: FaqEntry) -> str:
        return thousands(row.answered)

    @admin.display(description=gettext_lazy("helpful"))
    def helpful_share(self, row: FaqEntry) -> str:
        said = row.helpful + row.unhelpful
        return percent(round(100 * row.helpful / said)) if said else NOTHING

    @admin.display(description=gettext_lazy("without an agent"))
    def deflection(self, row: Any) -> str:
        outcome: reading.Outcome = row.outcome
        return percent(round(100 * outcome.deflected / outcome.answered)) if outcome.answered else NOTHING

    @admin.display(description=gettext_lazy("changed"), ordering="changed_at")
    def changed(self, row: FaqEntry) -> SafeString:
        return ago(row.changed_at)
