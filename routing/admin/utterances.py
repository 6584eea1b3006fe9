"""Utterances in the admin: found, added, labelled many at once."""

from collections import defaultdict
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from accounts.selectors import active_tenants, no_tenants
from accounts.services.audit import Actor
from accounts.staff.lists import Rows
from accounts.staff.tenant_admin import OwnedFilter, TenantAdmin, own_rows, own_tenants
from posthaste.lib.problems import Conflict, Invalid
from posthaste.ui.confirmation import confirm
from posthaste.ui.pages import problem_text
from posthaste.ui.templatetags.interface import NOTHING, ago, badge, language_name, percent, thousands, two_lines
from routing.actions import Action
from routing.admin import labelling
from routing.admin.wording import actors_in_words, intent_titles, title_of
from routing.intents import utterances
from routing.intents.utterances import MAX_AT_ONCE
from routing.models import Intent, Utterance, UtteranceState


class AddForm(forms.Form):
    """Texts of one intent."""

    tenant = forms.ModelChoiceField(no_tenants(), label=gettext_lazy("tenant"), empty_label=None)
    intent = forms.ModelChoiceField(
        Intent.objects.none(), label=gettext_lazy("intent"), required=False, empty_label=gettext_lazy("Out of scope")
    )
    texts = forms.CharField(
        label=gettext_lazy("texts"),
        widget=forms.Textarea(attrs={"rows": 8}),
        help_text=gettext_lazy("One per line, as customers write them. One in four is held out to measure models."),
    )


class ChangeForm(forms.ModelForm):  # type: ignore[type-arg]
    """The label of an utterance."""

    class Meta:
        model = Utterance
        fields = ["intent", "state", "held_out"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "intent" in self.fields:
            self.fields["intent"].queryset = Intent.objects.filter(tenant_id=self.instance.tenant_id)  # type: ignore[attr-defined]
            self.fields["intent"].empty_label = _("Out of scope")  # type: ignore[attr-defined]
            self.fields["intent"].label_from_instance = title_of  # type: ignore[attr-defined]


class LabelForm(ActionForm):
    """What is chosen beside a bulk action: the intent that texts are accepted as."""

    intent = forms.CharField(label=gettext_lazy("intent"), required=False, widget=forms.Select)  # the list gives it its choices


class LanguageFilter(admin.SimpleListFilter):
    """By language; the others together."""

    title = gettext_lazy("language")
    parameter_name = "language"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("en", gettext_lazy("English")), ("zh", gettext_lazy("Chinese")), ("other", gettext_lazy("Other"))]

    def queryset(self, request: HttpRequest, queryset: "QuerySet[Utterance]") -> "QuerySet[Utterance]":
        if self.value() == "other":
            return queryset.exclude(language__in=["en", "zh"])
        return queryset.filter(language=self.value()) if self.value() in ("en", "zh") else queryset


@admin.register(Utterance)
class UtteranceAdmin(TenantAdmin):
    """Texts, and the intent that each stands for."""

    saves_by_service = True
    audit_actions = (Action.UTTERANCES_CHANGE, Action.UTTERANCES_IMPORT)
    purpose = gettext_lazy("Texts of customers and the intent of each. Models learn from those that are accepted.")
    empty_text = gettext_lazy(
        "Import a file, load the starting set, or add texts yourself. Texts that a model is unsure of appear here too."
    )
    first_step = (gettext_lazy("Add utterances"), "admin:routing_utterance_add")
    form = ChangeForm
    action_form = LabelForm
    change_list_template = "admin/routing/utterance/list.html"
    list_display = ["text_shown", "intent_shown", "state_badge", "language_shown", "part", "recognized", "tenant", "created"]
    list_display_links = ["text_shown"]
    exported = ("id", "tenant", "text", "intent", "language", "held_out", "state", "source", "guess", "confidence", "created_at")
    list_filter = ["state", ("intent", OwnedFilter), "source", "held_out", LanguageFilter]
    list_select_related = ["tenant", "intent"]
    search_fields = ["text"]
    search_help_text = gettext_lazy("Part of the text.")
    ordering = ["-id"]
    sortable_by = ["created"]
    actions = ["accept", "reject", "hold_out", "train_with", "delete"]
    fields = ["text", "intent", "state", "held_out", "language_shown", "recognized", "created", "by"]
    readonly_fields = ["text", "language_shown", "recognized", "created", "by"]

    def get_urls(self) -> Any:
        view = self.admin_site.admin_view
        own = [
            path("label/", view(self.label_page), name=self.url_name("label")),
            path("import/", view(self.import_page), name=self.url_name("import")),
        ]
        return own + super().get_urls()

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[Rows]:
        return Rows

    def prepare(self, request: HttpRequest, rows: list[Utterance]) -> None:
        """Look up the titles of what was recognized in the texts on the page."""
        titles = intent_titles({row.tenant_id for row in rows})
        for row in rows:
            row.guess_title = titles[row.tenant_id].get(row.guess, row.guess)  # type: ignore[attr-defined]

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Utterance | None:
        found: Utterance | None = super().get_object(request, object_id, from_field)
        if found is not None:
            self.prepare(request, [found])
            found.by_shown = actors_in_words(request, [found.created_by]).get(found.created_by, "")  # type: ignore[attr-defined]
        return found

    def get_actions(self, request: HttpRequest) -> Any:
        found = super().get_actions(request)
        found.pop("delete_selected", None)
        return found

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        context = dict(extra_context or {})
        if self.get_actions(request):
            form: Any = LabelForm(auto_id=False)
            form.fields["action"].choices = self.get_action_choices(request)
            form.fields["intent"].widget.choices = labelling.name_choices(own_tenants(request, at_least=self.least))
            context["action_form"] = form
        return super().changelist_view(request, context)

    # --- one, and several ------------------------------------------------------------------------------------

    def save_model(self, request: HttpRequest, obj: Utterance, form: Any, change: bool) -> None:
        own: dict[str, Any] = {"tenant_id": obj.tenant_id, "ids": [obj.pk], "by": Actor.of_request(request)}
        if {"intent", "state"} & set(form.changed_data):
            if obj.state == UtteranceState.REJECTED:
                utterances.reject_utterances(**own)
            else:
                utterances.label_utterances(**own, intent=obj.intent)
        if "held_out" in form.changed_data:
            utterances.set_held_out(**own, held_out=obj.held_out)

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = AddForm(request.POST or None, initial={"intent": request.GET.get("intent", "")})
        tenants = active_tenants(own_tenants(request, at_least=self.least))
        form.fields["tenant"].queryset = tenants  # type: ignore[attr-defined]
        intents = Intent.objects.filter(tenant__in=tenants).select_related("tenant")
        form.fields["intent"].queryset = intents  # type: ignore[attr-defined]
        form.fields["intent"].label_from_instance = title_of  # type: ignore[attr-defined]
        if request.method == "POST" and form.is_valid() and self._added(request, form):
            return HttpResponseRedirect(reverse("admin:routing_utterance_changelist"))
        status = 422 if form.errors else 200
        return self.page(request, "add", form=form, status=status, title=_("Add utterances"), list_title=_("Utterances"))

    def _added(self, request: HttpRequest, form: AddForm) -> bool:
        values = form.cleaned_data
        intent, lines = values["intent"], [line.strip() for line in values["texts"].splitlines() if line.strip()]
        if intent is not None and intent.tenant_id != values["tenant"].pk:
            form.add_error("intent", _("This intent belongs to another tenant."))
            return False
        if len(lines) > MAX_AT_ONCE:
            form.add_error("texts", _("At most {n} at once.").format(n=MAX_AT_ONCE))
            return False
        try:
            entries = [utterances.NewUtterance(line, intent.name if intent else "") for line in lines]
            added = utterances.add_utterances(
                tenant_id=values["tenant"].pk, entries=entries, by=Actor.of_request(request), now=timezone.now()
            )
        except Conflict as problem:
            form.add_error(None, problem_text(problem))
        except Invalid as problem:
            for error in problem.errors[:20]:
                line = str(error["field"]).partition("[")[2].partition("]")[0]
                form.add_error("texts", f"{_('Line {n}: ').format(n=int(line) + 1) if line else ''}{error['message']}")
        else:
            self.message_user(request, _("{added} added, {present} were there.").format(added=added.added, present=added.present))
        return not form.errors

    def label_page(self, request: HttpRequest) -> HttpResponse:
        """Show what waits to be labelled, and label it."""
        return labelling.label_page(self, request)

    def import_page(self, request: HttpRequest) -> HttpResponse:
        """Check a file, show what it brings, and import it."""
        return labelling.import_page(self, request)

    # --- many ------------------------------------------------------------------------------------------------

    def _by_tenant(self, request: HttpRequest, queryset: "QuerySet[Utterance]") -> dict[int, list[UUID]]:
        found: dict[int, list[UUID]] = defaultdict(list)
        rows = own_rows(request, queryset, at_least=self.least).order_by("-id")[:MAX_AT_ONCE]
        for tenant_id, pk in rows.values_list("tenant_id", "pk"):
            found[tenant_id].append(pk)
        return found

    @admin.action(description=gettext_lazy("Accept, as the chosen intent or as suggested"), permissions=["operate"])
    def accept(self, request: HttpRequest, queryset: "QuerySet[Utterance]") -> None:
        name, by, number = request.POST.get("intent", ""), Actor.of_request(request), 0
        for tenant_id, ids in self._by_tenant(request, queryset).items():
            try:
                number += utterances.accept_utterances(tenant_id=tenant_id, ids=ids, name=name, by=by)
            except Invalid as problem:
                self.message_user(request, problem_text(problem), messages.WARNING)
        self._tell(request, number)

    @admin.action(description=gettext_lazy("Reject"), permissions=["operate"])
    def reject(self, request: HttpRequest, queryset: "QuerySet[Utterance]") -> None:
        by = Actor.of_request(request)
        own = self._by_tenant(request, queryset).items()
        self._tell(request, sum(utterances.reject_utterances(tenant_id=tenant_id, ids=ids, by=by) for tenant_id, ids in own))

    @admin.action(description=gettext_lazy("Hold out, to measure models"), permissions=["operate"])
    def hold_out(self, request: HttpRequest, queryset: "QuerySet[Utterance]") -> None:
        self._hold(request, queryset, True)

    @admin.action(description=gettext_lazy("Train with them"), permissions=["operate"])
    def train_with(self, request: HttpRequest, queryset: "QuerySet[Utterance]") -> None:
        self._hold(request, queryset, False)

    def _hold(self, request: HttpRequest, queryset: "QuerySet[Utterance]", held_out: bool) -> None:
        by = Actor.of_request(request)
        own = self._by_tenant(request, queryset).items()
        self._tell(request, sum(utterances.set_held_out(tenant_id=tenant_id, ids=ids, held_out=held_out, by=by) for tenant_id, ids in own))

    @admin.action(description=gettext_lazy("Delete"), permissions=["operate"])
    def delete(self, request: HttpRequest, queryset: "QuerySet[Utterance]") -> HttpResponse | None:
        own = self._by_tenant(request, queryset)

        def perform() -> None:
            by = Actor.of_request(request)
            self._tell(request, sum(utterances.delete_utterances(tenant_id=tenant_id, ids=ids, by=by) for tenant_id, ids in own.items()))

        chosen = [pk for ids in own.values() for pk in ids]
        return confirm(
            self,
            request,
            queryset,
            action="delete",
            question=_("Delete these utterances?"),
            button=_("Delete"),
            ids=chosen,
            consequence=_("Versions that are trained later do not learn from them."),
            left_out=max(0, queryset.count() - len(chosen)),
            perform=perform,
        )

    def _tell(self, request: HttpRequest, number: int) -> None:
        self.message_user(request, ngettext("{n} utterance changed.", "{n} utterances changed.", number).format(n=thousands(number)))

    # --- columns ---------------------------------------------------------------------------------------------

    @admin.display(description=gettext_lazy("text"))
    def text_shown(self, row: Utterance) -> SafeString:
        text = row.text if len(row.text) <= 90 else f"{row.text[:89]}…"
        return format_html('<span lang="{}">{}</span>', row.language or "und", text)

    @admin.display(description=gettext_lazy("intent"))
    def intent_shown(self, row: Utterance) -> str:
        return title_of(row.intent) if row.intent else _("Out of scope") if row.state == UtteranceState.ACCEPTED else NOTHING

    @admin.display(description=gettext_lazy("state"))
    def state_badge(self, row: Utterance) -> SafeString:
        return badge(UtteranceState(row.state))

    @admin.display(description=gettext_lazy("language"), ordering="language")
    def language_shown(self, row: Utterance) -> str:
        return language_name(row.language) or NOTHING

    @admin.display(description=gettext_lazy("used for"))
    def part(self, row: Utterance) -> str:
        if row.state != UtteranceState.ACCEPTED:
            return NOTHING
        return _("Measuring") if row.held_out else _("Training")

    @admin.display(description=gettext_lazy("recognized as"))
    def recognized(self, row: Utterance) -> SafeString | str:
        guess = getattr(row, "guess_title", row.guess)
        if not guess or row.confidence is None:
            return guess or NOTHING
        return two_lines(guess, percent(round(100 * row.confidence)))

    @admin.display(description=gettext_lazy("by"))
    def by(self, row: Utterance) -> str:
        return getattr(row, "by_shown", row.created_by) or NOTHING

    @admin.display(description=gettext_lazy("created"), ordering="id")
    def created(self, row: Utterance) -> SafeString:
        return two_lines(ago(row.created_at), row.get_source_display())
